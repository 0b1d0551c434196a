// The cluster view: figures with their last minutes, the map of ranks and layers, and the ranks in numbers.
import {h, setText} from './dom.js';
import {ClusterMap} from './cluster_map.js';
import {bytes, duration, number, percent, short} from './format.js';
import {RankTable} from './rank_table.js';
import {Sparkline} from './sparkline.js';

export class ClusterView {
  constructor(element) {
    this.figures = {
      generation: new Figure('Generation', 'tokens/s'),
      prompt: new Figure('Prompts', 'tokens/s'),
      kv: new Figure('Key/value cache', '', 1),
      running: new Figure('Running', ''),
      waiting: new Figure('Waiting', ''),
    };
    this.note = h('p', {class: 'cluster-note', role: 'status'});
    this.facts = h('p', {class: 'cluster-facts'});
    this.map = new ClusterMap();
    this.table = new RankTable();
    element.append(h('div', {class: 'cluster-page'},
      h('div', {class: 'cluster-head'}, h('h1', {}, 'Cluster'), this.facts), this.note,
      h('div', {class: 'figures'}, ...Object.values(this.figures).map((figure) => figure.element)),
      h('h2', {id: 'map-title'}, 'Ranks and layers'), legend(), this.map.element,
      h('h2', {}, 'Ranks'), this.table.element));
  }

  /** `cluster`: an answer of /cluster, or null where there was none. */
  update(cluster) {
    setText(this.note, noteOf(cluster));
    this.note.classList.toggle('error', cluster === null || cluster.state === 'recovering');
    if (cluster === null) return;
    const now = performance.now() / 1000;
    const {prompt, generation} = cluster.tokens_per_s;
    const used = cluster.kv.pages === 0 ? 0 : cluster.kv.pages_used / cluster.kv.pages;
    this.figures.generation.push(now, generation, short(generation));
    this.figures.prompt.push(now, prompt, short(prompt));
    this.figures.kv.push(now, used, percent(used),
      `${number(cluster.kv.pages_used)} of ${number(cluster.kv.pages)} pages`);
    this.figures.running.push(now, cluster.running, number(cluster.running));
    this.figures.waiting.push(now, cluster.waiting, number(cluster.waiting));
    setText(this.facts, factsOf(cluster));
    this.map.update(cluster);
    this.table.update(cluster);
  }
}

function factsOf({model, mesh, ranks, uptime_s: uptime, version, recoveries}) {
  const weights = ranks.reduce((sum, rank) => sum + rank.weights_bytes, 0);
  const facts = [model, `tensor parallel ${mesh.tp} × pipeline parallel ${mesh.pp}`];
  if (weights > 0) facts.push(`${bytes(weights)} of weights`);
  facts.push(`up ${duration(uptime)}`);
  if (recoveries > 0) facts.push(`ranks started again ${recoveries === 1 ? 'once' : `${recoveries} times`}`);
  facts.push(`version ${version}`);
  return facts.join(' · ');
}

function noteOf(cluster) {
  if (cluster === null) return 'The server cannot be reached. This page goes on asking.';
  const {state, recoveries, last_loss: loss} = cluster;
  if (state === 'loading') return 'The model is loading.';
  if (state === 'draining') return 'The server is ending: open requests are answered, new ones are not taken.';
  if (state === 'recovering') return `Ranks were lost (${loss}). They are started again; accepted requests go on.`;
  return recoveries > 0 ? `Last loss: ${loss}.` : '';
}

function legend() {
  const entry = (name, text) => h('li', {}, h('span', {class: `swatch ${name}`}), text);
  return h('ul', {class: 'legend', 'aria-label': 'Parts of a step'},
    entry('compute', 'computing'), entry('moving', 'moving data'), entry('waiting', 'waiting for other ranks'));
}

class Figure {
  constructor(label, unit, most = null) {
    this.value = h('span', {class: 'value'}, '0');
    this.note = h('span', {class: 'unit'}, unit);
    this.spark = new Sparkline(most);
    this.element = h('div', {class: 'figure'}, h('p', {class: 'label'}, label),
      h('p', {}, this.value, ' ', this.note), this.spark.element);
  }

  push(time, value, text, note = null) {
    setText(this.value, text);
    if (note !== null) setText(this.note, note);
    this.spark.push(time, value);
  }
}
