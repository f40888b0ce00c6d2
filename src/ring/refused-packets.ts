import { PacketBatch } from './packet-batch.js';
import type { PacketOrigin, SocketRings } from './socket-rings.js';

/** Outcomes of packets that no ring was asked to send: Linux's EINVAL and EMSGSIZE. */
export const EINVAL = 22;
export const EMSGSIZE = 90;

/** Most entries that wait for `completions`; more than one packet has parts. */
const MOST_ENTRIES = 256;

/**
 * Packets that can never be sent, on a socket that is to hear of every packet (I9): they wait here, where they lie, until
 * `completions` hands them back with their errno.
 */
export class RefusedPackets {
  readonly #offset = new Int32Array(MOST_ENTRIES);
  readonly #size = new Int32Array(MOST_ENTRIES);
  readonly #flags = new Int32Array(MOST_ENTRIES);
  readonly #outcome = new Int32Array(MOST_ENTRIES);
  readonly #origin = new Array<PacketOrigin | null>(MOST_ENTRIES).fill(null);
  #first = 0;
  #length = 0;

  /** Entries that can be added. While a packet has no room here, sending stops in front of it. */
  get room(): number {
    return MOST_ENTRIES - this.#length;
  }

  /** Adds one entry; there is room. */
  add(offset: number, size: number, flags: number, outcome: number, origin: PacketOrigin | null): void {
    const at = (this.#first + this.#length++) % MOST_ENTRIES;
    this.#offset[at] = offset;
    this.#size[at] = size;
    this.#flags[at] = flags;
    this.#outcome[at] = outcome;
    this.#origin[at] = origin;
  }

  /** Moves the oldest entries, those of one origin, into an empty batch, which gets that origin; returns how many. */
  take(batch: PacketBatch): number {
    const origin = this.#origin[this.#first]!;
    let count = 0;
    while (count < batch.capacity && this.#length > 0 && this.#origin[this.#first] === origin) {
      const at = this.#first;
      batch.offset[count] = this.#offset[at]!;
      batch.size[count] = this.#size[at]!;
      batch.flags[count] = this.#flags[at]!;
      batch.outcome[count++] = this.#outcome[at]!;
      this.#origin[at] = null;
      this.#first = (at + 1) % MOST_ENTRIES;
      this.#length--;
    }
    batch.length = count;
    if (count > 0) batch.origin = origin;
    return count;
  }

  /** At the close: gives back what `completions` was not asked for, through the rings, which know what is theirs. */
  releaseAll(rings: SocketRings): void {
    const batch = new PacketBatch(MOST_ENTRIES);
    while (this.take(batch) > 0) rings.release(batch);
  }
}
