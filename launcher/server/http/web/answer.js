// One answer while it streams: fills a message of a conversation and measures it.
import {getJson, streamChat} from './api.js';

// A stream that is silent for so long may have lost its ranks: then the server is asked.
const kSilenceMs = 1500;

export class Answer {
  /** `changed` is called after each change of the message; `settings` are members of the request. */
  constructor(conversation, message, settings, changed) {
    this.conversation = conversation;
    this.message = message;
    this.settings = settings;
    this.changed = changed;
    this.abort = new AbortController();
    this.pause = '';
    this.began = performance.now();
    this.first = 0;
    this.last = 0;
    this.pieces = 0;
  }

  stop() {
    this.stopped = true;
    this.abort.abort();
  }

  /** Resolves when the answer is complete, stopped or failed; what happened stands in the message. */
  async run() {
    this.watch();
    try {
      const question = this.conversation.parentOf(this.message);
      const body = {...this.settings, messages: this.conversation.request(question)};
      for await (const chunk of streamChat(body, this.abort.signal)) this.take(chunk);
    } catch (error) {
      if (this.stopped) {
        this.message.finish = 'stopped';
      } else {
        this.message.error = error.message;
      }
    }
    clearTimeout(this.timer);
    this.pause = '';
    this.message.stats = this.stats();
    this.done = true;
    this.changed();
  }

  take(chunk) {
    const {delta, finish_reason: reason} = chunk.choices?.[0] ?? {};
    if (chunk.usage) this.usage = chunk.usage;
    if (reason) this.message.finish = reason;
    if (delta?.content || delta?.reasoning_content || delta?.tool_calls) {
      this.last = performance.now();
      this.first ||= this.last;
      this.pieces += 1;
      this.message.content += delta.content ?? '';
      if (delta.reasoning_content) this.message.reasoning = (this.message.reasoning ?? '') + delta.reasoning_content;
      for (const call of delta.tool_calls ?? []) this.takeCall(call);
    }
    this.pause = '';
    this.watch();
    this.changed();
  }

  takeCall({index = 0, function: {name, arguments: text} = {}}) {
    this.message.calls ??= [];
    const call = (this.message.calls[index] ??= {name: '', arguments: ''});
    call.name += name ?? '';
    call.arguments += text ?? '';
  }

  /** Tokens are counted by the server at the end; until then each piece is taken as one. */
  stats() {
    const tokens = this.usage?.completion_tokens ?? this.pieces;
    const seconds = (this.last - this.first) / 1000;
    return {
      tokens,
      promptTokens: this.usage?.prompt_tokens ?? null,
      cachedTokens: this.usage?.prompt_tokens_details?.cached_tokens ?? 0,
      perSecond: tokens > 1 && seconds > 0 ? (tokens - 1) / seconds : null,
      firstSeconds: this.first === 0 ? null : (this.first - this.began) / 1000,
    };
  }

  watch() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.explainSilence(), kSilenceMs);
  }

  async explainSilence() {
    try {
      const {state, waiting} = await getJson('/cluster');
      if (state === 'recovering') {
        this.pause = 'Ranks were lost. They are started again, and this answer goes on.';
      } else if (this.first === 0 && waiting > 1) {
        this.pause = `Waiting with ${waiting - 1} other ${waiting === 2 ? 'request' : 'requests'}.`;
      } else {
        this.pause = '';
      }
    } catch (error) {
      this.pause = 'The server cannot be reached.';
    }
    if (!this.done) {
      this.changed();
      this.watch();
    }
  }
}
