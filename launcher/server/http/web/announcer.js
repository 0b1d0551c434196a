// Says a streaming answer to screen readers: whole sentences, now and then, not each piece.
import {setText} from './dom.js';

const kPauseMs = 2500;

export class Announcer {
  constructor(element) {
    this.element = element;
    this.begin();
  }

  begin() {
    this.said = 0;
    this.next = performance.now() + kPauseMs;
    setText(this.element, '');
  }

  hear(text) {
    if (performance.now() < this.next) return;
    const sentences = /^[^]*[.!?:\n](?=\s|$)/.exec(text.slice(this.said));
    if (sentences === null) return;
    this.say(sentences[0]);
    this.said += sentences[0].length;
  }

  end(message) {
    const rest = message.content.slice(this.said);
    const how = message.error ? `The answer failed: ${message.error}` : 'End of the answer.';
    this.say(`${rest} ${how}`);
  }

  say(text) {
    setText(this.element, text.trim());
    this.next = performance.now() + kPauseMs;
  }
}
