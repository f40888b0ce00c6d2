import type { Arena } from '../arena/arena.js';

/** The longest packet that a patch carries, in bytes without FCS: the largest MTU with its Ethernet header and tags fits. */
export const LONGEST_PATCHED = 16384;
/** Packets that one call of the copy routine moves. */
const COPY_BATCH = 64;
const COPY_LIST_BYTES = COPY_BATCH * 12;
const CACHE_LINE_BYTES = 64;
const PAIR_BYTES = 8;

/**
 * One way of a patch: packets that were sent and have not been received yet, in order, in a bounded store of the arena. A packet
 * occupies its length rounded up to cache lines, and is lost if and only if that many bytes are not left.
 *
 *     | copy list | [ address | length ] ring | packets, ring-wise, each in one piece |
 */
export class PatchWay {
  /** Packets in the store. */
  packets = 0;
  readonly #arena: Arena;
  readonly #copyList: number;
  readonly #pairs: number;
  /** As many pairs as packets of one cache line fit. */
  readonly #entries: number;
  /** When each packet arrives, in nanoseconds. */
  readonly #arrival: Float64Array;
  readonly #data: number;
  readonly #dataEnd: number;
  readonly #capacity: number;
  #oldest = 0;
  /** Bytes occupied, whole cache lines. */
  #used = 0;
  /** Where the newest packet ends. */
  #tail: number;

  /** Bytes of the arena that a way of so many bytes needs. */
  static memoryBytes(capacity: number): number {
    const lines = capacity / CACHE_LINE_BYTES;
    // A packet stands in one piece: at the end of the store up to one packet's bytes may stay unused.
    return COPY_LIST_BYTES + lines * PAIR_BYTES + CACHE_LINE_BYTES + capacity + LONGEST_PATCHED;
  }

  /**
   * @param offset of `memoryBytes(capacity)` bytes in the arena that the caller owns
   * @param capacity in bytes, a multiple of 64
   */
  constructor(arena: Arena, offset: number, capacity: number) {
    this.#arena = arena;
    this.#capacity = capacity;
    this.#entries = capacity / CACHE_LINE_BYTES;
    this.#arrival = new Float64Array(this.#entries);
    this.#copyList = offset;
    this.#pairs = offset + COPY_LIST_BYTES;
    this.#data = wholeLines(this.#pairs + this.#entries * PAIR_BYTES);
    this.#dataEnd = this.#data + capacity + LONGEST_PATCHED;
    this.#tail = this.#data;
  }

  /**
   * Takes copies of packets, in order.
   * @param list as for `WireSink.transmit`
   * @param arrival when they come to the other end; never before that of an earlier packet
   * @returns packets lost
   */
  put(list: number, count: number, arrival: number): number {
    const { i32, routines } = this.#arena;
    const copyList = this.#copyList >> 2;
    let lost = 0;
    let copies = 0;
    for (let i = 0; i < count; i++) {
      const pair = (list >> 2) + 2 * i;
      const length = i32[pair + 1]!;
      const to = this.#place(length);
      if (to === 0) {
        lost++;
        continue;
      }
      i32[copyList + 3 * copies] = i32[pair]!;
      i32[copyList + 3 * copies + 1] = to;
      i32[copyList + 3 * copies + 2] = length;
      copies++;
      if (copies === COPY_BATCH) {
        routines.copyPackets(this.#copyList, copies);
        copies = 0;
      }
      let entry = this.#oldest + this.packets;
      if (entry >= this.#entries) entry -= this.#entries;
      const stored = (this.#pairs >> 2) + 2 * entry;
      i32[stored] = to;
      i32[stored + 1] = length;
      this.#arrival[entry] = arrival;
      this.packets++;
    }
    if (copies > 0) routines.copyPackets(this.#copyList, copies);
    return lost;
  }

  /** Finds room for a packet; 0 where there is none. */
  #place(length: number): number {
    const room = length === 0 ? CACHE_LINE_BYTES : wholeLines(length);
    if (length > LONGEST_PATCHED || this.#used + room > this.#capacity) return 0;
    // There is room in one piece: the memory is longer than the capacity by more than what a wrap leaves unused.
    const at = this.#tail + room > this.#dataEnd ? this.#data : this.#tail;
    this.#used += room;
    this.#tail = at + room;
    return at;
  }

  /** Arena byte offset of the oldest packet's pair. */
  get list(): number {
    return this.#pairs + this.#oldest * PAIR_BYTES;
  }

  /** Packets that have arrived by `now` and whose pairs follow each other, at most `limit`. */
  arrived(limit: number, now: number): number {
    let most = Math.min(this.packets, limit);
    const toEnd = this.#entries - this.#oldest;
    if (most > toEnd) most = toEnd;
    let count = 0;
    while (count < most && this.#arrival[this.#oldest + count]! <= now) count++;
    return count;
  }

  /** When the oldest packet arrives, in nanoseconds; Infinity for never. */
  get nextArrival(): number {
    return this.packets === 0 ? Number.POSITIVE_INFINITY : this.#arrival[this.#oldest]!;
  }

  /** Gives the room of the oldest `count` packets back. Returns their bytes. */
  drop(count: number): number {
    const { i32 } = this.#arena;
    let bytes = 0;
    for (let i = 0; i < count; i++) {
      const length = i32[(this.list >> 2) + 1]!;
      bytes += length;
      this.#used -= length === 0 ? CACHE_LINE_BYTES : wholeLines(length);
      this.#oldest = this.#oldest + 1 === this.#entries ? 0 : this.#oldest + 1;
    }
    this.packets -= count;
    // What is used soon again is still in the processor's caches.
    if (this.packets === 0) this.#tail = this.#data;
    return bytes;
  }
}

function wholeLines(bytes: number): number {
  return (bytes + CACHE_LINE_BYTES - 1) & -CACHE_LINE_BYTES;
}
