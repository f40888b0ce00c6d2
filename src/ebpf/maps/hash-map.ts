import { EEXIST, EINVAL, ENOENT } from '../errno.js';
import type { Machine } from '../machine.js';
import { BPF_EXIST, BPF_NOEXIST, type MapDefinition } from './contract.js';
import { FULL, StoredMap } from './stored-map.js';

/**
 * Types hash and percpu_hash. All entries are set aside at the start, as Linux does by default. Keys and chains lie in arrays of JavaScript,
 * where programs cannot reach them; an entry is in the chain of its key's bucket, or in the chain of free ones.
 */
export class HashMap extends StoredMap {
  /** Keys in the order of the entries. */
  readonly #keys: Uint8Array;
  /** First entry of a bucket's chain, or -1. As many as a power of two. */
  readonly #heads: Int32Array;
  /** Next entry of a chain, or -1. */
  readonly #next: Int32Array;
  /** 1 for an entry that has a key. */
  readonly #used: Uint8Array;
  #free = 0;

  constructor(machine: Machine, handle: number, definition: MapDefinition) {
    const { keySize, maxEntries, type } = definition;
    super(machine, handle, definition, type === 'percpu_hash' || type === 'lru_percpu_hash');
    this.#keys = new Uint8Array(maxEntries * keySize);
    this.#heads = new Int32Array(2 ** Math.ceil(Math.log2(maxEntries + 1))).fill(-1);
    this.#used = new Uint8Array(maxEntries);
    this.#next = Int32Array.from({ length: maxEntries }, (_, entry) => (entry + 1 < maxEntries ? entry + 1 : -1));
  }

  protected find(bytes: Uint8Array, at: number): number {
    let entry = this.#heads[this.#bucket(bytes, at)]!;
    while (entry >= 0 && !this.#isKey(entry, bytes, at)) entry = this.#next[entry]!;
    return entry;
  }

  protected take(bytes: Uint8Array, at: number, flags: number): number {
    if (flags > BPF_EXIST) return -EINVAL;
    const found = this.find(bytes, at);
    if (found >= 0) return flags === BPF_NOEXIST ? -EEXIST : found;
    if (flags === BPF_EXIST) return -ENOENT;
    if (this.#free < 0 && !this.makeRoom()) return FULL;
    return this.#add(bytes, at);
  }

  protected remove(bytes: Uint8Array, at: number): number {
    const entry = this.find(bytes, at);
    if (entry < 0) return -ENOENT;
    this.removeEntry(entry);
    return 0;
  }

  nextEntry(entry: number): number {
    return this.#used.indexOf(1, entry + 1);
  }

  copyKey(entry: number, to: number): void {
    const { keySize } = this.definition;
    const { u8 } = this.machine.arena;
    for (let i = 0; i < keySize; i++) u8[to + i] = this.#keys[entry * keySize + i]!;
  }

  protected keyOf(entry: number): Uint8Array {
    const { keySize } = this.definition;
    return this.#keys.slice(entry * keySize, (entry + 1) * keySize);
  }

  /** Removes an entry when all are in use and a new key comes. Returns false where the type keeps them all. */
  protected makeRoom(): boolean {
    return false;
  }

  /** Takes an entry out of its chain, to the free ones. */
  protected removeEntry(entry: number): void {
    const bucket = this.#bucket(this.#keys, entry * this.definition.keySize);
    const next = this.#next[entry]!;
    if (this.#heads[bucket] === entry) this.#heads[bucket] = next;
    else {
      let before = this.#heads[bucket]!;
      while (this.#next[before] !== entry) before = this.#next[before]!;
      this.#next[before] = next;
    }
    this.#used[entry] = 0;
    this.#next[entry] = this.#free;
    this.#free = entry;
  }

  #add(bytes: Uint8Array, at: number): number {
    const { keySize } = this.definition;
    const entry = this.#free;
    this.#free = this.#next[entry]!;
    for (let i = 0; i < keySize; i++) this.#keys[entry * keySize + i] = bytes[at + i]!;
    const bucket = this.#bucket(bytes, at);
    this.#next[entry] = this.#heads[bucket]!;
    this.#heads[bucket] = entry;
    this.#used[entry] = 1;
    this.clear(entry);
    return entry;
  }

  #isKey(entry: number, bytes: Uint8Array, at: number): boolean {
    const { keySize } = this.definition;
    const first = entry * keySize;
    for (let i = 0; i < keySize; i++) if (this.#keys[first + i] !== bytes[at + i]) return false;
    return true;
  }

  /** Bucket of a key: FNV-1a, whose upper bits are mixed into the lower ones. */
  #bucket(bytes: Uint8Array, at: number): number {
    let hash = 0x811c9dc5;
    const end = at + this.definition.keySize;
    for (let i = at; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
    return (hash ^ (hash >>> 15)) & (this.#heads.length - 1);
  }
}
