import { EEXIST, EINVAL, ENOENT, ENOSPC } from '../errno.js';
import type { Machine } from '../machine.js';
import { BPF_EXIST, BPF_NOEXIST, type MapDefinition } from './contract.js';
import { FreeNumbers } from './free-numbers.js';
import { PrefixTree } from './prefix-tree.js';
import { StoredMap } from './stored-map.js';

/** Bytes of a key before the data: the prefix length in bits, little-endian. */
const LENGTH_BYTES = 4;
const NONE = -1;

/**
 * Type lpm_trie: values of prefixes; a key finds the longest prefix that it begins with, up to its own length. The bits are those of
 * the key's data, the highest of the first byte first.
 */
export class LpmTrieMap extends StoredMap {
  /** The arena's. */
  readonly #words: Int32Array;
  /** Most bits of a prefix. */
  readonly #longest: number;
  readonly #tree: PrefixTree;
  readonly #free: FreeNumbers;
  /** By entry: its node plus 1, or 0. */
  readonly #nodes: Int32Array;

  constructor(machine: Machine, handle: number, definition: MapDefinition) {
    const { keySize, maxEntries } = definition;
    const tree = new PrefixTree(maxEntries, keySize - LENGTH_BYTES);
    const free = new FreeNumbers(maxEntries);
    const nodes = new Int32Array(maxEntries);
    super(machine, handle, definition, false);
    this.#words = machine.arena.i32;
    this.#longest = (keySize - LENGTH_BYTES) * 8;
    this.#tree = tree;
    this.#free = free;
    this.#nodes = nodes;
  }

  protected find(key: number): number {
    const length = this.#words[key >> 2]! >>> 0;
    if (length > this.#longest) return NONE;
    this.#tree.want(this.machine.arena.u8, key + LENGTH_BYTES, length);
    return this.#tree.longest();
  }

  protected take(key: number, flags: number): number {
    const length = this.#words[key >> 2]! >>> 0;
    if (length > this.#longest || flags > BPF_EXIST) return -EINVAL;
    this.#tree.want(this.machine.arena.u8, key + LENGTH_BYTES, length);
    const known = this.#tree.exact();
    if (known !== NONE) return flags === BPF_NOEXIST ? -EEXIST : known;
    if (flags === BPF_EXIST) return -ENOENT;
    const entry = this.#free.take();
    if (entry < 0) return -ENOSPC; // tries say it so in Linux
    this.#nodes[entry] = this.#tree.insert(entry) + 1;
    this.clear(entry);
    return entry;
  }

  protected remove(key: number): number {
    const length = this.#words[key >> 2]! >>> 0;
    if (length > this.#longest) return -EINVAL;
    this.#tree.want(this.machine.arena.u8, key + LENGTH_BYTES, length);
    const entry = this.#tree.remove();
    if (entry === NONE) return -ENOENT;
    this.#nodes[entry] = 0;
    this.#free.give(entry);
    return 0;
  }

  nextEntry(entry: number): number {
    let next = entry + 1;
    while (next < this.#nodes.length && this.#nodes[next] === 0) next++;
    return next < this.#nodes.length ? next : NONE;
  }

  copyKey(entry: number, to: number): void {
    this.#writeKey(entry, this.machine.arena.u8, to);
  }

  protected keyOf(entry: number): Uint8Array {
    const key = new Uint8Array(this.definition.keySize);
    this.#writeKey(entry, key, 0);
    return key;
  }

  #writeKey(entry: number, bytes: Uint8Array, at: number): void {
    const node = this.#nodes[entry]! - 1;
    const length = this.#tree.lengthOf(node);
    for (let i = 0; i < LENGTH_BYTES; i++) bytes[at + i] = length >> (8 * i);
    this.#tree.copyPrefix(node, bytes, at + LENGTH_BYTES);
  }
}
