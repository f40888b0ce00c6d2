import type { Arena, Region } from '../arena/arena.js';
import { ETHERNET_HEADER_BYTES } from '../packet/ethernet.js';
import { Chance } from './chance.js';
import type { FaultProbabilities } from './fault-options.js';

/** Packets that one call deals with at most. */
const BATCH = 64;
/** Longer packets, which no device takes, are neither corrupted nor reordered. */
const LONGEST = 16384;
const LIST_BYTES = 2048;
const SCRATCH_BYTES = 65536;
/** Packets that may overtake one that is held back. */
const MOST_OVERTAKING = 4;
/** How long a packet is held back when nothing overtakes it. */
const HOLD_NANOSECONDS = 1e6;

/** How often each fault has happened. */
export class FaultCounts {
  [name: string]: number;
  fault_dropped = 0;
  fault_corrupted = 0;
  fault_truncated = 0;
  fault_duplicated = 0;
  fault_reordered = 0;
  /** Lost because the link was down. */
  fault_link_down = 0;
}

/**
 * Faults in one direction: makes of a list of packets the list of what comes out at the other end. Packets stay where they are
 * unless their bytes change or they outlive the batch; then they are copied.
 *
 *     | list of up to 2 * 64 + 1 pairs | scratch: corrupted copies of this batch | two places for a held packet |
 */
export class FaultInjector {
  /** Arena byte offset of the pairs that the last call has produced; they hold until the next one. */
  readonly list: number;
  /** How many they are. */
  produced = 0;
  readonly #arena: Arena;
  readonly #region: Region;
  readonly #drop: Chance;
  readonly #corrupt: Chance;
  readonly #truncate: Chance;
  readonly #duplicate: Chance;
  readonly #reorder: Chance;
  readonly #scratch: number;
  readonly #places: number;
  #scratchUsed = 0;
  /** Packets seen so far. */
  #packets = 0;
  /** Address of the packet that is held back, or 0. */
  #held = 0;
  #heldLength = 0;
  /** Packets that are still to overtake it. */
  #overtaking = 0;
  #overtaken = false;
  /** When it comes at the latest. */
  #deadline = Number.POSITIVE_INFINITY;
  /** The place for the next packet that outlives its batch: they take turns, as this batch may contain the last one. */
  #place = 0;

  /** @throws PacketError ARENA_EXHAUSTED */
  constructor(
    arena: Arena,
    faults: FaultProbabilities,
    seed: number,
    private readonly counts: FaultCounts,
  ) {
    this.#drop = new Chance(seed, 0, faults.drop ?? 0);
    this.#corrupt = new Chance(seed, 1, faults.corrupt ?? 0);
    this.#truncate = new Chance(seed, 2, faults.truncate ?? 0);
    this.#duplicate = new Chance(seed, 3, faults.duplicate ?? 0);
    this.#reorder = new Chance(seed, 4, faults.reorder ?? 0);
    this.#arena = arena;
    this.#region = arena.allocate(LIST_BYTES + SCRATCH_BYTES + 2 * LONGEST);
    this.list = this.#region.offset;
    this.#scratch = this.list + LIST_BYTES;
    this.#places = this.#scratch + SCRATCH_BYTES;
  }

  /**
   * Lets packets pass, or not. What it produces refers to them.
   * @param list pairs [ address | length ]
   * @returns how many of the packets were dealt with, at least 1; the others are for the next call
   */
  inject(list: number, count: number, now: number): number {
    const { i32 } = this.#arena;
    const { counts } = this;
    const most = Math.min(count, BATCH);
    this.produced = 0;
    this.#scratchUsed = 0;
    let i = 0;
    for (; i < most; i++) {
      const pair = (list >> 2) + 2 * i;
      let address = i32[pair]!;
      let length = i32[pair + 1]!;
      const copyable = length <= LONGEST;
      if (copyable && this.#scratchUsed + length > SCRATCH_BYTES) break;
      const n = this.#packets;
      this.#packets = (n + 1) | 0;
      if (this.#drop.hits(n)) {
        counts.fault_dropped++;
        continue;
      }
      if (length > ETHERNET_HEADER_BYTES && this.#truncate.hits(n)) {
        length = ETHERNET_HEADER_BYTES + this.#truncate.below(length - ETHERNET_HEADER_BYTES, n);
        counts.fault_truncated++;
      }
      if (copyable && length > 0 && this.#corrupt.hits(n)) {
        address = this.#corruptedCopy(address, length, n);
        counts.fault_corrupted++;
      }
      if (this.#duplicate.hits(n)) {
        this.#produce(address, length);
        counts.fault_duplicated++;
      } else if (copyable && this.#held === 0 && this.#reorder.hits(n)) {
        this.#hold(address, length, 1 + this.#reorder.below(MOST_OVERTAKING, n), now);
        continue;
      }
      this.#produce(address, length);
      if (this.#held !== 0) this.#overtake();
    }
    if (now >= this.#deadline) this.#release();
    if (this.#held !== 0) this.#keepHeld();
    return i;
  }

  /** When a packet that is held back comes at the latest, in nanoseconds; Infinity when there is none. */
  get deadline(): number {
    return this.#deadline;
  }

  /** Produces the packet that is held back if its time has come. */
  releaseOverdue(now: number): void {
    this.produced = 0;
    if (now >= this.#deadline) this.#release();
  }

  #produce(address: number, length: number): void {
    const pair = (this.list >> 2) + 2 * this.produced;
    this.#arena.i32[pair] = address;
    this.#arena.i32[pair + 1] = length;
    this.produced++;
  }

  #corruptedCopy(address: number, length: number, n: number): number {
    const { u8 } = this.#arena;
    const copy = this.#scratch + this.#scratchUsed;
    this.#scratchUsed += length;
    u8.copyWithin(copy, address, address + length);
    const bit = this.#corrupt.below(length * 8, n);
    const at = copy + (bit >>> 3);
    u8[at] = u8[at]! ^ (1 << (bit & 7));
    return copy;
  }

  #hold(address: number, length: number, overtaking: number, now: number): void {
    this.#held = address;
    this.#heldLength = length;
    this.#overtaking = overtaking;
    this.#overtaken = false;
    this.#deadline = now + HOLD_NANOSECONDS;
  }

  /** A packet has gone past the one that is held back. */
  #overtake(): void {
    if (!this.#overtaken) this.counts.fault_reordered++;
    this.#overtaken = true;
    this.#overtaking--;
    if (this.#overtaking === 0) this.#release();
  }

  #release(): void {
    this.#produce(this.#held, this.#heldLength);
    this.#held = 0;
    this.#deadline = Number.POSITIVE_INFINITY;
  }

  /** The batch ends: what is held back must not lie in it any more. */
  #keepHeld(): void {
    if (this.#held >= this.#places && this.#held < this.#places + 2 * LONGEST) return;
    const place = this.#places + this.#place * LONGEST;
    this.#place ^= 1;
    this.#arena.u8.copyWithin(place, this.#held, this.#held + this.#heldLength);
    this.#held = place;
  }

  /** What is held back is lost. */
  close(): void {
    this.#arena.free(this.#region);
  }
}
