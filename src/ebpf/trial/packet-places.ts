import type { Arena, Region } from '../../arena/arena.js';
import {
  PACKET_DATA,
  PACKET_DATA_END,
  PACKET_DATA_META,
  PACKET_FIRST,
  PACKET_INGRESS_IFINDEX,
  PACKET_LIMIT,
  PACKET_RECORD_BYTES,
  PACKET_RX_QUEUE_INDEX,
} from '../execution.js';
import type { PacketOrigin } from './contract.js';

/** Bytes by which packets can grow at the head, as in Linux (XDP_PACKET_HEADROOM), and at the tail. */
export const TRIAL_HEADROOM = 256;
export const TRIAL_TAILROOM = 256;

const ALIGNMENT = 64;

/** Places in an arena for packets that programs are tried on: each with room to grow and a record. */
export class PacketPlaces {
  /** Arena offset of the first record. */
  readonly records: number;
  readonly #arena: Arena;
  readonly #regions: readonly Region[];
  readonly #origin: PacketOrigin;
  readonly #mostPackets: number;
  readonly #first: number;
  readonly #end: number;

  /**
   * @param packets how many there can be
   * @param bytes for all of them, with their room to grow
   * @throws PacketError ARENA_EXHAUSTED
   */
  constructor(arena: Arena, origin: PacketOrigin, packets: number, bytes: number) {
    this.#arena = arena;
    this.#origin = origin;
    this.#mostPackets = packets;
    const records = arena.allocate(packets * PACKET_RECORD_BYTES);
    const region = arena.allocate(bytes);
    this.#regions = [records, region];
    this.records = records.offset;
    this.#first = region.offset;
    this.#end = region.offset + region.bytes;
  }

  /** Bytes that a packet of a length takes. */
  static bytesOf(length: number): number {
    return Math.ceil((TRIAL_HEADROOM + length + TRIAL_TAILROOM) / ALIGNMENT) * ALIGNMENT;
  }

  /** Puts packets there, in their order from one on, as many as fit, with new records. Returns how many. */
  fill(packets: readonly Uint8Array[], from: number): number {
    const { i32, u8 } = this.#arena;
    let first = this.#first;
    let count = 0;
    for (; count < this.#mostPackets && from + count < packets.length; count++) {
      const packet = packets[from + count]!;
      const next = first + PacketPlaces.bytesOf(packet.length);
      if (next > this.#end) break;
      const data = first + TRIAL_HEADROOM;
      u8.set(packet, data);
      const record = this.recordAt(count) >> 2;
      i32.fill(0, record, record + PACKET_RECORD_BYTES / 4);
      i32[record + PACKET_FIRST] = first;
      i32[record + PACKET_DATA_META] = data;
      i32[record + PACKET_DATA] = data;
      i32[record + PACKET_DATA_END] = data + packet.length;
      i32[record + PACKET_LIMIT] = next;
      i32[record + PACKET_INGRESS_IFINDEX] = this.#origin.ingressInterface;
      i32[record + PACKET_RX_QUEUE_INDEX] = this.#origin.queue;
      first = next;
    }
    return count;
  }

  /** Arena offset of a packet's record. */
  recordAt(index: number): number {
    return this.records + index * PACKET_RECORD_BYTES;
  }

  /** A word of a packet's record. @param word PACKET_… */
  word(index: number, word: number): number {
    return this.#arena.i32[(this.recordAt(index) >> 2) + word]!;
  }

  /** A copy of a packet as it is now. */
  packet(index: number): Uint8Array {
    return this.#arena.u8.slice(this.word(index, PACKET_DATA), this.word(index, PACKET_DATA_END));
  }

  /** Gives the memory back. */
  close(): void {
    for (const region of this.#regions) this.#arena.free(region);
  }
}
