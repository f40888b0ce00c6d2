import { Arena, type Region } from '../../arena/arena.js';
import type { Direction, RingMap, RingRequest, SocketMaps } from '../../kernel/contract.js';
import { CONTINUES, PacketArray } from '../../packet-array/packet-array.js';
import { PacketList } from '../../packet-array/packet-list.js';
import { PacketBuffer } from '../../packet-buffer/packet-buffer.js';
import { COPY_LIST_BYTES } from '../frame-kernel-rings.js';
import { V3KernelRings } from '../v3/kernel.js';
import { V3Rings } from '../v3/user.js';
import { V2KernelRings } from './kernel.js';
import { V2Rings } from './user.js';

export type SlotVersion = 'v2' | 'v3';
export const SLOT_VERSIONS: readonly SlotVersion[] = ['v2', 'v3'];

export interface RingPairOptions {
  readonly version: SlotVersion;
  /** V2: slots, V3: blocks; default 16 and 4. */
  readonly receive?: number;
  /** Slots; default 8. */
  readonly transmit?: number;
  readonly frameSize?: number;
  readonly blockSize?: number;
  readonly headroom?: number;
  readonly outcomes?: boolean;
  /** Frames of the packet buffer, half of them for receiving; default 16. */
  readonly frames?: number;
}

/** Fixed random numbers (mulberry32): the same run every time. */
export function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** An Ethernet packet of `bytes` bytes that carries a number. */
export function packetOf(number: number, bytes = 64): Uint8Array {
  const packet = new Uint8Array(bytes);
  packet.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]);
  for (let i = 14; i < bytes; i++) packet[i] = number * 31 + i * 7;
  if (bytes >= 18) new DataView(packet.buffer).setUint32(14, number);
  return packet;
}

/** The number of a packet made by {@link packetOf}. */
export function numberOf(packet: Uint8Array): number {
  return new DataView(packet.buffer, packet.byteOffset).getUint32(14);
}

/** User and kernel side of one socket's rings in one arena and thread, without a kernel around them. */
export class RingPair {
  readonly arena = Arena.create(2 ** 23);
  readonly buffer: PacketBuffer;
  readonly maps: SocketMaps;
  readonly region: Region;
  readonly user: V2Rings | V3Rings;
  readonly kernel: V2KernelRings | V3KernelRings;
  readonly kicks: Direction[] = [];
  /** Called on each kick. */
  onKick: (direction: Direction) => void = () => {};
  readonly #source: Region;
  readonly #outgoing = new PacketArray(16);
  time = { seconds: 1_500_000_000, nanoseconds: 123_456_789 };

  constructor(options: RingPairOptions) {
    const { arena } = this;
    const { version, outcomes = false, frameSize = 2048, blockSize = 4096, headroom = 0 } = options;
    const receive = options.receive ?? (version === 'v2' ? 16 : 4);
    const transmit = options.transmit ?? 8;
    this.buffer = PacketBuffer.create({ arena, frames: options.frames ?? 16 });
    const entryBytes = version === 'v2' ? frameSize : blockSize;
    const receiveBytes = receive * entryBytes;
    this.region = arena.allocate(4096 + receiveBytes + transmit * frameSize);
    arena.clear(this.region);
    const base = this.region.offset + 4096;
    const receiveMap: RingMap = { base, entries: receive, entryBytes, blockBytes: blockSize };
    const transmitMap: RingMap = { base: base + receiveBytes, entries: transmit, entryBytes: frameSize };
    const wake = { wakeReceive: this.region.offset, wakeTransmit: this.region.offset + 4 };
    this.maps = {
      ...(receive > 0 && { receive: receiveMap }),
      ...(transmit > 0 && { transmit: transmitMap }),
      ...wake,
    };
    const request: RingRequest = { receive, transmit, frameSize, blockSize, headroom, retireMilliseconds: 1 };
    const copyList = arena.allocate(COPY_LIST_BYTES).offset;
    const means = { i32: arena.i32, routines: arena.routines, copyList };
    this.#source = arena.allocate(2 ** 20);
    const kicker = {
      kick: (direction: Direction) => {
        this.kicks.push(direction);
        this.onKick(direction);
      },
    };
    const parts = { buffer: this.buffer, maps: this.maps, kicker, outcomes, request };
    if (version === 'v2') {
      this.user = new V2Rings(parts);
      this.kernel = new V2KernelRings(arena, this.maps, request, means);
    } else {
      this.user = new V3Rings(parts);
      this.kernel = new V3KernelRings(arena, this.maps, request, means);
    }
    this.kernel.setLargestPacket(1514);
    this.user.largestPacket = 1514;
  }

  /** The kernel receives packets; each may come in several parts. */
  deliver(packets: readonly (Uint8Array | readonly Uint8Array[])[]): void {
    const parts = packets.map((packet) => (packet instanceof Uint8Array ? [packet] : packet));
    const list = new PacketList(parts.reduce((sum, { length }) => sum + length, 0));
    list.seconds = this.time.seconds;
    list.nanoseconds = this.time.nanoseconds;
    let at = this.#source.offset;
    for (const packet of parts) {
      packet.forEach((part, i) => {
        this.arena.u8.set(part, at);
        list.add(at, part.length, i < packet.length - 1 ? CONTINUES : 0);
        at += part.length;
      });
    }
    this.kernel.deliver(list);
  }

  /** The kernel hands over what waits in an open block (V3). */
  retire(): void {
    this.kernel.tick(1);
    this.kernel.tick(1 + 1e6);
  }

  /** The kernel sends what is posted: up to `limit` packets, each with the error that `fail` gives. Returns their bytes. */
  transmit(limit = 1000, fail: (packet: Uint8Array) => number = () => 0): Uint8Array[] {
    const { transmit } = this.kernel;
    const array = this.#outgoing;
    const sent: Uint8Array[] = [];
    if (transmit === undefined) return sent;
    while (sent.length < limit) {
      const count = transmit.populate(array, Math.min(limit - sent.length, array.room));
      if (count === 0) break;
      for (let i = 0; i < count; i++) {
        const at = array.current & array.mask;
        const packet = this.arena.u8.slice(array.address[at]!, array.address[at]! + array.length[at]!);
        sent.push(packet);
        array.flags[at] = array.flags[at]! | fail(packet);
        array.advance(1);
      }
      transmit.flush(array, count);
    }
    return sent;
  }

  /** The bytes of one packet of a batch. */
  bytes(batch: { offset: Int32Array; size: Int32Array }, entry: number): Uint8Array {
    return this.arena.u8.slice(batch.offset[entry]!, batch.offset[entry]! + batch.size[entry]!);
  }

  word(at: number): number {
    return this.arena.i32[at >> 2]!;
  }
}
