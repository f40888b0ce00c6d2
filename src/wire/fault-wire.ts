import type { Arena } from '../arena/arena.js';
import { WireCounters, type WireEnds, type WireSink, type WireSource } from './contract.js';
import { FaultCounts, FaultInjector } from './fault-injector.js';
import { type FaultOptions, hasFaults } from './fault-options.js';
import { FlappingLink } from './flapping-link.js';

/** Puts faults on both ends of a wire, whose owner it becomes. @throws PacketError ARENA_EXHAUSTED */
export function addFaults(arena: Arena, options: FaultOptions, ends: WireEnds): { source: WireSource; sink: WireSink } {
  const { seed = 1, flap } = options;
  const link = new FlappingLink(flap?.upNanoseconds ?? Number.POSITIVE_INFINITY, flap?.downNanoseconds ?? 0);
  const sinkCounts = new FaultCounts();
  const sourceCounts = new FaultCounts();
  let transmit: FaultInjector | undefined;
  let receive: FaultInjector | undefined;
  try {
    // The directions must not meet the same fate.
    if (hasFaults(options, 'transmit')) transmit = new FaultInjector(arena, options, ~seed, sinkCounts);
    if (hasFaults(options, 'receive')) receive = new FaultInjector(arena, options, seed, sourceCounts);
  } catch (error) {
    transmit?.close();
    throw error;
  }
  const sink = new FaultSink(ends.sink, transmit, link, sinkCounts);
  return { source: new FaultSource(arena, ends.source, receive, link, sourceCounts, sink), sink };
}

/** The sending end of a wire with faults. */
class FaultSink implements WireSink {
  readonly counters = new WireCounters();

  constructor(
    readonly inner: WireSink,
    private readonly injector: FaultInjector | undefined,
    private readonly link: FlappingLink,
    readonly details: FaultCounts,
  ) {}

  transmit(list: number, count: number, now: number): void {
    const { injector, link, counters, details } = this;
    link.look(now);
    counters.packets += count;
    if (!link.up) {
      counters.lost += count;
      details.fault_link_down += count;
      return;
    }
    if (injector === undefined) {
      this.inner.transmit(list, count, now);
      return;
    }
    const dropped = details.fault_dropped;
    for (let done = 0; done < count; ) {
      done += injector.inject(list + done * 8, count - done, now);
      if (injector.produced > 0) this.inner.transmit(injector.list, injector.produced, now);
    }
    counters.lost += details.fault_dropped - dropped;
  }

  /** When `release` has something to do, in nanoseconds; Infinity for never. */
  get deadline(): number {
    return this.injector === undefined ? Number.POSITIVE_INFINITY : this.injector.deadline;
  }

  /** Sends a packet that was held back for too long. The device calls a sink only when it sends, so the source does it. */
  release(now: number): void {
    const { injector } = this;
    if (injector === undefined || now < injector.deadline) return;
    injector.releaseOverdue(now);
    if (this.link.up) {
      this.inner.transmit(injector.list, injector.produced, now);
    } else {
      this.counters.lost += injector.produced;
      this.details.fault_link_down += injector.produced;
    }
  }

  close(): void {
    this.injector?.close();
    this.inner.close();
  }
}

/**
 * The receiving end of a wire with faults. What the injector has made of a batch of the inner source is offered until all of it
 * is taken; only then is the batch taken from the inner source.
 */
class FaultSource implements WireSource {
  readonly counters = new WireCounters();
  readonly #i32: Int32Array;
  /** Packets produced and not taken yet, and where they begin in the injector's list. */
  #pending = 0;
  #position = 0;
  /** Packets of the inner source that they were made of. */
  #batch = 0;

  constructor(
    arena: Arena,
    readonly inner: WireSource,
    private readonly injector: FaultInjector | undefined,
    private readonly link: FlappingLink,
    readonly details: FaultCounts,
    private readonly sink: FaultSink,
  ) {
    this.#i32 = arena.i32;
  }

  get up(): boolean {
    return this.link.up && this.inner.up;
  }

  /** While the link is down every device must go on asking: that is how this end comes to know the time. */
  get patient(): boolean {
    return this.link.up && this.inner.patient;
  }

  get list(): number {
    return this.injector === undefined ? this.inner.list : this.injector.list + this.#position * 8;
  }

  offer(limit: number, now: number): number {
    const { link, inner, injector } = this;
    const wasUp = link.up;
    link.look(now);
    this.sink.release(now);
    if (!link.up && !inner.patient) this.#lose(limit, now);
    // A device that took the link for down would count what it gets as lost.
    if (!link.up || !wasUp) return 0;
    if (injector === undefined) return inner.offer(limit, now);
    if (this.#pending === 0) this.#refill(injector, limit, now);
    return Math.min(this.#pending, limit);
  }

  #refill(injector: FaultInjector, limit: number, now: number): void {
    const { inner, counters, details } = this;
    const offered = inner.offer(limit, now);
    this.#position = 0;
    if (offered === 0) {
      injector.releaseOverdue(now);
      this.#pending = injector.produced;
      return;
    }
    const before = details.fault_dropped;
    this.#batch = injector.inject(inner.list, offered, now);
    this.#pending = injector.produced;
    const dropped = details.fault_dropped - before;
    counters.packets += dropped;
    counters.lost += dropped;
    if (this.#pending === 0) this.#takeBatch();
  }

  /** The link is down, and the sender does not wait: what arrives by now is gone, and so is what was offered before. */
  #lose(limit: number, now: number): void {
    const { inner, counters } = this;
    let lost = this.#pending;
    this.#pending = 0;
    this.#takeBatch();
    const offered = inner.offer(limit, now);
    inner.take(offered);
    lost += offered;
    counters.packets += lost;
    counters.lost += lost;
    this.details.fault_link_down += lost;
  }

  take(count: number): void {
    const { counters } = this;
    const pairs = this.list >> 2;
    for (let i = 0; i < count; i++) counters.bytes += this.#i32[pairs + 2 * i + 1]!;
    counters.packets += count;
    if (this.injector === undefined) {
      this.inner.take(count);
      return;
    }
    this.#position += count;
    this.#pending -= count;
    if (this.#pending === 0) this.#takeBatch();
  }

  #takeBatch(): void {
    if (this.#batch > 0) this.inner.take(this.#batch);
    this.#batch = 0;
  }

  nextArrival(now: number): number {
    const { inner, injector, link } = this;
    if (this.#pending > 0) return link.upFrom(now);
    let next = inner.nextArrival(now);
    if (injector !== undefined && injector.deadline < next) next = injector.deadline;
    if (this.sink.deadline < next) next = this.sink.deadline;
    // What a sender does not hold back is lost at its time, so that it does not come later.
    return inner.patient ? link.upFrom(next) : next;
  }

  close(): void {
    this.injector?.close();
    this.inner.close();
  }
}
