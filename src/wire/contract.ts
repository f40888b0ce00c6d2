/**
 * A wire end: what a device hangs on. Packets on it lie in the arena and are listed as pairs of words [ address | length ],
 * so that the device's DMA reads whole batches. Everything is called once per batch, by the kernel's thread.
 */
export interface WireSource {
  /**
   * Offers the packets that have arrived by `now` (nanoseconds), at most `limit`; they stay offered until taken. The pairs lie
   * at {@link WireSource.list}.
   * @returns packets offered
   */
  offer(limit: number, now: number): number;
  /** Arena byte offset of the first offered pair; valid until the next `offer`. */
  readonly list: number;
  /** The device has taken the first `count` offered packets, or the wire lost them. */
  take(count: number): void;
  /**
   * Whether the sender holds packets back when the device has no room (pause frames) or the link is down; else they are lost, and
   * the device goes on asking for them. A flapping wire says no while it is down, as it comes to know the time by being asked.
   */
  readonly patient: boolean;
  /** When `offer` will next have something, in nanoseconds; Infinity for never. */
  nextArrival(now: number): number;
  /** Whether the wire carries at the moment (fault injection may flap it). */
  readonly up: boolean;
  readonly counters: WireCounters;
  /** Counts that only this kind of wire has, by name. */
  readonly details?: Readonly<Record<string, number>>;
  /** The source that this one wraps; what it has lost is lost, too. */
  readonly inner?: WireSource;
  close(): void;
}

/** The other direction. */
export interface WireSink {
  /** Puts packets on the wire; the list and the data are only valid during the call. */
  transmit(list: number, count: number, now: number): void;
  readonly counters: WireCounters;
  /** Counts that only this kind of wire has, by name. */
  readonly details?: Readonly<Record<string, number>>;
  /** The sink that this one wraps; what it has lost is lost, too. */
  readonly inner?: WireSink;
  close(): void;
}

/** Both directions of a wire. */
export interface WireEnds {
  readonly source: WireSource;
  readonly sink: WireSink;
}

/** What one direction of a wire has seen. */
export class WireCounters {
  /** Packets that were sent, lost ones among them. */
  packets = 0;
  /** Their bytes, without FCS; sinks that do not look at each packet leave this count to the device. */
  bytes = 0;
  /** Packets that never came to the other end. */
  lost = 0;
}
