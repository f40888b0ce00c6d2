import type { Driver } from '../driver/contract.js';
import { CONTINUES, type FrameSink, type FrameSource, PacketArray } from '../packet-array/packet-array.js';
import type { CopyMeans } from '../ring/frame-kernel-rings.js';
import { PAGE_DATA_OFFSET, PAGE_ROOM, type PagePool } from './page-pool.js';
import type { FrameOwner, TransmitQueue } from './transmit-queue.js';

/** Entries taken from a user's ring at a time. */
const ENTRIES = 256;
/** Copies listed at a time; bounded by the kernel's copy list. */
const COPIES = 256;

/**
 * Sending in copy mode (Q2): takes packets off a user's ring, copies them into page-pool frames and queues those at the device.
 * The user's entries go back when the device has sent the copy, with its error if it had one (I9).
 */
export class CopyTransmitter implements FrameOwner {
  readonly #entries = new PacketArray(ENTRIES);
  readonly #framesPerPacket: number;

  /** @param largestPacket bytes; the ring refuses longer ones */
  constructor(
    private readonly ring: FrameSource & FrameSink,
    private readonly driver: Driver,
    private readonly queue: TransmitQueue,
    private readonly pool: PagePool,
    private readonly means: CopyMeans,
    largestPacket: number,
  ) {
    this.#framesPerPacket = Math.ceil(largestPacket / PAGE_ROOM);
  }

  /** Takes what is posted, as far as the device queue has room. Returns entries taken. */
  service(): number {
    const { means, pool, queue } = this;
    const entries = this.#entries;
    // Never more than there are page-pool frames for, should every packet be of the largest.
    const room = Math.floor(pool.reserve(queue.room) / this.#framesPerPacket);
    const first = entries.end;
    const count = this.ring.populate(entries, Math.min(room, ENTRIES));
    if (count === 0) return 0;
    const { address, length, flags, mask } = entries;
    const { i32, copyList } = means;
    let list = copyList >> 2;
    const listEnd = list + COPIES * 3;
    let page = 0;
    let filled = 0;
    let parts = 0;
    for (let i = 0; i < count; i++) {
      const at = (first + i) & mask;
      let from = address[at]!;
      let rest = length[at]!;
      parts++;
      while (rest > 0) {
        if (page !== 0 && filled === PAGE_ROOM) {
          queue.push(page + PAGE_DATA_OFFSET, filled, CONTINUES);
          page = 0;
        }
        if (page === 0) {
          page = pool.take();
          filled = 0;
        }
        const piece = Math.min(rest, PAGE_ROOM - filled);
        if (list === listEnd) list = this.#copy(list);
        i32[list] = from;
        i32[list + 1] = page + PAGE_DATA_OFFSET + filled;
        i32[list + 2] = piece;
        list += 3;
        filled += piece;
        from += piece;
        rest -= piece;
      }
      if ((flags[at]! & CONTINUES) === 0) {
        queue.push(page + PAGE_DATA_OFFSET, filled, 0, this, parts);
        page = 0;
        parts = 0;
      }
    }
    this.#copy(list);
    this.driver.service(this.driver.ordinaryQueue);
    return count;
  }

  /** Makes the listed copies; returns where the list starts again. */
  #copy(list: number): number {
    const { copyList, routines } = this.means;
    routines.copyPackets(copyList, (list - (copyList >> 2)) / 3);
    return copyList >> 2;
  }

  sentBack(entries: number, error: number): void {
    const array = this.#entries;
    for (let i = 0; i < entries; i++) {
      const at = array.current & array.mask;
      array.flags[at] = array.flags[at]! | error;
      array.advance(1);
    }
  }

  flushSent(): void {
    const array = this.#entries;
    if (array.done > 0) this.ring.flush(array, array.done);
  }

  /** The socket is gone: what is on its way is sent, and nobody is told. */
  close(): void {
    this.queue.disown(this);
  }
}
