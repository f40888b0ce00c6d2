import type { Machine } from '../machine.js';
import type { MapDefinition } from './contract.js';
import { HashMap } from './hash-map.js';

/**
 * Types lru_hash and lru_percpu_hash: when it is full, the entry gives way that programs have not looked up or updated for longest. Linux
 * gives up one that was not used lately, not always the very last. Looking up from control code is no use.
 */
export class LruHashMap extends HashMap {
  /** Neighbours of each entry in the order of use; the last index is both ends: the newest is after it, the oldest before it. */
  readonly #newer: Int32Array;
  readonly #older: Int32Array;
  readonly #ends: number;

  constructor(machine: Machine, handle: number, definition: MapDefinition) {
    const ends = definition.maxEntries;
    const newer = new Int32Array(ends + 1);
    const older = new Int32Array(ends + 1);
    super(machine, handle, definition);
    newer[ends] = ends;
    older[ends] = ends;
    this.#newer = newer;
    this.#older = older;
    this.#ends = ends;
  }

  override lookupAt(key: number): number {
    const entry = this.find(this.alignedKey(key));
    if (entry < 0) return 0;
    this.#unlink(entry);
    this.#makeNewest(entry);
    return this.valueOf(entry);
  }

  protected override take(key: number, flags: number): number {
    const entry = super.take(key, flags);
    if (entry < 0) return entry;
    this.#unlink(entry);
    this.#makeNewest(entry);
    return entry;
  }

  protected override makeRoom(): boolean {
    this.removeEntry(this.#newer[this.#ends]!);
    return true;
  }

  protected override addEntry(entry: number): void {
    super.addEntry(entry);
    this.#makeNewest(entry);
  }

  protected override removeEntry(entry: number): void {
    this.#unlink(entry);
    super.removeEntry(entry);
  }

  #unlink(entry: number): void {
    const newer = this.#newer[entry]!;
    const older = this.#older[entry]!;
    this.#older[newer] = older;
    this.#newer[older] = newer;
  }

  #makeNewest(entry: number): void {
    const newest = this.#older[this.#ends]!;
    this.#newer[newest] = entry;
    this.#older[entry] = newest;
    this.#newer[entry] = this.#ends;
    this.#older[this.#ends] = entry;
  }
}
