import { type Arena, PAGE_BYTES } from '../../arena/arena.js';
import { PacketError } from '../../errors.js';
import { PROT_READ } from '../constants.js';
import { RingMapping } from '../ring-mapping.js';
import type { SystemCalls } from '../system-calls.js';
import type { LinuxMap } from './linux-map.js';
import type { RecordReader } from './record-reader.js';
import { waitForRecords } from './record-wait.js';

// A record is a word of length and flags, a word for the kernel, and the bytes; it begins at a multiple of 8 (linux/bpf.h, docs.kernel.org/bpf/ringbuf.html).
const RECORD_HEADER_BYTES = 8;
const BUSY_BIT = 1 << 31;
const DISCARD_BIT = 1 << 30;
const LENGTH_MASK = DISCARD_BIT - 1;

/** Records that programs put into a map of type ringbuf, of all CPUs in one order. */
export class RingBufferRecords implements RecordReader {
  readonly lost = 0;
  readonly #calls: SystemCalls;
  readonly #arena: Arena;
  readonly #descriptor: number;
  readonly #mapping: RingMapping;
  readonly #positions: BigInt64Array;
  /** Indices of the positions that are counted in bytes, free-running: what was read, and what was put in. */
  readonly #consumer: number;
  readonly #producer: number;
  /** Arena offset of the records, which the kernel maps twice in a row, so that none is split. */
  readonly #data: number;
  readonly #bytes: number;
  #closed = false;

  /** @throws PacketError ARENA_EXHAUSTED, SYSTEM_CALL */
  constructor(calls: SystemCalls, arena: Arena, map: LinuxMap) {
    const { name, maxEntries } = map.definition;
    this.#calls = calls;
    this.#arena = arena;
    this.#descriptor = map.handle;
    this.#bytes = maxEntries;
    this.#mapping = new RingMapping(calls, arena);
    try {
      const consumer = this.#mapping.map(this.#descriptor, 0, PAGE_BYTES, `the position of ${name}`);
      const length = PAGE_BYTES + 2 * maxEntries;
      const producer = this.#mapping.map(this.#descriptor, PAGE_BYTES, length, `the records of ${name}`, PROT_READ);
      this.#consumer = consumer / 8;
      this.#producer = producer / 8;
      this.#data = producer + PAGE_BYTES;
    } catch (error) {
      this.#mapping.close();
      throw error;
    }
    this.#positions = new BigInt64Array(arena.memory.buffer);
  }

  read(): Uint8Array | undefined {
    this.#expectOpen();
    for (;;) {
      const at = this.#next();
      if (at === undefined) return undefined;
      const header = Atomics.load(this.#arena.i32, at >> 2);
      if ((header & BUSY_BIT) !== 0) return undefined;
      const length = header & LENGTH_MASK;
      const record = this.#arena.u8.slice(at + RECORD_HEADER_BYTES, at + RECORD_HEADER_BYTES + length);
      const consumed = Math.ceil((length + RECORD_HEADER_BYTES) / 8) * 8;
      Atomics.add(this.#positions, this.#consumer, BigInt(consumed));
      if ((header & DISCARD_BIT) === 0) return record;
    }
  }

  async wait(timeoutMilliseconds: number): Promise<boolean> {
    this.#expectOpen();
    await waitForRecords(this.#calls, [this.#descriptor], timeoutMilliseconds, () => this.#isReadable());
    return !this.#closed && this.#isReadable();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#mapping.close();
  }

  #isReadable(): boolean {
    const at = this.#next();
    return at !== undefined && (Atomics.load(this.#arena.i32, at >> 2) & BUSY_BIT) === 0;
  }

  /** Arena offset of the next record, perhaps one that is being written. */
  #next(): number | undefined {
    const consumed = Atomics.load(this.#positions, this.#consumer);
    if (consumed >= Atomics.load(this.#positions, this.#producer)) return undefined;
    return this.#data + Number(consumed & BigInt(this.#bytes - 1));
  }

  #expectOpen(): void {
    if (!this.#closed) return;
    throw new PacketError('WRONG_STATE', 'the reader of records is closed', { remedy: 'open another' });
  }
}
