import type { Arena } from '../../arena/arena.js';
import type { RingMap } from '../../kernel/contract.js';
import type { PacketBatch } from '../packet-batch.js';
import * as packetBatch from '../packet-batch.js';
import type { SocketRings } from '../socket-rings.js';
import type { TransmitLayout } from './layout.js';
import * as layout from './layout.js';
import * as slotState from './slot-state.js';

// Constants of this module's own, which the optimising compiler folds: see kernel.ts.
const {
  ETHERNET_HEADER_BYTES,
  TP_STATUS_AVAILABLE,
  TP_STATUS_SEND_REQUEST,
  TP_STATUS_SENDING,
  TP_STATUS_WRONG_FORMAT,
} = layout;
const { FREE, HELD, READY, HOLE, KERNEL } = slotState;
const { OUTCOME_SENT, PACKET_CONTINUES } = packetBatch;

const EINVAL = 22;

/**
 * The TX ring of V2 or V3 from the user side: equal slots that the kernel reads strictly in order.
 *
 *       reaped              posted                       tail              reaped
 *     --+-------------------+----------------------------+-----------------+--
 *       | KERNEL: posted,   | window: HELD, READY, HOLE  | FREE; or HELD,  |
 *       | not back yet      | allocated from here on     | from completions|
 *     --+-------------------+----------------------------+-----------------+--
 *
 * Slots sent in the order in which they were allocated are posted where they are. Because the kernel waits for each slot in turn,
 * one that is neither sent nor released holds up those sent after it; a slot that was released is filled with the next packet
 * (a copy).
 *
 * "Sent" means that the kernel says AVAILABLE again. On Linux that is when the packet's buffer was freed: the device had it, or
 * something on the way dropped it. Linux stops at a slot in which it finds a fault, until the slot is posted again, unless the
 * socket has PACKET_LOSS; what Linux refuses (shorter than an Ethernet header, longer than `largestPacket`) is never posted.
 */
export abstract class TransmitRing {
  protected readonly u8: Uint8Array;
  protected readonly i32: Int32Array;
  protected readonly base: number;
  protected readonly bytes: number;
  protected readonly entries: number;
  protected readonly shift: number;
  protected readonly room: number;
  protected readonly layout: TransmitLayout;
  protected readonly outcomes: boolean;
  protected readonly owner: SocketRings;
  protected readonly state: Uint8Array;
  /** Bytes of the packet in each slot; the ring's own words are for the kernel. */
  protected readonly length: Int32Array;
  protected reaped = 0;
  protected inKernel = 0;
  protected posted = 0;
  protected window = 0;
  /** Slots from `reaped` on that an atomic load has ordered already. */
  protected ordered = 0;
  /** Largest packet the interface sends, in bytes; set once bound. */
  largestPacket = 65535;

  /** @param owner the rings that this ring is part of: their counters count, and they take packets without origin back */
  constructor(arena: Arena, ring: RingMap, layout: TransmitLayout, outcomes: boolean, owner: SocketRings) {
    this.u8 = arena.u8;
    this.i32 = arena.i32;
    this.base = ring.base;
    this.bytes = ring.entries * ring.entryBytes;
    this.entries = ring.entries;
    this.shift = 31 - Math.clz32(ring.entryBytes);
    this.room = ring.entryBytes - layout.dataOffset;
    this.layout = layout;
    this.outcomes = outcomes;
    this.owner = owner;
    this.state = new Uint8Array(ring.entries);
    this.length = new Int32Array(ring.entries);
  }

  /** Whether an arena offset lies in this ring. */
  contains(offset: number): boolean {
    return (offset - this.base) >>> 0 < this.bytes;
  }

  /** The first slot behind the window. (A private getter would be a call into the runtime in Node 20.) */
  protected tail(): number {
    const tail = this.posted + this.window;
    return tail >= this.entries ? tail - this.entries : tail;
  }

  /** Whether the slot at the tail can be taken. */
  protected tailFree(): boolean {
    return this.inKernel + this.window < this.entries && this.state[this.tail()] === FREE;
  }

  /** See SocketRings. Gives slots in ring order. */
  allocate(batch: PacketBatch, count: number): number {
    const { offset, size, flags, capacity } = batch;
    const wanted = Math.min(count, capacity);
    if (!this.outcomes && this.entries - this.inKernel - this.window < wanted) this.reap(undefined, this.entries);
    const state = this.state;
    const entries = this.entries | 0;
    const data = this.base + this.layout.dataOffset;
    let slot = this.tail() | 0;
    let left = entries - this.inKernel - this.window;
    let taken = 0;
    for (; taken < wanted && left > 0 && state[slot] === FREE; left--) {
      state[slot] = HELD;
      offset[taken] = data + (slot << this.shift);
      size[taken] = this.room;
      flags[taken++] = 0;
      slot = slot + 1 === entries ? 0 : slot + 1;
    }
    this.window += taken;
    batch.length = taken;
    batch.origin = taken > 0 ? this.owner : null;
    return taken;
  }

  /** Posts the entries at the front that were allocated here and come in ring order; returns how many. */
  protected postInPlace({ length: batchLength, offset, size, flags }: PacketBatch): number {
    const i32 = this.i32;
    const { statusWord, lengthWord, nextOffsetWord, dataOffset } = this.layout;
    const state = this.state;
    const lengths = this.length;
    const base = this.base | 0;
    const shift = this.shift | 0;
    const entries = this.entries | 0;
    const largest = this.largest();
    const limit = batchLength < this.window ? batchLength : this.window;
    let slot = this.posted | 0;
    let count = 0;
    for (; count < limit; count++) {
      const at = base + (slot << shift);
      const bytes = size[count]!;
      if (offset[count] !== at + dataOffset || state[slot] !== HELD) break;
      if (bytes < ETHERNET_HEADER_BYTES || bytes > largest || (flags[count]! & PACKET_CONTINUES) !== 0) break;
      const header = at >> 2;
      if (nextOffsetWord >= 0) i32[header + nextOffsetWord] = 0;
      i32[header + lengthWord] = bytes;
      if (count > 0) i32[header + statusWord] = TP_STATUS_SEND_REQUEST;
      lengths[slot] = bytes;
      state[slot] = KERNEL;
      slot = slot + 1 === entries ? 0 : slot + 1;
    }
    if (count > 0) this.post(slot, count);
    return count;
  }

  /** Hands the first `count` slots of the window over, which are written except for the first one's status. */
  protected post(after: number, count: number): void {
    const i32 = this.i32;
    const { statusWord, handedOverWord } = this.layout;
    const header = (this.base + (this.posted << this.shift)) >> 2;
    i32[header + handedOverWord] = -count;
    Atomics.store(i32, header + statusWord, TP_STATUS_SEND_REQUEST);
    this.posted = after;
    this.window -= count;
    this.inKernel += count;
  }

  protected largest(): number {
    return Math.min(this.largestPacket, this.room);
  }

  /** Takes the slot at the tail, which is free, for a packet of `bytes`; returns where that is to be written. */
  protected takeTail(bytes: number): number {
    const slot = this.tail() | 0;
    this.state[slot] = READY;
    this.length[slot] = bytes;
    this.window++;
    return this.base + (slot << this.shift) + this.layout.dataOffset;
  }

  protected inWindow(slot: number): boolean {
    const distance = slot - this.posted;
    return (distance < 0 ? distance + this.entries : distance) < this.window;
  }

  /** Takes a held slot back; false when it is not the application's. Call `settle` when all are back. */
  giveBack(offset: number): boolean {
    const slot = (offset - this.base) >> this.shift;
    if (this.state[slot] !== HELD) return false;
    this.state[slot] = this.inWindow(slot) ? HOLE : FREE;
    return true;
  }

  /**
   * Posts what is ready, up to the first slot that the application still holds; fills holes with what comes after them.
   *
   * @returns slots posted
   */
  settle(): number {
    const i32 = this.i32;
    const { statusWord, lengthWord, nextOffsetWord } = this.layout;
    const state = this.state;
    const lengths = this.length;
    const base = this.base | 0;
    const shift = this.shift | 0;
    const entries = this.entries | 0;
    const window = this.window | 0;
    let slot = this.posted | 0;
    let count = 0;
    /** Distance from `posted` below which nothing is ready any more. */
    let searched = 0;
    for (; count < window; count++) {
      if (state[slot] === HOLE) {
        searched = this.fillHole(slot, searched > count ? searched : count + 1);
      }
      if (state[slot] !== READY) break;
      const header = (base + (slot << shift)) >> 2;
      if (nextOffsetWord >= 0) i32[header + nextOffsetWord] = 0;
      i32[header + lengthWord] = lengths[slot]!;
      if (count > 0) i32[header + statusWord] = TP_STATUS_SEND_REQUEST;
      state[slot] = KERNEL;
      slot = slot + 1 === entries ? 0 : slot + 1;
    }
    if (count > 0) this.post(slot, count);
    // Holes at the end of the window need nothing to fill them.
    for (let tail = this.tail(); this.window > 0; this.window--) {
      tail = tail === 0 ? entries - 1 : tail - 1;
      if (state[tail] !== HOLE) break;
      state[tail] = FREE;
    }
    return count;
  }

  /** Moves the first ready packet at distance `from` of `posted` or more into a hole; returns the distance searched up to. */
  protected fillHole(hole: number, from: number): number {
    const state = this.state;
    for (let distance = from; distance < this.window; distance++) {
      let slot = this.posted + distance;
      if (slot >= this.entries) slot -= this.entries;
      if (state[slot] !== READY) continue;
      const bytes = this.length[slot]!;
      const data = this.base + this.layout.dataOffset;
      const at = data + (slot << this.shift);
      this.u8.copyWithin(data + (hole << this.shift), at, at + bytes);
      this.length[hole] = bytes;
      state[hole] = READY;
      state[slot] = HOLE;
      return distance + 1;
    }
    return this.window;
  }

  /** See SocketRings: with outcomes asked for, slots that came back become the application's. */
  completions(batch: PacketBatch): number {
    return this.outcomes ? this.reap(batch, batch.capacity) : 0;
  }

  /** Takes slots back from the kernel: into the batch, or to be used again. */
  protected reap(batch: PacketBatch | undefined, limit: number): number {
    const i32 = this.i32;
    const { statusWord, handedOverWord, dataOffset } = this.layout;
    const { counters } = this.owner;
    const state = this.state;
    const base = this.base | 0;
    const shift = this.shift | 0;
    const entries = this.entries | 0;
    const most = Math.min(limit, this.inKernel);
    let slot = this.reaped | 0;
    let ordered = this.ordered | 0;
    let failed = 0;
    let count = 0;
    for (; count < most; count++) {
      const at = base + (slot << shift);
      const header = at >> 2;
      if (ordered <= 0) {
        if ((Atomics.load(i32, header + statusWord) & WITH_KERNEL) !== 0) break;
        const handedOver = i32[header + handedOverWord]!;
        ordered = handedOver > 0 ? handedOver : 1;
      }
      const status = i32[header + statusWord]!;
      if ((status & WITH_KERNEL) !== 0) {
        ordered = 0; // the count promised too much
        break;
      }
      ordered--;
      let outcome = OUTCOME_SENT;
      if ((status & TP_STATUS_WRONG_FORMAT) !== 0) {
        i32[header + statusWord] = TP_STATUS_AVAILABLE;
        outcome = EINVAL;
        failed++;
      }
      if (batch === undefined) {
        state[slot] = FREE;
      } else {
        state[slot] = HELD;
        batch.offset[count] = at + dataOffset;
        batch.size[count] = this.length[slot]!;
        batch.flags[count] = 0;
        batch.outcome[count] = outcome;
      }
      slot = slot + 1 === entries ? 0 : slot + 1;
    }
    this.reaped = slot;
    this.ordered = ordered;
    this.inKernel -= count;
    counters.completed += count;
    counters.failed += failed;
    if (batch !== undefined) {
      batch.length = count;
      if (count > 0) batch.origin = this.owner;
    }
    return count;
  }

  /** Whether `send` would take something, or `completions` give something. */
  writable(): boolean {
    if (this.window > 0 || this.tailFree()) return true;
    if (this.inKernel === 0) return false;
    const header = (this.base + (this.reaped << this.shift)) >> 2;
    return (Atomics.load(this.i32, header + this.layout.statusWord) & WITH_KERNEL) === 0;
  }
}

/** Status bits of a slot that the kernel still has to send, or is sending. */
const WITH_KERNEL = TP_STATUS_SEND_REQUEST | TP_STATUS_SENDING;
