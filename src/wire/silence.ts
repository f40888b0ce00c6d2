import { WireCounters, type WireSource } from './contract.js';

/** A wire on which nothing arrives. */
export class Silence implements WireSource {
  readonly counters = new WireCounters();
  readonly up = true;
  readonly patient = true;
  readonly list = 0;

  offer(): number {
    return 0;
  }

  take(): void {}

  nextArrival(): number {
    return Number.POSITIVE_INFINITY;
  }

  close(): void {}
}
