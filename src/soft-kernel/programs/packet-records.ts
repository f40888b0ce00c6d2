import type { Arena, Region } from '../../arena/arena.js';
import { type Driver, ReceiveHints } from '../../driver/contract.js';
import {
  HINT_HASH,
  HINT_TIME,
  HINT_VLAN,
  HINTS_BYTES,
  HINTS_HASH,
  HINTS_HASH_TYPE,
  HINTS_PRESENT,
  HINTS_TIME,
  HINTS_VLAN,
  PACKET_DATA,
  PACKET_DATA_END,
  PACKET_DATA_META,
  PACKET_EGRESS_IFINDEX,
  PACKET_FIRST,
  PACKET_HINTS,
  PACKET_INGRESS_IFINDEX,
  PACKET_LIMIT,
  PACKET_RECORD_BYTES,
  PACKET_RX_QUEUE_INDEX,
} from '../../ebpf/execution.js';
import { CONTINUES, type PacketArray } from '../../packet-array/packet-array.js';

/** Packets that a program runs on in one call. */
export const RUN_PACKETS = 64;

// Private copies: V8 folds them into the code, imported constants it loads from their module wherever they are used.
const CONTINUES_NEXT = CONTINUES;
const RECORD_WORDS = PACKET_RECORD_BYTES >> 2;
const MOST = RUN_PACKETS;
const WORD = 2 ** 32;

/**
 * Describes packets of a packet array to a program, in records, in the order of the array. Of a packet of several frames it describes the
 * first; programs that take no such packets are not shown them.
 */
export class PacketRecords {
  /** Arena offset of the first record. */
  readonly first: number;
  /** Of each packet described: its first and last entry, free-running, and the word index of its record, or -1 where it is not shown. */
  readonly firstEntry = new Int32Array(MOST);
  readonly lastEntry = new Int32Array(MOST);
  readonly record = new Int32Array(MOST);
  /** Records in use. */
  shown = 0;
  /** Entries of the packets described. */
  entries = 0;
  readonly #arena: Arena;
  readonly #region: Region;
  readonly #i32: Int32Array;
  /** Arena offset of the hints of the first record. */
  readonly #hints: number;
  readonly #read = new ReceiveHints();

  /** @throws PacketError ARENA_EXHAUSTED */
  constructor(arena: Arena) {
    this.#arena = arena;
    this.#i32 = arena.i32;
    this.#region = arena.allocate(MOST * (PACKET_RECORD_BYTES + HINTS_BYTES));
    this.first = this.#region.offset;
    this.#hints = this.first + MOST * PACKET_RECORD_BYTES;
    arena.clear(this.#region);
    for (let i = 0; i < MOST; i++) {
      this.#i32[(this.first >> 2) + i * RECORD_WORDS + PACKET_HINTS] = this.#hints + i * HINTS_BYTES;
    }
  }

  /**
   * Describes the first packets of `limit` entries, whole packets, from `from` on; at most {@link RUN_PACKETS}.
   *
   * @param frameBytes of the frames, which packets can grow in; 0 where they cannot
   * @param segments whether packets of several frames are shown
   * @returns packets described
   */
  describe(array: PacketArray, from: number, limit: number, frameBytes: number, segments: boolean): number {
    const { address, length, flags, mask } = array;
    const { firstEntry, lastEntry, record } = this;
    const i32 = this.#i32;
    const end = (from + limit) | 0;
    let at = from;
    let word = this.first >> 2;
    let packets = 0;
    while (at !== end && packets < MOST) {
      const entry = at & mask;
      let last = at;
      while ((flags[last & mask]! & CONTINUES_NEXT) !== 0 && ((last + 1) | 0) !== end) last = (last + 1) | 0;
      firstEntry[packets] = at;
      lastEntry[packets] = last;
      if (last === at || segments) {
        const data = address[entry]!;
        const start = frameBytes === 0 ? data : data & -frameBytes;
        const dataEnd = data + length[entry]!;
        i32[word + PACKET_FIRST] = start;
        i32[word + PACKET_DATA_META] = data;
        i32[word + PACKET_DATA] = data;
        i32[word + PACKET_DATA_END] = dataEnd;
        // The tail of a packet of several frames is not in this one.
        i32[word + PACKET_LIMIT] = last === at && frameBytes > 0 ? start + frameBytes : dataEnd;
        record[packets] = word;
        word += RECORD_WORDS;
      } else {
        record[packets] = -1;
      }
      packets++;
      at = (last + 1) | 0;
    }
    this.shown = (word - (this.first >> 2)) / RECORD_WORDS;
    this.entries = (at - from) | 0;
    return packets;
  }

  /** Adds to the records of the packets described what their device says of them. */
  describeHints(array: PacketArray, queue: number, packets: number, driver: Driver): void {
    const i32 = this.#i32;
    const read = this.#read;
    for (let i = 0; i < packets; i++) {
      const record = this.record[i]!;
      if (record < 0) continue;
      driver.readHints(array, queue, this.firstEntry[i]!, read);
      const hints = i32[record + PACKET_HINTS]! >> 2;
      const { hash, hashType, vlan, time } = read;
      // A device that knows times has looked at the packet.
      i32[hints + HINTS_PRESENT] = time < 0 ? 0 : HINT_HASH | HINT_TIME | (vlan === 0 ? 0 : HINT_VLAN);
      i32[hints + HINTS_HASH] = hash;
      i32[hints + HINTS_HASH_TYPE] = hashType;
      i32[hints + HINTS_VLAN] = vlan;
      i32[hints + HINTS_TIME] = (time % WORD) | 0;
      i32[hints + HINTS_TIME + 1] = Math.floor(time / WORD);
    }
  }

  /** Says of all packets where they come from, and where they leave by (0 on receiving). Runs leave that in the records as it is. */
  setOrigin(ingress: number, queue: number, egress: number): void {
    const i32 = this.#i32;
    let word = this.first >> 2;
    if (
      i32[word + PACKET_INGRESS_IFINDEX] === ingress &&
      i32[word + PACKET_RX_QUEUE_INDEX] === queue &&
      i32[word + PACKET_EGRESS_IFINDEX] === egress
    ) {
      return;
    }
    for (let i = 0; i < MOST; i++) {
      i32[word + PACKET_INGRESS_IFINDEX] = ingress;
      i32[word + PACKET_RX_QUEUE_INDEX] = queue;
      i32[word + PACKET_EGRESS_IFINDEX] = egress;
      word += RECORD_WORDS;
    }
  }

  close(): void {
    this.#arena.free(this.#region);
  }
}

/**
 * Writes into a packet's first entry where the program has left it.
 *
 * @param record word index
 * @returns false for a packet of several frames of which the program has moved the end of the first: its rest is not there
 */
export function takeBack(i32: Int32Array, record: number, array: PacketArray, first: number): boolean {
  const at = first & array.mask;
  const data = i32[record + PACKET_DATA]!;
  const dataEnd = i32[record + PACKET_DATA_END]!;
  const continues = (array.flags[at]! & CONTINUES_NEXT) !== 0;
  if (continues && dataEnd !== array.address[at]! + array.length[at]!) return false;
  array.address[at] = data;
  array.length[at] = dataEnd - data;
  return true;
}
