import assert from 'node:assert/strict';
import { Arena } from '../arena/arena.js';
import { PcapWriter } from '../capture-file/pcap-writer.js';
import { type Random, randomBytes } from '../packet/test-support.js';
import { WireCounters, type WireSink, type WireSource } from './contract.js';

export function smallArena(bytes = 2 ** 23): Arena {
  return Arena.create(bytes);
}

export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Packets of random bytes and lengths, each as hexadecimal digits. */
export function randomPackets(random: Random, count: number, longest = 1514): string[] {
  return Array.from({ length: count }, () => toHex(randomBytes(random, 14 + random(longest - 13))));
}

/** Reads the packets of a list. */
export function readList(arena: Arena, list: number, count: number): string[] {
  return Array.from({ length: count }, (_, i) => {
    const address = arena.i32[(list >> 2) + 2 * i]!;
    const length = arena.i32[(list >> 2) + 2 * i + 1]!;
    return toHex(arena.u8.slice(address, address + length));
  });
}

/** Packets of a device in its own memory, for sinks. They are overwritten after `send`, as a device does it. */
export class Sender {
  readonly #list: number;

  constructor(private readonly arena: Arena) {
    this.#list = arena.allocate(2 ** 21).offset;
  }

  send(sink: WireSink, packets: readonly string[], now = 0): void {
    const { u8, i32 } = this.arena;
    let at = this.#list + 4096;
    packets.forEach((packet, i) => {
      const bytes = Buffer.from(packet, 'hex');
      i32[(this.#list >> 2) + 2 * i] = at;
      i32[(this.#list >> 2) + 2 * i + 1] = bytes.length;
      u8.set(bytes, at);
      at += bytes.length;
    });
    sink.transmit(this.#list, packets.length, now);
    u8.fill(0xee, this.#list, at);
  }
}

/** Keeps what was sent. */
export class Collector implements WireSink {
  readonly counters = new WireCounters();
  readonly packets: string[] = [];
  readonly times: number[] = [];
  closed = 0;

  constructor(private readonly arena: Arena) {}

  transmit(list: number, count: number, now: number): void {
    this.packets.push(...readList(this.arena, list, count));
    for (let i = 0; i < count; i++) this.times.push(now);
    this.counters.packets += count;
  }

  close(): void {
    this.closed++;
  }
}

/** Offers given packets as they are let go, and checks that its user keeps to the contract. */
export class ScriptedSource implements WireSource {
  readonly counters = new WireCounters();
  readonly list: number;
  patient = true;
  up = true;
  closed = 0;
  /** Packets that may be offered already. */
  released: number;
  taken = 0;
  readonly #packets: readonly string[];
  readonly #data: number;
  #offered = 0;

  constructor(
    private readonly arena: Arena,
    packets: readonly string[],
  ) {
    this.#packets = packets;
    this.released = packets.length;
    this.list = arena.allocate(2 ** 20).offset;
    this.#data = this.list + 4096;
  }

  /** The offered packets are written again each time: whoever still reads those taken sees other bytes. */
  offer(limit: number): number {
    const { u8, i32 } = this.arena;
    const count = Math.min(limit, this.released - this.taken, 256);
    let at = this.#data;
    for (let i = 0; i < count; i++) {
      const bytes = Buffer.from(this.#packets[this.taken + i]!, 'hex');
      i32[(this.list >> 2) + 2 * i] = at;
      i32[(this.list >> 2) + 2 * i + 1] = bytes.length;
      u8.set(bytes, at);
      at += bytes.length;
    }
    this.#offered = count;
    return count;
  }

  take(count: number): void {
    assert.ok(count >= 0 && count <= this.#offered, `took ${count} of ${this.#offered}`);
    // What was offered is as it was: nobody may write into it.
    const offered = readList(this.arena, this.list, this.#offered);
    assert.deepEqual(offered, this.#packets.slice(this.taken, this.taken + this.#offered));
    this.taken += count;
    this.#offered -= count;
    this.counters.packets += count;
    this.arena.u8.fill(0xdd, this.#data, this.#data + 2 ** 19);
    if (this.#offered > 0) this.offer(this.#offered);
  }

  nextArrival(now: number): number {
    return this.released > this.taken ? now : Number.POSITIVE_INFINITY;
  }

  close(): void {
    this.closed++;
  }
}

/** Receives as a device does: everything offered is looked at, and some or all of it is taken. */
export function receive(
  arena: Arena,
  source: WireSource,
  now: number,
  limit = 64,
  take: (offered: number) => number = (offered) => offered,
): string[] {
  const offered = source.offer(limit, now);
  assert.ok(offered >= 0 && offered <= limit);
  const packets = readList(arena, source.list, offered);
  const taken = take(offered);
  source.take(taken);
  return packets.slice(0, taken);
}

/** A packet of a capture file to be made. */
export interface Recorded {
  readonly data: string;
  /** Nanoseconds since 1970. */
  readonly time: number;
  readonly originalLength?: number;
}

export function pcapOf(packets: readonly Recorded[], linkType = 1): Uint8Array {
  const chunks: Uint8Array[] = [];
  const writer = new PcapWriter({ write: (chunk) => void chunks.push(chunk) }, { linkType });
  for (const { data, time, originalLength } of packets) {
    const bytes = Buffer.from(data, 'hex');
    const seconds = Math.floor(time / 1e9);
    writer.write(bytes, 0, bytes.length, seconds, time - seconds * 1e9, originalLength ?? bytes.length);
  }
  writer.flush();
  return new Uint8Array(Buffer.concat(chunks));
}
