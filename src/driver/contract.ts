import type { FrameSink, FrameSource, PacketArray, ReceiveEnd } from '../packet-array/packet-array.js';
import type { SteerAction } from '../steering/rule-targets.js';
import type { FlowRule } from '../steering/rules.js';

/** One end of a packet array: where frames come from and where they go. */
export interface ArrayEnd extends FrameSource, FrameSink {
  /** The array is taken down: takes every entry back, done or not. */
  reclaim?(array: PacketArray): void;
  /**
   * The pool that the frames belong to, where the end takes back whatever frame of it an entry names. Two ends of one pool may
   * exchange frames instead of copying (veth between ordinary queues).
   */
  readonly framePool?: object;
  /**
   * Of an end that packets to send come from: bytes of a whole frame, a power of two to which frames are aligned. Programs may let packets grow in
   * them; where it is absent, they cannot.
   */
  readonly frameBytes?: number;
}

/** What the packet arrays of a queue pair are populated from and flushed to. */
export interface QueueEnds {
  readonly receive: ArrayEnd & ReceiveEnd;
  readonly transmit: ArrayEnd;
}

/** What a device says of a received packet beside its bytes (F11); used again for the next one. */
export class ReceiveHints {
  /** Hash over addresses and ports. */
  hash = 0;
  /** What it was made of (enum xdp_rss_hash_type in net/xdp.h). */
  hashType = 0;
  /** The outermost VLAN tag: its protocol in the upper, its control information in the lower 16 bits; 0 where there is none, or the device does not look. */
  vlan = 0;
  /** When the packet arrived: nanoseconds of the kernel's clock. Negative where the device does not know times. */
  time = -1;
}

/** What received packets meet where they would be flushed (K6): an XDP program. */
export interface ReceiveHook {
  /** Whether it reads hints ({@link Driver.readHints}), which devices do not work out otherwise. */
  readonly wantsHints: boolean;
  /**
   * Stands in for `end.flush(array, count)`: sees to the first `count` done entries, whole packets, and advances `array.start` past all of
   * them. Each frame goes to where its packet goes, or back to `end`.
   */
  flush(queue: number, array: PacketArray, count: number, end: QueueEnds['receive']): void;
}

/** What packets to send meet where they would be populated (D1): an XDP program. It stands between a queue's array and its end. */
export interface TransmitHook {
  /** Stands in for `end.populate(array, limit)`. */
  populate(queue: number, array: PacketArray, limit: number, end: ArrayEnd): number;
  /** Stands in for `end.flush(array, count)`. */
  flush(queue: number, array: PacketArray, count: number, end: ArrayEnd): void;
  /** Stands in for `end.reclaim(array)`, after which the array is empty. */
  reclaim(queue: number, array: PacketArray, end: ArrayEnd): void;
}

/**
 * A driver (K1): takes part in zero-copy through two device operations, `setEnds` and `service`, and in XDP through two more. It knows
 * packet arrays, never ring formats; whether the ends of a queue's arrays are a user's rings or the kernel's page pool makes no
 * difference to it (F8: one code path).
 */
export interface Driver {
  /** Interface name. */
  readonly name: string;
  /** Driver name, as `ethtool -i` says it. */
  readonly driver: string;
  readonly queues: number;
  /** Bytes without Ethernet header. */
  readonly mtu: number;
  readonly mac: string;
  /** Whether the link is up. */
  readonly up: boolean;
  /** Whether queues can work on a user's frames in place. */
  readonly zeroCopy: boolean;
  /**
   * The transmit queue of ordinary traffic, behind the queue pairs (number `queues`), so that copies can be sent while every
   * pair works for a socket in place. Real drivers keep such queues too, the other way round: for XDP.
   */
  readonly ordinaryQueue: number;

  /**
   * Device operation 1: gives a queue pair other ends, or with `undefined` the ordinary ones. What its arrays hold goes back
   * first; packets on their way are lost and counted.
   */
  setEnds(queue: number, ends: QueueEnds | undefined): void;
  /**
   * Device operation 2, the kick: takes what is posted at the queue's ends: packets to send, empty frames to receive into, or
   * both when no direction is named.
   * @returns frames taken
   */
  service(queue: number, direction?: 'receive' | 'transmit'): number;
  /**
   * Device operation 3, for XDP (D1): has what all queues receive meet a hook, or with `undefined` none, from the next flush on. Arrays
   * and what is on its way stay as they are.
   */
  setReceiveHook(hook: ReceiveHook | undefined): void;
  /** Device operation 4, for XDP (D1): the same for what all queues send. */
  setTransmitHook(hook: TransmitHook | undefined): void;
  /**
   * Says what the device has found out about a packet, for the hook that wants hints, while it sees to the array.
   *
   * @param entry of its first frame
   */
  readHints(array: PacketArray, queue: number, entry: number, hints: ReceiveHints): void;
  /** Lets the device work for up to `budget` packets each way: wire, DMA, interrupts. Returns packets moved. */
  advance(now: number, budget: number): number;
  /** Serves the queues that have raised an interrupt, up to `budget` packets each (NAPI). Returns packets handled. */
  poll(budget: number): number;
  /** When `advance` will next have something to do by itself, in nanoseconds; Infinity for never. */
  nextEvent(now: number): number;

  /**
   * Steers what a rule matches to a queue (X2, Q1, Q4), while traffic runs. Of several rules that match, the one that fixes most bits
   * wins, and of equals the oldest, whoever has added them. The action counts, not the rule's own `to`.
   *
   * @param queue to which packets go, or on whose account they are dropped (`rx_queue_N_rule_drops`)
   * @returns a handle for `unsteer`
   * @throws PacketError RULES_UNSUPPORTED, FLOW_TABLE_FULL, NO_QUEUE
   */
  steer(rule: FlowRule, queue: number, action?: SteerAction): number;
  unsteer(handle: number): void;
  /** Whether packets that no rule steers reach this queue. */
  spreadsTo(queue: number): boolean;
  /** Keeps packets that no rule steers away from a queue, or lets them back. Returns false when that cannot be done. */
  setSpread(queue: number, on: boolean): boolean;

  setLink(up: boolean): void;
  /** Counters in the manner of `ethtool -S`. */
  statistics(): Record<string, number>;
  close(): void;
}
