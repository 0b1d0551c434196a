// Markdown within a line, as DOM nodes: code, emphasis, links, line breaks. What is not understood stays text.
import {h} from './dom.js';

const kMostDepth = 8;  // of emphasis in emphasis

/** The nodes of `text`. */
export function inline(text) {
  return new Line(text, 0).nodes();
}

/** The address if it is one that may be followed from here, else null. */
export function safeUrl(address) {
  if (!/^https?:\/\//i.test(address)) return null;
  try {
    return new URL(address).href;
  } catch (error) {
    return null;
  }
}

function link(address, ...children) {
  const url = safeUrl(address);
  return url === null ? null : h('a', {href: url, target: '_blank', rel: 'noopener noreferrer nofollow'}, ...children);
}

class Line {
  constructor(text, depth) {
    this.text = text;
    this.depth = depth;
    this.at = 0;
    this.plain = '';
    this.out = [];
    this.missing = new Set();  // marks that no later text closes: looked for once
  }

  nodes() {
    while (this.at < this.text.length) {
      if (!this.special()) {
        this.plain += this.text[this.at];
        this.at += 1;
      }
    }
    this.flush();
    return this.out;
  }

  flush() {
    if (this.plain !== '') this.out.push(this.plain);
    this.plain = '';
  }

  /** Emits the node, unless it is null, and goes on at `end`. */
  emit(node, end) {
    if (node === null) return false;
    this.flush();
    this.out.push(node);
    this.at = end;
    return true;
  }

  special() {
    switch (this.text[this.at]) {
      case '\\':
        return this.escaped();
      case '`':
        return this.code();
      case '[':
        return this.link(this.at);
      case '!':
        return this.text[this.at + 1] === '[' && this.link(this.at + 1);
      case '<':
        return this.bracketed();
      case 'h':
        return this.address();
      case '\n':
        return this.lineBreak();
      case '*':
      case '_':
      case '~':
        return this.emphasis();
      default:
        return false;
    }
  }

  escaped() {
    const next = this.text[this.at + 1];
    if (next === '\n') return this.emit(h('br'), this.at + 2);
    if (next === undefined || !/[!-/:-@[-`{-~]/.test(next)) return false;
    this.plain += next;
    this.at += 2;
    return true;
  }

  lineBreak() {
    return this.plain.endsWith('  ') && this.emit(h('br'), this.at + 1);
  }

  code() {
    const fence = /^`+/.exec(this.text.slice(this.at, this.at + 20))[0];
    const begin = this.at + fence.length;
    let end = this.missing.has(fence) ? -1 : this.text.indexOf(fence, begin);
    while (end !== -1 && (this.text[end + fence.length] === '`' || this.text[end - 1] === '`')) {
      end = this.text.indexOf(fence, end + 1);
    }
    if (end === -1) {
      this.missing.add(fence);
      this.plain += fence;
      this.at = begin;
      return true;
    }
    const code = this.text.slice(begin, end).replaceAll('\n', ' ');
    const padded = code.startsWith(' ') && code.endsWith(' ') && code.trim() !== '';
    return this.emit(h('code', {}, padded ? code.slice(1, -1) : code), end + fence.length);
  }

  // [text](address "title"), also of an image, which is shown as a link: nothing is loaded from elsewhere.
  link(open) {
    const close = closing(this.text, open, '[', ']');
    if (close === -1 || this.text[close + 1] !== '(') return false;
    const end = closing(this.text, close + 1, '(', ')');
    if (end === -1) return false;
    const target = /^\s*<?([^\s<>]+)>?(?:\s+["'(][^]*)?\s*$/.exec(this.text.slice(close + 2, end));
    if (target === null || this.depth >= kMostDepth) return false;
    return this.emit(link(target[1], ...new Line(this.text.slice(open + 1, close), this.depth + 1).nodes()), end + 1);
  }

  bracketed() {
    const found = /^<(https?:\/\/[^\s<>]+)>/i.exec(this.text.slice(this.at, this.at + 2000));
    if (found !== null) return this.emit(link(found[1], found[1]), this.at + found[0].length);
    const end = /^<br\s*\/?>/i.exec(this.text.slice(this.at, this.at + 8));
    return end !== null && this.emit(h('br'), this.at + end[0].length);
  }

  address() {
    if (/\w/.test(this.text[this.at - 1] ?? '')) return false;
    const found = /^https?:\/\/[^\s<>"'`]+/i.exec(this.text.slice(this.at, this.at + 2000));
    if (found === null) return false;
    let address = found[0].replace(/[.,;:!?*_~\]]+$/, '');
    if (address.endsWith(')') && !address.includes('(')) address = address.slice(0, -1);
    return this.emit(link(address, address), this.at + address.length);
  }

  emphasis() {
    const mark = this.text[this.at];
    const run = new RegExp(`^\\${mark}+`).exec(this.text.slice(this.at, this.at + 40))[0].length;
    const size = mark === '~' ? 2 : Math.min(run, 3);
    const opens = run >= size && run <= 3 && this.depth < kMostDepth && this.opens(mark, run);
    const end = opens ? this.closer(mark, size) : -1;
    if (end === -1) {
      this.plain += mark.repeat(run);
      this.at += run;
      return true;
    }
    const inner = new Line(this.text.slice(this.at + size, end), this.depth + 1).nodes();
    const name = mark === '~' ? 'del' : size === 1 ? 'em' : 'strong';
    return this.emit(size === 3 ? h('em', {}, h('strong', {}, ...inner)) : h(name, {}, ...inner), end + size);
  }

  opens(mark, run) {
    const after = this.text[this.at + run];
    const before = this.text[this.at - 1];
    if (after === undefined || /\s/.test(after)) return false;
    return mark !== '_' || before === undefined || !/\w/.test(before);
  }

  // Where a run of exactly `size` marks closes what begins here, or -1.
  closer(mark, size) {
    const marks = mark.repeat(size);
    if (this.missing.has(marks)) return -1;
    for (let at = this.text.indexOf(marks, this.at + size); at !== -1; at = this.text.indexOf(marks, at + 1)) {
      let end = at;
      while (this.text[end] === mark) end += 1;
      const before = this.text[at - 1];
      const after = this.text[end];
      const word = mark === '_' && after !== undefined && /\w/.test(after);
      if (end - at === size && !/[\s\\]/.test(before) && !word) return at;
      at = end;
    }
    this.missing.add(marks);
    return -1;
  }
}

// Where the bracket at `open` is closed, or -1; looks at 2000 characters at most.
function closing(text, open, opening, ending) {
  let depth = 0;
  for (let at = open; at < Math.min(text.length, open + 2000); ++at) {
    if (text[at] === '\\') {
      at += 1;
    } else if (text[at] === opening) {
      depth += 1;
    } else if (text[at] === ending) {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
  return -1;
}
