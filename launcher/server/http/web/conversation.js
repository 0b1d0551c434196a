// Conversations as trees: an edited message or another answer is a branch beside the first; one path is shown.
import {forget, load, save} from './storage.js';

const kRoot = 'root';

/** Message: {id, parent, role: 'user' | 'assistant', content, and of answers reasoning, calls, stats, finish, error}. */
export class Conversation {
  constructor(data) {
    this.data = data;
  }

  static create() {
    const now = Date.now();
    return new Conversation({id: crypto.randomUUID?.() ?? `${now}-${Math.random()}`, title: '', system: '', created: now,
                             updated: now, messages: {}, children: {}, chosen: {}, next: 1});
  }

  get id() {
    return this.data.id;
  }

  get title() {
    return this.data.title || 'New conversation';
  }

  get empty() {
    return this.childrenOf(null).length === 0;
  }

  /** Adds a message under `parent` (a message or null) and shows it. */
  add(parent, role, content) {
    const message = {id: String(this.data.next++), parent: parent?.id ?? null, role, content};
    const key = parent?.id ?? kRoot;
    this.data.messages[message.id] = message;
    this.data.children[key] = [...this.childrenOf(parent), message.id];
    this.data.chosen[key] = message.id;
    if (role === 'user' && this.data.title === '') this.data.title = titleOf(content);
    return message;
  }

  childrenOf(message) {
    return this.data.children[message?.id ?? kRoot] ?? [];
  }

  parentOf(message) {
    return this.data.messages[message.parent] ?? null;
  }

  /** The messages shown, from the first on; `until` ends them. */
  path(until = null) {
    const path = [];
    let next = this.data.chosen[kRoot];
    while (next !== undefined) {
      const message = this.data.messages[next];
      path.push(message);
      if (message === until) break;
      next = this.data.chosen[message.id];
    }
    return path;
  }

  /** Which of how many branches a message is: [0, 3] is the first of three. */
  branch(message) {
    const all = this.childrenOf(this.parentOf(message));
    return [all.indexOf(message.id), all.length];
  }

  choose(message, index) {
    const parent = this.parentOf(message);
    this.data.chosen[parent?.id ?? kRoot] = this.childrenOf(parent)[index];
  }

  remove(message) {
    const key = message.parent ?? kRoot;
    const rest = this.data.children[key].filter((id) => id !== message.id);
    this.data.children[key] = rest;
    if (this.data.chosen[key] === message.id) this.data.chosen[key] = rest.at(-1);
    delete this.data.messages[message.id];
  }

  /** What the API is asked with for an answer to `message`. */
  request(message) {
    const messages = this.path(message).map(({role, content}) => ({role, content}));
    return this.data.system === '' ? messages : [{role: 'system', content: this.data.system}, ...messages];
  }

  markdown() {
    const parts = [`# ${this.title}`];
    if (this.data.system !== '') parts.push(`**System:** ${this.data.system}`);
    for (const message of this.path()) {
      parts.push(`**${message.role === 'user' ? 'You' : 'Model'}:**\n\n${message.content}`);
    }
    return `${parts.join('\n\n')}\n`;
  }
}

function titleOf(text) {
  const line = text.trim().split('\n')[0];
  return line.length > 60 ? `${line.slice(0, 57).trimEnd()}...` : line;
}

/** All conversations of this browser, the last used first. */
export class Library {
  constructor() {
    this.entries = load('chats', []).filter((entry) => typeof entry?.id === 'string');
    this.open = new Map();
  }

  /** Null if it is gone. */
  get(id) {
    if (!this.open.has(id)) {
      const data = load(`chat.${id}`, null);
      if (data === null) return null;
      this.open.set(id, new Conversation(data));
    }
    return this.open.get(id);
  }

  /** A conversation without a message is not kept. False if there is no room for it. */
  keep(conversation) {
    this.open.set(conversation.id, conversation);
    if (conversation.empty) return true;
    conversation.data.updated = Date.now();
    const entry = {id: conversation.id, title: conversation.title};
    this.entries = [entry, ...this.entries.filter((other) => other.id !== conversation.id)];
    return save(`chat.${conversation.id}`, conversation.data) && save('chats', this.entries);
  }

  drop(id) {
    this.entries = this.entries.filter((entry) => entry.id !== id);
    this.open.delete(id);
    forget(`chat.${id}`);
    save('chats', this.entries);
  }
}
