import type { RingMap } from '../../kernel/contract.js';
import { ERROR_MASK, type FrameSink, type FrameSource, type PacketArray } from '../../packet-array/packet-array.js';
import { type KernelRingCounters, MOST_REFUSED } from '../kernel-rings.js';
import type { TransmitLayout } from './layout.js';
import * as layout from './layout.js';

// Constants of this module's own, which the optimising compiler folds: see kernel.ts.
const {
  ETHERNET_HEADER_BYTES,
  TP_STATUS_AVAILABLE,
  TP_STATUS_SEND_REQUEST,
  TP_STATUS_SENDING,
  TP_STATUS_WRONG_FORMAT,
} = layout;

/**
 * The kernel's end of a TX ring of V2 or V3. It takes slots strictly in ring order, as Linux does; what it has taken it knows
 * by itself, whatever the application writes into the status words meanwhile (X3).
 *
 * Unlike Linux it goes on after an invalid slot (Linux stops there, unless the socket has PACKET_LOSS), and it says
 * WRONG_FORMAT for a packet that the device could not send: V2 and V3 have no field for an error.
 */
export class TransmitEnd implements FrameSource, FrameSink {
  readonly #i32: Int32Array;
  readonly #base: number;
  readonly #entries: number;
  readonly #shift: number;
  readonly #room: number;
  readonly #layout: TransmitLayout;
  readonly #counters: KernelRingCounters;
  /** 1 for slots that are in a packet array. */
  readonly #taken: Uint8Array;
  /** The slot to look at next. */
  #next = 0;
  /** Slots from `next` on that an atomic load has ordered already. */
  #ordered = 0;
  /** Longest packet in bytes that may be sent; set when the socket is bound. */
  largestPacket = 65535;

  constructor(i32: Int32Array, ring: RingMap, layout: TransmitLayout, counters: KernelRingCounters) {
    this.#i32 = i32;
    this.#base = ring.base;
    this.#entries = ring.entries;
    this.#shift = 31 - Math.clz32(ring.entryBytes);
    this.#room = ring.entryBytes - layout.dataOffset;
    this.#layout = layout;
    this.#counters = counters;
    this.#taken = new Uint8Array(ring.entries);
  }

  /** Whether the application has posted something that was not populated. */
  posted(): boolean {
    if (this.#taken[this.#next] !== 0) return false;
    const header = (this.#base + (this.#next << this.#shift)) >> 2;
    return Atomics.load(this.#i32, header + this.#layout.statusWord) === TP_STATUS_SEND_REQUEST;
  }

  populate(array: PacketArray, limit: number): number {
    const { address, length, flags, mask, end, room } = array;
    const { statusWord, lengthWord, handedOverWord, nextOffsetWord, dataOffset } = this.#layout;
    const i32 = this.#i32;
    const base = this.#base | 0;
    const shift = this.#shift | 0;
    const entries = this.#entries | 0;
    const taken = this.#taken;
    const wanted = Math.min(limit, room);
    const largest = Math.min(this.largestPacket, this.#room);
    let slot = this.#next | 0;
    let ordered = this.#ordered | 0;
    let count = 0;
    // Once around at most: an application may post invalid slots again as fast as we refuse them.
    for (let left = Math.min(entries, wanted + MOST_REFUSED); count < wanted && left > 0 && taken[slot] === 0; left--) {
      const at = base + (slot << shift);
      const header = at >> 2;
      if (ordered <= 0) {
        if (Atomics.load(i32, header + statusWord) !== TP_STATUS_SEND_REQUEST) break;
        const handedOver = i32[header + handedOverWord]!;
        ordered = handedOver < 0 ? -handedOver | 0 : 1;
      } else if (i32[header + statusWord] !== TP_STATUS_SEND_REQUEST) {
        ordered = 0; // the count promised too much
        break;
      }
      ordered--;
      const bytes = i32[header + lengthWord]!;
      const next = nextOffsetWord < 0 ? 0 : i32[header + nextOffsetWord]!;
      const current = slot;
      slot = slot + 1 === entries ? 0 : slot + 1;
      if (bytes < ETHERNET_HEADER_BYTES || bytes > largest || next !== 0) {
        i32[header + handedOverWord] = 1;
        Atomics.store(i32, header + statusWord, TP_STATUS_WRONG_FORMAT);
        this.#counters.invalidDescriptor++;
        continue;
      }
      i32[header + statusWord] = TP_STATUS_SENDING;
      taken[current] = 1;
      const entry = (end + count) & mask;
      address[entry] = at + dataOffset;
      length[entry] = bytes;
      flags[entry] = 0;
      count++;
    }
    this.#next = slot;
    this.#ordered = ordered;
    array.end = (end + count) | 0;
    return count;
  }

  flush(array: PacketArray, count: number): void {
    const { address, flags, mask, start } = array;
    const { statusWord, handedOverWord } = this.#layout;
    const i32 = this.#i32;
    const base = this.#base | 0;
    const shift = this.#shift | 0;
    const entries = this.#entries | 0;
    const taken = this.#taken;
    let failed = 0;
    let handedOver = 0;
    // Backwards, so that the first slot of a run of neighbours is handed over after all others of it.
    let slot = count > 0 ? (address[(start + count - 1) & mask]! - base) >> shift : 0;
    for (let i = count - 1; i >= 0; i--) {
      const before = i > 0 ? (address[(start + i - 1) & mask]! - base) >> shift : -1;
      const header = (base + (slot << shift)) >> 2;
      const bad = (flags[(start + i) & mask]! & ERROR_MASK) !== 0;
      if (bad) failed++;
      const status = bad ? TP_STATUS_WRONG_FORMAT : TP_STATUS_AVAILABLE;
      taken[slot] = 0;
      handedOver++;
      if (before >= 0 && (before + 1 === entries ? 0 : before + 1) === slot) {
        i32[header + statusWord] = status;
      } else {
        i32[header + handedOverWord] = handedOver;
        Atomics.store(i32, header + statusWord, status);
        handedOver = 0;
      }
      slot = before;
    }
    array.start = (start + count) | 0;
    this.#counters.sent += count - failed;
    this.#counters.transmitError += failed;
  }
}
