import type { Direction, SocketMaps } from '../kernel/contract.js';
import { MOST_PARTS } from '../packet-array/packet-array.js';
import type { FrameSender, PacketBuffer } from '../packet-buffer/packet-buffer.js';
import { CopyingSend } from './copying-send.js';
import { PACKET_CONTINUES, PACKET_METADATA, type PacketBatch } from './packet-batch.js';
import { wholePackets } from './packet-parts.js';
import { RefusedPackets } from './refused-packets.js';
import { type PacketOrigin, RingCounters, type SocketRings } from './socket-rings.js';

/** Bit 0 of a wake word: the kernel sleeps and wants a kick (XDP_RING_NEED_WAKEUP). */
export const NEED_WAKEUP = 1;

/** Most frames that go between ring and pool at once. */
const POOL_BATCH = 256;
/** Frames that a receive ring may lack before it is filled up from the pool; a quarter of it where that is less. */
const REFILL_FRAMES = 128;

// A private copy: V8 folds it into the code, an imported constant it loads from its module wherever it is used.
const CONTINUES = PACKET_CONTINUES;

/** The part of a kernel socket that rings use on the data path. */
export interface Kicker {
  kick(direction: Direction): void;
}

/** What the user side of a ring format with posted frames is made of. */
export interface FrameRingsOptions {
  readonly buffer: PacketBuffer;
  readonly maps: SocketMaps;
  readonly kicker: Kicker;
  /** Keep sent frames for `completions` instead of returning them to the pool (I9). */
  readonly outcomes: boolean;
  /** V4: where the free-running indices start, on the kernel's side alike; other than 0 only to test their wrap-around. */
  readonly firstIndex?: number;
  /** AF_XDP: the kernel reads metadata in front of sent packets that are marked so. */
  readonly transmitMetadata?: boolean;
}

/**
 * The user side of rings whose descriptors name frames of a packet buffer (V4, AF_XDP): everything but the format. The format
 * classes move whole batches between ring and columns; the abstract methods are called once per batch.
 */
export abstract class FrameRings implements SocketRings, FrameSender {
  readonly counters = new RingCounters();
  readonly buffer: PacketBuffer;
  protected readonly i32: Int32Array;
  protected readonly outcomes: boolean;
  /** PACKET_METADATA where the kernel reads metadata in front of packets, else 0. */
  protected readonly metadata: number;
  readonly #kicker: Kicker;
  readonly #wakeReceive: number;
  readonly #wakeTransmit: number;
  readonly #base: number;
  readonly #bytes: number;
  /** The frames in front, which are for receiving. */
  readonly #receiveBytes: number;
  /** Most empty frames that the kernel can have; 0 for a socket that only sends. */
  readonly #receiveEntries: number;
  readonly #refillFrom: number;
  /** Most frames that can be on their way out. */
  readonly #transmitEntries: number;
  /** Most frames of one packet. */
  readonly #mostParts: number;
  readonly #frameMask: number;
  readonly #frameSize: number;
  /** Frames on their way between ring and pool. */
  protected readonly frames: Int32Array = new Int32Array(POOL_BATCH);
  readonly #copying: CopyingSend;
  /** With outcomes: packets that can never be sent, until `completions`. */
  readonly #refused: RefusedPackets | undefined;
  /** How many of the entries that `takeReceived` took last continue in the next one. */
  protected continued = 0;
  #closed = false;
  /** Largest packet the interface sends, in bytes; set once bound. */
  largestPacket = 65535;

  constructor({ buffer, maps, kicker, outcomes, transmitMetadata = false }: FrameRingsOptions) {
    this.buffer = buffer;
    this.i32 = buffer.arena.i32;
    this.outcomes = outcomes;
    this.metadata = transmitMetadata ? PACKET_METADATA : 0;
    this.#refused = outcomes ? new RefusedPackets() : undefined;
    this.#kicker = kicker;
    this.#wakeReceive = maps.wakeReceive >> 2;
    this.#wakeTransmit = maps.wakeTransmit >> 2;
    this.#base = buffer.base;
    this.#bytes = buffer.frames * buffer.frameSize;
    this.#receiveBytes = (buffer.frames - buffer.sendFrames) * buffer.frameSize;
    this.#receiveEntries = maps.receive === undefined ? 0 : (maps.fill ?? maps.receive).entries;
    this.#refillFrom = Math.max(1, Math.min(REFILL_FRAMES, this.#receiveEntries >> 2));
    this.#transmitEntries = Math.min(
      maps.transmit?.entries ?? 0,
      maps.completion?.entries ?? Number.POSITIVE_INFINITY, // V4 has none
    );
    this.#mostParts = Math.min(MOST_PARTS, this.#transmitEntries);
    this.#frameMask = buffer.frameMask;
    this.#frameSize = buffer.frameSize;
    this.#copying = new CopyingSend({
      ...{
        buffer,
        counters: this.counters,
        refused: this.#refused,
        metadata: this.metadata,
        mostParts: this.#mostParts,
      },
    });
    if (this.#transmitEntries > 0 && !outcomes) buffer.addSender(this);
  }

  /** Moves received descriptors into the batch, and says in `continued` how many of them end no packet. */
  protected abstract takeReceived(batch: PacketBatch): number;
  /** Empty frames that the ring can still take. */
  protected abstract emptyRoom(): number;
  /** Posts empty frames for receiving, named by any arena offset in each; there is room for them. */
  protected abstract postEmpty(frames: Int32Array, from: number, count: number): void;
  /** Packets' descriptors that can be posted for sending. */
  protected abstract transmitRoom(): number;
  /** Posts the first `count` entries of the batch for sending; they are valid and there is room. */
  protected abstract postTransmit(batch: PacketBatch, count: number): void;
  /** Moves frames (arena offsets) that came back from sending into `frames`. */
  protected abstract takeCompleted(frames: Int32Array, limit: number): number;
  /** The same with offsets, sizes and outcomes. */
  protected abstract takeOutcomes(batch: PacketBatch): number;
  /** Takes the frames that are still in the rings or were with the kernel, at most `limit` a call; the kernel has let go. */
  protected abstract takeRemaining(frames: Int32Array, limit: number): number;
  abstract readable(): boolean;

  receive(batch: PacketBatch): number {
    const counters = this.counters;
    counters.receiveCalls++;
    // What the ring lacks when the program asks for more, it has not given back: it holds it, or has sent it elsewhere.
    if (this.emptyRoom() >= this.#refillFrom && this.buffer.pool.free('receive') > 0) this.#fill();
    let count = this.takeReceived(batch);
    if (count === 0) {
      this.replenish();
      if ((Atomics.load(this.i32, this.#wakeReceive) & NEED_WAKEUP) === 0) return 0;
      counters.kicks++;
      this.#kicker.kick('receive');
      count = this.takeReceived(batch);
      if (count === 0) return 0;
    }
    counters.receivedFrames += count;
    counters.received += count - this.continued;
    batch.origin = this;
    return count;
  }

  replenish(): boolean {
    if (this.emptyRoom() === 0) return true; // also where there is no ring
    const { buffer } = this;
    if (buffer.pool.free('receive') > 0 || buffer.reclaim() > 0) this.#fill();
    return this.emptyRoom() < this.#receiveEntries;
  }

  /** Posts free frames until the ring is full or the pool is empty. */
  #fill(): void {
    for (;;) {
      const wanted = Math.min(this.emptyRoom(), POOL_BATCH);
      if (wanted === 0) return;
      const count = this.buffer.pool.take(this.frames, 0, wanted, 'receive');
      if (count > 0) this.postEmpty(this.frames, 0, count);
      if (count < wanted) return;
    }
  }

  /** Frames are the program's until it gives them back. */
  hold(batch: PacketBatch): number {
    const { length, origin } = batch;
    return origin !== null && !(origin instanceof FrameRings) ? origin.hold(batch) : length;
  }

  release(batch: PacketBatch): void {
    const { offset, length } = batch;
    // A batch may outlive the rings that it came from, and their buffer.
    const nowhere = length === 0 || (this.#closed && this.buffer.closed);
    if (nowhere || (length <= this.#postable() && this.#allForReceiving(offset, length))) {
      if (!nowhere) this.postEmpty(offset, 0, length);
      batch.length = 0;
      batch.origin = null;
      return;
    }
    const frames = this.frames;
    const mask = this.#frameMask;
    const base = this.#base;
    const bytes = this.#bytes;
    const receiveBytes = this.#receiveBytes;
    let foreign = 0;
    for (let from = 0; from < batch.length; ) {
      const limit = Math.min(batch.length - from, POOL_BATCH);
      let count = 0;
      let spare = POOL_BATCH; // from here on: frames for sending, which would be missing there if they were posted
      for (let i = from; i < from + limit; i++) {
        const at = offset[i]!;
        const within = (at - base) >>> 0;
        if (within < receiveBytes) frames[count++] = at & mask;
        else if (within < bytes) frames[--spare] = at & mask;
        else offset[foreign++] = at;
      }
      from += limit;
      const posted = Math.min(count, this.#postable());
      if (posted > 0) this.postEmpty(frames, 0, posted);
      if (posted < count) this.buffer.pool.give(frames, posted, count - posted);
      if (spare < POOL_BATCH) this.buffer.pool.give(frames, spare, POOL_BATCH - spare);
    }
    this.#releaseForeign(batch, foreign);
  }

  /** Empty frames that can be posted now. */
  #postable(): number {
    return this.#closed ? 0 : this.emptyRoom();
  }

  /** Whether all of these lie in frames of the buffer that are for receiving. */
  #allForReceiving(offset: Int32Array, count: number): boolean {
    const base = this.#base;
    const bytes = this.#receiveBytes;
    for (let i = 0; i < count; i++) if (((offset[i]! - base) | 0) >>> 0 >= bytes) return false;
    return true;
  }

  #releaseForeign(batch: PacketBatch, count: number): void {
    batch.length = count;
    const { origin } = batch;
    if (count > 0 && origin !== null && origin !== this) origin.release(batch);
    batch.length = 0;
    batch.origin = null;
  }

  allocate(batch: PacketBatch, count: number): number {
    const { offset, size, flags } = batch;
    const pool = this.buffer.pool;
    const wanted = Math.max(0, Math.min(count, batch.capacity)) | 0;
    let taken = this.outcomes ? 0 : this.#takeSent(offset, wanted);
    if (taken < wanted) taken += pool.take(offset, taken, wanted - taken, 'send');
    if (taken < wanted && (this.reclaim() > 0 || this.buffer.reclaim() > 0))
      taken += pool.take(offset, taken, wanted - taken, 'send');
    const start = this.buffer.dataOffset;
    const room = this.buffer.room;
    for (let i = 0; i < taken; i++) {
      offset[i] = (offset[i]! + start) | 0;
      size[i] = room;
      flags[i] = 0;
    }
    batch.length = taken;
    batch.origin = taken > 0 ? this : null;
    return taken;
  }

  /** Frames that have come back from sending. */
  #takeBack(frames: Int32Array, limit: number): number {
    const count = this.takeCompleted(frames, limit);
    this.counters.completed += count;
    this.buffer.onReturn?.(frames, count);
    return count;
  }

  /** The same, to send them again: they need not go through the pool (2 ns a packet), and are in the cache. */
  #takeSent(frames: Int32Array, limit: number): number {
    const count = this.#takeBack(frames, limit);
    const base = this.#base;
    const receiveBytes = this.#receiveBytes;
    let signs = 0;
    for (let i = 0; i < count; i++) signs |= (((frames[i]! - base) | 0) - receiveBytes) | 0;
    if (signs >= 0) return count;
    // Some are for receiving: forwarded by this socket, or by one that shares the buffer.
    this.buffer.pool.give(frames, 0, count);
    return 0;
  }

  send(batch: PacketBatch): number {
    const counters = this.counters;
    counters.sendCalls++;
    this.reclaim();
    let count = batch.length;
    const room = this.transmitRoom();
    if (count > room) count = wholePackets(batch, room) || this.#tooLongForRing(batch, room);
    if (count > 0) {
      const packets = this.#sendable(batch, count);
      if (packets > 0) {
        this.postTransmit(batch, count);
        counters.sent += packets;
        counters.sentFrames += count;
        batch.dropFirst(count);
      } else {
        count = this.#sendOneByOne(batch, count);
      }
    }
    if ((Atomics.load(this.i32, this.#wakeTransmit) & NEED_WAKEUP) !== 0) {
      counters.kicks++;
      this.#kicker.kick('transmit');
    }
    return count;
  }

  /** Entries of the first packet when the ring is empty and yet too short for it: it will be refused. Else 0. */
  #tooLongForRing(batch: PacketBatch, room: number): number {
    if (room === 0 || room < this.#transmitEntries) return 0;
    let last = 0;
    while (last + 1 < batch.length && (batch.flags[last]! & CONTINUES) !== 0) last++;
    return last + 1;
  }

  /** Returns what came back from sending to the pool, unless the program wants to hear of it (I9). Returns how many frames. */
  reclaim(): number {
    if (this.outcomes) return 0;
    let total = 0;
    for (;;) {
      const count = this.#takeBack(this.frames, POOL_BATCH);
      if (count === 0) return total;
      // What is forwarded comes back here, and is missed in the receive ring.
      if (count <= this.#postable() && this.#allForReceiving(this.frames, count)) this.postEmpty(this.frames, 0, count);
      else this.buffer.pool.give(this.frames, 0, count);
      total += count;
      if (count < POOL_BATCH) return total;
    }
  }

  /** Packets among the first entries when each of those lies within one frame of the buffer and fits the interface; else 0. */
  #sendable(batch: PacketBatch, count: number): number {
    const { offset, size, flags } = batch;
    const base = this.#base;
    const bytes = this.#bytes;
    const frameSize = this.#frameSize;
    const within = frameSize - 1;
    const longest = Math.min(this.largestPacket, frameSize);
    let seen = 0;
    for (let i = 0; i < count; i++) {
      const at = offset[i]!;
      const length = size[i]!;
      seen |= flags[i]!;
      // As unsigned numbers 0 and negative lengths are too large, too.
      if (((at - base) | 0) >>> 0 >= bytes || ((length - 1) | 0) >>> 0 >= longest) return 0;
      if ((((at & within) + length) | 0) > frameSize) return 0;
    }
    seen &= ~this.metadata;
    if (seen === 0) return count;
    return seen === CONTINUES ? this.#fittingPackets(batch, count) : 0;
  }

  /** The same for packets of several frames taken together. */
  #fittingPackets(batch: PacketBatch, count: number): number {
    const { size, flags } = batch;
    let packets = 0;
    let packet = 0;
    let parts = 0;
    for (let i = 0; i < count; i++) {
      packet += size[i]!;
      if (packet > this.largestPacket) return 0;
      if ((flags[i]! & CONTINUES) === 0) {
        packets++;
        packet = parts = 0;
      } else if (++parts >= this.#mostParts) {
        return 0;
      }
    }
    return packet === 0 ? packets : 0;
  }

  /** The slow way: packets of other origin are copied, and those that can never be sent taken out. */
  #sendOneByOne(batch: PacketBatch, limit: number): number {
    const { counters } = this;
    const copying = this.#copying;
    const { origin } = batch;
    const taken = copying.prepare(batch, limit, this.largestPacket, this);
    const { ready } = copying;
    if (ready > 0) this.postTransmit(batch, ready);
    counters.sentFrames += ready;
    batch.dropFirst(taken);
    copying.releaseOriginals(origin ?? this);
    return taken;
  }

  completions(batch: PacketBatch): number {
    const refused = this.#refused?.take(batch) ?? 0;
    if (refused > 0) return refused;
    const count = this.takeOutcomes(batch);
    this.counters.completed += count;
    if (count > 0) batch.origin = this;
    return count;
  }

  writable(): boolean {
    return this.transmitRoom() > 0;
  }

  moves(other: PacketOrigin): boolean {
    return (
      other instanceof FrameRings &&
      other.buffer.base === this.buffer.base &&
      other.buffer.arena.i32.buffer === this.i32.buffer
    );
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.buffer.removeSender(this);
    this.#refused?.releaseAll(this);
    for (;;) {
      const count = this.takeRemaining(this.frames, POOL_BATCH);
      if (count === 0) break;
      this.buffer.pool.give(this.frames, 0, count);
    }
    this.#copying.close();
  }
}
