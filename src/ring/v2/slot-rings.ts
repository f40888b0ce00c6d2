import type { RingMap, RingRequest, SocketMaps } from '../../kernel/contract.js';
import type { PacketBuffer } from '../../packet-buffer/packet-buffer.js';
import { type Kicker, NEED_WAKEUP } from '../frame-rings.js';
import type { PacketBatch } from '../packet-batch.js';
import { type PacketOrigin, RingCounters, type SocketRings } from '../socket-rings.js';
import { COPIES_AT_ONCE, CopyList } from './copy-list.js';
import type { TransmitLayout } from './layout.js';
import { RingEvacuation } from './ring-evacuation.js';
import { TransmitSlots } from './transmit-slots.js';

/** Most packets copied out, and frames given back, at a time. */
const AT_ONCE = COPIES_AT_ONCE;

/**
 * An application that has held a packet for half a ring will do so again, and each time the kernel comes around to the held
 * slot or block, it stops there and loses packets. So as many packets are copied out from then on, before it is trusted again.
 */
const COPIED_OUT_AFTER_HOLDING = 65536;

/** Slots or blocks without a packet that one `receive` steps over. */
const MOST_EMPTY_STEPS = 64;

const NO_FRAME = -1;

/** What the user side of V2 or V3 is made of. */
export interface SlotRingsOptions {
  /** Where packets are copied to when too much of the ring is held. Its arena holds the rings. */
  readonly buffer: PacketBuffer;
  readonly maps: SocketMaps;
  readonly kicker: Kicker;
  /** Keep sent slots for `completions` (I9). */
  readonly outcomes: boolean;
  /** As asked for when the rings were made; what counts is in the maps. */
  readonly request?: RingRequest;
}

/**
 * The user side of V2 and V3, everything but the format of the receive ring: packets lie in the kernel's memory, and what an
 * application holds stops the kernel when it comes around. While the oldest packet held is less than half a ring old, packets
 * are handed out where they lie; beyond that they are copied into frames of the packet buffer (I10, counted in `copiedOut`),
 * and when those run out, `receive` returns nothing. A packet that is held where it lies still stops the kernel a ring later:
 * whoever holds packets for longer says so by `hold`, which moves them into frames at once.
 */
export abstract class SlotRings implements SocketRings {
  readonly counters = new RingCounters();
  readonly buffer: PacketBuffer;
  protected readonly i32: Int32Array;
  protected readonly u8: Uint8Array;
  readonly #kicker: Kicker;
  readonly #wakeReceive: number;
  readonly #wakeTransmit: number;
  readonly #transmit: TransmitSlots | undefined;
  readonly #copies: CopyList;
  readonly #maps: SocketMaps;
  readonly #evacuation: RingEvacuation;
  /** Frames on their way between buffer and batch. */
  readonly #frames = new Int32Array(AT_ONCE);
  /** Packets still to be copied out, because the application was seen to hold some. */
  #copying = 0;
  #closed = false;

  /** @throws PacketError ARENA_EXHAUSTED: a page of scratch is needed */
  constructor({ buffer, maps, kicker, outcomes }: SlotRingsOptions, layout: TransmitLayout) {
    const { arena } = buffer;
    this.buffer = buffer;
    this.i32 = arena.i32;
    this.u8 = arena.u8;
    this.#kicker = kicker;
    this.#wakeReceive = maps.wakeReceive >> 2;
    this.#wakeTransmit = maps.wakeTransmit >> 2;
    this.#copies = new CopyList(arena);
    this.#maps = maps;
    this.#evacuation = new RingEvacuation(buffer, this.#copies, this);
    this.#transmit = maps.transmit && new TransmitSlots(arena, maps.transmit, layout, outcomes, this, this.#copies);
  }

  /** Largest packet the interface sends, in bytes with its Ethernet header; set once bound. */
  set largestPacket(bytes: number) {
    if (this.#transmit !== undefined) this.#transmit.largestPacket = bytes;
  }

  get largestPacket(): number {
    return this.#transmit?.largestPacket ?? 0;
  }

  /** Whether there is a packet (or something to step over) at the cursor. Orders what `take` reads. */
  protected abstract ready(): boolean;
  /** Packets that may be handed out in place, from the cursor on, before half a ring is held; asked when `ready`. */
  protected abstract roomInPlace(): number;
  /** Whether the packets at the cursor are better copied out while there are frames, although they may stay where they are. */
  protected betterCopied(): boolean {
    return false;
  }

  /**
   * Moves up to `limit` packets into the batch from entry `from` on, as held by the application. Called when `ready`.
   * @returns packets; 0 when it stepped over something without a packet
   */
  protected abstract take(batch: PacketBatch, from: number, limit: number): number;
  /**
   * Gives those entries that lie in the receive ring back to the kernel, and moves the offsets of the others to the front.
   * @returns how many others there are
   */
  protected abstract giveBack(batch: PacketBatch): number;

  receive(batch: PacketBatch): number {
    const { counters } = this;
    counters.receiveCalls++;
    let count = this.#take(batch);
    if (count === 0 && (Atomics.load(this.i32, this.#wakeReceive) & NEED_WAKEUP) !== 0) {
      counters.kicks++;
      this.#kicker.kick('receive');
      count = this.#take(batch);
    }
    batch.length = count;
    if (count === 0) return 0;
    counters.received += count;
    counters.receivedFrames += count;
    batch.origin = this;
    return count;
  }

  #take(batch: PacketBatch): number {
    const { capacity } = batch;
    let count = 0;
    let empty = 0;
    while (count < capacity && empty < MOST_EMPTY_STEPS && this.ready()) {
      const wanted = capacity - count;
      const room = this.roomInPlace();
      if (room <= 0 && count === 0) this.#copying = COPIED_OUT_AFTER_HOLDING;
      const copies = this.#copying > 0 || room <= 0 || this.betterCopied();
      let taken = copies ? this.#takeCopies(batch, count, Math.min(wanted, AT_ONCE)) : NO_FRAME;
      if (taken === NO_FRAME) {
        if (room <= 0) break; // the application must release something first
        taken = this.take(batch, count, Math.min(wanted, room));
      }
      if (taken === 0) empty++;
      count += taken;
    }
    return count;
  }

  /** Copies packets out of the ring into frames of the buffer; returns how many, or NO_FRAME. */
  #takeCopies(batch: PacketBatch, from: number, limit: number): number {
    const { offset, size } = batch;
    const { pool, dataOffset, room } = this.buffer;
    const frames = this.#frames;
    const copies = this.#copies;
    const available = pool.take(frames, 0, limit, 'receive');
    if (available === 0) return NO_FRAME;
    const taken = this.take(batch, from, available);
    let used = 0;
    for (let i = from; i < from + taken; i++) {
      if (size[i]! > room) continue; // longer than a frame: it stays in the ring
      const to = frames[used++]! + dataOffset;
      copies.add(offset[i]!, to, size[i]!);
      offset[i] = to;
    }
    if (used < available) pool.give(frames, used, available - used);
    copies.make();
    copies.giveBack(this);
    this.counters.copiedOut += used;
    this.#copying = this.#copying > used ? this.#copying - used : 0;
    return taken;
  }

  hold(batch: PacketBatch): number {
    const { length, origin } = batch;
    if (origin !== null && origin !== this) return origin.hold(batch);
    if (this.#closed) return this.#inFrames(batch);
    const { receive, transmit } = this.#maps;
    const evacuation = this.#evacuation;
    return length - evacuation.move(batch, receive, 'receive') - evacuation.move(batch, transmit, 'send');
  }

  /** After the close: what the rings had is lost, what lies in frames is still there. */
  #inFrames({ offset, length }: PacketBatch): number {
    let count = 0;
    for (let i = 0; i < length; i++) if (this.buffer.contains(offset[i]!)) count++;
    return count;
  }

  release(batch: PacketBatch): void {
    const others = this.#closed ? this.#keepFrames(batch) : this.giveBack(batch);
    batch.length = others;
    if (others > 0) this.#releaseOthers(batch, others);
    batch.length = 0;
    batch.origin = null;
  }

  /** After the close only frames of the buffer can still be given back: the ring's memory is somebody else's by now. */
  #keepFrames({ offset, length }: PacketBatch): number {
    let kept = 0;
    for (let i = 0; i < length; i++) if (this.buffer.contains(offset[i]!)) offset[kept++] = offset[i]!;
    return kept;
  }

  /** Takes back frames that were copied to and slots to send; the rest goes to where it came from. */
  #releaseOthers(batch: PacketBatch, others: number): void {
    const { offset, origin } = batch;
    const { pool, frameMask, base, frames: count, frameSize } = this.buffer;
    const bytes = count * frameSize;
    const frames = this.#frames;
    const transmit = this.#transmit;
    let given = 0;
    let slots = 0;
    let foreign = 0;
    for (let i = 0; i < others; i++) {
      const at = offset[i]!;
      if ((at - base) >>> 0 < bytes) {
        frames[given++] = at & frameMask;
        if (given === AT_ONCE) {
          pool.give(frames, 0, given);
          given = 0;
        }
      } else if (transmit?.contains(at)) {
        if (transmit.giveBack(at)) slots++;
        else this.counters.invalid++;
      } else {
        offset[foreign++] = at;
      }
    }
    if (given > 0) pool.give(frames, 0, given);
    if (slots > 0 && transmit!.settle() > 0) this.#kickTransmit();
    batch.length = foreign;
    if (foreign > 0 && origin !== null && origin !== this) origin.release(batch);
  }

  allocate(batch: PacketBatch, count: number): number {
    return this.#transmit === undefined ? 0 : this.#transmit.allocate(batch, count);
  }

  send(batch: PacketBatch): number {
    const transmit = this.#transmit;
    if (transmit === undefined) return 0;
    this.counters.sendCalls++;
    const count = transmit.send(batch);
    this.#kickTransmit();
    return count;
  }

  #kickTransmit(): void {
    if ((Atomics.load(this.i32, this.#wakeTransmit) & NEED_WAKEUP) === 0) return;
    this.counters.kicks++;
    this.#kicker.kick('transmit');
  }

  completions(batch: PacketBatch): number {
    return this.#transmit === undefined ? 0 : this.#transmit.completions(batch);
  }

  /** Packets arrive in the ring itself. */
  replenish(): boolean {
    return true;
  }

  readable(): boolean {
    return this.ready() && (this.roomInPlace() > 0 || this.buffer.pool.free('receive') > 0);
  }

  writable(): boolean {
    return this.#transmit?.writable() ?? false;
  }

  /** Never: what was received lies in a receive ring, and only slots of the TX ring can be sent where they are. */
  moves(_other: PacketOrigin): boolean {
    return false;
  }

  close(): void {
    if (this.#closed) return;
    this.#transmit?.releaseRefused();
    this.#closed = true;
    this.#copies.close();
  }
}

/** Log2 of an entry's size, 0 without a ring. */
export function entryShift(ring: RingMap | undefined): number {
  return ring === undefined ? 0 : 31 - Math.clz32(ring.entryBytes);
}
