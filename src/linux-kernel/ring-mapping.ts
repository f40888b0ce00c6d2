import { type Arena, PAGE_BYTES, type Region } from '../arena/arena.js';
import { MAP_ANONYMOUS, MAP_FIXED, MAP_POPULATE, MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE } from './constants.js';
import { systemCallError } from './system-call-error.js';
import type { SystemCalls } from './system-calls.js';

/**
 * The rings of one socket (or of a map of records), mapped by the kernel over pages of the arena (brief: "Arena"), so that they are indices into the
 * same typed arrays as the packets. Owns the regions. `freeze` and `close` put anonymous pages in the rings' place, with
 * what was in them and without: whoever still holds an offset reads that, or zeros (X4).
 *
 * A mapping keeps the socket alive after its descriptor is closed: freeze the mapping first.
 */
export class RingMapping {
  readonly #calls: SystemCalls;
  readonly #arena: Arena;
  readonly #regions: Region[] = [];
  #frozen = false;

  constructor(calls: SystemCalls, arena: Arena) {
    this.#calls = calls;
    this.#arena = arena;
  }

  /**
   * Maps one ring.
   *
   * @param descriptor the socket
   * @param offset what the kernel calls the ring in mmap's offset, XDP_PGOFF_RX_RING and so on
   * @param what the ring, for the error
   * @param protection PROT_…, where the kernel does not let everything be written
   * @returns where it lies, a byte offset in the arena
   * @throws PacketError ARENA_EXHAUSTED, SYSTEM_CALL
   */
  map(
    descriptor: number,
    offset: number,
    bytes: number,
    what: string,
    protection: number = PROT_READ | PROT_WRITE,
  ): number {
    const region = this.#arena.allocate(bytes);
    const flags = MAP_SHARED | MAP_FIXED | MAP_POPULATE;
    const result = this.#calls.mmap(this.#address(region), region.bytes, protection, flags, descriptor, offset);
    if (result < 0) {
      // MAP_FIXED may have taken the old pages away before it failed; the restored ones are what `free` gives back.
      if (this.#restore(region)) this.#arena.free(region);
      throw systemCallError('mmap', -result, `map ${what}`);
    }
    this.#regions.push(region);
    return region.offset;
  }

  /** Takes the kernel's pages away and leaves copies of them in their place. Idempotent. */
  freeze(): void {
    if (this.#frozen) return;
    this.#frozen = true;
    const { u8 } = this.#arena;
    for (const region of this.#regions) {
      const contents = u8.slice(region.offset, region.offset + region.bytes);
      if (this.#restore(region)) u8.set(contents, region.offset);
    }
  }

  /** Takes the rings out of the arena and frees the regions. Idempotent. */
  close(): void {
    this.#frozen = true;
    for (const region of this.#regions.splice(0)) {
      // Without anonymous pages the kernel's may still be there: rather lose the region than hand those to somebody else.
      if (this.#restore(region)) this.#arena.free(region);
    }
  }

  /** Puts fresh zero pages over a region. @returns whether that worked */
  #restore(region: Region): boolean {
    const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    return this.#calls.mmap(this.#address(region), region.bytes, PROT_READ | PROT_WRITE, flags, -1, 0) === 0;
  }

  #address(region: Region): bigint {
    return this.#calls.address(this.#arena.u8) + BigInt(region.offset);
  }
}

/** Bytes to ask for when a ring's descriptors start at `descriptors` and there are `entries` of `entryBytes`. */
export function ringBytes(descriptors: number, entries: number, entryBytes: number): number {
  return Math.ceil((descriptors + entries * entryBytes) / PAGE_BYTES) * PAGE_BYTES;
}
