import type { Routines } from '../arena/routines/routines.js';
import {
  CONTINUES,
  type FrameSink,
  type FrameSource,
  MOST_PARTS,
  PacketArray,
  type ReceiveEnd,
} from '../packet-array/packet-array.js';
import type { PacketList } from '../packet-array/packet-list.js';
import type { KernelRingCounters, KernelRings } from './kernel-rings.js';

/** Frames populated at a time for a copying delivery. */
const DELIVERY_FRAMES = 256;
/** Copies listed at a time: a packet of several parts needs more copies than frames. */
const COPIES = DELIVERY_FRAMES + 2 * MOST_PARTS + 1;
/** Arena bytes that the copying deliveries of one kernel need for their copy list. */
export const COPY_LIST_BYTES = COPIES * 12;

/** What the kernel lends to the rings of its sockets for copying. */
export interface CopyMeans {
  readonly i32: Int32Array;
  readonly routines: Routines;
  /** Arena byte offset of COPY_LIST_BYTES of scratch. */
  readonly copyList: number;
}

/**
 * What the kernel sides of V4 and AF_XDP share: in copy mode a delivery is populate, copy, flush over the same ring ends that
 * a zero-copy driver uses (F8).
 */
export abstract class FrameKernelRings implements KernelRings {
  abstract readonly receive: ReceiveEnd | undefined;
  abstract readonly transmit: (FrameSource & FrameSink & { largestPacket: number }) | undefined;
  readonly #means: CopyMeans;
  readonly #mostParts: number;
  /** Empty frames populated and not used yet; made on the first delivery. */
  #empty: PacketArray | undefined;

  /** @param segments whether a packet may span several frames (F9) */
  constructor(
    means: CopyMeans,
    readonly counters: KernelRingCounters,
    segments: boolean,
  ) {
    this.#means = means;
    this.#mostParts = segments ? MOST_PARTS : 1;
  }

  abstract transmitPosted(): boolean;
  abstract receivePosted(): boolean;

  setLargestPacket(bytes: number): void {
    if (this.transmit !== undefined) this.transmit.largestPacket = bytes;
  }

  tick(): void {}

  nextTick(): number {
    return Number.POSITIVE_INFINITY;
  }

  deliver(packets: PacketList): void {
    const ring = this.receive;
    if (ring === undefined) return;
    this.#empty ??= new PacketArray(DELIVERY_FRAMES);
    const array = this.#empty;
    const { count } = packets;
    let next = 0;
    while (next < count) {
      if (array.outstanding < count - next) ring.populate(array, array.room);
      const before = next;
      next = this.#deliverRound(packets, next, array, ring.room);
      if (array.done > 0) ring.flush(array, array.done);
      if (next === before) break; // no frames for even one packet, although the ring was asked just now
    }
    for (; next < count; next++) if ((packets.flags[next]! & CONTINUES) === 0) this.counters.fillRingEmpty++;
  }

  /** Copies as many packets as frames and copy list allow; returns the entry after the last one dealt with. */
  #deliverRound(packets: PacketList, from: number, array: PacketArray, room: number): number {
    const { address, length, flags, metadata, hasMetadata, count } = packets;
    const { i32, routines, copyList } = this.#means;
    let list = copyList >> 2;
    const listEnd = list + 3 * DELIVERY_FRAMES;
    let next = from;
    while (next < count && list < listEnd && array.outstanding > 0) {
      const at = array.current & array.mask;
      const bytes = length[next]!;
      if ((flags[next]! & CONTINUES) === 0 && bytes <= room) {
        const before = hasMetadata ? metadata[next]! : 0;
        i32[list] = address[next]! - before;
        i32[list + 1] = array.address[at]! - before;
        i32[list + 2] = bytes + before;
        list += 3;
        array.length[at] = bytes;
        array.flags[at] = 0;
        array.advance(1);
        next++;
        continue;
      }
      let last = next;
      let total = bytes;
      while ((flags[last]! & CONTINUES) !== 0 && last + 1 < count) total += length[++last]!;
      const frames = Math.ceil(total / room);
      if (frames > this.#mostParts || last - next >= MOST_PARTS) {
        this.counters.tooLong++;
      } else if (frames > array.outstanding) {
        break;
      } else {
        list = this.#spread(packets, next, total, frames, array, room, list);
      }
      next = last + 1;
    }
    const copies = (list - (copyList >> 2)) / 3;
    if (copies > 0) routines.copyPackets(copyList, copies);
    return next;
  }

  /** Lists the copies of one packet of `total` bytes over `frames` frames, whatever its parts; returns the list's new end. */
  #spread(
    packets: PacketList,
    from: number,
    total: number,
    frames: number,
    array: PacketArray,
    room: number,
    list: number,
  ): number {
    const { address, length } = packets;
    const { i32 } = this.#means;
    const before = packets.hasMetadata ? packets.metadata[from]! : 0;
    if (before > 0) {
      i32[list] = address[from]! - before;
      i32[list + 1] = array.address[array.current & array.mask]! - before;
      i32[list + 2] = before;
      list += 3;
    }
    let part = from;
    let partUsed = 0;
    let rest = total;
    for (let i = 0; i < frames; i++) {
      const at = (array.current + i) & array.mask;
      let filled = 0;
      while (filled < room && rest > 0) {
        const piece = Math.min(room - filled, length[part]! - partUsed);
        i32[list] = address[part]! + partUsed;
        i32[list + 1] = array.address[at]! + filled;
        i32[list + 2] = piece;
        list += 3;
        filled += piece;
        rest -= piece;
        partUsed += piece;
        if (partUsed === length[part]!) {
          part++;
          partUsed = 0;
        }
      }
      array.length[at] = filled;
      array.flags[at] = i < frames - 1 ? CONTINUES : 0;
    }
    array.advance(frames);
    return list;
  }
}
