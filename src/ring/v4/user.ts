import { FrameRings, type FrameRingsOptions } from '../frame-rings.js';
import { OUTCOME_SENT, type PacketBatch } from '../packet-batch.js';
import { CONTINUES_BIT, ERROR_MASK, ERROR_SHIFT, FLAGS_SHIFT, KERNEL_OWNED, OFFSET_MASK } from './layout.js';

/**
 * The user side of V4's two owner rings (I4, I8, S5). One descriptor carries a frame both ways: posted with the kernel's flag
 * set, handed back with it clear, in order. Indices run freely, modulo 2^32.
 */
export class V4Rings extends FrameRings {
  readonly #receive: number;
  readonly #receiveEntries: number;
  readonly #transmit: number;
  readonly #transmitEntries: number;
  readonly #base: number;
  readonly #shift: number;
  readonly #within: number;
  /** Receive ring: frames posted, packets taken. */
  #posted = 0;
  #taken = 0;
  /** Transmit ring: frames posted, frames that came back. */
  #sent = 0;
  #reaped = 0;
  /** Descriptors from `taken` and from `reaped` on that an atomic load has ordered already. */
  #orderedReceive = 0;
  #orderedTransmit = 0;
  /** Where the free-running indices start; a test of the wrap-around may set it, on both sides alike. */
  static firstIndex = 0;

  constructor(options: FrameRingsOptions) {
    super(options);
    const { buffer, maps } = options;
    this.#receive = (maps.receive?.base ?? 0) >> 2;
    this.#receiveEntries = maps.receive?.entries ?? 0;
    this.#transmit = (maps.transmit?.base ?? 0) >> 2;
    this.#transmitEntries = maps.transmit?.entries ?? 0;
    this.#base = buffer.base;
    this.#shift = 31 - Math.clz32(buffer.frameSize);
    this.#within = buffer.frameSize - 1;
    this.#posted = this.#taken = this.#sent = this.#reaped = V4Rings.firstIndex | 0;
  }

  protected takeReceived(batch: PacketBatch): number {
    const { i32 } = this;
    const { offset, size, flags, capacity } = batch;
    const ring = this.#receive;
    const mask = this.#receiveEntries - 1;
    const base = this.#base;
    const shift = this.#shift;
    const posted = this.#posted;
    let taken = this.#taken;
    let ordered = this.#orderedReceive;
    let count = 0;
    let whole = 0;
    let wholeTaken = taken;
    while (count < capacity && taken !== posted) {
      const descriptor = ring + ((taken & mask) << 2);
      if (ordered === 0) {
        if (Atomics.load(i32, descriptor + 2) < 0) break;
        ordered = i32[descriptor + 3]! || 1;
      }
      const word = i32[descriptor + 2]!;
      ordered--;
      taken = (taken + 1) | 0;
      if ((word & (ERROR_MASK << ERROR_SHIFT)) !== 0) {
        // Only a descriptor that somebody spoilt comes back so; the frame is spent until the ring closes.
        this.counters.invalid++;
        if (count === whole) wholeTaken = taken;
        continue;
      }
      offset[count] = base + (i32[descriptor]! << shift) + (word & OFFSET_MASK);
      size[count] = i32[descriptor + 1]!;
      const continues = (word >> FLAGS_SHIFT) & 1;
      flags[count++] = continues;
      if (continues === 0) {
        whole = count;
        wholeTaken = taken;
      }
    }
    // A packet whose end is not here yet, or has no room in this batch, waits; unless it alone fills the batch.
    if (whole === 0 && count === capacity) {
      whole = count;
      wholeTaken = taken;
    }
    this.#taken = wholeTaken;
    this.#orderedReceive = ordered + ((taken - wholeTaken) | 0);
    batch.length = whole;
    return whole;
  }

  protected emptyRoom(): number {
    return this.#receiveEntries - ((this.#posted - this.#taken) | 0);
  }

  protected postEmpty(frames: Int32Array, from: number, count: number): void {
    const { i32 } = this;
    const ring = this.#receive;
    const mask = this.#receiveEntries - 1;
    const base = this.#base;
    const shift = this.#shift;
    const posted = this.#posted;
    for (let i = 0; i < count; i++) {
      const descriptor = ring + (((posted + i) & mask) << 2);
      i32[descriptor] = (frames[from + i]! - base) >>> shift;
      i32[descriptor + 1] = 0;
      if (i > 0) i32[descriptor + 2] = KERNEL_OWNED;
    }
    const first = ring + ((posted & mask) << 2);
    i32[first + 3] = count;
    Atomics.store(i32, first + 2, KERNEL_OWNED);
    this.#posted = (posted + count) | 0;
  }

  readable(): boolean {
    if (this.#taken === this.#posted) return false;
    if (this.#orderedReceive > 0) return true;
    return Atomics.load(this.i32, this.#receive + ((this.#taken & (this.#receiveEntries - 1)) << 2) + 2) >= 0;
  }

  protected transmitRoom(): number {
    return this.#transmitEntries - ((this.#sent - this.#reaped) | 0);
  }

  override writable(): boolean {
    if (this.transmitRoom() > 0 || this.#orderedTransmit > 0) return true;
    // Full: writable as soon as the oldest frame has come back, which `send` will notice.
    return Atomics.load(this.i32, this.#transmit + ((this.#reaped & (this.#transmitEntries - 1)) << 2) + 2) >= 0;
  }

  protected postTransmit(batch: PacketBatch, count: number): void {
    const { i32 } = this;
    const { offset, size, flags } = batch;
    const ring = this.#transmit;
    const mask = this.#transmitEntries - 1;
    const base = this.#base;
    const shift = this.#shift;
    const within = this.#within;
    const sent = this.#sent;
    for (let i = 0; i < count; i++) {
      const descriptor = ring + (((sent + i) & mask) << 2);
      const at = offset[i]! - base;
      i32[descriptor] = at >>> shift;
      i32[descriptor + 1] = size[i]!;
      if (i > 0) i32[descriptor + 2] = KERNEL_OWNED | (flags[i]! << FLAGS_SHIFT) | (at & within);
    }
    const first = ring + ((sent & mask) << 2);
    i32[first + 3] = count;
    Atomics.store(i32, first + 2, KERNEL_OWNED | (flags[0]! << FLAGS_SHIFT) | ((offset[0]! - base) & within));
    this.#sent = (sent + count) | 0;
  }

  protected takeCompleted(frames: Int32Array, limit: number): number {
    const { i32 } = this;
    const ring = this.#transmit;
    const mask = this.#transmitEntries - 1;
    const base = this.#base;
    const shift = this.#shift;
    const sent = this.#sent;
    let reaped = this.#reaped;
    let ordered = this.#orderedTransmit;
    let count = 0;
    while (count < limit && reaped !== sent) {
      const descriptor = ring + ((reaped & mask) << 2);
      if (ordered === 0) {
        if (Atomics.load(i32, descriptor + 2) < 0) break;
        ordered = i32[descriptor + 3]! || 1;
      }
      const word = i32[descriptor + 2]!;
      ordered--;
      reaped = (reaped + 1) | 0;
      frames[count++] = base + (i32[descriptor]! << shift);
      if ((word & (ERROR_MASK << ERROR_SHIFT)) !== 0) this.counters.failed++;
    }
    this.#reaped = reaped;
    this.#orderedTransmit = ordered;
    return count;
  }

  protected takeOutcomes(batch: PacketBatch): number {
    const { i32 } = this;
    const { offset, size, flags, outcome, capacity } = batch;
    const ring = this.#transmit;
    const mask = this.#transmitEntries - 1;
    let reaped = this.#reaped;
    let ordered = this.#orderedTransmit;
    let count = 0;
    while (count < capacity && reaped !== this.#sent) {
      const descriptor = ring + ((reaped & mask) << 2);
      if (ordered === 0) {
        if (Atomics.load(i32, descriptor + 2) < 0) break;
        ordered = i32[descriptor + 3]! || 1;
      }
      const word = i32[descriptor + 2]!;
      ordered--;
      reaped = (reaped + 1) | 0;
      const error = (word >> ERROR_SHIFT) & ERROR_MASK;
      offset[count] = this.#base + (i32[descriptor]! << this.#shift) + (word & OFFSET_MASK);
      size[count] = i32[descriptor + 1]!;
      flags[count] = (word & CONTINUES_BIT) === 0 ? 0 : 1;
      outcome[count++] = error === 0 ? OUTCOME_SENT : error;
      if (error !== 0) this.counters.failed++;
    }
    this.#reaped = reaped;
    this.#orderedTransmit = ordered;
    batch.length = count;
    return count;
  }

  protected takeRemaining(frames: Int32Array, limit: number): number {
    let count = 0;
    for (; count < limit && this.#taken !== this.#posted; this.#taken = (this.#taken + 1) | 0) {
      frames[count++] = this.#frameAt(this.#receive, this.#taken, this.#receiveEntries);
    }
    for (; count < limit && this.#reaped !== this.#sent; this.#reaped = (this.#reaped + 1) | 0) {
      frames[count++] = this.#frameAt(this.#transmit, this.#reaped, this.#transmitEntries);
    }
    return count;
  }

  #frameAt(ring: number, index: number, entries: number): number {
    return this.#base + (this.i32[ring + ((index & (entries - 1)) << 2)]! << this.#shift);
  }
}
