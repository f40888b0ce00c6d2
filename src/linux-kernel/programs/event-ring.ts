import { type Arena, PAGE_BYTES } from '../../arena/arena.js';
import { RingMapping } from '../ring-mapping.js';
import type { SystemCalls } from '../system-calls.js';

/** Bytes of records that a CPU has room for, a power of two of pages. */
const DATA_BYTES = 2 ** 16;
/** Of struct perf_event_mmap_page (linux/perf_event.h), in front of the records: positions in bytes, free-running. */
const DATA_HEAD = 1024;
const DATA_TAIL = 1032;
// A record is its type and length (struct perf_event_header), and begins at a multiple of 8.
const RECORD_HEADER_BYTES = 8;
const LENGTH_SHIFT = 16;
const PERF_RECORD_LOST = 2;
const PERF_RECORD_SAMPLE = 9;
/** Of a sample: its length comes first. */
const SAMPLE_BYTES = RECORD_HEADER_BYTES + 4;
/** Of what tells of losses: behind the event's number. */
const LOST_COUNT = RECORD_HEADER_BYTES + 8;

/** The records of one CPU in a map of type perf_event_array: a ring of the kernel's, mapped into the arena. */
export class EventRing {
  /** Records that found no room. */
  lost = 0;
  readonly #calls: SystemCalls;
  readonly #mapping: RingMapping;
  readonly #arena: Arena;
  readonly #positions: BigInt64Array;
  /** Arena offset of the page in front of the records. */
  #page = 0;

  /** @param descriptor of the CPU's event; it is this object's from now on */
  constructor(
    calls: SystemCalls,
    arena: Arena,
    readonly descriptor: number,
  ) {
    this.#calls = calls;
    this.#arena = arena;
    this.#mapping = new RingMapping(calls, arena);
    this.#positions = new BigInt64Array(arena.memory.buffer);
  }

  /** @throws PacketError ARENA_EXHAUSTED, SYSTEM_CALL */
  map(what: string): void {
    this.#page = this.#mapping.map(this.descriptor, 0, PAGE_BYTES + DATA_BYTES, what);
  }

  isReadable(): boolean {
    return this.#position(DATA_HEAD) !== this.#position(DATA_TAIL);
  }

  /** The next record; undefined where none is there. */
  read(): Uint8Array | undefined {
    const head = this.#position(DATA_HEAD);
    for (let tail = this.#position(DATA_TAIL); tail < head; ) {
      const at = Number(tail & BigInt(DATA_BYTES - 1));
      const type = this.#word(at);
      const length = this.#word(at + 4) >>> LENGTH_SHIFT;
      const record = type === PERF_RECORD_SAMPLE ? this.#copy(at + SAMPLE_BYTES, length - SAMPLE_BYTES) : undefined;
      if (type === PERF_RECORD_LOST) this.lost += this.#word(at + LOST_COUNT);
      tail += BigInt(length);
      Atomics.store(this.#positions, this.#index(DATA_TAIL), tail);
      if (record !== undefined) return record;
    }
    return undefined;
  }

  close(): void {
    this.#mapping.close();
    this.#calls.close(this.descriptor);
  }

  /** Bytes that may go on at the ring's beginning. */
  #copy(at: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    const data = this.#page + PAGE_BYTES;
    const from = at % DATA_BYTES;
    const first = Math.min(length, DATA_BYTES - from);
    bytes.set(this.#arena.u8.subarray(data + from, data + from + first));
    bytes.set(this.#arena.u8.subarray(data, data + length - first), first);
    return bytes;
  }

  #word(at: number): number {
    return this.#arena.i32[(this.#page + PAGE_BYTES + (at % DATA_BYTES)) >> 2]! >>> 0;
  }

  #position(field: number): bigint {
    return Atomics.load(this.#positions, this.#index(field));
  }

  #index(field: number): number {
    return (this.#page + field) / 8;
  }
}
