// Markdown as DOM nodes, for text that grows: what has not changed since the last time is not made again. No HTML is
// parsed, and none of the text's own becomes any.
import {h} from './dom.js';
import {inline} from './inline.js';

const kFence = /^ {0,3}(`{3,}|~{3,})\s*([^\s`]*)[^`]*$/;
const kHeading = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/;
const kRule = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const kItem = /^(\s*)([-*+]|\d{1,9}[.)])(?:\s+(.*)|\s*)$/;
const kQuote = /^ {0,3}>\s?/;
const kTableRule = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;
const kMostDepth = 8;  // of lists and quotes in each other

/** Shows a growing text in `element`. */
export class MarkdownView {
  constructor(element) {
    this.element = element;
    this.shown = [];
  }

  update(text) {
    const blocks = parse(text.split('\n'), 0);
    let same = 0;
    while (same < blocks.length && same < this.shown.length && blocks[same].source === this.shown[same]) same += 1;
    while (this.element.childNodes.length > same) this.element.lastChild.remove();
    for (const block of blocks.slice(same)) this.element.append(block.make());
    this.shown = blocks.map((block) => block.source);
  }
}

/** The blocks of some lines: their source, and how to make their element. */
function parse(lines, depth) {
  const blocks = [];
  let at = 0;
  while (at < lines.length) {
    if (lines[at].trim() === '') {
      at += 1;
      continue;
    }
    const [end, make] = blockAt(lines, at, depth);
    blocks.push({source: lines.slice(at, end).join('\n'), make});
    at = end;
  }
  return blocks;
}

function blockAt(lines, at, depth) {
  const line = lines[at];
  if (kFence.test(line)) return fence(lines, at);
  const heading = kHeading.exec(line);
  if (heading !== null) {
    const level = Math.min(6, heading[1].length + 2);  // the page has its own first two
    return [at + 1, () => h(`h${level}`, {}, ...inline(heading[2]))];
  }
  if (kRule.test(line)) return [at + 1, () => h('hr')];
  if (depth < kMostDepth && kQuote.test(line)) return quote(lines, at, depth);
  if (depth < kMostDepth && kItem.test(line)) return list(lines, at, depth);
  if (line.includes('|') && kTableRule.test(lines[at + 1] ?? '') && lines[at + 1].includes('-')) return table(lines, at);
  return paragraph(lines, at);
}

function fence(lines, at) {
  const [, mark, language] = kFence.exec(lines[at]);
  let end = at + 1;
  const closes = (line) => line.trim().startsWith(mark) && line.trim().replaceAll(mark[0], '') === '';
  while (end < lines.length && !closes(lines[end])) end += 1;
  const code = lines.slice(at + 1, end).join('\n');
  return [Math.min(end + 1, lines.length), () => codeBlock(code, language)];
}

function codeBlock(code, language) {
  const copy = h('button', {class: 'plain', type: 'button'}, 'Copy');
  copy.addEventListener('click', () => copyText(code, copy));
  return h('div', {class: 'codeblock'}, h('header', {}, h('span', {}, language), copy),
    h('pre', {tabindex: '0', role: 'region', 'aria-label': language === '' ? 'Code' : `Code: ${language}`},
      h('code', {}, code)));
}

/** Copies, and says so on the button. */
export async function copyText(text, button) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = 'Copied';
  } catch (error) {
    button.textContent = 'Not allowed';
  }
  setTimeout(() => {
    button.textContent = before;
  }, 1500);
}

function quote(lines, at, depth) {
  let end = at;
  while (end < lines.length && kQuote.test(lines[end])) end += 1;
  const inner = lines.slice(at, end).map((line) => line.replace(kQuote, ''));
  return [end, () => h('blockquote', {}, ...parse(inner, depth + 1).map((block) => block.make()))];
}

const indentOf = (line) => /^\s*/.exec(line)[0].length;

// Items of one list: those at the first one's indentation; what is indented further belongs to them.
function list(lines, at, depth) {
  const [, indent, firstMark] = kItem.exec(lines[at]);
  const ordered = /\d/.test(firstMark);
  const items = [];
  let loose = false;
  let end = at;
  while (end < lines.length) {
    const line = lines[end];
    if (line.trim() === '') {
      const next = lines.slice(end).find((other) => other.trim() !== '');
      if (next === undefined || indentOf(next) < indent.length + (kItem.test(next) ? 0 : 2)) break;
      loose = loose || items.length > 0;
      items.at(-1)?.push('');
    } else {
      const item = kItem.exec(line);
      const own = item !== null && item[1].length <= indent.length + 1;
      if (own && /\d/.test(item[2]) !== ordered) break;
      if (own) {
        items.push([item[3] ?? '']);
      } else if (indentOf(line) > indent.length) {
        items.at(-1).push(line.slice(Math.min(indentOf(line), indent.length + firstMark.length + 1)));
      } else if (blockStart(line)) {
        break;
      } else {
        items.at(-1).push(line);  // a lazy continuation
      }
    }
    end += 1;
  }
  const make = () => h(ordered ? 'ol' : 'ul', {start: ordered && parseInt(firstMark, 10) !== 1 && parseInt(firstMark, 10)},
    ...items.map((item) => h('li', {}, ...itemNodes(item, loose, depth + 1))));
  return [end, make];
}

// A tight item's first paragraph needs none around it.
function itemNodes(lines, loose, depth) {
  const nodes = parse(lines, depth).map((block) => block.make());
  return loose ? nodes : nodes.flatMap((node) => (node.tagName === 'P' ? [...node.childNodes] : [node]));
}

function blockStart(line) {
  return kFence.test(line) || kHeading.test(line) || kRule.test(line) || kQuote.test(line) || kItem.test(line);
}

function paragraph(lines, at) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim() !== '' && !blockStart(lines[end])) end += 1;
  const text = lines.slice(at, end).join('\n').replace(/^ +/gm, '').trimEnd();
  return [end, () => h('p', {}, ...inline(text))];
}

function cells(line) {
  const parts = line.trim().replace(/^\||\|$/g, '').split(/(?<!\\)\|/);
  return parts.map((cell) => cell.trim().replaceAll('\\|', '|'));
}

function table(lines, at) {
  const align = cells(lines[at + 1]).map((rule) => {
    if (!rule.endsWith(':')) return null;
    return rule.startsWith(':') ? 'center' : 'right';
  });
  let end = at + 2;
  while (end < lines.length && lines[end].includes('|') && lines[end].trim() !== '') end += 1;
  const row = (line, name) =>
    h('tr', {}, ...cells(line).slice(0, align.length).map((cell, i) => h(name, {class: align[i]}, ...inline(cell))));
  const make = () => h('div', {class: 'table', tabindex: '0', role: 'region', 'aria-label': 'Table'},
    h('table', {}, h('thead', {}, row(lines[at], 'th')),
      h('tbody', {}, ...lines.slice(at + 2, end).map((line) => row(line, 'td')))));
  return [end, make];
}
