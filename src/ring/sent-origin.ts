import type { PacketBatch } from './packet-batch.js';
import type { PacketOrigin } from './socket-rings.js';

/**
 * Where the rings below an {@link OwnershipChecker} think that a batch to send comes from: one for each true origin, so that the checker sees
 * what `send` gives back, and packets of different origins stay apart until `completions`.
 */
export class SentOrigin implements PacketOrigin {
  /** Where the packets really come from; null for packets that the program has made. */
  readonly origin: PacketOrigin | null;
  /** While `send` runs: takes what it gives back. */
  whileSending: ((batch: PacketBatch) => void) | undefined;

  constructor(origin: PacketOrigin | null) {
    this.origin = origin;
  }

  release(batch: PacketBatch): void {
    if (this.whileSending !== undefined) {
      this.whileSending(batch);
    } else if (this.origin !== null) {
      batch.origin = this.origin;
      this.origin.release(batch);
    } else {
      batch.length = 0;
      batch.origin = null;
    }
  }

  hold(batch: PacketBatch): number {
    return this.origin?.hold(batch) ?? batch.length;
  }

  moves(other: PacketOrigin): boolean {
    return this.origin?.moves(other) ?? false;
  }
}
