import type { Arena, Region } from '../arena/arena.js';
import type { PacketArray } from '../packet-array/packet-array.js';

/** Bytes of a page-pool frame; a packet starts behind the same headroom as in a user's frame. */
export const PAGE_FRAME_BYTES = 2048;
export const PAGE_DATA_OFFSET = 256;
export const PAGE_ROOM = PAGE_FRAME_BYTES - PAGE_DATA_OFFSET;

const GROWTH_FRAMES = 1024;

/**
 * The kernel's own frames, for ordinary (copy) operation: drivers receive into them, copied packets are sent from them. Grows on
 * demand, so that a kernel whose sockets are all zero-copy hardly uses it. Last in, first out, to stay in the cache.
 */
export class PagePool {
  readonly #regions: Region[] = [];
  #stack = new Int32Array(0);
  #free = 0;
  #frames = 0;

  /** @param limit most frames it grows to; beyond, `take` finds nothing and receive rings starve */
  constructor(
    private readonly arena: Arena,
    private readonly limit = 65536,
  ) {}

  /** Grows if need be. Returns how many frames can be taken for certain, at most `count`. */
  reserve(count: number): number {
    while (this.#free < count && this.#grow());
    return Math.min(count, this.#free);
  }

  get outstanding(): number {
    return this.#frames - this.#free;
  }

  /** Takes a frame (its arena offset), or 0 when there is none. */
  take(): number {
    if (this.#free === 0 && !this.#grow()) return 0;
    return this.#stack[--this.#free]!;
  }

  /** Takes a frame back; any address in it will do. */
  give(address: number): void {
    this.#stack[this.#free++] = address & -PAGE_FRAME_BYTES;
  }

  /** Adds up to `count` empty frames to an array, for receiving. No validation: these frames come from no user (X3, level "none"). */
  populate(array: PacketArray, count: number): number {
    const wanted = Math.min(count, array.room);
    const { address, mask } = array;
    let added = 0;
    while (added < wanted && (this.#free > 0 || this.#grow())) {
      const stack = this.#stack;
      const first = array.end;
      const run = Math.min(wanted - added, this.#free);
      const top = this.#free - 1;
      // Length and flags of an empty frame are for whoever fills it.
      for (let i = 0; i < run; i++) address[(first + i) & mask] = stack[top - i]! + PAGE_DATA_OFFSET;
      this.#free -= run;
      array.end = (first + run) | 0;
      added += run;
    }
    return added;
  }

  /** Takes frames back; of each any address will do. */
  recycle(frames: Int32Array, count: number): void {
    const stack = this.#stack;
    const free = this.#free;
    for (let i = 0; i < count; i++) stack[free + i] = frames[i]! & -PAGE_FRAME_BYTES;
    this.#free = free + count;
  }

  /** Takes the frames of the entries start..end-1 back and advances `start`. */
  reclaim(array: PacketArray, end: number): void {
    for (; array.start !== end; array.start = (array.start + 1) | 0)
      this.give(array.address[array.start & array.mask]!);
  }

  #grow(): boolean {
    if (this.#frames >= this.limit) return false;
    let region: Region;
    try {
      region = this.arena.allocate(GROWTH_FRAMES * PAGE_FRAME_BYTES);
    } catch {
      return false; // the arena is full: the drop is counted where it happens
    }
    this.#regions.push(region);
    this.#frames += GROWTH_FRAMES;
    const stack = new Int32Array(this.#frames);
    stack.set(this.#stack.subarray(0, this.#free));
    this.#stack = stack;
    for (let i = GROWTH_FRAMES - 1; i >= 0; i--) this.give(region.offset + i * PAGE_FRAME_BYTES);
    return true;
  }

  close(): void {
    for (const region of this.#regions) this.arena.free(region);
    this.#regions.length = 0;
    this.#free = this.#frames = 0;
  }
}
