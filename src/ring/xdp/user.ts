import type { RingMap } from '../../kernel/contract.js';
import { FrameRings, type FrameRingsOptions } from '../frame-rings.js';
import { OUTCOME_UNKNOWN, PACKET_CONTINUES, type PacketBatch } from '../packet-batch.js';
import { continuedEntries, wholePackets } from '../packet-parts.js';
import { PACKET_CONTINUED } from './layout.js';

// A private copy: V8 folds it into the code, an imported constant it loads from its module wherever it is used.
const CONTINUED = PACKET_CONTINUED;
const CONTINUES = PACKET_CONTINUES;

// Rings begin at multiples of four words: `descriptor | 1` is `descriptor + 1` and needs no check for overflow, nor does a sum cut to 32
// bits (`| 0`). With both, receiving and forwarding cost 11 and 27 ns a packet here instead of 16 and 38, on one thread.

/** In a frame's mark: the packet that is sent continues in the next frame; the completion ring does not tell. */
const MARK_CONTINUES_SHIFT = 15;
const MARK_CONTINUES = 1 << MARK_CONTINUES_SHIFT;

/** One index ring as the user side sees it; word indices. `cached` is the other side's index as last read. */
class RingView {
  readonly base: number;
  readonly entries: number;
  readonly mask: number;
  readonly producer: number;
  readonly consumer: number;
  /** Our own free-running index: producer of fill and TX, consumer of RX and completion. */
  index = 0;
  /** The other side's. */
  other = 0;

  constructor(i32: Int32Array, map: RingMap | undefined, ours: 'producer' | 'consumer') {
    this.base = (map?.base ?? 0) >> 2;
    this.entries = map?.entries ?? 0;
    this.mask = this.entries - 1;
    this.producer = (map?.producer ?? 0) >> 2;
    this.consumer = (map?.consumer ?? 0) >> 2;
    if (map === undefined) return;
    this.index = Atomics.load(i32, ours === 'producer' ? this.producer : this.consumer);
    this.other = Atomics.load(i32, ours === 'producer' ? this.consumer : this.producer);
  }
}

/**
 * The user side of AF_XDP's four index rings, on both kernels. It learns of sent frames from the completion ring, which tells
 * neither success nor failure: outcomes are "unknown".
 */
export class XdpRings extends FrameRings {
  readonly #receive: RingView;
  readonly #transmit: RingView;
  readonly #fill: RingView;
  readonly #completion: RingView;
  /** How far the fill ring's index was ahead of the RX ring's when no frame was posted; 0 but for tests. */
  readonly #lead: number;
  /** The same for the TX and the completion ring. */
  readonly #transmitLead: number;
  readonly #mostTransmit: number;
  readonly #base: number;
  readonly #bytes: number;
  readonly #frameMask: number;
  readonly #shift: number;
  /** Which frames are in these rings: what the kernel has consumed and not handed back yet, no ring shows. */
  readonly #u16: Uint16Array;
  readonly #marks: number;
  readonly #mark: number;
  /** How far `takeRemaining` has looked, in frames. */
  #remaining = 0;

  constructor(options: FrameRingsOptions) {
    super(options);
    const { maps, buffer } = options;
    this.#receive = new RingView(this.i32, maps.receive, 'consumer');
    this.#transmit = new RingView(this.i32, maps.transmit, 'producer');
    this.#fill = new RingView(this.i32, maps.receive && maps.fill, 'producer');
    this.#completion = new RingView(this.i32, maps.completion, 'consumer');
    this.#lead = (this.#fill.index - this.#receive.index) | 0;
    this.#transmitLead = (this.#transmit.index - this.#completion.index) | 0;
    this.#mostTransmit = Math.min(this.#transmit.entries, this.#completion.entries);
    this.#base = buffer.base;
    this.#bytes = buffer.frames * buffer.frameSize;
    this.#frameMask = buffer.frameMask;
    this.#shift = 31 - Math.clz32(buffer.frameSize);
    this.#u16 = buffer.arena.u16;
    this.#marks = buffer.pool.marks;
    this.#mark = buffer.pool.newMark();
  }

  protected takeReceived(batch: PacketBatch): number {
    const { i32 } = this;
    const { offset, size, flags, capacity } = batch;
    const ring = this.#receive;
    const { base, mask, index } = ring;
    let available = (ring.other - index) | 0;
    if (available < capacity) {
      ring.other = Atomics.load(i32, ring.producer);
      available = (ring.other - index) | 0;
    }
    const limit = Math.min(available, capacity);
    const bufferBase = this.#base;
    const u16 = this.#u16;
    const marks = this.#marks;
    const shift = this.#shift;
    let seen = 0;
    for (let i = 0; i < limit; i++) {
      const descriptor = (base + (((index + i) & mask) << 2)) | 0;
      const options = i32[descriptor | 3]!;
      seen |= options;
      offset[i] = (bufferBase + i32[descriptor]!) | 0;
      size[i] = i32[descriptor | 2]!;
      flags[i] = options & CONTINUED;
    }
    let whole = limit;
    let continued = 0;
    if ((seen & CONTINUED) !== 0) {
      whole = wholePackets(batch, limit);
      if (whole === 0 && limit === capacity) whole = limit; // one packet fills the batch
      continued = continuedEntries(batch, whole);
    }
    this.continued = continued;
    for (let i = 0; i < whole; i++) u16[(marks + (((offset[i]! - bufferBase) | 0) >>> shift)) | 0] = 0;
    batch.length = whole;
    if (whole > 0) {
      ring.index = (index + whole) | 0;
      Atomics.store(i32, ring.consumer, ring.index);
    }
    return whole;
  }

  /**
   * Never more frames with the kernel than the fill ring has entries: then the ring cannot overflow, its consumer need not be
   * read, and what is released finds room there rather than taking the way through the pool.
   */
  protected emptyRoom(): number {
    const { entries, index } = this.#fill;
    return entries === 0 ? 0 : entries - ((index - this.#receive.index - this.#lead) | 0);
  }

  protected postEmpty(frames: Int32Array, from: number, count: number): void {
    const { i32 } = this;
    const ring = this.#fill;
    const { base, mask, index } = ring;
    const bufferBase = this.#base;
    const frameMask = this.#frameMask;
    const u16 = this.#u16;
    const marks = this.#marks;
    const shift = this.#shift;
    const mark = this.#mark;
    for (let i = 0; i < count; i++) {
      const entry = (base + (((index + i) & mask) << 1)) | 0;
      const at = ((frames[(from + i) | 0]! & frameMask) - bufferBase) | 0;
      i32[entry] = at; // the high word is 0 since the ring was made
      u16[(marks + (at >>> shift)) | 0] = mark;
    }
    ring.index = (index + count) | 0;
    Atomics.store(i32, ring.producer, ring.index);
  }

  readable(): boolean {
    const ring = this.#receive;
    return ring.entries > 0 && Atomics.load(this.i32, ring.producer) !== ring.index;
  }

  /**
   * Never more frames with the kernel than the completion ring has entries: the kernel takes a descriptor only when it has room to
   * hand its frame back, so what was posted beyond would lie there until somebody looks after the completions.
   */
  protected transmitRoom(): number {
    return this.#mostTransmit - ((this.#transmit.index - this.#completion.index - this.#transmitLead) | 0);
  }

  override writable(): boolean {
    if (this.transmitRoom() > 0) return true;
    const ring = this.#completion;
    // Full: writable as soon as a frame has come back, which `send` will notice.
    return ring.entries > 0 && Atomics.load(this.i32, ring.producer) !== ring.index;
  }

  protected postTransmit(batch: PacketBatch, count: number): void {
    const { i32 } = this;
    const { offset, size, flags } = batch;
    const ring = this.#transmit;
    const { base, mask, index } = ring;
    const bufferBase = this.#base;
    const u16 = this.#u16;
    const marks = this.#marks;
    const shift = this.#shift;
    const mark = this.#mark;
    const { metadata } = this; // its bit in a descriptor (XDP_TX_METADATA) is one to the right
    for (let i = 0; i < count; i++) {
      const descriptor = (base + (((index + i) & mask) << 2)) | 0;
      const at = (offset[i]! - bufferBase) | 0;
      const flag = flags[i]! & CONTINUED;
      u16[(marks + (at >>> shift)) | 0] = mark | (flag << MARK_CONTINUES_SHIFT);
      i32[descriptor] = at; // the high word is 0 since the ring was made
      i32[descriptor | 2] = size[i]!;
      i32[descriptor | 3] = flag | ((flags[i]! & metadata) >> 1);
    }
    ring.index = (index + count) | 0;
    Atomics.store(i32, ring.producer, ring.index);
  }

  /** Frames that came back and can be taken, at most `limit`. */
  #completed(limit: number): number {
    const ring = this.#completion;
    let available = (ring.other - ring.index) | 0;
    if (available < limit && ring.entries > 0) {
      ring.other = Atomics.load(this.i32, ring.producer);
      available = (ring.other - ring.index) | 0;
    }
    return Math.min(available, limit);
  }

  protected takeCompleted(frames: Int32Array, limit: number): number {
    const count = this.#completed(limit);
    if (count === 0) return 0;
    const { i32 } = this;
    const ring = this.#completion;
    const { base, mask, index } = ring;
    const bufferBase = this.#base;
    const bytes = this.#bytes;
    const frameMask = this.#frameMask;
    const u16 = this.#u16;
    const marks = this.#marks;
    const shift = this.#shift;
    let good = 0;
    for (let i = 0; i < count; i++) {
      // Linux completes whatever address it was given, a bad one too: nothing enters the pool unchecked.
      const at = i32[(base + (((index + i) & mask) << 1)) | 0]!;
      if (at >>> 0 >= bytes) continue;
      frames[good] = (bufferBase + at) & frameMask;
      good = (good + 1) | 0;
      u16[(marks + (at >>> shift)) | 0] = 0;
    }
    this.counters.invalid += count - good;
    ring.index = (index + count) | 0;
    Atomics.store(i32, ring.consumer, ring.index);
    return good;
  }

  protected takeOutcomes(batch: PacketBatch): number {
    const { offset, size, flags, outcome, capacity } = batch;
    const count = this.#completed(capacity);
    const { i32 } = this;
    const u16 = this.#u16;
    const marks = this.#marks;
    const ring = this.#completion;
    const { base, mask, index } = ring;
    let entries = 0;
    let taken = 0;
    let whole = 0;
    let wholeTaken = 0;
    while (taken < count) {
      const at = i32[base + (((index + taken++) & mask) << 1)]!;
      if (at >>> 0 < this.#bytes) {
        offset[entries] = this.#base + at;
        size[entries] = 0; // the ring does not say
        flags[entries] = u16[marks + (at >>> this.#shift)]! >>> 15;
        outcome[entries++] = OUTCOME_UNKNOWN;
      }
      if (entries > 0 && (flags[entries - 1]! & CONTINUES) !== 0) continue;
      whole = entries;
      wholeTaken = taken;
    }
    // A packet whose end is not here yet, or has no room in this batch, waits; unless it alone fills the batch.
    if (whole === 0 && entries === capacity) {
      whole = entries;
      wholeTaken = taken;
    }
    for (let i = 0; i < whole; i++) {
      u16[marks + ((offset[i]! - this.#base) >>> this.#shift)] = 0;
    }
    this.counters.invalid += wholeTaken - whole;
    ring.index = (index + wholeTaken) | 0;
    if (wholeTaken > 0) Atomics.store(i32, ring.consumer, ring.index);
    batch.length = whole;
    return whole;
  }

  protected takeRemaining(frames: Int32Array, limit: number): number {
    let count = 0;
    for (; count < limit && this.#remaining < this.buffer.frames; this.#remaining++) {
      if ((this.#u16[this.#marks + this.#remaining]! & ~MARK_CONTINUES) !== this.#mark) continue;
      this.#u16[this.#marks + this.#remaining] = 0;
      frames[count++] = this.#base + (this.#remaining << this.#shift);
    }
    return count;
  }
}
