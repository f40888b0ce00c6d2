import type { ArrayEnd } from '../driver/contract.js';
import { CONTINUES, ERROR_MASK, PacketArray } from '../packet-array/packet-array.js';
import { PAGE_FRAME_BYTES, type PagePool } from './page-pool.js';

/** Whose packet an ordinary frame carries; told when it was sent. */
export interface FrameOwner {
  /** The oldest `entries` entries that this owner gave are done, with an errno or 0. */
  sentBack(entries: number, error: number): void;
  /** All of a batch are told: hand them back to the user now. */
  flushSent(): void;
}

/**
 * The ordinary transmit end of a device queue: copied packets in page-pool frames wait here for the driver to populate its array
 * from, and come back here when sent. First in, first out.
 *
 *       start: with the driver     current: waiting        end
 */
export class TransmitQueue implements ArrayEnd {
  readonly #waiting: PacketArray;
  readonly #owners: (FrameOwner | undefined)[];
  readonly #touched: FrameOwner[] = [];

  readonly framePool: PagePool;
  readonly frameBytes = PAGE_FRAME_BYTES;

  constructor(pool: PagePool, entries: number) {
    this.framePool = pool;
    this.#waiting = new PacketArray(entries);
    this.#owners = new Array(entries).fill(undefined);
  }

  /** Frames that can be pushed. */
  get room(): number {
    return this.#waiting.room;
  }

  /**
   * Queues one page-pool frame. The last frame of a packet names its owner, if it has one, and how many of the owner's entries it stands for.
   */
  push(address: number, length: number, flags: number, owner?: FrameOwner, entries = 0): void {
    const waiting = this.#waiting;
    this.#owners[waiting.end & waiting.mask] = owner;
    waiting.add(address, length, flags, entries);
  }

  populate(array: PacketArray, limit: number): number {
    const waiting = this.#waiting;
    const { mask } = waiting;
    let wanted = Math.min(limit, array.room, waiting.outstanding);
    // Whole packets only.
    while (wanted > 0 && (waiting.flags[(waiting.current + wanted - 1) & mask]! & CONTINUES) !== 0) wanted--;
    for (let i = 0; i < wanted; i++) {
      const at = waiting.current & mask;
      array.add(waiting.address[at]!, waiting.length[at]!, waiting.flags[at]!, 0);
      waiting.advance(1);
    }
    return wanted;
  }

  flush(array: PacketArray, count: number): void {
    for (let i = 0; i < count; i++) {
      const at = array.start & array.mask;
      this.#finish(array.address[at]!, array.flags[at]! & ERROR_MASK);
      array.start = (array.start + 1) | 0;
    }
    this.#tellOwners();
  }

  reclaim(array: PacketArray): void {
    const ENETRESET = 102;
    for (; array.start !== array.end; array.start = (array.start + 1) | 0) {
      this.#finish(array.address[array.start & array.mask]!, ENETRESET);
    }
    this.#tellOwners();
  }

  /** The oldest packet (part) is done: the frame that the driver hands back returns to the pool, the owner is told. */
  #finish(frame: number, error: number): void {
    const waiting = this.#waiting;
    const at = waiting.start & waiting.mask;
    this.framePool.give(frame);
    const owner = this.#owners[at];
    this.#owners[at] = undefined;
    waiting.start = (waiting.start + 1) | 0;
    if (owner === undefined) return;
    owner.sentBack(waiting.cookie[at]!, error);
    if (this.#touched[this.#touched.length - 1] !== owner) this.#touched.push(owner);
  }

  #tellOwners(): void {
    for (let i = 0; i < this.#touched.length; i++) this.#touched[i]!.flushSent();
    // Not by setting the length: that gives the memory back, and the next `push` allocates.
    while (this.#touched.length > 0) this.#touched.pop();
  }

  /** Forgets an owner that has closed; its frames are sent all the same. */
  disown(owner: FrameOwner): void {
    for (let i = 0; i < this.#owners.length; i++) if (this.#owners[i] === owner) this.#owners[i] = undefined;
  }
}
