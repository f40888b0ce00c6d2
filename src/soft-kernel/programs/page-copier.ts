import { CONTINUES, type PacketArray } from '../../packet-array/packet-array.js';
import type { CopyMeans } from '../../ring/frame-kernel-rings.js';
import { PAGE_DATA_OFFSET, PAGE_ROOM, type PagePool } from '../page-pool.js';

/** Copies listed at a time; bounded by the kernel's copy list. */
const COPIES = 256;

/**
 * Copies packets into page-pool frames: those that leave the frames of an application, for the stack (D2), another device or a CPU (D4), so
 * that the application's frame can go back at once. Copies are listed and made in batches: `finish` comes before anybody reads them, and before
 * the frames that they were copied from are filled again.
 */
export class PageCopier {
  readonly #means: CopyMeans;
  readonly #pool: PagePool;
  readonly #start: number;
  /** Word index of the next copy in the kernel's list. */
  #list: number;

  constructor(means: CopyMeans, pool: PagePool) {
    this.#means = means;
    this.#pool = pool;
    this.#start = means.copyList >> 2;
    this.#list = this.#start;
  }

  /**
   * Copies the packet of the entries `first` to `last` (free-running), and adds its new frames to `to`.
   *
   * @returns frames added; 0 when there are none, or `to` has no room for them
   */
  copy(from: PacketArray, first: number, last: number, to: PacketArray): number {
    const { address, length, mask } = from;
    const end = (last + 1) | 0;
    let rest = 0;
    for (let i = first; i !== end; i = (i + 1) | 0) rest += length[i & mask]!;
    const frames = Math.max(1, Math.ceil(rest / PAGE_ROOM));
    if (frames > to.room || this.#pool.reserve(frames) < frames) return 0;
    let part = first;
    let used = 0;
    for (let frame = 0; frame < frames; frame++) {
      const page = this.#pool.take() + PAGE_DATA_OFFSET;
      const wanted = Math.min(rest, PAGE_ROOM);
      for (let filled = 0; filled < wanted; ) {
        const at = part & mask;
        const piece = Math.min(length[at]! - used, wanted - filled);
        this.#add(address[at]! + used, page + filled, piece);
        filled += piece;
        used += piece;
        if (used === length[at]!) {
          part = (part + 1) | 0;
          used = 0;
        }
      }
      rest -= wanted;
      to.add(page, wanted, rest > 0 ? CONTINUES : 0, 0);
    }
    return frames;
  }

  #add(from: number, to: number, bytes: number): void {
    if (this.#list === this.#start + 3 * COPIES) this.finish();
    const { i32 } = this.#means;
    const list = this.#list;
    i32[list] = from;
    i32[list + 1] = to;
    i32[list + 2] = bytes;
    this.#list = list + 3;
  }

  /** Makes the copies that are listed. */
  finish(): void {
    const { copyList, routines } = this.#means;
    if (this.#list !== this.#start) routines.copyPackets(copyList, (this.#list - this.#start) / 3);
    this.#list = this.#start;
  }
}
