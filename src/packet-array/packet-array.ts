import { checkPowerOfTwo } from '../errors.js';

/**
 * Packet arrays (K2), and what can be at their ends.
 *
 * @module
 */

/** Most frames of one packet, as Linux has it (MAX_SKB_FRAGS and the head). */
export const MOST_PARTS = 18;

/** Entry flags: the errno to report with the entry, or 0. */
export const ERROR_MASK = 0xff;
/** Entry flag: the packet continues in the next entry (F9). Error and flag lie as in the upper half of a V4 descriptor's word. */
export const CONTINUES = 1 << 8;
/** Entry flag: the device has finished with this entry although entries before it are still outstanding. */
export const COMPLETED = 1 << 16;
/** Entry flag of packets to send: whoever populated the entry wants to know at its flush that the packet asks when it was sent. */
export const ASKS_TIME = 1 << 17;

/**
 * A packet array (K2): the kernel side's collection of frames that stand for packets. Columns, one entry per frame, in a ring:
 *
 *        start             current               end              start + size
 *     ---+-----------------+---------------------+----------------+---
 *        | done: flushable | outstanding: with   | room to        |
 *        |                 | the device          | populate       |
 *     ---+-----------------+---------------------+----------------+---
 *          flush() ->         walk, advance() ->    populate() ->
 *
 * `start`, `current` and `end` run freely (modulo 2^32, as signed words) and are masked on access. The array is independent
 * of the ring formats at its ends (F4): it is populated from any {@link FrameSource} and flushed to any {@link FrameSink}.
 * It lives outside the arena: no application can write it. Few columns on purpose: each costs a pass over a batch about half a
 * nanosecond a packet; a frame's start and the offset of the data in it follow from the address, since frames are aligned.
 */
export class PacketArray {
  /** Entries, a power of two. */
  readonly size: number;
  /** `size - 1`: an index and it is the entry of the columns. */
  readonly mask: number;
  /** Arena offset of the packet's first byte (or where it will be). */
  readonly address: Int32Array;
  /** Bytes of the packet (or part of it) in this frame. Undefined, like the flags, in an empty receive frame until it is filled. */
  readonly length: Int32Array;
  /** Error, {@link CONTINUES}, {@link COMPLETED}, {@link ASKS_TIME}. */
  readonly flags: Int32Array;
  /** Free for whoever populates: which socket and descriptor an ordinary frame belongs to. */
  readonly cookie: Int32Array;
  /** Oldest entry, the next to be flushed; free-running. */
  start = 0;
  /** First entry that the device has not finished with; free-running. */
  current = 0;
  /** One past the newest entry, the next to be populated; free-running. */
  end = 0;

  /** @param size entries, a power of two, 2 to 65536 */
  constructor(size: number) {
    this.size = checkPowerOfTwo('packet array size', size, 2, 65536);
    this.mask = size - 1;
    this.address = new Int32Array(size);
    this.length = new Int32Array(size);
    this.flags = new Int32Array(size);
    this.cookie = new Int32Array(size);
  }

  /** Entries that can be flushed. */
  get done(): number {
    return (this.current - this.start) | 0;
  }

  /** Entries populated and not yet done. */
  get outstanding(): number {
    return (this.end - this.current) | 0;
  }

  /** Entries that can be populated. */
  get room(): number {
    return this.size - ((this.end - this.start) | 0);
  }

  /** Adds one entry by reference: no data moves. The caller has checked `room`. */
  add(address: number, length: number, flags: number, cookie: number): void {
    const at = this.end & this.mask;
    this.address[at] = address;
    this.length[at] = length;
    this.flags[at] = flags;
    this.cookie[at] = cookie;
    this.end = (this.end + 1) | 0;
  }

  /** Marks the first `count` outstanding entries done, in order. */
  advance(count: number): void {
    this.current = (this.current + count) | 0;
  }

  /**
   * Marks one outstanding entry completed, in any order; entries become flushable when all before them are (I9: "flush of
   * completed frames only").
   *
   * @param index free-running index of the entry
   */
  complete(index: number, error: number): void {
    const at = index & this.mask;
    this.flags[at] = this.flags[at]! | COMPLETED | error;
    while (this.current !== this.end && (this.flags[this.current & this.mask]! & COMPLETED) !== 0) {
      this.current = (this.current + 1) | 0;
    }
  }

  /** Forgets all entries: the frames are somebody else's business (a ring that was taken down). */
  reset(): void {
    this.start = this.current = this.end = 0;
  }
}

/** The end of a packet array that frames come from: a user's ring, the page pool, a transmit queue. */
export interface FrameSource {
  /**
   * Pulls at most `limit` frames into the array (never more than its room), validating each at the level of the source (X3).
   * What does not pass never reaches the array.
   * @returns entries added
   */
  populate(array: PacketArray, limit: number): number;
}

/** A source of empty frames to receive into. They are alike: the device learns their room once, not frame by frame. */
export interface EmptyFrameSource extends FrameSource {
  /** Bytes that a packet may fill in each frame. */
  readonly room: number;
}

/** What packets are received into: empty frames come from it and filled ones go to it. */
export interface ReceiveEnd extends EmptyFrameSource, FrameSink {
  /** Bytes of a whole frame, a power of two; frames are aligned to it. Between its start and the packet is headroom. */
  readonly frameBytes: number;
  /**
   * Takes frames back whose packets will not be flushed here (an XDP program has dropped them, say). They are the next to be populated.
   *
   * @param frames any arena offset within each; read during the call only
   */
  recycle(frames: Int32Array, count: number): void;
}

/** The end of a packet array that frames go to: a user's ring, the packet core, the page pool. */
export interface FrameSink {
  /**
   * Takes the first `count` done entries (start onwards; never more than `array.done`) and advances `array.start` past all of
   * them. What it cannot deliver it counts as a drop, and keeps the frame for the source's next populate.
   */
  flush(array: PacketArray, count: number): void;
}
