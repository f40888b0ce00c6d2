import type { Arena } from '../../arena/arena.js';
import type { RingMap } from '../../kernel/contract.js';
import { OUTCOME_SENT, PACKET_CONTINUES, PacketBatch } from '../packet-batch.js';
import type { SocketRings } from '../socket-rings.js';
import {
  ETHERNET_HEADER_BYTES,
  TP_STATUS_AVAILABLE,
  TP_STATUS_SEND_REQUEST,
  TP_STATUS_SENDING,
  TP_STATUS_WRONG_FORMAT,
  type TransmitLayout,
} from './layout.js';

/** Copies made together. */
const COPY_BATCH = 256;
/** Arena bytes that a ring needs for its copy list: three words a copy. */
export const COPY_LIST_BYTES = COPY_BATCH * 12;

const EINVAL = 22;

/** Who has a slot. */
const FREE = 0;
/** The application: from `allocate`, or from `completions`. */
const HELD = 1;
/** Sent, and waits for the slots before it. */
const READY = 2;
/** Allocated and given back, while a slot behind it is held or ready. */
const HOLE = 3;
const KERNEL = 4;

/**
 * The user side of the TX ring of V2 or V3: equal slots that the kernel reads strictly in order.
 *
 *       reaped              posted                       tail              reaped
 *     --+-------------------+----------------------------+-----------------+--
 *       | KERNEL: posted,   | window: HELD, READY, HOLE  | FREE; or HELD,  |
 *       | not back yet      | allocated from here on     | from completions|
 *     --+-------------------+----------------------------+-----------------+--
 *
 * Slots sent in the order in which they were allocated are posted where they are. Because the kernel waits for each slot in turn,
 * one that is neither sent nor released holds up those sent after it; a slot that was released is filled with the next packet
 * (a copy). Packets that lie elsewhere are copied into the next slots and given back to where they came from.
 *
 * "Sent" means that the kernel says AVAILABLE again. On Linux that is when the packet's buffer was freed: the device had it, or
 * something on the way dropped it. Linux stops at a slot in which it finds a fault, until the slot is posted again, unless the
 * socket has PACKET_LOSS; what Linux refuses (shorter than an Ethernet header, longer than `largestPacket`) is never posted.
 */
export class TransmitSlots {
  readonly #u8: Uint8Array;
  readonly #i32: Int32Array;
  readonly #arena: Arena;
  readonly #base: number;
  readonly #bytes: number;
  readonly #entries: number;
  readonly #shift: number;
  readonly #room: number;
  readonly #layout: TransmitLayout;
  readonly #outcomes: boolean;
  readonly #owner: SocketRings;
  /** First word of the copy list. */
  readonly #list: number;
  readonly #state: Uint8Array;
  /** Bytes of the packet in each slot; the ring's own words are for the kernel. */
  readonly #length: Int32Array;
  readonly #originals = new PacketBatch(COPY_BATCH);
  #reaped = 0;
  #inKernel = 0;
  #posted = 0;
  #window = 0;
  /** Slots from `reaped` on that an atomic load has ordered already. */
  #ordered = 0;
  /** Largest packet the interface sends, in bytes; set once bound. */
  largestPacket = 65535;

  /**
   * @param copyList arena byte offset of COPY_LIST_BYTES of scratch, which stay the caller's
   * @param owner the rings that this ring is part of: their counters count, and they take packets without origin back
   */
  constructor(
    arena: Arena,
    ring: RingMap,
    layout: TransmitLayout,
    outcomes: boolean,
    owner: SocketRings,
    copyList: number,
  ) {
    this.#arena = arena;
    this.#u8 = arena.u8;
    this.#i32 = arena.i32;
    this.#base = ring.base;
    this.#bytes = ring.entries * ring.entryBytes;
    this.#entries = ring.entries;
    this.#shift = 31 - Math.clz32(ring.entryBytes);
    this.#room = ring.entryBytes - layout.dataOffset;
    this.#layout = layout;
    this.#outcomes = outcomes;
    this.#owner = owner;
    this.#list = copyList >> 2;
    this.#state = new Uint8Array(ring.entries);
    this.#length = new Int32Array(ring.entries);
  }

  /** Whether an arena offset lies in this ring. */
  contains(offset: number): boolean {
    return (offset - this.#base) >>> 0 < this.#bytes;
  }

  get #tail(): number {
    const tail = this.#posted + this.#window;
    return tail >= this.#entries ? tail - this.#entries : tail;
  }

  /** Whether the slot at the tail can be taken. */
  #tailFree(): boolean {
    return this.#inKernel + this.#window < this.#entries && this.#state[this.#tail] === FREE;
  }

  /** See SocketRings. Gives slots in ring order. */
  allocate(batch: PacketBatch, count: number): number {
    const { offset, size, flags, capacity } = batch;
    const wanted = Math.min(count, capacity);
    if (!this.#outcomes && this.#entries - this.#inKernel - this.#window < wanted) this.#reap(undefined, this.#entries);
    const state = this.#state;
    const entries = this.#entries;
    const data = this.#base + this.#layout.dataOffset;
    let slot = this.#tail;
    let left = entries - this.#inKernel - this.#window;
    let taken = 0;
    for (; taken < wanted && left > 0 && state[slot] === FREE; left--) {
      state[slot] = HELD;
      offset[taken] = data + (slot << this.#shift);
      size[taken] = this.#room;
      flags[taken++] = 0;
      slot = slot + 1 === entries ? 0 : slot + 1;
    }
    this.#window += taken;
    batch.length = taken;
    batch.origin = taken > 0 ? this.#owner : null;
    return taken;
  }

  /** See SocketRings, except for the kick. */
  send(batch: PacketBatch): number {
    if (!this.#outcomes) this.#reap(undefined, this.#entries);
    const { origin } = batch;
    const { counters } = this.#owner;
    const originals = this.#originals;
    originals.length = 0;
    const inPlace = this.#postInPlace(batch);
    const refusedBefore = counters.unsendable;
    const taken = inPlace < batch.length ? this.#takeOthers(batch, inPlace) : inPlace;
    if (this.#window > 0) this.settle();
    counters.sent += taken - (counters.unsendable - refusedBefore);
    batch.dropFirst(taken);
    if (originals.length > 0) this.#giveBackOriginals(origin);
    return taken;
  }

  /** Posts the entries at the front that were allocated here and come in ring order; returns how many. */
  #postInPlace({ length: batchLength, offset, size, flags }: PacketBatch): number {
    const i32 = this.#i32;
    const { statusWord, lengthWord, handedOverWord, nextOffsetWord, dataOffset } = this.#layout;
    const state = this.#state;
    const lengths = this.#length;
    const base = this.#base;
    const shift = this.#shift;
    const entries = this.#entries;
    const largest = this.#largest();
    const limit = batchLength < this.#window ? batchLength : this.#window;
    const first = (base + (this.#posted << shift)) >> 2;
    let slot = this.#posted;
    let count = 0;
    for (; count < limit; count++) {
      const at = base + (slot << shift);
      const bytes = size[count]!;
      if (offset[count] !== at + dataOffset || state[slot] !== HELD) break;
      if (bytes < ETHERNET_HEADER_BYTES || bytes > largest || flags[count] !== 0) break;
      const header = at >> 2;
      if (nextOffsetWord >= 0) i32[header + nextOffsetWord] = 0;
      i32[header + lengthWord] = bytes;
      if (count > 0) i32[header + statusWord] = TP_STATUS_SEND_REQUEST;
      lengths[slot] = bytes;
      state[slot] = KERNEL;
      slot = slot + 1 === entries ? 0 : slot + 1;
    }
    if (count > 0) {
      i32[first + handedOverWord] = -count;
      Atomics.store(i32, first + statusWord, TP_STATUS_SEND_REQUEST);
      this.#posted = slot;
      this.#window -= count;
      this.#inKernel += count;
    }
    // Holes at the end of the window need nothing to fill them.
    for (let tail = this.#tail; this.#window > 0; this.#window--) {
      tail = tail === 0 ? entries - 1 : tail - 1;
      if (state[tail] !== HOLE) break;
      state[tail] = FREE;
    }
    return count;
  }

  #largest(): number {
    return Math.min(this.largestPacket, this.#room);
  }

  /** Makes the entries from `from` on ready, packet by packet; returns the entry after the last one taken. */
  #takeOthers(batch: PacketBatch, from: number): number {
    const { offset, size, flags, length: count, origin } = batch;
    const { counters } = this.#owner;
    const i32 = this.#i32;
    const originals = this.#originals;
    const ringBase = this.#base;
    const ringBytes = this.#bytes;
    const arenaBytes = i32.length * 4;
    const largest = this.#largest();
    const listStart = this.#list;
    let list = listStart;
    let next = from;
    while (next < count) {
      const at = offset[next]!;
      if (flags[next] === 0 && (at - ringBase) >>> 0 < ringBytes) {
        // The copies listed so far may read this slot, or write the one it goes to: they come first.
        list = this.#copy(list);
        if (!this.#takeOwn(at, size[next]!, largest)) break;
        next++;
        continue;
      }
      let last = next;
      while ((flags[last]! & PACKET_CONTINUES) !== 0 && last + 1 < count) last++;
      let total = 0;
      let good = true;
      for (let i = next; i <= last; i++) {
        const bytes = size[i]!;
        if (bytes < 0 || offset[i]! < 0 || offset[i]! + bytes > arenaBytes) good = false;
        total += bytes;
      }
      good = good && total >= ETHERNET_HEADER_BYTES && total <= largest;
      if (good && !this.#tailFree()) break;
      let to = 0;
      if (good) {
        to = this.#takeTail(total);
        counters.copied += last - next + 1;
      } else {
        counters.unsendable += last - next + 1;
      }
      for (; next <= last; next++) {
        if (list === listStart + COPY_BATCH * 3) list = this.#copy(list);
        if (originals.length === COPY_BATCH) {
          list = this.#copy(list);
          this.#giveBackOriginals(origin);
        }
        originals.offset[originals.length++] = offset[next]!;
        if (!good) continue;
        i32[list] = offset[next]!;
        i32[list + 1] = to;
        i32[list + 2] = size[next]!;
        to += size[next]!;
        list += 3;
      }
    }
    this.#copy(list);
    return next;
  }

  /** Makes the listed copies; returns where the list starts again. */
  #copy(list: number): number {
    const start = this.#list;
    if (list > start) this.#arena.routines.copyPackets(start << 2, (list - start) / 3);
    return start;
  }

  /** Takes the slot at the tail, which is free, for a packet of `bytes`; returns where that is to be written. */
  #takeTail(bytes: number): number {
    const slot = this.#tail;
    this.#state[slot] = READY;
    this.#length[slot] = bytes;
    this.#window++;
    return this.#base + (slot << this.#shift) + this.#layout.dataOffset;
  }

  /** Takes a packet that lies in a slot of this ring; false when it must wait for a slot. */
  #takeOwn(at: number, bytes: number, largest: number): boolean {
    const { counters } = this.#owner;
    const slot = (at - this.#base) >> this.#shift;
    const data = this.#base + (slot << this.#shift) + this.#layout.dataOffset;
    if (this.#state[slot] !== HELD) {
      counters.unsendable++; // it is not the application's, or was sent already
      return true;
    }
    if (at < data || bytes < ETHERNET_HEADER_BYTES || bytes > largest || at + bytes > data + this.#room) {
      counters.unsendable++;
      this.giveBack(at);
      return true;
    }
    if (slot === this.#tail && this.#inKernel + this.#window < this.#entries) this.#window++;
    if (this.#inWindow(slot)) {
      if (at !== data) this.#u8.copyWithin(data, at, at + bytes);
      this.#state[slot] = READY;
      this.#length[slot] = bytes;
      return true;
    }
    if (!this.#tailFree()) return false;
    const to = this.#takeTail(bytes);
    this.#u8.copyWithin(to, at, at + bytes);
    this.#state[slot] = FREE;
    counters.copied++;
    return true;
  }

  #inWindow(slot: number): boolean {
    const distance = slot - this.#posted;
    return (distance < 0 ? distance + this.#entries : distance) < this.#window;
  }

  #giveBackOriginals(origin: SocketRings | null): void {
    const originals = this.#originals;
    originals.origin = origin;
    (origin ?? this.#owner).release(originals);
    originals.length = 0;
  }

  /** Takes a held slot back; false when it is not the application's. Call `settle` when all are back. */
  giveBack(offset: number): boolean {
    const slot = (offset - this.#base) >> this.#shift;
    if (this.#state[slot] !== HELD) return false;
    this.#state[slot] = this.#inWindow(slot) ? HOLE : FREE;
    return true;
  }

  /**
   * Posts what is ready, up to the first slot that the application still holds; fills holes with what comes after them.
   *
   * @returns slots posted
   */
  settle(): number {
    const i32 = this.#i32;
    const { statusWord, lengthWord, handedOverWord, nextOffsetWord } = this.#layout;
    const state = this.#state;
    const lengths = this.#length;
    const base = this.#base;
    const shift = this.#shift;
    const entries = this.#entries;
    const window = this.#window;
    const first = (base + (this.#posted << shift)) >> 2;
    let slot = this.#posted;
    let count = 0;
    /** Distance from `posted` below which nothing is ready any more. */
    let searched = 0;
    for (; count < window; count++) {
      if (state[slot] === HOLE) {
        searched = this.#fillHole(slot, searched > count ? searched : count + 1);
      }
      if (state[slot] !== READY) break;
      const header = (base + (slot << shift)) >> 2;
      if (nextOffsetWord >= 0) i32[header + nextOffsetWord] = 0;
      i32[header + lengthWord] = lengths[slot]!;
      if (count > 0) i32[header + statusWord] = TP_STATUS_SEND_REQUEST;
      state[slot] = KERNEL;
      slot = slot + 1 === entries ? 0 : slot + 1;
    }
    if (count > 0) {
      i32[first + handedOverWord] = -count;
      Atomics.store(i32, first + statusWord, TP_STATUS_SEND_REQUEST);
      this.#posted = slot;
      this.#window -= count;
      this.#inKernel += count;
    }
    // Holes at the end of the window need nothing to fill them.
    for (let tail = this.#tail; this.#window > 0; this.#window--) {
      tail = tail === 0 ? entries - 1 : tail - 1;
      if (state[tail] !== HOLE) break;
      state[tail] = FREE;
    }
    return count;
  }

  /** Moves the first ready packet at distance `from` of `posted` or more into a hole; returns the distance searched up to. */
  #fillHole(hole: number, from: number): number {
    const state = this.#state;
    for (let distance = from; distance < this.#window; distance++) {
      let slot = this.#posted + distance;
      if (slot >= this.#entries) slot -= this.#entries;
      if (state[slot] !== READY) continue;
      const bytes = this.#length[slot]!;
      const data = this.#base + this.#layout.dataOffset;
      const at = data + (slot << this.#shift);
      this.#u8.copyWithin(data + (hole << this.#shift), at, at + bytes);
      this.#length[hole] = bytes;
      state[hole] = READY;
      state[slot] = HOLE;
      return distance + 1;
    }
    return this.#window;
  }

  /** See SocketRings: with outcomes asked for, slots that came back become the application's. */
  completions(batch: PacketBatch): number {
    return this.#outcomes ? this.#reap(batch, batch.capacity) : 0;
  }

  /** Takes slots back from the kernel: into the batch, or to be used again. */
  #reap(batch: PacketBatch | undefined, limit: number): number {
    const i32 = this.#i32;
    const { statusWord, handedOverWord, dataOffset } = this.#layout;
    const { counters } = this.#owner;
    const state = this.#state;
    const base = this.#base;
    const shift = this.#shift;
    const entries = this.#entries;
    const most = Math.min(limit, this.#inKernel);
    let slot = this.#reaped;
    let ordered = this.#ordered;
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
        batch.size[count] = this.#length[slot]!;
        batch.flags[count] = 0;
        batch.outcome[count] = outcome;
      }
      slot = slot + 1 === entries ? 0 : slot + 1;
    }
    this.#reaped = slot;
    this.#ordered = ordered;
    this.#inKernel -= count;
    counters.completed += count;
    counters.failed += failed;
    if (batch !== undefined) {
      batch.length = count;
      if (count > 0) batch.origin = this.#owner;
    }
    return count;
  }

  /** Whether `send` would take something, or `completions` give something. */
  writable(): boolean {
    if (this.#window > 0 || this.#tailFree()) return true;
    if (this.#inKernel === 0) return false;
    const header = (this.#base + (this.#reaped << this.#shift)) >> 2;
    return (Atomics.load(this.#i32, header + this.#layout.statusWord) & WITH_KERNEL) === 0;
  }
}

/** Status bits of a slot that the kernel still has to send, or is sending. */
const WITH_KERNEL = TP_STATUS_SEND_REQUEST | TP_STATUS_SENDING;
