// One message of the thread, as it is shown and changed.
import {h, setText} from './dom.js';
import {count, duration, short} from './format.js';
import {copyText, MarkdownView} from './markdown.js';

const kEnds = {length: 'ended at the limit of tokens', stopped: 'stopped', content_filter: 'filtered'};

/** Makes and updates the element of a message. `actions`: {edit, retry, choose} of the thread. */
export class MessageView {
  constructor(conversation, message, actions) {
    this.conversation = conversation;
    this.message = message;
    this.actions = actions;
    const user = message.role === 'user';
    this.text = h('div', {class: user ? 'text' : 'markdown'});
    this.meta = h('div', {class: 'meta'});
    this.content = h('div', {class: 'content'}, this.text, this.meta);
    this.element = h('article', {class: `message ${message.role}`, 'aria-label': user ? 'You' : 'Model'},
      h('p', {class: 'who', 'aria-hidden': 'true'}, user ? 'You' : 'Model'), this.content);
    if (user) {
      setText(this.text, message.content);
    } else {
      this.markdown = new MarkdownView(this.text);
    }
    this.update(null);
  }

  /** `answer`: the Answer that still fills the message, or null. */
  update(answer) {
    if (this.message.role === 'assistant') this.updateAnswer(answer);
    this.updateMeta(answer);
  }

  updateAnswer(answer) {
    const {reasoning, calls, content, error} = this.message;
    this.updateReasoning(reasoning, answer !== null && content === '');
    this.markdown.update(content);
    this.text.classList.toggle('caret', answer !== null && content === '' && !reasoning);
    this.place('calls', calls?.length ? h('div', {}, ...calls.map(callNode)) : null, JSON.stringify(calls ?? null));
    this.place('pause', answer?.pause ? h('p', {class: 'pause', role: 'status'}, answer.pause) : null, answer?.pause);
    this.place('failure', error ? this.failureNode(error) : null, error);
  }

  updateReasoning(reasoning, open) {
    if (!reasoning) return;
    if (!this.fold) {
      const body = h('div', {class: 'markdown'});
      this.foldText = new MarkdownView(body);
      this.fold = h('details', {class: 'fold'}, h('summary', {}, 'Reasoning'), body);
      this.content.prepend(this.fold);
      this.fold.open = open;
    }
    if (!open && this.reasoned) this.fold.open = false;  // folds once, when the answer begins
    this.reasoned = open;
    this.foldText.update(reasoning);
  }

  // A part that comes between text and meta, made again when `state` changes.
  place(name, node, state) {
    this.parts ??= {};
    if (this.parts[name]?.state === state) return;
    this.parts[name]?.node?.remove();
    this.parts[name] = {node, state};
    if (node) this.meta.before(node);
  }

  failureNode(error) {
    return h('div', {class: 'failure', role: 'alert'}, h('p', {}, error),
      button('Retry', () => this.actions.retry(this.message, true)));
  }

  updateMeta(answer) {
    const running = answer !== null;
    const facts = this.facts(answer);
    if (this.factsNode && this.wasRunning === running) {
      setText(this.factsNode, facts);
      return;
    }
    this.wasRunning = running;
    this.factsNode = h('span', {class: 'facts'}, facts);
    this.meta.replaceChildren(...(running ? [this.factsNode] : [this.factsNode, ...this.buttons()]));
    if (this.message.role === 'user') this.factsNode.remove();
  }

  facts(answer) {
    const stats = answer?.stats() ?? this.message.stats;
    if (!stats) return '';
    const facts = [];
    if (stats.tokens > 0) facts.push(count(stats.tokens, 'token'));
    if (stats.perSecond !== null) facts.push(`${short(stats.perSecond)} tokens/s`);
    if (stats.firstSeconds !== null) facts.push(`first after ${duration(stats.firstSeconds)}`);
    if (stats.promptTokens !== null) {
      const cached = stats.cachedTokens > 0 ? ` (${stats.cachedTokens} cached)` : '';
      facts.push(`prompt ${count(stats.promptTokens, 'token')}${cached}`);
    }
    if (answer === null && kEnds[this.message.finish]) facts.push(kEnds[this.message.finish]);
    return facts.join(' · ');
  }

  buttons() {
    const {message, conversation} = this;
    const buttons = [];
    const [index, all] = conversation.branch(message);
    if (all > 1) {
      buttons.push(button('‹', () => this.actions.choose(message, index - 1), 'Branch before', index === 0),
        h('span', {}, `${index + 1} of ${all}`),
        button('›', () => this.actions.choose(message, index + 1), 'Branch after', index === all - 1));
    }
    if (message.role === 'user') {
      buttons.push(button('Edit', () => this.edit()));
    } else {
      buttons.push(button('Regenerate', () => this.actions.retry(message, false)));
    }
    const copy = button('Copy', () => copyText(message.content, copy));
    buttons.push(copy);
    return buttons;
  }

  edit() {
    const box = h('textarea', {rows: String(Math.min(12, this.message.content.split('\n').length + 1)),
                               'aria-label': 'Edited message'});
    box.value = this.message.content;
    const done = () => {
      form.replaceWith(this.text);
      this.meta.hidden = false;
    };
    const form = h('form', {class: 'edit'}, box,
      h('div', {}, h('button', {class: 'primary', type: 'submit'}, 'Ask again'), button('Cancel', done)));
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      if (box.value.trim() !== '') this.actions.edit(this.message, box.value);
    });
    form.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') {
        event.stopPropagation();
        done();
      } else if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
        form.requestSubmit();
      }
    });
    this.text.replaceWith(form);
    this.meta.hidden = true;
    box.focus();
  }
}

function button(text, action, label, disabled = false) {
  return h('button', {type: 'button', class: 'plain', onclick: action, 'aria-label': label, disabled}, text);
}

function callNode(call) {
  let text = call.arguments;
  try {
    text = JSON.stringify(JSON.parse(call.arguments), null, 2);
  } catch (error) {
    // Not complete yet: as it is.
  }
  return h('div', {class: 'codeblock call'}, h('header', {}, h('span', {}, `Tool: ${call.name}`)),
    h('pre', {tabindex: '0'}, h('code', {}, text)));
}
