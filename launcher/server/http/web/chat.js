// The chat view: the thread of one conversation, the composer, and the answers that stream.
import {Answer} from './answer.js';
import {byId, h, setText} from './dom.js';
import {Announcer} from './announcer.js';
import {MessageView} from './message.js';

export class Chat {
  constructor(library, settings, listChanged) {
    this.library = library;
    this.settings = settings;
    this.listChanged = listChanged;
    this.answers = new Map();  // by message; also of conversations that are not shown
    this.views = new Map();    // of the messages shown
    this.announcer = new Announcer(byId('live'));
    this.scroll = byId('scroll');
    this.box = byId('message');
    this.send = byId('send');
    this.wire();
  }

  wire() {
    byId('composer').addEventListener('submit', (event) => {
      event.preventDefault();
      if (this.running()) {
        this.stop();
      } else {
        this.ask();
      }
    });
    this.box.addEventListener('input', () => this.fitBox());
    this.box.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        if (!this.running()) this.ask();
      }
    });
    const title = byId('title');
    title.addEventListener('change', () => {
      this.conversation.data.title = title.value.trim();
      this.keep();
    });
    title.addEventListener('keydown', (event) => event.key === 'Enter' && this.box.focus());
    this.follows = true;  // the end of the thread, unless the reader has scrolled away from it
    this.scroll.addEventListener('scroll', () => {
      if (this.scroll.clientHeight === 0) return;
      this.follows = this.atEnd();
      byId('jump').hidden = this.follows;
    });
    byId('jump').addEventListener('click', () => this.toEnd());
  }

  show(conversation) {
    this.conversation = conversation;
    this.settings.show(conversation);
    this.render();
    this.toEnd();
    this.listChanged();
  }

  render() {
    const path = this.conversation.path();
    this.views.clear();
    for (const message of path) {
      this.views.set(message, new MessageView(this.conversation, message, {
        edit: (edited, text) => this.edit(edited, text),
        retry: (answer, replace) => this.retry(answer, replace),
        choose: (chosen, index) => this.choose(chosen, index),
      }));
    }
    const thread = byId('thread');
    thread.replaceChildren(...[...this.views.values()].map((view) => view.element));
    if (path.length === 0) thread.append(emptyNode());
    for (const [message, view] of this.views) view.update(this.answers.get(message) ?? null);
    byId('title').value = this.conversation.data.title;
    byId('title').placeholder = this.conversation.title;
    byId('export').hidden = path.length === 0;
    this.showRunning();
  }

  /** The answer of this conversation that streams, or undefined. */
  running() {
    return [...this.answers.values()].find((answer) => answer.conversation === this.conversation);
  }

  ask() {
    const text = this.box.value;
    if (text.trim() === '') return;
    this.box.value = '';
    this.fitBox();
    const question = this.conversation.add(this.conversation.path().at(-1) ?? null, 'user', text);
    this.answer(question);
  }

  edit(message, text) {
    this.answer(this.conversation.add(this.conversation.parentOf(message), 'user', text));
  }

  retry(message, replace) {
    const question = this.conversation.parentOf(message);
    if (replace) this.conversation.remove(message);
    this.answer(question);
  }

  choose(message, index) {
    this.conversation.choose(message, index);
    this.keep();
    this.render();
  }

  answer(question) {
    this.running()?.stop();
    const conversation = this.conversation;
    const message = conversation.add(question, 'assistant', '');
    const answer = new Answer(conversation, message, this.settings.values, () => this.later(answer));
    this.answers.set(message, answer);
    this.keep();
    this.render();
    this.toEnd();
    this.announcer.begin();
    answer.run();
  }

  // Once a frame at most.
  later(answer) {
    if (answer.done) {
      this.finish(answer);
      return;
    }
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      for (const running of this.answers.values()) this.draw(running);
    });
  }

  draw(answer) {
    const view = this.views.get(answer.message);
    if (!view) return;
    view.update(answer.done ? null : answer);
    if (this.follows) this.toEnd();
    this.announcer.hear(answer.message.content);
  }

  finish(answer) {
    this.answers.delete(answer.message);
    this.draw(answer);
    if (this.views.has(answer.message)) this.announcer.end(answer.message);
    this.keep(answer.conversation);
    this.showRunning();
  }

  stop() {
    this.running()?.stop();
  }

  /** The page is left: answers under way are stopped, as a page that a browser keeps would go on, and kept as they are. */
  leave() {
    for (const answer of this.answers.values()) {
      answer.stop();
      answer.message.finish = 'stopped';
      answer.message.stats = answer.stats();
      this.library.keep(answer.conversation);
    }
  }

  keep(conversation = this.conversation) {
    const kept = this.library.keep(conversation);
    setText(byId('notice'), kept ? '' : 'This browser has no room left: delete conversations, or export this one.');
    this.listChanged();
  }

  showRunning() {
    const running = this.running() !== undefined;
    setText(this.send, running ? 'Stop' : 'Send');
    this.send.classList.toggle('stop', running);
    byId('thread').setAttribute('aria-busy', String(running));
  }

  fitBox() {
    this.box.style.height = 'auto';
    this.box.style.height = `${this.box.scrollHeight}px`;
  }

  atEnd() {
    return this.scroll.scrollHeight - this.scroll.scrollTop - this.scroll.clientHeight < 60;
  }

  toEnd() {
    this.follows = true;
    this.scroll.scrollTop = this.scroll.scrollHeight;
    byId('jump').hidden = true;
  }

  /** The view is seen again. */
  shown() {
    if (this.follows) this.toEnd();
  }
}

function emptyNode() {
  return h('div', {class: 'empty'}, h('h2', {}, 'What shall we work on?'),
    h('p', {}, 'Messages stay in this browser. The ranks that answer are shown under ',
      h('a', {href: '#cluster'}, 'Cluster'), '.'));
}
