// The settings panel: the conversation's system prompt, and sampling for all conversations. Empty fields leave the
// choice to the server.
import {h} from './dom.js';
import {load, save} from './storage.js';

// What conversations begin with: a model's own distribution wanders. The API's default is plain sampling.
const kFirst = {temperature: 0.7, top_p: 0.95};

const kNumbers = [
  {name: 'temperature', label: 'Temperature', min: 0, max: 2, step: 0.05, hint: '0 always takes the likeliest token'},
  {name: 'top_p', label: 'Top p', min: 0, max: 1, step: 0.01},
  {name: 'top_k', label: 'Top k', min: 0, step: 1},
  {name: 'min_p', label: 'Min p', min: 0, max: 1, step: 0.01},
  {name: 'max_tokens', label: 'Most tokens', min: 1, step: 1},
  {name: 'seed', label: 'Seed', min: 0, step: 1, hint: 'the same answer again'},
  {name: 'presence_penalty', label: 'Presence penalty', min: -2, max: 2, step: 0.1},
  {name: 'frequency_penalty', label: 'Frequency penalty', min: -2, max: 2, step: 0.1},
  {name: 'repetition_penalty', label: 'Repetition penalty', min: 0.1, max: 2, step: 0.05},
];

export class Settings {
  /** `changed` is called when the system prompt changes. */
  constructor(form, changed) {
    this.form = form;
    this.values = load('sampling', kFirst);
    this.system = h('textarea', {id: 'system', rows: '4', placeholder: 'None'});
    this.system.addEventListener('input', () => changed(this.system.value));
    this.stop = h('textarea', {id: 'stop', rows: '2', placeholder: 'None'});
    this.stop.value = (this.values.stop ?? []).join('\n');
    form.append(field('system', 'System prompt', this.system, 'of this conversation', true));
    this.inputs = kNumbers.map((number) => this.addNumber(number));
    form.append(field('stop', 'Stop at', this.stop, 'one text a line; the answer ends before it', true));
    form.append(h('button', {type: 'reset', class: 'plain'}, 'Reset sampling'));
    form.addEventListener('input', () => this.keep());
    form.addEventListener('reset', () => this.reset());
    form.addEventListener('submit', (event) => event.preventDefault());
  }

  addNumber({name, label, hint, ...limits}) {
    const input = h('input', {id: name, type: 'number', placeholder: 'server’s', inputmode: 'decimal', ...limits});
    if (this.values[name] !== undefined) input.value = this.values[name];
    this.form.append(field(name, label, input, hint));
    return input;
  }

  keep() {
    this.values = {};
    for (const input of this.inputs) {
      if (input.value !== '' && input.validity.valid) this.values[input.id] = Number(input.value);
    }
    const stops = this.stop.value.split('\n').filter((stop) => stop !== '');
    if (stops.length > 0) this.values.stop = stops;
    save('sampling', this.values);
  }

  reset() {
    const system = this.system.value;
    queueMicrotask(() => {  // once the fields are empty
      this.system.value = system;
      for (const input of this.inputs) input.value = kFirst[input.id] ?? '';
      this.keep();
    });
  }

  show(conversation) {
    this.system.value = conversation.data.system;
  }
}

function field(id, label, input, hint, wide = false) {
  const note = hint ? h('small', {id: `${id}-hint`}, hint) : null;
  if (note) input.setAttribute('aria-describedby', note.id);
  return h('div', {class: wide ? 'field wide' : 'field'}, h('label', {for: id}, label), input, note);
}
