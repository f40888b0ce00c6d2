import { WireCounters, type WireSink } from './contract.js';

/** Takes packets off the device and forgets them: the far end of a sender's wire. */
export class Sink implements WireSink {
  readonly counters = new WireCounters();

  transmit(_list: number, count: number): void {
    this.counters.packets += count;
  }

  close(): void {}
}
