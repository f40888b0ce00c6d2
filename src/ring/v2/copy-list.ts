import type { Arena, Region } from '../../arena/arena.js';
import { PacketBatch } from '../packet-batch.js';
import type { PacketOrigin } from '../socket-rings.js';

/** Most copies made together: their list fits a page. */
export const COPIES_AT_ONCE = 256;
/** Words of the arena that describe a copy: from, to, bytes. */
const COPY_WORDS = 3;

/**
 * Copies to be made by one call of a routine, and the packets that can be given back after it. Its memory is allocated
 * beforehand, because the data path must not fail.
 */
export class CopyList {
  readonly #arena: Arena;
  readonly #i32: Int32Array;
  readonly #region: Region;
  readonly #start: number;
  #copies = 0;
  /** The places that were copied from, and others to be given back with them. */
  readonly originals = new PacketBatch(COPIES_AT_ONCE);

  /** @throws PacketError ARENA_EXHAUSTED: it needs a page */
  constructor(arena: Arena) {
    this.#arena = arena;
    this.#i32 = arena.i32;
    this.#region = arena.allocate(COPIES_AT_ONCE * COPY_WORDS * 4);
    this.#start = this.#region.offset >> 2;
  }

  /** Whether `make` and `giveBack` must come before anything is added. */
  get full(): boolean {
    return this.originals.length === COPIES_AT_ONCE;
  }

  /** Lists a copy of `bytes` bytes; `from` is to be given back. All are arena byte offsets that the caller has checked. */
  add(from: number, to: number, bytes: number): void {
    const i32 = this.#i32;
    const at = this.#start + this.#copies * COPY_WORDS;
    i32[at] = from;
    i32[at + 1] = to;
    i32[at + 2] = bytes;
    this.#copies++;
    this.addOriginal(from);
  }

  /** Lists something to be given back without a copy. */
  addOriginal(offset: number): void {
    const { originals } = this;
    originals.offset[originals.length++] = offset;
  }

  /** Makes the listed copies, in the order in which they were listed. */
  make(): void {
    if (this.#copies === 0) return;
    this.#arena.routines.copyPackets(this.#start << 2, this.#copies);
    this.#copies = 0;
  }

  /** Gives the originals back to where they came from; no copy of them may be outstanding. */
  giveBack(origin: PacketOrigin): void {
    const { originals } = this;
    if (originals.length === 0) return;
    originals.origin = origin;
    origin.release(originals);
    originals.length = 0;
  }

  close(): void {
    this.#arena.free(this.#region);
  }
}
