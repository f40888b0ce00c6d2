import type { TransmitMetadata } from '../../kernel/contract.js';
import { addToChecksum, finishChecksum } from '../../packet/checksum.js';
import { ASKS_TIME, ERROR_MASK, type PacketArray } from '../../packet-array/packet-array.js';
import { TRANSMIT_METADATA_BYTES } from './layout.js';
import { NANOSECONDS_PER_SECOND, nanosecondsOf, secondsOf, writeTime } from './metadata-time.js';
import { CHECKSUM, CHECKSUM_AT, FLAGS, LAUNCH, LAUNCH_TIME, TIME_SENT, TIMESTAMP } from './transmit-metadata.js';

/** Answer to a packet: its launch time has not come. */
export const HELD = -1;
/** Answer to a packet: what it asks for makes no sense. */
export const REFUSED = -2;

/** The kernel's time. */
export interface KernelTime {
  /** Nanoseconds since the clock's start, as of the kernel's last step. */
  readonly now: number;
  /** When that start was, in milliseconds since 1970. */
  readonly clock: { readonly epochMilliseconds: number };
}

/**
 * The kernel side of metadata in front of packets (transmit-metadata.ts has its layout): fills in checksums, holds packets back until their
 * launch time, and notes when they were sent. Times are nanoseconds since 1970 by the kernel's clock. The application may change the metadata
 * meanwhile: each word is read once.
 */
export class TransmitRequests {
  /** Whether packets may ask when they were sent. */
  readonly timestamps: boolean;
  /**
   * When the packet is due that was held last, in nanoseconds of the kernel's clock; Infinity where that is further away than the clock can
   * count, or be moved on to, by single nanoseconds (104 days from its start).
   */
  heldUntil = Number.POSITIVE_INFINITY;
  readonly #i32: Int32Array;
  readonly #u8: Uint8Array;
  readonly #time: KernelTime;
  /** Flags that packets may have. */
  readonly #allowed: number;
  /** The clock's start, since 1970. */
  readonly #startSeconds: number;
  readonly #startNanoseconds: number;

  constructor(arena: { i32: Int32Array; u8: Uint8Array }, allowed: TransmitMetadata, time: KernelTime) {
    const { checksums, timestamps, launchTimes } = allowed;
    this.timestamps = timestamps;
    this.#i32 = arena.i32;
    this.#u8 = arena.u8;
    this.#time = time;
    this.#allowed = (checksums ? CHECKSUM : 0) | (timestamps ? TIMESTAMP : 0) | (launchTimes ? LAUNCH : 0);
    const { epochMilliseconds } = time.clock;
    this.#startSeconds = Math.floor(epochMilliseconds / 1000);
    this.#startNanoseconds = Math.floor((epochMilliseconds - this.#startSeconds * 1000) * 1e6);
  }

  /**
   * Does what can be done for a packet before it is sent. A packet that is held has not been changed, and is asked about again.
   *
   * @param address arena offset of the packet's first byte
   * @param inFrame bytes from its frame's start to there
   * @param bytes of the packet, all in that frame
   * @returns flags of its array entry; HELD; or REFUSED where there is no room for metadata, it asks for what the socket was not opened for, or
   *   for a checksum outside the packet
   */
  meet(address: number, inFrame: number, bytes: number): number {
    if (inFrame < TRANSMIT_METADATA_BYTES || (address & 3) !== 0) return REFUSED;
    const i32 = this.#i32;
    const word = (address - TRANSMIT_METADATA_BYTES) >> 2;
    const flags = i32[word + FLAGS]!;
    if ((flags & ~this.#allowed) !== 0 || i32[word + FLAGS + 1] !== 0) return REFUSED;
    const places = i32[word + CHECKSUM_AT]!;
    const start = places & 0xffff;
    const field = start + (places >>> 16);
    if ((flags & CHECKSUM) !== 0 && field + 2 > bytes) return REFUSED;
    if ((flags & LAUNCH) !== 0 && this.#early(i32[word + LAUNCH_TIME]!, i32[word + LAUNCH_TIME + 1]!)) return HELD;
    if ((flags & CHECKSUM) !== 0) {
      const sum = finishChecksum(addToChecksum(0, this.#u8, address + start, bytes - start));
      this.#u8[address + field] = sum >> 8;
      this.#u8[address + field + 1] = sum;
    }
    return (flags & TIMESTAMP) === 0 ? 0 : ASKS_TIME;
  }

  /** Whether a launch time, given by its words, has not come. */
  #early(low: number, high: number): boolean {
    const seconds = secondsOf(low, high) - this.#startSeconds;
    const due = seconds * NANOSECONDS_PER_SECOND + (nanosecondsOf(low, high) - this.#startNanoseconds);
    this.heldUntil = due <= Number.MAX_SAFE_INTEGER ? due : Number.POSITIVE_INFINITY;
    return due > this.#time.now;
  }

  /** Writes the present time in front of those of the first `count` done packets that ask for it, and 0 where they were not sent. */
  tellTimes({ address, flags, mask, start }: PacketArray, count: number): void {
    const { now } = this.#time;
    const whole = Math.floor(now / NANOSECONDS_PER_SECOND);
    const rest = Math.floor(now - whole * NANOSECONDS_PER_SECOND) + this.#startNanoseconds;
    const carry = rest >= NANOSECONDS_PER_SECOND ? 1 : 0;
    const seconds = this.#startSeconds + whole + carry;
    const nanoseconds = rest - carry * NANOSECONDS_PER_SECOND;
    for (let i = 0; i < count; i++) {
      const at = (start + i) & mask;
      const state = flags[at]!;
      if ((state & ASKS_TIME) === 0) continue;
      const word = ((address[at]! - TRANSMIT_METADATA_BYTES) >> 2) + TIME_SENT;
      const sent = (state & ERROR_MASK) === 0;
      writeTime(this.#i32, word, sent ? seconds : 0, sent ? nanoseconds : 0);
    }
  }
}
