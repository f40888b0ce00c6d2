import type { Part } from '../../arena/free-parts.js';
import type { Machine } from '../machine.js';
import type { MapDefinition, RecordSource } from './contract.js';
import { SpecialMap } from './special-map.js';

/** Bytes that a record takes in front of its data; records begin at multiples of it (linux/bpf.h: BPF_RINGBUF_HDR_SZ). */
const HEADER_BYTES = 8;
// Header of a record: its length in bytes, and where it stands with the program.
const BUSY = 2 ** 31;
const DISCARDED = 2 ** 30;
const LENGTH = DISCARDED - 1;

/**
 * Type ringbuf: records that programs put out, in the order in which they were reserved. A program writes a record in place, in program
 * memory, and then hands it over or takes it back.
 *
 * As in Linux, a record that does not fit in front of the ring's end goes on behind it: the memory has twice the ring's length, and each
 * record is read where it begins. Headers lie where programs cannot reach, so that they cannot make records longer.
 */
export class RingBufferMap extends SpecialMap implements RecordSource {
  readonly #data: Part;
  readonly #size: number;
  /** By place in the ring, in units of 8 bytes: header of the record that begins there. */
  readonly #headers: Uint32Array;
  /** Place of the next record to write, and of the oldest one; bytes between them. */
  #head = 0;
  #tail = 0;
  #used = 0;
  /** Bytes that have gone through the ring. */
  #consumed = 0;
  #lost = 0;

  constructor(machine: Machine, handle: number, definition: MapDefinition) {
    const headers = new Uint32Array(definition.maxEntries / HEADER_BYTES);
    super(machine, handle, definition);
    this.#data = machine.allocate(2 * definition.maxEntries);
    this.#size = definition.maxEntries;
    this.#headers = headers;
  }

  get lost(): number {
    return this.#lost;
  }

  /** 0: bytes of records in the ring; 1: the ring's; 2: what was read so far; 3: what was put in (BPF_RB_AVAIL_DATA and so on). */
  fact(which: number): number {
    switch (which) {
      case 0:
        return this.#used;
      case 1:
        return this.#size;
      case 2:
        return this.#consumed;
      case 3:
        return this.#consumed + this.#used;
      default:
        return 0;
    }
  }

  /** Whether an arena offset is in its memory. */
  holds(record: number): boolean {
    return record >= this.#data.offset && record < this.#data.offset + this.#data.bytes;
  }

  /** Arena offset of a new record of so many bytes, for the program to write; 0 where there is no room. */
  reserve(bytes: number): number {
    const length = Math.ceil(bytes / HEADER_BYTES) * HEADER_BYTES + HEADER_BYTES;
    // Linux leaves the last byte free, to tell a full ring from an empty one.
    if (this.#used + length >= this.#size) {
      this.#lost++;
      return 0;
    }
    const record = this.#data.offset + this.#head + HEADER_BYTES;
    this.#headers[this.#head / HEADER_BYTES] = bytes | BUSY;
    this.#head = (this.#head + length) & (this.#size - 1);
    this.#used += length;
    return record;
  }

  /** Ends the writing of a record: it is for control code, or for nobody. What was not reserved is left alone. */
  release(record: number, isDiscarded: boolean): void {
    const place = record - HEADER_BYTES - this.#data.offset;
    const index = place / HEADER_BYTES;
    const header = this.#headers[index] ?? 0; // any number is asked for: fractions and what is outside have none
    if (header < BUSY) return;
    this.#headers[index] = isDiscarded ? (header - BUSY) | DISCARDED : header - BUSY;
  }

  /** As the contract has it. A record that a program has not handed over when it ended is for nobody. */
  read(): Uint8Array | undefined {
    while (this.#used > 0) {
      const header = this.#headers[this.#tail / HEADER_BYTES]!;
      const bytes = header & LENGTH;
      const record = this.#data.offset + this.#tail + HEADER_BYTES;
      const length = Math.ceil(bytes / HEADER_BYTES) * HEADER_BYTES + HEADER_BYTES;
      this.#headers[this.#tail / HEADER_BYTES] = 0;
      this.#tail = (this.#tail + length) & (this.#size - 1);
      this.#used -= length;
      this.#consumed += length;
      if (header < DISCARDED) return this.machine.arena.u8.slice(record, record + bytes);
    }
    return undefined;
  }

  override close(): void {
    super.close();
    this.machine.free(this.#data);
  }
}
