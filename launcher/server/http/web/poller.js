// The state of the server: asked for every second while the cluster is looked at, seldom otherwise, never while the
// page is hidden.
import {getJson} from './api.js';

const kLiveMs = 1000;
const kSeldomMs = 5000;

export class Poller {
  /** `heard(cluster)` gets each answer of /cluster, or null where there was none. */
  constructor(heard) {
    this.heard = heard;
    this.live = false;
    document.addEventListener('visibilitychange', () => this.again());
  }

  setLive(live) {
    this.live = live;
    this.again();
  }

  /** Asks now. */
  again() {
    clearTimeout(this.timer);
    if (!document.hidden && !this.asking) this.ask();
  }

  async ask() {
    this.asking = true;
    let cluster = null;
    try {
      cluster = await getJson('/cluster');
    } catch (error) {
      // Shown as unreachable.
    }
    this.asking = false;
    this.heard(cluster);
    clearTimeout(this.timer);
    const settled = cluster !== null && cluster.state === 'ready' && !this.live;
    if (!document.hidden) this.timer = setTimeout(() => this.ask(), settled ? kSeldomMs : kLiveMs);
  }
}
