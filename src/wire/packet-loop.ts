import { type Arena, MAXIMUM_ARENA_BYTES, type Region } from '../arena/arena.js';
import { PacketError } from '../errors.js';

const CACHE_LINE_BYTES = 64;
const PAIR_BYTES = 8;

/**
 * Packets that were put into memory beforehand and are gone through round and round, as traffic generators do it: what a
 * device's DMA costs is not hidden by data made on the spot.
 *
 *     | [ address | length ] * packets | packet | packet | ...      each packet on cache lines of its own
 */
export class PacketLoop {
  readonly packets: number;
  /** Bytes of all packets together, without FCS. */
  readonly bytes: number;
  /** The next packet of this round. */
  position = 0;
  /** Rounds that are complete. */
  rounds = 0;
  readonly #arena: Arena;
  readonly #region: Region;
  /** Bytes of the packets before each one: counting costs nothing while packets flow. */
  readonly #before: Float64Array;

  /**
   * @param lengths bytes of each packet without FCS; at least one packet
   * @param write puts packet `index` at `offset` of the arena, within its length
   * @throws PacketError ARENA_EXHAUSTED, and whatever `write` throws; nothing stays allocated then
   */
  constructor(arena: Arena, lengths: readonly number[], write: (index: number, offset: number) => void) {
    this.packets = lengths.length;
    const listBytes = wholeLines(this.packets * PAIR_BYTES);
    this.#before = new Float64Array(this.packets + 1);
    let needed = listBytes;
    for (let i = 0; i < this.packets; i++) {
      this.#before[i + 1] = this.#before[i]! + lengths[i]!;
      needed += wholeLines(lengths[i]!);
    }
    this.bytes = this.#before[this.packets]!;
    this.#arena = arena;
    this.#region = allocateForPackets(arena, needed, this.packets);
    let list = this.#region.offset >> 2;
    let at = this.#region.offset + listBytes;
    try {
      for (let i = 0; i < this.packets; i++) {
        arena.i32[list++] = at;
        arena.i32[list++] = lengths[i]!;
        write(i, at);
        at += wholeLines(lengths[i]!);
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Arena byte offset of the next packet's pair; those behind it up to the end of the round follow. */
  get list(): number {
    return this.#region.offset + this.position * PAIR_BYTES;
  }

  /** Packets up to the end of the round, where the list ends. */
  get left(): number {
    return this.packets - this.position;
  }

  /** Moves on by `count` packets, at most `left`. */
  take(count: number): void {
    this.position += count;
    if (this.position < this.packets) return;
    this.position = 0;
    this.rounds++;
  }

  /** Packets gone through since the beginning. */
  get packetsTaken(): number {
    return this.rounds * this.packets + this.position;
  }

  /** Their bytes without FCS. */
  get bytesTaken(): number {
    return this.rounds * this.bytes + this.#before[this.position]!;
  }

  close(): void {
    this.#arena.free(this.#region);
  }
}

function allocateForPackets(arena: Arena, bytes: number, packets: number): Region {
  if (bytes <= MAXIMUM_ARENA_BYTES) return arena.allocate(bytes);
  throw new PacketError('ARENA_EXHAUSTED', `${packets} packets take ${bytes} bytes, more than any arena has`, {
    remedy: 'use fewer or shorter packets',
  });
}

function wholeLines(bytes: number): number {
  return Math.ceil(bytes / CACHE_LINE_BYTES) * CACHE_LINE_BYTES;
}
