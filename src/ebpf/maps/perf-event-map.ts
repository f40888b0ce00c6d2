import type { Machine } from '../machine.js';
import type { MapDefinition, RecordSource } from './contract.js';
import { SpecialMap } from './special-map.js';

/** Bytes for records that were not read yet. Taken from memory only when touched. */
const BYTES = 2 ** 20;
/** Bytes of a record's length, in front of it. */
const LENGTH_BYTES = 4;

/**
 * Type perf_event_array: records that programs put out, of all CPUs in one order. In Linux the entries are perf events, opened by whoever
 * reads; here they are there from the start, and there is one buffer.
 */
export class PerfEventMap extends SpecialMap implements RecordSource {
  /** How many CPUs have an entry. */
  readonly count: number;
  readonly #buffer = new Uint8Array(BYTES);
  /** Free-running: where the next byte is written, and where the next one is read. */
  #written = 0;
  #read = 0;
  #lost = 0;

  constructor(machine: Machine, handle: number, definition: MapDefinition) {
    super(machine, handle, definition);
    this.count = definition.maxEntries === 0 ? machine.cpus : definition.maxEntries;
  }

  get lost(): number {
    return this.#lost;
  }

  /**
   * Puts a record of two stretches of the arena out: what the program has written, and the beginning of its packet. Returns false where
   * there is no room.
   */
  put(data: number, dataBytes: number, packet: number, packetBytes: number): boolean {
    const bytes = dataBytes + packetBytes;
    if (this.#written - this.#read + LENGTH_BYTES + bytes > BYTES) {
      this.#lost++;
      return false;
    }
    for (let i = 0; i < LENGTH_BYTES; i++) this.#buffer[(this.#written + i) % BYTES] = bytes >> (8 * i);
    this.#written += LENGTH_BYTES;
    this.#append(data, dataBytes);
    this.#append(packet, packetBytes);
    return true;
  }

  read(): Uint8Array | undefined {
    if (this.#read === this.#written) return undefined;
    let bytes = 0;
    for (let i = 0; i < LENGTH_BYTES; i++) bytes |= this.#buffer[(this.#read + i) % BYTES]! << (8 * i);
    this.#read += LENGTH_BYTES;
    const first = this.#read % BYTES;
    const record = new Uint8Array(bytes);
    const inFront = Math.min(bytes, BYTES - first);
    record.set(this.#buffer.subarray(first, first + inFront));
    record.set(this.#buffer.subarray(0, bytes - inFront), inFront);
    this.#read += bytes;
    return record;
  }

  #append(at: number, bytes: number): void {
    const { u8 } = this.machine.arena;
    for (let i = 0; i < bytes; i++) this.#buffer[(this.#written + i) % BYTES] = u8[at + i]!;
    this.#written += bytes;
  }
}
