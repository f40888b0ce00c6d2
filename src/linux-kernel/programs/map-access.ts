import {
  BPF_MAP_DELETE_ELEM,
  BPF_MAP_GET_NEXT_KEY,
  BPF_MAP_LOOKUP_AND_DELETE_ELEM,
  BPF_MAP_LOOKUP_BATCH,
  BPF_MAP_LOOKUP_ELEM,
  BPF_MAP_UPDATE_BATCH,
  BPF_MAP_UPDATE_ELEM,
  ENOENT,
  ENOSPC,
} from '../constants.js';
import { Struct } from '../struct.js';
import type { SystemCalls } from '../system-calls.js';

/** A part of a map's entries, or minus errno. */
export interface EntryBatch {
  readonly keys: Struct;
  readonly values: Struct;
  readonly count: number;
  /** Where the next part begins; undefined behind the last one. */
  readonly next: Struct | undefined;
}

/** The calls of bpf(2) on one map, with keys and values in bytes. Nothing is checked, and each returns its result or minus errno. */
export class MapAccess {
  readonly #calls: SystemCalls;
  readonly #descriptor: number;
  readonly #keySize: number;
  readonly #valueBytes: number;

  /** @param valueBytes of all CPUs' values together, where a value is for each */
  constructor(calls: SystemCalls, descriptor: number, keySize: number, valueBytes: number) {
    this.#calls = calls;
    this.#descriptor = descriptor;
    this.#keySize = keySize;
    this.#valueBytes = valueBytes;
  }

  lookup(key: Uint8Array, value: Struct): number {
    return this.#element(BPF_MAP_LOOKUP_ELEM, key, value);
  }

  /** Takes out the oldest value of a queue, the newest of a stack. */
  take(value: Struct): number {
    return this.#element(BPF_MAP_LOOKUP_AND_DELETE_ELEM, undefined, value);
  }

  update(key: Uint8Array, value: Uint8Array, flags: number): number {
    return this.#element(BPF_MAP_UPDATE_ELEM, key, Struct.of(value), flags);
  }

  delete(key: Uint8Array): number {
    return this.#element(BPF_MAP_DELETE_ELEM, key, undefined);
  }

  /** @param key undefined for the first key */
  nextKey(key: Struct | undefined, next: Struct): number {
    const request = new Struct(32).u32(0, this.#descriptor).pointer(16, next, this.#calls.address(next));
    if (key !== undefined) request.pointer(8, key, this.#calls.address(key));
    return this.#calls.bpf(BPF_MAP_GET_NEXT_KEY, request);
  }

  /** Sets many entries; after an error some of them may be set. */
  updateBatch(entries: readonly (readonly [key: Uint8Array, value: Uint8Array])[]): number {
    const keys = new Struct(entries.length * this.#keySize);
    const values = new Struct(entries.length * this.#valueBytes);
    for (const [index, [key, value]] of entries.entries()) {
      keys.bytes.set(key, index * this.#keySize);
      values.bytes.set(value, index * this.#valueBytes);
    }
    return this.#calls.bpf(BPF_MAP_UPDATE_BATCH, this.#batch(keys, values, entries.length));
  }

  /**
   * Reads a part of the entries.
   *
   * @param from where the part before has ended; undefined for the first one
   * @param room entries to read at most
   * @returns minus errno otherwise: -ENOSPC when there is no room for the entries that belong together
   */
  lookupBatch(from: Struct | undefined, room: number): EntryBatch | number {
    const keys = new Struct(room * this.#keySize);
    const values = new Struct(room * this.#valueBytes);
    const next = new Struct(Math.max(this.#keySize, 4));
    const request = this.#batch(keys, values, room).pointer(8, next, this.#calls.address(next));
    if (from !== undefined) request.pointer(0, from, this.#calls.address(from));
    const result = this.#calls.bpf(BPF_MAP_LOOKUP_BATCH, request);
    if (result < 0 && result !== -ENOENT) return result;
    const count = request.readU32(32);
    if (result === 0 && count === 0) return -ENOSPC; // what no kernel does; without it a walk might never end
    return { keys, values, count, next: result < 0 ? undefined : next };
  }

  #element(command: number, key: Uint8Array | undefined, value: Struct | undefined, flags = 0): number {
    const request = new Struct(32).u32(0, this.#descriptor).u64(24, flags);
    if (key !== undefined && key.length > 0) {
      const copy = Struct.of(key);
      request.pointer(8, copy, this.#calls.address(copy));
    }
    if (value !== undefined) request.pointer(16, value, this.#calls.address(value)); // deletions want zero there
    return this.#calls.bpf(command, request);
  }

  #batch(keys: Struct, values: Struct, count: number): Struct {
    return new Struct(56)
      .pointer(16, keys, this.#calls.address(keys))
      .pointer(24, values, this.#calls.address(values))
      .u32(32, count)
      .u32(36, this.#descriptor);
  }
}
