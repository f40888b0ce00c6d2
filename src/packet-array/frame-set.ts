import { CONTINUES, type PacketArray } from './packet-array.js';

/**
 * A frame set (K2): a view of consecutive entries of a packet array. One packet, or a region such as what can be flushed.
 * The soft kernel's own loops walk the columns of the array themselves, which costs less; this is for whoever writes or studies a driver,
 * with sources and sinks of their own: the talk's interface to drivers, whatever is at the ends.
 *
 * A view is made once and moved over the array, so that walking allocates nothing:
 *
 *     for (let more = set.firstPacket(array, array.start, array.current); more; more = set.nextPacket()) ...
 */
export class FrameSet {
  /** What it is a view of; undefined until the first call that says so. */
  array: PacketArray | undefined;
  /** First entry, free-running. */
  start = 0;
  /** One past the last entry, free-running. */
  end = 0;
  #limit = 0;

  /** Frames in the set. */
  get frames(): number {
    return (this.end - this.start) | 0;
  }

  /** Bytes of all frames together. */
  get bytes(): number {
    const array = this.array;
    if (array === undefined) return 0;
    let sum = 0;
    for (let i = this.start; i !== this.end; i = (i + 1) | 0) sum += array.length[i & array.mask]!;
    return sum;
  }

  /** Views all done entries, which may end in the middle of a packet: the flushable region. */
  flushable(array: PacketArray): this {
    return this.#view(array, array.start, array.current, array.current);
  }

  /** Views the first packet between `start` and `limit`; false when there is no whole packet. */
  firstPacket(array: PacketArray, start: number, limit: number): boolean {
    this.#view(array, start, start, limit);
    return this.nextPacket();
  }

  /** Moves on to the next packet; false when no whole packet is left. */
  nextPacket(): boolean {
    const array = this.array;
    if (array === undefined) return false;
    this.start = this.end;
    for (let i = this.start; i !== this.#limit; i = (i + 1) | 0) {
      if ((array.flags[i & array.mask]! & CONTINUES) !== 0) continue;
      this.end = (i + 1) | 0;
      return true;
    }
    return false;
  }

  #view(array: PacketArray, start: number, end: number, limit: number): this {
    this.array = array;
    this.start = start;
    this.end = end;
    this.#limit = limit;
    return this;
  }
}
