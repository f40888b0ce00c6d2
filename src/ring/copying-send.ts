import type { Region } from '../arena/arena.js';
import type { PacketBuffer } from '../packet-buffer/packet-buffer.js';
import { PACKET_CONTINUES, PacketBatch } from './packet-batch.js';
import { wholePackets } from './packet-parts.js';
import { EINVAL, EMSGSIZE, type RefusedPackets } from './refused-packets.js';
import type { PacketOrigin, RingCounters } from './socket-rings.js';

/** Most packets that one copying send moves: what fits the list in one page (12 bytes each). */
const COPY_BATCH = 256;

// What became of a packet, other than the number of copies that it takes.
const OUT_OF_FRAMES = -1;
const TOO_LONG = -2;
const MALFORMED = -3;

/** What a copying send works with: parts of the rings that it belongs to. */
export interface CopyingSendOptions {
  readonly buffer: PacketBuffer;
  readonly counters: RingCounters;
  /** With outcomes: where packets go that can never be sent. */
  readonly refused: RefusedPackets | undefined;
  /** PACKET_METADATA where the kernel reads metadata in front of packets, else 0. */
  readonly metadata: number;
  /** Most frames of one packet. */
  readonly mostParts: number;
}

/**
 * The slow way of sending, packet by packet: packets of other origin are copied into frames of the buffer, and what can never be sent is
 * taken out of the batch. Everything that it needs is allocated beforehand, because the data path must not fail.
 */
export class CopyingSend {
  /** After `prepare`: how many entries at the front of the batch can be posted. */
  ready = 0;
  readonly #buffer: PacketBuffer;
  readonly #counters: RingCounters;
  readonly #refused: RefusedPackets | undefined;
  readonly #metadata: number;
  readonly #mostParts: number;
  readonly #base: number;
  readonly #bytes: number;
  readonly #frames = new Int32Array(COPY_BATCH);
  /** Copies to make: from, to, bytes. Untouched it costs address space only. */
  readonly #list: Region;
  /** Packets, or parts, of other origin that were copied. */
  #originals: PacketBatch | undefined;

  constructor({ buffer, counters, refused, metadata, mostParts }: CopyingSendOptions) {
    this.#buffer = buffer;
    this.#counters = counters;
    this.#refused = refused;
    this.#metadata = metadata;
    this.#mostParts = mostParts;
    this.#base = buffer.base;
    this.#bytes = buffer.frames * buffer.frameSize;
    this.#list = buffer.arena.allocate(COPY_BATCH * 12);
  }

  /**
   * Makes packets ready, in the batch's first entries (`ready`), until frames or room run out.
   *
   * @param limit entries of the batch to look at
   * @param largestPacket bytes that the interface sends
   * @param rings whose packets these are when the batch does not say
   * @returns entries that are dealt with
   */
  prepare(batch: PacketBatch, limit: number, largestPacket: number, rings: PacketOrigin): number {
    const { offset, size, flags } = batch;
    const counters = this.#counters;
    const kept = PACKET_CONTINUES | this.#metadata;
    this.#originals ??= new PacketBatch(COPY_BATCH);
    this.#originals.length = 0;
    const count = limit < COPY_BATCH ? limit : wholePackets(batch, COPY_BATCH) || COPY_BATCH;
    let copies = 0;
    let taken = 0;
    let ready = 0;
    while (taken < count) {
      let parts = 1;
      while (taken + parts < count && (flags[taken + parts - 1]! & PACKET_CONTINUES) !== 0) parts++;
      flags[taken + parts - 1] = flags[taken + parts - 1]! & ~PACKET_CONTINUES; // nothing follows it in this batch
      const verdict = this.#preparePacket(batch, taken, parts, copies, largestPacket);
      if (verdict === OUT_OF_FRAMES) break;
      if (verdict === TOO_LONG || verdict === MALFORMED) {
        if (!this.#refuse(batch, taken, parts, verdict === TOO_LONG ? EMSGSIZE : EINVAL, rings)) break;
        counters.unsendable++;
      } else {
        copies += verdict;
        counters.sent++;
        if (verdict > 0) counters.copied++;
        // Compact towards the front, over what was refused.
        for (let i = 0; i < parts; i++) {
          offset[ready + i] = offset[taken + i]!;
          size[ready + i] = size[taken + i]!;
          flags[ready + i] = flags[taken + i]! & kept;
        }
        ready += parts;
      }
      taken += parts;
    }
    if (copies > 0) this.#buffer.arena.routines.copyPackets(this.#list.offset, copies);
    this.ready = ready;
    return taken;
  }

  /** Gives back what was copied last, and what was refused without outcomes. */
  releaseOriginals(origin: PacketOrigin): void {
    const originals = this.#originals;
    if (originals === undefined || originals.length === 0) return;
    originals.origin = origin;
    origin.release(originals);
  }

  close(): void {
    this.#buffer.arena.free(this.#list);
  }

  /**
   * Makes one packet ready: replaces parts that lie elsewhere by frames of the buffer, and lists the copies to make behind the first
   * `copies`.
   *
   * @returns copies listed, OUT_OF_FRAMES, TOO_LONG or MALFORMED
   */
  #preparePacket(batch: PacketBatch, first: number, parts: number, copies: number, largestPacket: number): number {
    const { offset, size, flags } = batch;
    const { pool, dataOffset, room, frameSize, arena } = this.#buffer;
    const { i32 } = arena;
    let packet = 0;
    let tooLong = parts > this.#mostParts;
    let good = !tooLong;
    let foreign = 0;
    for (let i = first; i < first + parts; i++) {
      const at = offset[i]!;
      const length = size[i]!;
      packet += length;
      if (length <= 0) good = false;
      if ((at - this.#base) >>> 0 < this.#bytes) {
        if ((at & (frameSize - 1)) + length > frameSize) good = false;
      } else {
        foreign++;
        if (length > room) tooLong = true;
        if (length > room || at < 0 || at + length > i32.length * 4) good = false;
      }
    }
    if (!good || packet > largestPacket) return tooLong || packet > largestPacket ? TOO_LONG : MALFORMED;
    const frames = pool.take(this.#frames, 0, foreign, 'send');
    if (frames < foreign) {
      pool.give(this.#frames, 0, frames);
      return OUT_OF_FRAMES; // the packet waits until frames come back
    }
    const list = this.#list.offset >> 2;
    const originals = this.#originals!;
    let next = 0;
    for (let i = first; i < first + parts; i++) {
      const at = offset[i]!;
      if ((at - this.#base) >>> 0 < this.#bytes) continue;
      const to = this.#frames[next++]! + dataOffset;
      const entry = list + (copies + next - 1) * 3;
      i32[entry] = at;
      i32[entry + 1] = to;
      i32[entry + 2] = size[i]!;
      originals.offset[originals.length++] = at;
      offset[i] = to;
      flags[i] = flags[i]! & PACKET_CONTINUES; // what lay in front of the packet was not copied
    }
    return foreign;
  }

  /** Puts a packet that can never be sent where `completions` finds it, or else among the originals; false when it must wait. */
  #refuse(
    { offset, size, flags, origin }: PacketBatch,
    first: number,
    parts: number,
    outcome: number,
    rings: PacketOrigin,
  ): boolean {
    const refused = this.#refused;
    if (refused !== undefined && refused.room < parts) return false;
    const originals = this.#originals!;
    for (let i = first; i < first + parts; i++) {
      if (refused === undefined) originals.offset[originals.length++] = offset[i]!;
      else refused.add(offset[i]!, size[i]!, flags[i]!, outcome, origin ?? rings);
    }
    return true;
  }
}
