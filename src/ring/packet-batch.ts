import { checkInteger } from '../errors.js';
import type { PacketOrigin } from './socket-rings.js';

/** Flag of a batch entry: the packet continues in the next entry (F9; `(RFC)` descriptor flag bit 0, Linux XDP_PKT_CONTD). */
export const PACKET_CONTINUES = 1;
/**
 * Flag of a received entry: only the beginning of the packet is here, because it did not fit the ring's slot or block (V2, V3:
 * tp_snaplen below tp_len); `PacketBatch.originalSize` says how long it was. Sending such an entry sends what is here.
 */
export const PACKET_TRUNCATED = 2;
/** Flag of a batch entry: metadata for sending lies in front of the packet. Set by `PacketSocket.requestChecksum`, `requestTimestamp` and `requestLaunchTime`. */
export const PACKET_METADATA = 4;
/**
 * Flag of a received entry (V2 and V3 on Linux: TP_STATUS_CSUMNOTREADY): a TCP, UDP or SCTP checksum is not filled in yet, because the
 * packet comes from the stack of this machine, or of a container or virtual machine on it, which leaves that to the device. Nothing is
 * wrong with the packet, so do not check that checksum; whoever sends the packet on must fill it in.
 */
export const PACKET_CHECKSUM_NOT_READY = 8;

/** Outcome of a frame that was sent, in `PacketBatch.outcome` (I9). Positive values are errno. */
export const OUTCOME_SENT = 0;
/** The kernel handed the frame back and does not tell whether it was sent. */
export const OUTCOME_UNKNOWN = -1;

/**
 * The currency of packet sockets: columns that describe up to `capacity` packets. It refers to packets where they lie, in the
 * arena; it holds no data. Whoever holds the batch holds its frames until they are sent or released (I10).
 */
export class PacketBatch {
  /** Most entries that it has room for; the length of every column. */
  readonly capacity: number;
  /** Entries in use. */
  length = 0;
  /** Arena offset of each packet's first byte. */
  readonly offset: Int32Array;
  /** Bytes of each packet; after `allocate`, the bytes there are to write into. */
  readonly size: Int32Array;
  /** {@link PACKET_CONTINUES}, {@link PACKET_TRUNCATED}, {@link PACKET_CHECKSUM_NOT_READY}, any of them, or 0. */
  readonly flags: Int32Array;
  /** Bytes that a received packet had before it was cut; only where `flags` has {@link PACKET_TRUNCATED}. */
  readonly originalSize: Int32Array;
  /** After `completions`: {@link OUTCOME_SENT}, {@link OUTCOME_UNKNOWN} or an errno. */
  readonly outcome: Int32Array;
  /**
   * When the packet was received, in whole seconds since 1970; only after receiving from V2 and V3, whose rings tell. After
   * `completions`: when it was sent, where that was asked for (`PacketSocket.requestTimestamp`), else 0.
   */
  readonly seconds: Uint32Array;
  /** The rest of that time in nanoseconds, 0 to 999,999,999. */
  readonly nanoseconds: Uint32Array;
  /** The rings that the entries came from; null for an empty or self-made batch. */
  origin: PacketOrigin | null = null;

  /** @param capacity most packets it can describe, 1 to 65536. @throws PacketError INVALID_OPTION */
  constructor(capacity = 64) {
    this.capacity = checkInteger('batch capacity', capacity, 1, 65536);
    this.offset = new Int32Array(capacity);
    this.size = new Int32Array(capacity);
    this.flags = new Int32Array(capacity);
    this.originalSize = new Int32Array(capacity);
    this.outcome = new Int32Array(capacity);
    this.seconds = new Uint32Array(capacity);
    this.nanoseconds = new Uint32Array(capacity);
  }

  /** Whether `send` on a socket with these rings moves the frames instead of copying them (I5). */
  movable(to: PacketOrigin): boolean {
    return this.origin !== null && to.moves(this.origin);
  }

  /**
   * Appends an entry of another batch, with all that is known of it. Numbers are copied, no data: the packet is in both batches then, and
   * may be sent or released through one of them. What is left of the other one is nobody's: set its `length` to 0 when each entry
   * has gone somewhere.
   *
   * @returns false, and nothing was done, when this batch is full, there is no such entry, or this batch has packets of a socket whose
   *   frames are not the entry's (another packet buffer, or a ring of V2 or V3)
   */
  append(from: PacketBatch, index: number): boolean {
    const at = this.length;
    if (at === this.capacity || index >>> 0 >= from.length) return false;
    const { origin } = from;
    if (at === 0) this.origin = origin;
    else if (origin !== this.origin && (this.origin === null || !from.movable(this.origin))) return false;
    this.offset[at] = from.offset[index]!;
    this.size[at] = from.size[index]!;
    this.flags[at] = from.flags[index]!;
    this.originalSize[at] = from.originalSize[index]!;
    this.outcome[at] = from.outcome[index]!;
    this.seconds[at] = from.seconds[index]!;
    this.nanoseconds[at] = from.nanoseconds[index]!;
    this.length = at + 1;
    return true;
  }

  /** Drops the first `count` entries; the rest moves to the front. The frames of those entries are somebody else's now. */
  dropFirst(count: number): void {
    const rest = this.length - count;
    if (rest > 0) {
      this.offset.copyWithin(0, count, this.length);
      this.size.copyWithin(0, count, this.length);
      this.flags.copyWithin(0, count, this.length);
      this.originalSize.copyWithin(0, count, this.length);
      this.outcome.copyWithin(0, count, this.length);
      this.seconds.copyWithin(0, count, this.length);
      this.nanoseconds.copyWithin(0, count, this.length);
    }
    this.length = rest;
    if (rest === 0) this.origin = null;
  }
}
