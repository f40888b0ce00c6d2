import type { MemoryRegistration, RingMap, SocketMaps } from '../../kernel/contract.js';
import {
  CONTINUES,
  type EmptyFrameSource,
  ERROR_MASK,
  type FrameSink,
  MOST_PARTS,
  type PacketArray,
} from '../../packet-array/packet-array.js';
import { KERNEL_HEADROOM_BYTES } from '../../packet-buffer/packet-buffer.js';
import { type CopyMeans, FrameKernelRings } from '../frame-kernel-rings.js';
import { KernelRingCounters } from '../kernel-rings.js';
import { CONTINUES_BIT, ERROR_SHIFT, OFFSET_MASK } from './layout.js';

const EINVAL = 22;

/** The kernel side of V4's two owner rings. */
export class V4KernelRings extends FrameKernelRings {
  readonly receive: OwnerRingEnd | undefined;
  readonly transmit: OwnerRingEnd | undefined;

  constructor(means: CopyMeans, memory: MemoryRegistration, maps: SocketMaps, segments: boolean) {
    super(means, new KernelRingCounters(), segments);
    if (maps.receive) this.receive = new OwnerRingEnd(means.i32, memory, maps.receive, 'index', this.counters);
    if (maps.transmit) this.transmit = new OwnerRingEnd(means.i32, memory, maps.transmit, 'packet', this.counters);
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
export class OwnerRingEnd implements EmptyFrameSource, FrameSink {
  readonly room: number;
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
    this.#validation = validation;
    this.#counters = counters;
    this.#available = this.#used = firstIndex | 0;
  }

  /** Whether the application has posted something that was not populated. */
  posted(): boolean {
    if (((this.#available - this.#used) | 0) >= this.#entries) return false;
    return Atomics.load(this.#i32, this.#ring + ((this.#available & this.#mask) << 2) + 2) < 0;
  }

  populate(array: PacketArray, limit: number): number {
    const room = array.room;
    const wanted = Math.min(limit, room);
    return this.#validation === 'index' ? this.#populateEmpty(array, wanted) : this.#populatePackets(array, wanted);
  }

  #populateEmpty(array: PacketArray, limit: number): number {
    const { address, mask: arrayMask } = array;
    const i32 = this.#i32;
    const ring = this.#ring;
    const mask = this.#mask;
    const frames = this.#frames;
    const shift = this.#shift;
    const first = this.#base + this.#dataOffset;
    const end = array.end;
    let available = this.#available;
    // A hostile application may set the flag again in descriptors that are taken over already: never go around twice.
    let left = this.#entries - ((available - this.#used) | 0);
    let ordered = this.#ordered;
    let count = 0;
    for (; count < limit && left > 0; left--) {
      const descriptor = ring + ((available & mask) << 2);
      if (ordered <= 0) {
        if (Atomics.load(i32, descriptor + 2) >= 0) break;
        ordered = i32[descriptor + 3]! || 1;
      }
      // The count is as good as the flags: an application that lies about it posts frames of its own twice.
      ordered--;
      const index = i32[descriptor]!;
      available = (available + 1) | 0;
      if (index >>> 0 >= frames) {
        this.#refuse(index, 0, 0);
        continue;
      }
      address[(end + count) & arrayMask] = first + (index << shift);
      count++;
    }
    this.#available = available;
    this.#ordered = ordered;
    array.end = (end + count) | 0;
    return count;
  }

  /** Packets are taken over whole: one with an invalid part goes back whole, one whose end is not posted yet stays. */
  #populatePackets(array: PacketArray, limit: number): number {
    const { address, length, flags, mask: arrayMask } = array;
    const i32 = this.#i32;
    const ring = this.#ring;
    const mask = this.#mask;
    const frames = this.#frames;
    const base = this.#base;
    const shift = this.#shift;
    const frameSize = this.#frameSize;
    const end = array.end;
    let available = this.#available;
    let left = this.#entries - ((available - this.#used) | 0);
    let ordered = this.#ordered;
    let taken = 0; // entries of whole packets
    while (taken < limit && left > 0) {
      let parts = 0;
      let packet = 0;
      let good = true;
      let more = true;
      while (more && parts < left && taken + parts < limit) {
        const descriptor = ring + (((available + parts) & mask) << 2);
        if (ordered - parts <= 0) {
          if (Atomics.load(i32, descriptor + 2) >= 0) break;
          ordered = parts + (i32[descriptor + 3]! || 1);
        }
        const word = i32[descriptor + 2]!;
        if (word >= 0) {
          ordered = 0;
          break;
        }
        const index = i32[descriptor]!;
        const bytes = i32[descriptor + 1]!;
        const start = word & OFFSET_MASK;
        const at = (end + taken + parts) & arrayMask;
        if (index >>> 0 >= frames || bytes <= 0 || bytes > frameSize || start + bytes > frameSize) good = false;
        packet += bytes;
        address[at] = base + (index << shift) + start;
        length[at] = bytes;
        more = (word & CONTINUES_BIT) !== 0;
        flags[at] = more ? CONTINUES : 0;
        parts++;
        if (parts === MOST_PARTS) break;
      }
      if (more && parts < MOST_PARTS) break; // the rest is not posted yet, or there is no room for it
      if (!good || more || packet > this.largestPacket) {
        for (let i = 0; i < parts; i++) {
          const descriptor = ring + (((available + i) & mask) << 2);
          this.#refuse(i32[descriptor]!, i32[descriptor + 1]!, i32[descriptor + 2]!);
        }
      } else {
        taken += parts;
      }
      available = (available + parts) | 0;
      ordered -= parts;
      left -= parts;
    }
    this.#available = available;
    this.#ordered = ordered;
    array.end = (end + taken) | 0;
    return taken;
  }

  /** Hands an invalid descriptor back at once, with an error. */
  #refuse(index: number, bytes: number, word: number): void {
    const descriptor = this.#ring + ((this.#used & this.#mask) << 2);
    this.#i32[descriptor] = index;
    this.#i32[descriptor + 1] = bytes;
    this.#i32[descriptor + 3] = 1;
    Atomics.store(this.#i32, descriptor + 2, (word & (OFFSET_MASK | CONTINUES_BIT)) | (EINVAL << ERROR_SHIFT));
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
    const first = ring + ((used & mask) << 2);
    let failed = 0;
    let gate = 0;
    for (let i = 0; i < count; i++) {
      const at = (start + i) & arrayMask;
      const descriptor = ring + (((used + i) & mask) << 2);
      const where = address[at]! - base;
      const state = flags[at]!;
      i32[descriptor] = where >>> shift;
      i32[descriptor + 1] = length[at]!;
      if ((state & ERROR_MASK) !== 0) failed++;
      // The array's flags lie as in the descriptor's upper half; what is above bit 15 falls off.
      const word = (where & within) | (state << ERROR_SHIFT);
      if (i > 0) i32[descriptor + 2] = word;
      else gate = word;
    }
    i32[first + 3] = count;
    Atomics.store(i32, first + 2, gate);
    this.#used = (used + count) | 0;
    array.start = (start + count) | 0;
    if (this.#validation === 'index') {
      this.#counters.received += count;
    } else {
      this.#counters.sent += count - failed;
      this.#counters.transmitError += failed;
    }
  }
}
