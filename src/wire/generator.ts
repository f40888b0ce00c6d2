import type { Arena } from '../arena/arena.js';
import { checkInteger } from '../errors.js';
import { WireCounters, type WireSource } from './contract.js';
import { checkRate } from './numbers.js';
import { PacketLoop } from './packet-loop.js';
import { packetLengths, type TrafficOptions, writeTrafficPacket } from './traffic.js';

/** At which rate a source sends. */
export interface Pace {
  /** Packets per second, above 0 and at most 1e9; absent: as fast as the device takes them. */
  readonly packetsPerSecond?: number;
}

/** Options of a generator: the packets and how they come. */
export interface GeneratorOptions extends TrafficOptions, Pace {
  /** Which wire it is. */
  readonly kind: 'generator';
  /** Stops after so many packets; default never. */
  readonly count?: number;
}

/**
 * Sends packets that were made beforehand, round and round, at a steady rate or as fast as the device takes them.
 *
 *     source.offer(64, now)  ->  up to 64 pairs at source.list  ->  source.take(64)
 */
export class Generator implements WireSource {
  readonly up = true;
  readonly patient: boolean;
  readonly #counters = new WireCounters();
  readonly #loop: PacketLoop;
  readonly #interval: number;
  readonly #limit: number;
  #sent = 0;
  /** When the first packet was asked for; paced packet n is due at `begun + n * interval`. */
  #begun = -1;

  /** @throws PacketError INVALID_OPTION, ARENA_EXHAUSTED */
  constructor(arena: Arena, options: GeneratorOptions) {
    const { packetsPerSecond, count } = options;
    this.patient = packetsPerSecond === undefined;
    this.#interval = packetsPerSecond === undefined ? 0 : 1e9 / checkRate('packetsPerSecond', packetsPerSecond);
    this.#limit =
      count === undefined ? Number.POSITIVE_INFINITY : checkInteger('count', count, 0, Number.MAX_SAFE_INTEGER);
    const lengths = packetLengths(options);
    this.#loop = new PacketLoop(arena, lengths, (index, offset) =>
      writeTrafficPacket(arena.u8, offset, index, lengths[index]!, options),
    );
  }

  get list(): number {
    return this.#loop.list;
  }

  get counters(): WireCounters {
    this.#counters.packets = this.#sent;
    this.#counters.bytes = this.#loop.bytesTaken;
    return this.#counters;
  }

  offer(limit: number, now: number): number {
    let count = this.#loop.left;
    if (count > limit) count = limit;
    if (count > this.#limit - this.#sent) count = this.#limit - this.#sent;
    if (this.#interval > 0) {
      if (this.#begun < 0) this.#begun = now;
      const due = Math.floor((now - this.#begun) / this.#interval) + 1 - this.#sent;
      if (count > due) count = Math.max(due, 0);
    }
    return count;
  }

  take(count: number): void {
    this.#loop.take(count);
    this.#sent += count;
  }

  nextArrival(now: number): number {
    if (this.#sent >= this.#limit) return Number.POSITIVE_INFINITY;
    if (this.#interval === 0 || this.#begun < 0) return now;
    return this.#begun + this.#sent * this.#interval;
  }

  close(): void {
    this.#loop.close();
  }
}
