import type { PacketBatch } from './packet-batch.js';

/** What packets came from, and go back to: in general a socket's rings. */
export type PacketOrigin = Pick<SocketRings, 'release' | 'hold' | 'moves'>;

/**
 * The user side of one socket's rings: what a packet socket needs from whatever ring format is underneath. One implementation
 * per format (v4, xdp, v3, v2), each used on both kernels. On the data path there is memory and no system call, until a wake bit
 * asks for one (I1). All calls are for one thread, none throws, none allocates, and
 * each is made once per batch.
 */
export interface SocketRings {
  /**
   * Takes received packets, at most the batch's capacity; the batch must be empty. Packets of several frames are never
   * split over two batches unless one alone exceeds the capacity. The frames belong to the caller until sent or released.
   *
   * @returns packets' entries in the batch; 0 when nothing is there
   */
  receive(batch: PacketBatch): number;
  /** Gives all frames of a batch back, in any order and at any time (I10), and empties it. */
  release(batch: PacketBatch): void;
  /**
   * Says that the program keeps the packets of a batch, for whatever time (I10). In V4 and AF_XDP a packet lies in a frame, which is the
   * program's until it gives it back: nothing happens. In V2 and V3 it lies in the kernel's ring, which stops when the kernel comes
   * around to it: so it is copied into a frame of the packet buffer, `offset` names its place there, and the place in the ring goes
   * back at once. Everything else about the entry stays as it was, and frames are released or sent like any. Packets of the receive ring
   * take frames that are for receiving, slots of the TX ring (from `allocate` or `completions`) those for sending.
   * What has been moved is not moved again. A batch of other rings goes to those.
   *
   * @returns entries that can be kept: all of the batch, in any case in V4 and AF_XDP. The others still lie in the ring, because
   *   no frame is free (then those are the last ones) or the packet is longer than a frame has room for; the buffer's `contains` tells
   */
  hold(batch: PacketBatch): number;
  /**
   * Gets room to write up to `count` packets into: frames of the buffer, or slots of the kernel's ring. Takes nothing that
   * receiving needs. The batch must be empty.
   *
   * @returns entries obtained, whose `size` is the room in bytes
   */
  allocate(batch: PacketBatch, count: number): number;
  /**
   * Posts the first n packets of the batch, compacts the batch to the remainder and returns n; short when the ring is full.
   * Moves frames of its own buffer, copies others (and gives those back to where they came from): what lies anywhere in the arena
   * can be sent. A packet that can never be sent (empty, longer than the interface or a frame takes, across the end of a frame, outside
   * the arena; on V2 and V3 also shorter than an Ethernet header, 14 bytes) is part of n, counted as `unsendable`, and
   * given back; with outcomes asked for, `completions` gives it back.
   */
  send(batch: PacketBatch): number;
  /**
   * With outcomes asked for at opening: packets that came back from sending, theirs to release or send again (I9). Each entry that
   * `send` has counted comes back once. Those that could never be sent come first, with errno EMSGSIZE (90, too long) or EINVAL
   * (22) on every ring format, and lie where they lay. The batch must be empty. Like `receive`, it never
   * splits a packet of several frames unless one alone exceeds the capacity.
   */
  completions(batch: PacketBatch): number;
  /**
   * Posts free frames where the receive ring has room for them; before a wait. `receive` does so by itself.
   *
   * @returns false when the kernel has no frame to receive into, because the buffer has none free: nothing can arrive
   */
  replenish(): boolean;
  /** Whether `receive` would find something. */
  readable(): boolean;
  /** Whether `send` would take something. */
  writable(): boolean;
  /** Whether frames received through `other` can be sent here without a copy. */
  moves(other: PacketOrigin): boolean;
  /** Largest packet the interface sends, in bytes with its Ethernet header; set once bound. Longer ones are unsendable. */
  largestPacket: number;
  /** What the user side itself counts; plain numbers, updated per batch. */
  readonly counters: RingCounters;
  /** Gives the frames that lie in the rings back to their pool; called once, after the kernel has let go of the rings. */
  close(): void;
}

/** Counts of the user side, in packets unless they say otherwise; a packet of several frames counts once. */
export class RingCounters {
  /** Given to the program by `receive`. */
  received = 0;
  /** Posted by `send`; whether they left is another matter (`failed`, the kernel's drops). */
  sent = 0;
  /** `received` in frames: slots or places in a block with V2 and V3, where a packet has one. */
  receivedFrames = 0;
  /** `sent` in frames. */
  sentFrames = 0;
  /** Calls of `receive`. */
  receiveCalls = 0;
  /** Calls of `send`. */
  sendCalls = 0;
  /** Times that the rings asked the kernel to look (system calls on Linux); per packet it is what F1 is about. */
  kicks = 0;
  /** Frames the kernel handed back after sending. */
  completed = 0;
  /** Those of them that came back with an error (I9); always 0 with AF_XDP, whose completions tell no outcome. */
  failed = 0;
  /** Sent by copying, because they came from another buffer or from a V2/V3 ring. */
  copied = 0;
  /**
   * Copied out of a V2/V3 ring into frames: by `hold`, because more than half of the ring was held (I10), or to give a V3 block with few
   * packets back at once.
   */
  copiedOut = 0;
  /** Received only in part, because they did not fit a slot or block of the ring (V2, V3): PACKET_TRUNCATED in the batch. */
  truncated = 0;
  /** Could never be sent: too long for a frame, or not in a packet buffer. */
  unsendable = 0;
  /** Descriptors that the kernel handed back as invalid, or that named no frame of the buffer. */
  invalid = 0;
}
