// The ranks in numbers.
import {h, setText} from './dom.js';
import {bytes, number, percent, short} from './format.js';

const kColumns = [
  ['Rank', ({rank}) => String(rank)],
  ['Host', ({host}) => host],
  ['Process', ({pid}) => String(pid)],
  ['Stage, share', ({pp, tp}) => `${pp}, ${tp}`],
  ['Layers', ({layers: [begin, end]}) => (end > begin ? `${begin} to ${end - 1}` : 'none')],
  ['Weights', ({weights_bytes: size}) => bytes(size)],
  ['Keys and values', ({kv_bytes: size}) => bytes(size)],
  ['Steps', ({steps}) => number(steps)],
  ['Step', ({step_ms: ms}) => (ms === null ? '–' : `${short(ms)} ms`)],
  ['Moving', ({comm_share: share}) => (share === null ? '–' : percent(share))],
  ['Waiting', ({wait_share: share}) => (share === null ? '–' : percent(share))],
  ['Busy', ({busy}) => percent(busy)],
];

export class RankTable {
  constructor() {
    this.body = h('tbody');
    this.element = h('div', {class: 'rank-table', tabindex: '0', role: 'region', 'aria-label': 'Ranks in numbers'},
      h('table', {}, h('thead', {}, h('tr', {}, ...kColumns.map(([name]) => h('th', {scope: 'col'}, name)))), this.body));
    this.rows = [];
  }

  update({ranks}) {
    if (this.rows.length !== ranks.length) {
      this.rows = ranks.map(() => kColumns.map(() => h('td')));
      this.body.replaceChildren(...this.rows.map((cells) => h('tr', {}, ...cells)));
    }
    ranks.forEach((rank, i) => kColumns.forEach(([, text], column) => setText(this.rows[i][column], text(rank))));
  }
}
