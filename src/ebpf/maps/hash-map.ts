import { E2BIG, EEXIST, EINVAL, ENOENT } from '../errno.js';
import type { Machine } from '../machine.js';
import { BPF_EXIST, BPF_NOEXIST, type MapDefinition } from './contract.js';
import { FreeNumbers } from './free-numbers.js';
import { StoredMap } from './stored-map.js';

// Words of an entry: the next one of its bucket's chain, plus 1, or 0; its key, the last word filled up with zeros.
const NEXT = 0;
const KEY = 1;

/**
 * Types hash and percpu_hash. All entries are set aside at the start, as Linux does by default. Keys and chains lie in arrays of JavaScript,
 * where programs cannot reach them.
 */
export class HashMap extends StoredMap {
  readonly #keySize: number;
  /** Words of a key, and of an entry. */
  readonly #keyWords: number;
  readonly #stride: number;
  readonly #entries: Int32Array;
  /** First entry of a bucket's chain, plus 1, or 0. As many as a power of two. */
  readonly #heads: Int32Array;
  /** 1 for an entry that has a key. */
  readonly #used: Uint8Array;
  readonly #free: FreeNumbers;
  /** Where hashes begin: nobody who sends packets can tell which keys share a bucket. */
  readonly #seed = Math.floor(Math.random() * 2 ** 32) | 0;
  readonly #bucketMask: number;
  /** The bytes of a key's last word. */
  readonly #lastMask: number;
  /** The arena's. */
  readonly #words: Int32Array;

  constructor(machine: Machine, handle: number, definition: MapDefinition) {
    const { keySize, maxEntries, type } = definition;
    const keyWords = Math.ceil(keySize / 4);
    const entries = new Int32Array(maxEntries * (KEY + keyWords));
    const heads = new Int32Array(2 ** Math.ceil(Math.log2(maxEntries + 1)));
    const used = new Uint8Array(maxEntries);
    const free = new FreeNumbers(maxEntries);
    super(machine, handle, definition, type === 'percpu_hash' || type === 'lru_percpu_hash');
    this.#keySize = keySize;
    this.#keyWords = keyWords;
    this.#stride = KEY + keyWords;
    this.#entries = entries;
    this.#heads = heads;
    this.#used = used;
    this.#free = free;
    this.#bucketMask = heads.length - 1;
    this.#lastMask = (keySize & 3) === 0 ? -1 : 2 ** (8 * (keySize & 3)) - 1;
    this.#words = machine.arena.i32;
  }

  protected find(key: number): number {
    return this.#findIn(this.#bucketOf(this.#words, key >> 2), key >> 2);
  }

  protected take(key: number, flags: number): number {
    if (flags > BPF_EXIST) return -EINVAL;
    const first = key >> 2;
    const bucket = this.#bucketOf(this.#words, first);
    const found = this.#findIn(bucket, first);
    if (found >= 0) return flags === BPF_NOEXIST ? -EEXIST : found;
    if (flags === BPF_EXIST) return -ENOENT;
    let entry = this.#free.take();
    if (entry < 0 && this.makeRoom()) entry = this.#free.take();
    if (entry < 0) return -E2BIG;
    this.#link(entry, bucket, first);
    this.addEntry(entry);
    return entry;
  }

  protected remove(key: number): number {
    const entry = this.find(key);
    if (entry < 0) return -ENOENT;
    this.removeEntry(entry);
    return 0;
  }

  nextEntry(entry: number): number {
    return this.#used.indexOf(1, entry + 1);
  }

  copyKey(entry: number, to: number): void {
    this.#writeKey(entry, this.machine.arena.u8, to);
  }

  protected keyOf(entry: number): Uint8Array {
    const key = new Uint8Array(this.#keySize);
    this.#writeKey(entry, key, 0);
    return key;
  }

  /** Removes an entry when all are in use and a new key comes. Returns false where the type keeps them all. */
  protected makeRoom(): boolean {
    return false;
  }

  /** Makes a new entry's value. */
  protected addEntry(entry: number): void {
    this.clear(entry);
  }

  /** Takes an entry out of its chain, to the free ones. */
  protected removeEntry(entry: number): void {
    const entries = this.#entries;
    const at = entry * this.#stride;
    const bucket = this.#bucketOf(entries, at + KEY);
    const next = entries[at + NEXT]!;
    if (this.#heads[bucket] === entry + 1) this.#heads[bucket] = next;
    else {
      let before = (this.#heads[bucket]! - 1) * this.#stride;
      while (entries[before + NEXT] !== entry + 1) before = (entries[before + NEXT]! - 1) * this.#stride;
      entries[before + NEXT] = next;
    }
    this.#used[entry] = 0;
    this.#free.give(entry);
  }

  /** Puts an entry into its chain, with the key whose first word is at an index. */
  #link(entry: number, bucket: number, first: number): void {
    const entries = this.#entries;
    const at = entry * this.#stride;
    entries[at + NEXT] = this.#heads[bucket]!;
    const last = this.#keyWords - 1;
    for (let i = 0; i < last; i++) entries[at + KEY + i] = this.#words[first + i]!;
    entries[at + KEY + last] = this.#words[first + last]! & this.#lastMask;
    this.#heads[bucket] = entry + 1;
    this.#used[entry] = 1;
  }

  /** The entry of the key whose first word is at an index, or -1. */
  #findIn(bucket: number, first: number): number {
    const entries = this.#entries;
    let entry = this.#heads[bucket]! - 1;
    while (entry >= 0 && !this.#isKey(entry, first)) entry = entries[entry * this.#stride + NEXT]! - 1;
    return entry;
  }

  #isKey(entry: number, first: number): boolean {
    const entries = this.#entries;
    const words = this.#words;
    const at = entry * this.#stride + KEY;
    const last = this.#keyWords - 1;
    for (let i = 0; i < last; i++) if (entries[at + i] !== words[first + i]) return false;
    return entries[at + last] === (words[first + last]! & this.#lastMask);
  }

  /** Bucket of the key whose first word is at an index. */
  #bucketOf(words: Int32Array, first: number): number {
    let hash = this.#seed;
    const last = first + this.#keyWords - 1;
    for (let i = first; i < last; i++) {
      hash = Math.imul(hash ^ words[i]!, 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    hash = Math.imul(hash ^ (words[last]! & this.#lastMask), 0x9e3779b1);
    hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
    return (hash ^ (hash >>> 13)) & this.#bucketMask;
  }

  #writeKey(entry: number, bytes: Uint8Array, at: number): void {
    const first = entry * this.#stride + KEY;
    for (let i = 0; i < this.#keySize; i++) bytes[at + i] = this.#entries[first + (i >> 2)]! >> (8 * (i & 3));
  }
}
