// The map: stages from the first layers to the last, down; the ranks that share each layer, across. The height of a
// stage follows its layers, of which each is a mark at the side.
import {h, setText} from './dom.js';
import {percent, short} from './format.js';

export class ClusterMap {
  constructor() {
    this.grid = h('div', {class: 'map-grid'});
    this.element = h('div', {class: 'map', tabindex: '0', role: 'region', 'aria-labelledby': 'map-title'}, this.grid);
    this.shape = '';
  }

  update({mesh, ranks, slowest_rank: slowest}) {
    const shape = JSON.stringify([mesh, ranks.map(({rank, host, pid, layers}) => [rank, host, pid, layers])]);
    if (shape !== this.shape) this.build(mesh, ranks);
    this.shape = shape;
    for (const rank of ranks) this.cells.get(rank.rank).update(rank, rank.rank === slowest);
  }

  build(mesh, ranks) {
    this.cells = new Map(ranks.map((rank) => [rank.rank, new Cell(rank)]));
    this.grid.style.gridTemplateColumns = `minmax(5.5rem, auto) repeat(${mesh.tp}, minmax(9rem, 1fr))`;
    const layers = Math.max(0, ...ranks.map((rank) => rank.layers[1]));
    const rows = [];
    for (let stage = 0; stage < mesh.pp; ++stage) {
      const members = ranks.filter((rank) => rank.pp === stage).sort((a, b) => a.tp - b.tp);
      if (members.length > 0) rows.push(stageLabel(stage, mesh.pp, members[0].layers, layers));
      rows.push(...members.map((rank) => this.cells.get(rank.rank).element));
      for (let hole = members.length; members.length > 0 && hole < mesh.tp; ++hole) rows.push(h('div'));
    }
    if (ranks.length === 0) rows.push(h('p', {class: 'none'}, 'No rank has said anything yet.'));
    this.grid.replaceChildren(...rows);
  }
}

function stageLabel(stage, stages, [begin, end], layers) {
  const parts = [];
  if (begin === 0) parts.push('embedding');
  parts.push(end - begin === 1 ? `layer ${begin}` : `layers ${begin} to ${end - 1}`);
  if (end === layers) parts.push('head');
  return h('div', {class: 'stage'}, h('strong', {}, stages === 1 ? 'All layers' : `Stage ${stage}`),
    ...parts.map((part) => h('span', {}, part)), stage < stages - 1 && h('span', {class: 'flow'}, 'activations ↓'));
}

class Cell {
  constructor({rank, host, pid, layers}) {
    const marks = h('div', {class: 'layers', 'aria-hidden': 'true'});
    marks.style.setProperty('--layers', String(Math.max(1, layers[1] - layers[0])));
    this.step = h('span', {class: 'value'}, '–');
    this.badge = h('span', {class: 'badge', hidden: true}, 'slowest');
    this.bar = new Bar();
    this.shares = h('p', {class: 'shares'});
    this.busy = h('p', {class: 'quiet'});
    this.element = h('article', {class: 'rank', 'aria-label': `Rank ${rank}`}, marks, h('div', {class: 'rank-body'},
      h('p', {class: 'rank-head'}, h('strong', {}, `Rank ${rank}`), this.badge),
      h('p', {class: 'rank-step'}, this.step, ' ', h('span', {class: 'unit'}, 'ms a step')), this.bar.element, this.shares,
      this.busy, h('p', {class: 'quiet place', title: `${host}, process ${pid}`}, `${host} · ${pid}`)));
  }

  update(rank, slowest) {
    const known = rank.step_ms !== null;
    setText(this.step, known ? short(rank.step_ms) : '–');
    const moving = rank.comm_share ?? 0;
    const waiting = rank.wait_share ?? 0;
    const computing = known ? Math.max(0, 1 - moving - waiting) : 0;
    this.bar.set(computing, moving, waiting);
    this.shares.title = 'computing, moving data, waiting';
    setText(this.shares, known ? `${percent(computing)} · ${percent(moving)} · ${percent(waiting)}` : 'no step yet');
    setText(this.busy, rank.busy > 0 ? `busy ${percent(rank.busy)}` : 'idle');
    this.badge.hidden = !slowest;
    this.element.classList.toggle('slowest', slowest);
    this.element.classList.toggle('idle', rank.busy === 0);
  }
}

class Bar {
  constructor() {
    this.parts = ['compute', 'moving', 'waiting'].map((name) => h('span', {class: name}));
    this.element = h('div', {class: 'bar-parts', 'aria-hidden': 'true'}, ...this.parts);
  }

  set(...shares) {
    shares.forEach((share, i) => {
      this.parts[i].style.flexGrow = String(share);
    });
  }
}
