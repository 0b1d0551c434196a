// The list of conversations.
import {byId, h} from './dom.js';

const kSureMs = 3000;

/** `open(id)` shows a conversation, `drop(id)` deletes it. */
export function showRail(entries, currentId, open, drop) {
  byId('chats').replaceChildren(...entries.map((entry) => {
    const current = entry.id === currentId;
    return h('li', {class: current ? 'current' : null},
      h('button', {class: 'pick', 'aria-current': current && 'true', onclick: () => open(entry.id)}, entry.title),
      dropButton(entry, drop));
  }));
}

// The first press asks, the second does it.
function dropButton(entry, drop) {
  const button = h('button', {class: 'drop', 'aria-label': `Delete ${entry.title}`}, 'Delete');
  button.addEventListener('click', () => {
    if (button.classList.contains('sure')) {
      drop(entry.id);
      return;
    }
    button.classList.add('sure');
    button.textContent = 'Sure?';
    button.setAttribute('aria-label', `Press again to delete ${entry.title}`);
    setTimeout(() => {
      button.classList.remove('sure');
      button.textContent = 'Delete';
      button.setAttribute('aria-label', `Delete ${entry.title}`);
    }, kSureMs);
  });
  return button;
}
