import type { MemoryRegistration, RingMap, SocketMaps } from '../../kernel/contract.js';
import {
  CONTINUES,
  ERROR_MASK,
  MOST_PARTS,
  type PacketArray,
  type ReceiveEnd,
} from '../../packet-array/packet-array.js';
import { KERNEL_HEADROOM_BYTES } from '../../packet-buffer/packet-buffer.js';
import { type CopyMeans, FrameKernelRings } from '../frame-kernel-rings.js';
import { FrameStack } from '../frame-stack.js';
import { KernelRingCounters, MOST_REFUSED } from '../kernel-rings.js';
import { CONTINUES_BIT, ERROR_SHIFT, KERNEL_OWNED, OFFSET_MASK } from './layout.js';

const EINVAL = 22;

// Private copies: V8 folds them into the code, imported constants it loads from their module wherever they are used.
const CONTINUED = CONTINUES;
const CONTINUED_BIT = CONTINUES_BIT;
const ERRORS = ERROR_MASK;
const ERRORS_AT = ERROR_SHIFT;
const MOST = MOST_PARTS;
const OFFSET = OFFSET_MASK;
const OWNED = KERNEL_OWNED;

/** The kernel side of V4's two owner rings. */
export class V4KernelRings extends FrameKernelRings {
  readonly receive: OwnerRingEnd | undefined;
  readonly transmit: OwnerRingEnd | undefined;

  /** @param firstIndex where the free-running indices start, on the user's side alike; other than 0 only to test their wrap-around */
  constructor(means: CopyMeans, memory: MemoryRegistration, maps: SocketMaps, segments: boolean, firstIndex = 0) {
    super(means, new KernelRingCounters(), segments);
    const { i32 } = means;
    if (maps.receive) this.receive = new OwnerRingEnd(i32, memory, maps.receive, 'index', this.counters, firstIndex);
    if (maps.transmit)
      this.transmit = new OwnerRingEnd(i32, memory, maps.transmit, 'packet', this.counters, firstIndex);
  }

  transmitPosted(): boolean {
    return this.transmit?.posted() ?? false;
  }

  receivePosted(): boolean {
    return this.receive?.posted() ?? false;
  }
}

/**
 * How much of a descriptor is checked (X3): only the index, which is all that an empty receive frame has, or index, offset and
 * length of a packet to send. The third level, none, is what frames of the kernel's own page pool get: they come from no user.
 */
export type Validation = 'index' | 'packet';

/**
 * The kernel's end of one owner ring. It reads a descriptor's words once, in ring order, and keeps what it read: what the
 * application writes afterwards changes nothing. Its own two indices are private.
 *
 *          used                 available
 *     -----+--------------------+---------------
 *      back | taken over: in the | not looked at,
 *      with | packet array       | or the user's
 *      user |                    |
 */
export class OwnerRingEnd implements ReceiveEnd {
  readonly room: number;
  readonly frameBytes: number;
  readonly #i32: Int32Array;
  readonly #ring: number;
  readonly #entries: number;
  readonly #mask: number;
  readonly #base: number;
  readonly #frames: number;
  readonly #shift: number;
  readonly #frameSize: number;
  readonly #dataOffset: number;
  readonly #validation: Validation;
  readonly #counters: KernelRingCounters;
  #available = 0;
  #used = 0;
  /** Descriptors from `available` on that an atomic load has ordered already. */
  #ordered = 0;
  /** Frames that were never to be handed over; their descriptors are taken over, and others come back in them. */
  readonly #recycled = new FrameStack(64);
  /** Longest packet in bytes that may be sent, over all its parts; set when the socket is bound. */
  largestPacket = 65535;

  constructor(
    i32: Int32Array,
    memory: MemoryRegistration,
    ring: RingMap,
    validation: Validation,
    counters: KernelRingCounters,
    firstIndex = 0,
  ) {
    this.#i32 = i32;
    this.#ring = ring.base >> 2;
    this.#entries = ring.entries;
    this.#mask = ring.entries - 1;
    this.#base = memory.base;
    this.#frames = memory.frames;
    this.#frameSize = memory.frameSize;
    this.#shift = 31 - Math.clz32(memory.frameSize);
    this.#dataOffset = KERNEL_HEADROOM_BYTES + memory.headroom;
    this.room = memory.frameSize - this.#dataOffset;
    this.frameBytes = memory.frameSize;
    this.#validation = validation;
    this.#counters = counters;
    this.#available = this.#used = firstIndex | 0;
  }

  /** Whether the application has posted something that was not populated. */
  posted(): boolean {
    if (this.#recycled.count > 0) return true;
    if (((this.#available - this.#used) | 0) >= this.#entries) return false;
    return Atomics.load(this.#i32, this.#ring + ((this.#available & this.#mask) << 2) + 2) < 0;
  }

  populate(array: PacketArray, limit: number): number {
    const room = array.room;
    const wanted = Math.min(limit, room);
    if (this.#validation === 'packet') return this.#populatePackets(array, wanted);
    const again = this.#populateRecycled(array, wanted);
    return again + this.#populateEmpty(array, wanted - again);
  }

  #populateRecycled(array: PacketArray, limit: number): number {
    const recycled = this.#recycled;
    const count = Math.min(limit, recycled.count);
    for (let i = 0; i < count; i++) array.add(recycled.frames[--recycled.count]! + this.#dataOffset, 0, 0, 0);
    return count;
  }

  recycle(frames: Int32Array, count: number): void {
    for (let i = 0; i < count; i++) this.#recycled.push(frames[i]! & -this.#frameSize);
  }

  /**
   * The array is taken down. The application collects its frames from the descriptors that did not come back; since frames were recycled
   * others may be written there than the kernel has.
   */
  reclaim(array: PacketArray): void {
    if (this.#validation === 'packet') return;
    const { frames, count } = this.#recycled;
    let used = this.#used;
    for (let i = 0; i < count; i++) used = this.#rename(used, frames[i]!);
    for (let i = array.start; i !== array.end; i = (i + 1) | 0)
      used = this.#rename(used, array.address[i & array.mask]!);
  }

  /** Writes into a descriptor that is taken over which frame it stands for; returns the index of the next. */
  #rename(used: number, address: number): number {
    this.#i32[this.#ring + ((used & this.#mask) << 2)] = (address - this.#base) >>> this.#shift;
    return (used + 1) | 0;
  }

  #populateEmpty(array: PacketArray, limit: number): number {
    const { address, mask: arrayMask, end } = array;
    const i32 = this.#i32;
    const ring = this.#ring;
    const mask = this.#mask;
    const frames = this.#frames;
    const shift = this.#shift;
    const first = this.#base + this.#dataOffset;
    let available = this.#available;
    // A hostile application may set the flag again in descriptors that are taken over already: never go around twice.
    let left = Math.min(this.#entries - ((available - this.#used) | 0), limit + MOST_REFUSED);
    let ordered = this.#ordered;
    let count = 0;
    while (count < limit && left > 0) {
      if (ordered <= 0) {
        const gate = ring + ((available & mask) << 2);
        if (Atomics.load(i32, gate + 2) >= 0) break;
        // The count is as good as the flags: an application that lies about it posts frames of its own twice.
        ordered = Math.max(1, i32[gate | 3]!);
      }
      const run = Math.min(ordered, left, limit - count);
      let good = 0;
      for (; good < run; good++) {
        const index = i32[(ring + (((available + good) & mask) << 2)) | 0]!;
        if (index >>> 0 >= frames) break;
        address[(end + count + good) & arrayMask] = (first + (index << shift)) | 0;
      }
      count += good;
      if (good < run) this.#refuse(i32[ring + (((available + good++) & mask) << 2)]!, 0, 0);
      available = (available + good) | 0;
      ordered -= good;
      left -= good;
    }
    this.#available = available;
    this.#ordered = ordered;
    array.end = (end + count) | 0;
    return count;
  }

  /** Packets are taken over whole: one with an invalid part goes back whole, one whose end is not posted yet stays. */
  #populatePackets(array: PacketArray, limit: number): number {
    let taken = 0;
    // A hostile application may set the flag again in descriptors that are taken over already: never go around twice.
    let left = Math.min(this.#entries - ((this.#available - this.#used) | 0), limit + MOST_REFUSED);
    while (taken < limit && left > 0) {
      const plain = this.#populatePlain(array, Math.min(limit - taken, left));
      taken += plain;
      left -= plain;
      if (taken === limit || left === 0) break;
      // What stopped it: nothing is posted, or a packet of several parts, or an invalid one.
      const first = this.#available;
      const added = this.#populateOne(array, Math.min(limit - taken, left));
      if (this.#available === first) break;
      taken += added;
      left -= (this.#available - first) | 0;
    }
    return taken;
  }

  /** Takes packets of one frame each, up to the first that is anything else. Each word is read once. */
  #populatePlain(array: PacketArray, limit: number): number {
    const { address, length, flags, mask: arrayMask, end } = array;
    const i32 = this.#i32;
    const ring = this.#ring;
    const mask = this.#mask;
    const frames = this.#frames;
    const base = this.#base;
    const shift = this.#shift;
    const frameSize = this.#frameSize;
    const longest = Math.min(this.largestPacket, frameSize);
    const available = this.#available;
    let ordered = this.#ordered;
    let count = 0;
    while (count < limit) {
      if (ordered <= 0) {
        const gate = ring + (((available + count) & mask) << 2);
        if (Atomics.load(i32, gate + 2) >= 0) break;
        ordered = Math.max(1, i32[gate | 3]!);
      }
      const before = count;
      const stop = Math.min(count + ordered, limit);
      for (; count < stop; count++) {
        const descriptor = (ring + (((available + count) & mask) << 2)) | 0;
        const word = i32[descriptor | 2]!;
        const index = i32[descriptor]!;
        const bytes = i32[descriptor | 1]!;
        const start = word & OFFSET;
        // As unsigned numbers 0 and negative lengths are too large, too.
        if ((word & (OWNED | CONTINUED_BIT)) !== OWNED || index >>> 0 >= frames) break;
        if (((bytes - 1) | 0) >>> 0 >= longest || ((start + bytes) | 0) > frameSize) break;
        const at = (end + count) & arrayMask;
        address[at] = (base + (index << shift) + start) | 0;
        length[at] = bytes;
        flags[at] = 0;
      }
      ordered -= count - before;
      if (count < stop) break;
    }
    this.#available = (available + count) | 0;
    this.#ordered = ordered;
    array.end = (end + count) | 0;
    return count;
  }

  /** Takes or refuses one packet of any kind; neither when its end is not posted yet or has no room. Returns entries added. */
  #populateOne(array: PacketArray, limit: number): number {
    const { address, length, flags, mask: arrayMask, end } = array;
    const i32 = this.#i32;
    const frameSize = this.#frameSize;
    const available = this.#available;
    let ordered = this.#ordered;
    let parts = 0;
    let packet = 0;
    let good = true;
    let more = true;
    while (more && parts < limit && parts < MOST) {
      const descriptor = (this.#ring + (((available + parts) & this.#mask) << 2)) | 0;
      if (ordered - parts <= 0) {
        if (Atomics.load(i32, descriptor + 2) >= 0) break;
        ordered = parts + Math.max(1, i32[descriptor | 3]!);
      }
      const word = i32[descriptor | 2]!;
      if (word >= 0) {
        ordered = 0;
        break;
      }
      const index = i32[descriptor]!;
      const bytes = i32[descriptor | 1]!;
      const start = word & OFFSET;
      const at = (end + parts) & arrayMask;
      if (index >>> 0 >= this.#frames || bytes <= 0 || bytes > frameSize || start + bytes > frameSize) good = false;
      packet += bytes;
      address[at] = this.#base + (index << this.#shift) + start;
      length[at] = bytes;
      more = (word & CONTINUED_BIT) !== 0;
      flags[at] = more ? CONTINUED : 0;
      parts++;
    }
    this.#ordered = Math.max(0, ordered);
    if (parts === 0 || (more && parts < MOST)) return 0; // the rest is not posted yet, or there is no room for it
    this.#available = (available + parts) | 0;
    this.#ordered = Math.max(0, ordered - parts);
    if (good && !more && packet <= this.largestPacket) {
      array.end = (end + parts) | 0;
      return parts;
    }
    for (let i = 0; i < parts; i++) {
      const descriptor = (this.#ring + (((available + i) & this.#mask) << 2)) | 0;
      this.#refuse(i32[descriptor]!, i32[descriptor | 1]!, i32[descriptor | 2]!);
    }
    return 0;
  }

  /** Hands an invalid descriptor back at once, with an error. */
  #refuse(index: number, bytes: number, word: number): void {
    const descriptor = (this.#ring + ((this.#used & this.#mask) << 2)) | 0;
    this.#i32[descriptor] = index;
    this.#i32[descriptor | 1] = bytes;
    this.#i32[descriptor | 3] = 1;
    Atomics.store(this.#i32, descriptor + 2, (word & (OFFSET | CONTINUED_BIT)) | (EINVAL << ERRORS_AT));
    this.#used = (this.#used + 1) | 0;
    this.#counters.invalidDescriptor++;
  }

  flush(array: PacketArray, count: number): void {
    if (count === 0) return;
    const { address, length, flags, mask: arrayMask, start } = array;
    const i32 = this.#i32;
    const ring = this.#ring;
    const mask = this.#mask;
    const base = this.#base;
    const shift = this.#shift;
    const within = this.#frameSize - 1;
    const used = this.#used;
    let seen = flags[start & arrayMask]!;
    for (let i = 1; i < count; i++) {
      const at = (start + i) & arrayMask;
      const descriptor = (ring + (((used + i) & mask) << 2)) | 0;
      const where = (address[at]! - base) | 0;
      const state = flags[at]!;
      seen |= state;
      i32[descriptor] = where >>> shift;
      i32[descriptor | 1] = length[at]!;
      // The array's flags lie as in the descriptor's upper half; what is above bit 15 falls off.
      i32[descriptor | 2] = (where & within) | (state << ERRORS_AT);
    }
    // The first descriptor's word 2 opens the batch to the user: it is written last.
    const first = start & arrayMask;
    const gate = ring + ((used & mask) << 2);
    const where = address[first]! - base;
    i32[gate] = where >>> shift;
    i32[gate | 1] = length[first]!;
    i32[gate | 3] = count;
    Atomics.store(i32, gate + 2, (where & within) | (flags[first]! << ERRORS_AT));
    this.#used = (used + count) | 0;
    array.start = (start + count) | 0;
    if (this.#validation === 'index') {
      this.#counters.received += count;
      return;
    }
    let failed = 0;
    if ((seen & ERRORS) !== 0) {
      for (let i = 0; i < count; i++) if ((flags[(start + i) & arrayMask]! & ERRORS) !== 0) failed++;
    }
    this.#counters.sent += count - failed;
    this.#counters.transmitError += failed;
  }
}
