// A small line of the last minutes.
import {svg} from './dom.js';

const kWidth = 300;  // of the drawing's own units: one for each second
const kHeight = 40;

export class Sparkline {
  /** `most`: the value at the top; where it is not given, the largest shown. */
  constructor(most = null) {
    this.most = most;
    this.values = [];
    this.line = svg('path', {class: 'line'});
    this.area = svg('path', {class: 'area'});
    this.element = svg('svg', {class: 'spark', viewBox: `0 0 ${kWidth} ${kHeight}`, preserveAspectRatio: 'none',
                               'aria-hidden': 'true'}, this.area, this.line);
  }

  /** A value at a time in seconds. */
  push(time, value) {
    this.values.push([time, value]);
    while (this.values[0][0] < time - kWidth) this.values.shift();
    const most = this.most ?? Math.max(1e-9, ...this.values.map(([, v]) => v));
    const points = this.values.map(([t, v]) =>
      `${(kWidth - (time - t)).toFixed(1)} ${(kHeight - 2 - (kHeight - 4) * Math.min(1, v / most)).toFixed(1)}`);
    const first = (kWidth - (time - this.values[0][0])).toFixed(1);
    this.line.setAttribute('d', `M${points.join('L')}`);
    this.area.setAttribute('d', `M${first} ${kHeight}L${points.join('L')}L${kWidth} ${kHeight}Z`);
  }
}
