import { FrameRings, type FrameRingsOptions } from '../frame-rings.js';
import { OUTCOME_SENT, type PacketBatch } from '../packet-batch.js';
import { continuedEntries } from '../packet-parts.js';
import { CONTINUES_BIT, ERROR_MASK, ERROR_SHIFT, FLAGS_SHIFT, KERNEL_OWNED, OFFSET_MASK } from './layout.js';

// Private copies: V8 folds them into the code, imported constants it loads from their module wherever they are used.
const CONTINUES = CONTINUES_BIT;
const ERRORS = ERROR_MASK << ERROR_SHIFT;
const FLAGS_AT = FLAGS_SHIFT;
const KERNELS = KERNEL_OWNED;
const OFFSET = OFFSET_MASK;

// Descriptors begin at multiples of four words: see ../xdp/user.ts for `|` where one would expect `+`.

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

  constructor(options: FrameRingsOptions) {
    super(options);
    const { buffer, maps, firstIndex = 0 } = options;
    this.#receive = (maps.receive?.base ?? 0) >> 2;
    this.#receiveEntries = maps.receive?.entries ?? 0;
    this.#transmit = (maps.transmit?.base ?? 0) >> 2;
    this.#transmitEntries = maps.transmit?.entries ?? 0;
    this.#base = buffer.base;
    this.#shift = 31 - Math.clz32(buffer.frameSize);
    this.#within = buffer.frameSize - 1;
    this.#posted = this.#taken = this.#sent = this.#reaped = firstIndex | 0;
  }

  protected takeReceived(batch: PacketBatch): number {
    const { i32 } = this;
    const { offset, size, flags, capacity } = batch;
    const ring = this.#receive;
    const mask = this.#receiveEntries - 1;
    const base = this.#base;
    const shift = this.#shift;
    const taken = this.#taken;
    const posted = (this.#posted - taken) | 0;
    const limit = Math.min(posted, capacity);
    let ordered = this.#orderedReceive;
    let count = 0;
    let seen = 0;
    while (count < limit) {
      if (ordered <= 0) {
        const gate = ring + (((taken + count) & mask) << 2);
        if (Atomics.load(i32, gate + 2) < 0) break;
        ordered = Math.max(1, i32[gate | 3]!);
      }
      // The inner loop is kept this bare on purpose: 5 ns a packet, against 10 when it also looked at gates and errors.
      const end = Math.min(count + ordered, limit);
      ordered -= end - count;
      for (; count < end; count++) {
        const descriptor = (ring + (((taken + count) & mask) << 2)) | 0;
        const word = i32[descriptor | 2]!;
        seen |= word;
        offset[count] = (base + (i32[descriptor]! << shift) + (word & OFFSET)) | 0;
        size[count] = i32[descriptor | 1]!;
        flags[count] = (word >> FLAGS_AT) & 1;
      }
    }
    this.#orderedReceive = ordered;
    if ((seen & (ERRORS | CONTINUES)) !== 0) return this.#takeCarefully(batch, count);
    this.#taken = (taken + count) | 0;
    this.continued = 0;
    batch.length = count;
    return count;
  }

  /** The same again for `count` descriptors that were ordered already, among which are errors or packets of several frames. */
  #takeCarefully(batch: PacketBatch, count: number): number {
    const { i32 } = this;
    const { offset, size, flags, capacity } = batch;
    const mask = this.#receiveEntries - 1;
    const first = this.#taken;
    const end = (first + count) | 0;
    let taken = first;
    let wholeTaken = first;
    let entries = 0;
    let whole = 0;
    while (taken !== end) {
      const descriptor = (this.#receive + ((taken & mask) << 2)) | 0;
      const word = i32[descriptor | 2]!;
      taken = (taken + 1) | 0;
      if ((word & ERRORS) !== 0) {
        // Only a descriptor that somebody spoilt comes back so; the frame is spent until the ring closes.
        this.counters.invalid++;
        if (entries === whole) wholeTaken = taken;
        continue;
      }
      offset[entries] = this.#base + (i32[descriptor]! << this.#shift) + (word & OFFSET);
      size[entries] = i32[descriptor | 1]!;
      flags[entries++] = (word >> FLAGS_AT) & 1;
      if ((word & CONTINUES) !== 0) continue;
      whole = entries;
      wholeTaken = taken;
    }
    // A packet whose end is not here yet, or has no room in this batch, waits; unless it alone fills the batch.
    if (whole === 0 && entries === capacity) {
      whole = entries;
      wholeTaken = taken;
    }
    this.#taken = wholeTaken;
    this.#orderedReceive += (taken - wholeTaken) | 0;
    batch.length = whole;
    this.continued = continuedEntries(batch, whole);
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
    for (let i = 1; i < count; i++) {
      const descriptor = (ring + (((posted + i) & mask) << 2)) | 0;
      i32[descriptor] = ((frames[(from + i) | 0]! - base) | 0) >>> shift;
      i32[descriptor | 2] = KERNELS;
    }
    // The first descriptor's word 2 opens the batch to the kernel: it is written last.
    const gate = ring + ((posted & mask) << 2);
    i32[gate] = (frames[from]! - base) >>> shift;
    i32[gate | 3] = count;
    Atomics.store(i32, gate + 2, KERNELS);
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
    if (this.#transmitEntries === 0) return false;
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
    for (let i = 1; i < count; i++) {
      const descriptor = (ring + (((sent + i) & mask) << 2)) | 0;
      const at = (offset[i]! - base) | 0;
      i32[descriptor] = at >>> shift;
      i32[descriptor | 1] = size[i]!;
      i32[descriptor | 2] = KERNELS | (flags[i]! << FLAGS_AT) | (at & within);
    }
    // The first descriptor's word 2 opens the batch to the kernel: it is written last.
    const gate = ring + ((sent & mask) << 2);
    const at = offset[0]! - base;
    i32[gate] = at >>> shift;
    i32[gate | 1] = size[0]!;
    i32[gate | 3] = count;
    Atomics.store(i32, gate + 2, KERNELS | (flags[0]! << FLAGS_AT) | (at & within));
    this.#sent = (sent + count) | 0;
  }

  protected takeCompleted(frames: Int32Array, limit: number): number {
    const { i32 } = this;
    const ring = this.#transmit;
    const mask = this.#transmitEntries - 1;
    const base = this.#base;
    const shift = this.#shift;
    const reaped = this.#reaped;
    const most = Math.min((this.#sent - reaped) | 0, limit);
    let ordered = this.#orderedTransmit;
    let count = 0;
    while (count < most) {
      if (ordered <= 0) {
        const gate = ring + (((reaped + count) & mask) << 2);
        if (Atomics.load(i32, gate + 2) < 0) break;
        ordered = Math.max(1, i32[gate | 3]!);
      }
      const end = Math.min(count + ordered, most);
      ordered -= end - count;
      let failed = 0;
      for (; count < end; count++) {
        const descriptor = (ring + (((reaped + count) & mask) << 2)) | 0;
        if ((i32[descriptor | 2]! & ERRORS) !== 0) failed++;
        frames[count] = (base + (i32[descriptor]! << shift)) | 0;
      }
      this.counters.failed += failed;
    }
    this.#reaped = (reaped + count) | 0;
    this.#orderedTransmit = ordered;
    return count;
  }

  protected takeOutcomes(batch: PacketBatch): number {
    const { i32 } = this;
    const { offset, size, flags, outcome, capacity } = batch;
    const ring = this.#transmit;
    const mask = this.#transmitEntries - 1;
    const first = this.#reaped;
    let reaped = first;
    let ordered = this.#orderedTransmit;
    let count = 0;
    let whole = 0;
    while (count < capacity && reaped !== this.#sent) {
      const descriptor = (ring + ((reaped & mask) << 2)) | 0;
      if (ordered <= 0) {
        if (Atomics.load(i32, descriptor + 2) < 0) break;
        ordered = Math.max(1, i32[descriptor | 3]!);
      }
      const word = i32[descriptor | 2]!;
      ordered--;
      reaped = (reaped + 1) | 0;
      const error = (word >> ERROR_SHIFT) & ERROR_MASK;
      offset[count] = this.#base + (i32[descriptor]! << this.#shift) + (word & OFFSET);
      size[count] = i32[descriptor | 1]!;
      flags[count] = (word & CONTINUES) === 0 ? 0 : 1;
      outcome[count++] = error === 0 ? OUTCOME_SENT : error;
      if ((word & CONTINUES) === 0) whole = count;
    }
    // A packet whose end is not here yet, or has no room in this batch, waits; unless it alone fills the batch.
    if (whole === 0 && count === capacity) whole = count;
    for (let i = 0; i < whole; i++) if (outcome[i] !== OUTCOME_SENT) this.counters.failed++;
    this.#reaped = (first + whole) | 0;
    this.#orderedTransmit = ordered + count - whole;
    batch.length = whole;
    return whole;
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
