// Puts the page together: views, conversations, settings, colours, keys.
import {onKeyWanted} from './api.js';
import {Chat} from './chat.js';
import {ClusterView} from './cluster.js';
import {Conversation, Library} from './conversation.js';
import {byId, setText} from './dom.js';
import {askForKey} from './key_dialog.js';
import {Poller} from './poller.js';
import {showRail} from './rail.js';
import {Settings} from './settings.js';

const kThemes = ['system', 'light', 'dark'];
const kStates = {loading: 'loading the model', ready: 'ready', recovering: 'starting ranks again',
                 draining: 'ending', unreachable: 'not reachable'};

onKeyWanted(askForKey);
const library = new Library();
const settings = new Settings(byId('settings-form'), (system) => {
  chat.conversation.data.system = system;
  chat.keep();
});
const chat = new Chat(library, settings, listConversations);
const clusterView = new ClusterView(byId('cluster'));
const poller = new Poller(showCluster);

function listConversations() {
  showRail(library.entries, chat.conversation.id, openConversation, dropConversation);
}

function openConversation(id) {
  chat.show(library.get(id) ?? Conversation.create());
  closeRail();
  location.hash = '#chat';
  byId('message').focus();
}

function dropConversation(id) {
  if (chat.conversation.id === id) {
    chat.stop();
    chat.show(Conversation.create());
  }
  library.drop(id);
  listConversations();
}

function showCluster(cluster) {
  const state = cluster?.state ?? 'unreachable';
  byId('state').dataset.state = state;
  setText(byId('state-text'), kStates[state] ?? state);
  if (cluster !== null) setText(byId('model'), cluster.model);
  clusterView.update(cluster);
}

function showView() {
  const cluster = location.hash === '#cluster';
  byId('chat').hidden = cluster;
  byId('cluster').hidden = !cluster;
  byId('rail').hidden = cluster;
  byId('open-rail').hidden = cluster;
  if (cluster) toggleSettings(false);
  for (const [id, current] of [['to-chat', !cluster], ['to-cluster', cluster]]) {
    if (current) {
      byId(id).setAttribute('aria-current', 'page');
    } else {
      byId(id).removeAttribute('aria-current');
    }
  }
  document.title = cluster ? 'Cluster - Longship' : 'Longship';
  poller.setLive(cluster);
  if (!cluster) chat.shown();
}

function toggleSettings(open) {
  byId('settings').hidden = !open;
  byId('open-settings').setAttribute('aria-expanded', String(open));
}

function openRail() {
  byId('rail').classList.add('open');
  byId('open-rail').setAttribute('aria-expanded', 'true');
  byId('new-chat').focus();
}

function closeRail() {
  byId('rail').classList.remove('open');
  byId('open-rail').setAttribute('aria-expanded', 'false');
}

function setTheme(theme) {
  const root = document.documentElement;
  if (theme === 'system') {
    delete root.dataset.theme;
  } else {
    root.dataset.theme = theme;
  }
  try {
    localStorage.setItem('longship.theme', theme);
  } catch (error) {
    // Holds until the page closes.
  }
  showTheme();
}

function showTheme() {
  const theme = document.documentElement.dataset.theme ?? 'system';
  byId('theme').setAttribute('aria-label', `Colours: ${theme === 'system' ? 'as the system' : theme}`);
  byId('theme').title = byId('theme').getAttribute('aria-label');
}

function saveFile(name, type, text) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], {type}));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function exportAs(ending, type, text) {
  byId('export').open = false;
  const name = chat.conversation.title.replace(/[^\p{L}\p{N}]+/gu, '-').slice(0, 60);
  saveFile(`${name}.${ending}`, type, text);
}

// Escape closes what lies over the page, else stops the answer; it never stops one by closing something.
function escape() {
  if (byId('export').open) {
    byId('export').open = false;
    byId('export').querySelector('summary').focus();
  } else if (byId('rail').classList.contains('open')) {
    closeRail();
    byId('open-rail').focus();
  } else if (chat.running() && !byId('chat').hidden) {
    chat.stop();
  } else if (!byId('settings').hidden) {
    toggleSettings(false);
    byId('open-settings').focus();
  }
}

document.addEventListener('keydown', (event) => {
  if (event.defaultPrevented || byId('key-dialog').open) return;
  const typing = event.target.closest('input, textarea, [contenteditable]') !== null;
  if (event.key === 'Escape') {
    escape();
  } else if (event.key === '/' && !typing && !byId('chat').hidden) {
    event.preventDefault();
    byId('message').focus();
  }
});

byId('theme').addEventListener('click', () => {
  const theme = document.documentElement.dataset.theme ?? 'system';
  setTheme(kThemes[(kThemes.indexOf(theme) + 1) % kThemes.length]);
});
byId('new-chat').addEventListener('click', () => openConversation(null));
byId('open-rail').addEventListener('click', () => (byId('rail').classList.contains('open') ? closeRail() : openRail()));
byId('main').addEventListener('click', (event) => {
  closeRail();
  if (!byId('export').contains(event.target)) byId('export').open = false;
});
byId('open-settings').addEventListener('click', () => {
  toggleSettings(byId('settings').hidden);
  if (!byId('settings').hidden) byId('system').focus();
});
byId('close-settings').addEventListener('click', () => {
  toggleSettings(false);
  byId('open-settings').focus();
});
byId('export-json').addEventListener('click', () =>
  exportAs('json', 'application/json', JSON.stringify(chat.conversation.data, null, 2)));
byId('export-md').addEventListener('click', () => exportAs('md', 'text/markdown', chat.conversation.markdown()));
window.addEventListener('hashchange', showView);
window.addEventListener('pagehide', () => chat.leave());

chat.show(library.get(library.entries[0]?.id) ?? Conversation.create());
showTheme();
showView();
if (!byId('chat').hidden) byId('message').focus();
