import type { Arena } from '../../src/arena/arena.js';
import { WireCounters, type WireEnds, type WireSink, type WireSource } from '../../src/wire/contract.js';

/** A wire by hand: a test puts packets on it, and sees what the device sends. */
export class FakeWire implements WireEnds {
  readonly source: FakeSource;
  readonly sink: FakeSink;

  constructor(arena: Arena, { patient = true } = {}) {
    this.source = new FakeSource(arena, patient);
    this.sink = new FakeSink(arena);
  }

  /** Packets that come to the device. */
  arrive(...packets: readonly Uint8Array[]): void {
    for (const packet of packets) this.source.add(packet);
  }
}

const MOST_PACKETS = 4096;

class FakeSource implements WireSource {
  readonly counters = new WireCounters();
  up = true;
  /** When the next packet arrives, if there is one. */
  arrival = 0;
  readonly #arena: Arena;
  readonly #list: number;
  readonly #data: number;
  readonly #dataBytes = 2 ** 21;
  #at: number;
  #first = 0;
  #count = 0;

  constructor(
    arena: Arena,
    readonly patient: boolean,
  ) {
    this.#arena = arena;
    this.#list = arena.allocate(MOST_PACKETS * 8).offset;
    this.#data = arena.allocate(this.#dataBytes).offset;
    this.#at = this.#data;
  }

  add(packet: Uint8Array): void {
    if (this.#first === this.#count) {
      this.#first = this.#count = 0;
      this.#at = this.#data;
    }
    if (this.#at + packet.length > this.#data + this.#dataBytes) throw new Error('too much for this wire');
    this.#arena.u8.set(packet, this.#at);
    this.#arena.i32[(this.#list >> 2) + this.#count * 2] = this.#at;
    this.#arena.i32[(this.#list >> 2) + this.#count * 2 + 1] = packet.length;
    this.#at += packet.length;
    this.#count++;
  }

  get waiting(): number {
    return this.#count - this.#first;
  }

  get list(): number {
    return this.#list + this.#first * 8;
  }

  offer(limit: number, now: number): number {
    return now < this.arrival ? 0 : Math.min(limit, this.waiting);
  }

  take(count: number): void {
    this.#first += count;
    this.counters.packets += count;
  }

  nextArrival(now: number): number {
    return this.waiting === 0 ? Number.POSITIVE_INFINITY : Math.max(now, this.arrival);
  }

  close(): void {}
}

class FakeSink implements WireSink {
  readonly counters = new WireCounters();
  /** Everything the device has sent. */
  readonly packets: Uint8Array[] = [];

  constructor(private readonly arena: Arena) {}

  transmit(list: number, count: number): void {
    const { i32, u8 } = this.arena;
    for (let i = 0; i < count; i++) {
      const at = i32[(list >> 2) + i * 2]!;
      this.packets.push(u8.slice(at, at + i32[(list >> 2) + i * 2 + 1]!));
    }
    this.counters.packets += count;
  }

  close(): void {}
}
