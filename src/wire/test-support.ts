import { Arena, type Region } from '../arena/arena.js';
import { PcapWriter } from '../capture-file/pcap-writer.js';
import { joinBytes } from '../capture-file/test-support.js';
import { type Random, randomBytes, seeded } from '../packet/test-support.js';
import { WireCounters, type WireSink, type WireSource } from './contract.js';

export function smallArena(bytes = 2 ** 23): Arena {
  return Arena.create(bytes);
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i++) text += HEX[bytes[i]!];
  return text;
}

export function fromHex(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length >> 1);
  for (let i = 0; i < bytes.length; i++) bytes[i] = (digit(text, 2 * i) << 4) | digit(text, 2 * i + 1);
  return bytes;
}

function digit(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code < 58 ? code - 48 : code - 87;
}

const NOISE_BYTES = 65536;
const NOISE = toHex(randomBytes(seeded(1), NOISE_BYTES));

/** Packets of random bytes and lengths, each as hexadecimal digits: parts of the same noise, as making new one takes long. */
export function randomPackets(random: Random, count: number, longest = 1514): string[] {
  return Array.from({ length: count }, () => {
    const length = 14 + random(longest - 13);
    const from = random(NOISE_BYTES - length);
    return NOISE.slice(2 * from, 2 * (from + length));
  });
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
      const bytes = fromHex(packet);
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
  readonly #region: Region;
  readonly #data: number;
  #dataEnd = 0;
  #offered = 0;

  constructor(
    private readonly arena: Arena,
    packets: readonly string[],
  ) {
    this.#packets = packets;
    this.released = packets.length;
    this.#region = arena.allocate(2 ** 20);
    this.list = this.#region.offset;
    this.#data = this.list + 4096;
  }

  /** The offered packets are written again each time: whoever still reads those taken sees other bytes. */
  offer(limit: number): number {
    const { u8, i32 } = this.arena;
    const count = Math.min(limit, this.released - this.taken, 64);
    let at = this.#data;
    for (let i = 0; i < count; i++) {
      const bytes = fromHex(this.#packets[this.taken + i]!);
      i32[(this.list >> 2) + 2 * i] = at;
      i32[(this.list >> 2) + 2 * i + 1] = bytes.length;
      u8.set(bytes, at);
      at += bytes.length;
    }
    this.#offered = count;
    this.#dataEnd = at;
    return count;
  }

  take(count: number): void {
    expect(count >= 0 && count <= this.#offered, `took ${count} of ${this.#offered}`);
    readList(this.arena, this.list, this.#offered).forEach((packet, i) => {
      expect(packet === this.#packets[this.taken + i], 'nobody has written into what was offered');
    });
    this.taken += count;
    this.#offered -= count;
    this.counters.packets += count;
    this.arena.u8.fill(0xdd, this.#data, this.#dataEnd);
    if (this.#offered > 0) this.offer(this.#offered);
  }

  nextArrival(now: number): number {
    return this.released > this.taken ? now : Number.POSITIVE_INFINITY;
  }

  close(): void {
    if (this.closed++ === 0) this.arena.free(this.#region);
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
  expect(offered >= 0 && offered <= limit, `${offered} offered of ${limit}`);
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
    const bytes = fromHex(data);
    const seconds = Math.floor(time / 1e9);
    writer.write(bytes, 0, bytes.length, seconds, time - seconds * 1e9, originalLength ?? bytes.length);
  }
  writer.flush();
  return joinBytes(chunks);
}

/** A check as good as Node's, for support that imports nothing. */
function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`not so: ${what}`);
}
