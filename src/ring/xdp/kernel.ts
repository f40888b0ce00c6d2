import type { MemoryRegistration, RingMap, SocketMaps } from '../../kernel/contract.js';
import {
  CONTINUES,
  ERROR_MASK,
  type FrameSink,
  type FrameSource,
  MOST_PARTS,
  type PacketArray,
  type ReceiveEnd,
} from '../../packet-array/packet-array.js';
import { KERNEL_HEADROOM_BYTES } from '../../packet-buffer/packet-buffer.js';
import { type CopyMeans, FrameKernelRings } from '../frame-kernel-rings.js';
import { FrameStack } from '../frame-stack.js';
import { KernelRingCounters, MOST_REFUSED } from '../kernel-rings.js';
import { HAS_METADATA, PACKET_CONTINUED } from './layout.js';
import { HELD, REFUSED, type TransmitRequests } from './transmit-requests.js';

// Private copies: V8 folds them into the code, imported constants it loads from their module wherever they are used.
const CONTINUED = PACKET_CONTINUED;
const CONTINUES_NEXT = CONTINUES;
const ERRORS = ERROR_MASK;
const MOST = MOST_PARTS;
const METADATA = HAS_METADATA;

/** The kernel side of AF_XDP's four index rings, as Linux treats them (net/xdp/xsk_queue.h describes the checks). */
export class XdpKernelRings extends FrameKernelRings {
  readonly receive: XdpReceiveEnd | undefined;
  readonly transmit: XdpTransmitEnd | undefined;

  /** @param requests what packets may ask for, by metadata in front of them; without it nothing */
  constructor(
    means: CopyMeans,
    memory: MemoryRegistration,
    maps: SocketMaps,
    segments: boolean,
    requests?: TransmitRequests,
  ) {
    super(means, new KernelRingCounters(), segments);
    if (maps.receive && maps.fill) {
      this.receive = new XdpReceiveEnd(means.i32, memory, maps.fill, maps.receive, this.counters);
    }
    if (maps.transmit && maps.completion) {
      const { transmit, completion } = maps;
      this.transmit = new XdpTransmitEnd(means.i32, memory, transmit, completion, this.counters, segments, requests);
    }
  }

  /** When the packet is due that holds back the others, in nanoseconds of the kernel's clock. */
  override nextTick(): number {
    return this.transmit?.due ?? Number.POSITIVE_INFINITY;
  }

  transmitPosted(): boolean {
    return this.transmit?.posted() ?? false;
  }

  receivePosted(): boolean {
    return this.receive?.posted() ?? false;
  }
}

/** One ring as the kernel sees it. Its own index is kept here; the other side's is read and checked each time. */
class KernelRing {
  readonly base: number;
  readonly entries: number;
  readonly mask: number;
  readonly #i32: Int32Array;
  readonly #own: number;
  readonly #other: number;
  /** Our free-running index. */
  index = 0;

  constructor(i32: Int32Array, map: RingMap, kernelIs: 'producer' | 'consumer') {
    this.#i32 = i32;
    this.base = map.base >> 2;
    this.entries = map.entries;
    this.mask = map.entries - 1;
    this.#own = ((kernelIs === 'producer' ? map.producer : map.consumer) ?? 0) >> 2;
    this.#other = ((kernelIs === 'producer' ? map.consumer : map.producer) ?? 0) >> 2;
    this.index = Atomics.load(i32, this.#own);
  }

  /** Entries that the application has posted. An index that makes no sense posts nothing. */
  posted(): number {
    const count = (Atomics.load(this.#i32, this.#other) - this.index) | 0;
    return count >>> 0 > this.entries ? 0 : count;
  }

  /** Entries that the application has left room for. */
  room(): number {
    const used = (this.index - Atomics.load(this.#i32, this.#other)) | 0;
    return used >>> 0 > this.entries ? 0 : this.entries - used;
  }

  publish(index: number): void {
    this.index = index;
    Atomics.store(this.#i32, this.#own, index);
  }
}

/** Fill ring to array, array to RX ring. */
class XdpReceiveEnd implements ReceiveEnd {
  readonly room: number;
  readonly frameBytes: number;
  readonly #i32: Int32Array;
  readonly #fill: KernelRing;
  readonly #receive: KernelRing;
  readonly #base: number;
  readonly #bytes: number;
  readonly #frameMask: number;
  readonly #dataOffset: number;
  readonly #counters: KernelRingCounters;
  /** Frames of packets that found the RX ring full, or were never to go there. */
  readonly #recycled: FrameStack;

  constructor(
    i32: Int32Array,
    memory: MemoryRegistration,
    fill: RingMap,
    receive: RingMap,
    counters: KernelRingCounters,
  ) {
    this.#i32 = i32;
    this.#fill = new KernelRing(i32, fill, 'consumer');
    this.#receive = new KernelRing(i32, receive, 'producer');
    this.#base = memory.base;
    this.#bytes = memory.frames * memory.frameSize;
    this.#frameMask = ~(memory.frameSize - 1);
    this.#dataOffset = KERNEL_HEADROOM_BYTES + memory.headroom;
    this.room = memory.frameSize - this.#dataOffset;
    this.frameBytes = memory.frameSize;
    this.#counters = counters;
    this.#recycled = new FrameStack(fill.entries);
  }

  posted(): boolean {
    return this.#recycled.count > 0 || this.#fill.posted() > 0;
  }

  populate(array: PacketArray, limit: number): number {
    const room = array.room;
    const wanted = Math.min(limit, room);
    let count = 0;
    const recycled = this.#recycled;
    while (count < wanted && recycled.count > 0) {
      array.add(recycled.frames[--recycled.count]! + this.#dataOffset, 0, 0, 0);
      count++;
    }
    const ring = this.#fill;
    const posted = ring.posted();
    if (posted === 0 || count === wanted) return count;
    const i32 = this.#i32;
    const { base, mask } = ring;
    const { address, mask: arrayMask } = array;
    const bytes = this.#bytes;
    const frameMask = this.#frameMask;
    const first = this.#base + this.#dataOffset;
    const index = ring.index;
    const end = array.end - count;
    const most = Math.min(posted, wanted + MOST_REFUSED);
    let read = 0;
    for (; read < most && count < wanted; read++) {
      const entry = (base + (((index + read) & mask) << 1)) | 0;
      const at = i32[entry]!;
      if (at >>> 0 >= bytes || i32[entry | 1] !== 0) {
        this.#counters.invalidDescriptor++;
        continue;
      }
      address[(end + count) & arrayMask] = (first + (at & frameMask)) | 0;
      count = (count + 1) | 0;
    }
    array.end = (end + count) | 0;
    ring.publish((index + read) | 0);
    return count;
  }

  flush(array: PacketArray, count: number): void {
    if (count === 0) return;
    const { address, length, flags, mask: arrayMask, start } = array;
    const i32 = this.#i32;
    const ring = this.#receive;
    const { base, mask, index } = ring;
    let fits = ring.room();
    if (fits > count) fits = count;
    // Never half a packet.
    while (fits > 0 && fits < count && (flags[(start + fits - 1) & arrayMask]! & CONTINUES_NEXT) !== 0) fits--;
    const bufferBase = this.#base;
    for (let i = 0; i < fits; i++) {
      const at = (start + i) & arrayMask;
      const descriptor = (base + (((index + i) & mask) << 2)) | 0;
      i32[descriptor] = (address[at]! - bufferBase) | 0;
      i32[descriptor | 1] = 0;
      i32[descriptor | 2] = length[at]!;
      i32[descriptor | 3] = (flags[at]! & CONTINUES_NEXT) === 0 ? 0 : CONTINUED;
    }
    if (fits > 0) ring.publish((index + fits) | 0);
    this.#counters.received += fits;
    for (let i = fits; i < count; i++) {
      const at = (start + i) & arrayMask;
      if ((flags[at]! & CONTINUES_NEXT) === 0) this.#counters.receiveRingFull++;
      this.#recycled.push(address[at]! & this.#frameMask);
    }
    array.start = (start + count) | 0;
  }

  recycle(frames: Int32Array, count: number): void {
    for (let i = 0; i < count; i++) this.#recycled.push(frames[i]! & this.#frameMask);
  }
}

/** TX ring to array, array to completion ring. */
class XdpTransmitEnd implements FrameSource, FrameSink {
  readonly frameBytes: number;
  readonly #i32: Int32Array;
  readonly #transmit: KernelRing;
  readonly #completion: KernelRing;
  readonly #base: number;
  readonly #bytes: number;
  readonly #frameMask: number;
  readonly #counters: KernelRingCounters;
  /** Option bits that descriptors may have. */
  readonly #options: number;
  readonly #requests: TransmitRequests | undefined;
  /** Populated and not yet completed: each has its place in the completion ring reserved. */
  #reserved = 0;
  /** Longest packet in bytes that may be sent, over all its parts; set when the socket is bound. */
  largestPacket = 65535;
  /** When `populate` wants to be called again because of a launch time, in nanoseconds; Infinity for never. */
  due = Number.POSITIVE_INFINITY;

  constructor(
    i32: Int32Array,
    memory: MemoryRegistration,
    transmit: RingMap,
    completion: RingMap,
    counters: KernelRingCounters,
    segments: boolean,
    requests: TransmitRequests | undefined,
  ) {
    this.#i32 = i32;
    this.#transmit = new KernelRing(i32, transmit, 'consumer');
    this.#completion = new KernelRing(i32, completion, 'producer');
    this.#base = memory.base;
    this.#bytes = memory.frames * memory.frameSize;
    this.frameBytes = memory.frameSize;
    this.#frameMask = ~(memory.frameSize - 1);
    this.#counters = counters;
    this.#options = (segments ? CONTINUED : 0) | (requests === undefined ? 0 : METADATA);
    this.#requests = requests;
  }

  posted(): boolean {
    return this.#transmit.posted() > 0;
  }

  populate(array: PacketArray, limit: number): number {
    const ring = this.#transmit;
    const posted = ring.posted();
    if (posted === 0) {
      this.due = Number.POSITIVE_INFINITY;
      return 0;
    }
    const free = this.#completion.room() - this.#reserved;
    const room = Math.min(array.room, free);
    let wanted = Math.min(limit, room);
    const first = ring.index;
    let read = 0;
    let taken = 0;
    while (taken < wanted && read < posted) {
      const plain = this.#takePlain(array, (first + read) | 0, Math.min(wanted - taken, posted - read));
      taken += plain;
      read += plain;
      if (taken === wanted || read === posted) break;
      // What stopped it is a packet of several parts, or an invalid one.
      const parts = this.#takeOne(array, (first + read) | 0, Math.min(wanted - taken, posted - read));
      if (parts === 0) break; // the rest is not posted yet, there is no room for it, or it is not due
      if (parts > 0) taken += parts;
      else wanted += parts; // invalid: they have used up room in the completion ring
      read += Math.abs(parts);
    }
    if (read > 0) ring.publish((first + read) | 0);
    // What is due and found no room stays so.
    if (read === posted) this.due = Number.POSITIVE_INFINITY;
    this.#reserved += taken;
    return taken;
  }

  /** Takes packets of one frame each from `index` on, up to the first that is anything else. Each word is read once. */
  #takePlain(array: PacketArray, index: number, limit: number): number {
    const { address: addresses, length, flags, mask: arrayMask, end } = array;
    const i32 = this.#i32;
    const { base, mask } = this.#transmit;
    const bufferBase = this.#base;
    const bufferBytes = this.#bytes;
    const within = ~this.#frameMask;
    const longest = Math.min(this.largestPacket, within + 1);
    let count = 0;
    for (; count < limit; count++) {
      const descriptor = (base + (((index + count) & mask) << 2)) | 0;
      const address = i32[descriptor]!;
      const bytes = i32[descriptor | 2]!;
      if ((i32[descriptor | 1]! | i32[descriptor | 3]!) !== 0 || address >>> 0 >= bufferBytes) break;
      // As unsigned numbers 0 and negative lengths are too large, too.
      if (((bytes - 1) | 0) >>> 0 >= longest || (((address & within) + bytes) | 0) > within + 1) break;
      const at = (end + count) & arrayMask;
      addresses[at] = (bufferBase + address) | 0;
      length[at] = bytes;
      flags[at] = 0;
    }
    array.end = (end + count) | 0;
    return count;
  }

  /**
   * Takes one packet of any kind: all its parts, or none.
   * @param limit entries that are posted and have room
   * @returns its parts; their number below zero when it was invalid; 0 when its end is not posted yet, it has no room, or it is not due
   */
  #takeOne(array: PacketArray, index: number, limit: number): number {
    const { address: addresses, length, flags, mask: arrayMask, end } = array;
    const i32 = this.#i32;
    const { base, mask } = this.#transmit;
    let parts = 0;
    let packet = 0;
    let good = true;
    let more = true;
    let asks = false;
    while (more && parts < limit && parts < MOST) {
      const descriptor = (base + (((index + parts) & mask) << 2)) | 0;
      const address = i32[descriptor]!;
      const bytes = i32[descriptor | 2]!;
      const options = i32[descriptor | 3]!;
      const within = address & ~this.#frameMask;
      if (
        i32[descriptor | 1] !== 0 ||
        address >>> 0 >= this.#bytes ||
        bytes <= 0 ||
        bytes > -this.#frameMask - within ||
        (options & ~this.#options) !== 0
      ) {
        good = false;
      }
      asks ||= (options & METADATA) !== 0;
      packet += bytes;
      const at = (end + parts) & arrayMask;
      addresses[at] = this.#base + address;
      length[at] = bytes;
      more = (options & this.#options & CONTINUED) !== 0;
      flags[at] = more ? CONTINUES_NEXT : 0;
      parts++;
    }
    if (more && parts < MOST) return 0;
    if (good && !more && packet <= this.largestPacket) {
      const answer = asks ? this.#meet(array, parts) : 0;
      if (answer === HELD) return 0;
      if (answer !== REFUSED) {
        array.end = (end + parts) | 0;
        return parts;
      }
    }
    this.#refuse(index, parts);
    return -parts;
  }

  /** Does what the packet in the array's next entry asks for, which must be all of it. @returns HELD, REFUSED, or else */
  #meet({ address, length, flags, mask, end }: PacketArray, parts: number): number {
    if (parts !== 1) return REFUSED;
    const requests = this.#requests!;
    const entry = end & mask;
    const at = address[entry]!;
    const answer = requests.meet(at, at & ~this.#frameMask, length[entry]!);
    if (answer === HELD) this.due = requests.heldUntil;
    else flags[entry] = answer;
    return answer;
  }

  /** Completes the descriptors of an invalid packet at once, whatever address they name: so Linux does, without an error. */
  #refuse(first: number, parts: number): void {
    const i32 = this.#i32;
    const completion = this.#completion;
    for (let i = 0; i < parts; i++) {
      const descriptor = this.#transmit.base + (((first + i) & this.#transmit.mask) << 2);
      const entry = completion.base + (((completion.index + i) & completion.mask) << 1);
      i32[entry] = i32[descriptor]!;
      i32[entry | 1] = i32[descriptor | 1]!;
    }
    completion.publish((completion.index + parts) | 0);
    this.#counters.invalidDescriptor += parts;
  }

  flush(array: PacketArray, count: number): void {
    if (count === 0) return;
    if (this.#requests?.timestamps) this.#requests.tellTimes(array, count);
    const { address, flags, mask: arrayMask, start } = array;
    const i32 = this.#i32;
    const ring = this.#completion;
    const { base, mask, index } = ring;
    const bufferBase = this.#base;
    let failed = 0;
    for (let i = 0; i < count; i++) {
      const at = (start + i) & arrayMask;
      const entry = (base + (((index + i) & mask) << 1)) | 0;
      i32[entry] = address[at]! - bufferBase;
      i32[entry | 1] = 0;
      if ((flags[at]! & ERRORS) !== 0) failed++;
    }
    ring.publish((index + count) | 0);
    this.#counters.sent += count - failed;
    this.#counters.transmitError += failed;
    this.#reserved -= count;
    array.start = (start + count) | 0;
  }
}
