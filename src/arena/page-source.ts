import type { Region } from './arena.js';

/** The pages that a packet buffer lies on: ordinary ones, ordinary ones that the kernel has merged to large ones, or reserved large ones. */
export type PageKind = '4k' | 'transparent-huge' | 'huge';

/** The layout of a packet buffer, for a memory that describes itself to other processes. */
export interface BufferLayout {
  readonly frames: number;
  readonly frameSize: number;
  readonly headroom: number;
  readonly sendFrames: number;
}

/** Memory of a packet buffer's own, mapped into an arena, instead of the arena's ordinary pages. One for each buffer. */
export interface PageSource {
  /** What was got; known after `allocate`. */
  readonly pages: PageKind;
  /** File descriptor by which another process can map the same memory, where there is one. */
  readonly descriptor: number | undefined;
  /**
   * Maps zeroed pages into the arena.
   *
   * @param bytes at least so many
   * @param alignment of the region's offset: a power of two, at most 64 KiB
   * @throws PacketError ARENA_EXHAUSTED, MODE_UNSUPPORTED, SYSTEM_CALL
   */
  allocate(bytes: number, alignment: number, layout: BufferLayout): Region;
  /** Puts ordinary pages back in their place and frees the region. */
  free(): void;
}
