import { EEXIST, EINVAL, ENOENT } from '../errno.js';
import type { Machine } from '../machine.js';
import { readIndex } from './array-map.js';
import { BPF_EXIST, BPF_NOEXIST, type MapDefinition } from './contract.js';
import { FULL, StoredMap } from './stored-map.js';

/** Bytes of a key before the data: the prefix length in bits, little-endian. */
const LENGTH_BYTES = 4;
const NONE = -1;

/**
 * Type lpm_trie: values of prefixes; a key finds the longest prefix that it begins with, up to its own length. The bits are those of
 * the key's data, the highest of the first byte first.
 *
 * A node stands for a prefix. Its two children are longer ones that begin with it, told apart by the bit that follows. Nodes without a
 * value of their own stand only where two ways part, so that there are fewer than two nodes for each entry.
 */
export class LpmTrieMap extends StoredMap {
  readonly #dataBytes: number;
  /** By node: data, of which the first `#lengths` bits count; entry or NONE; the children for 0 and 1, or NONE. */
  readonly #data: Uint8Array;
  readonly #lengths: Int32Array;
  readonly #entryOf: Int32Array;
  readonly #children: Int32Array;
  /** By entry: its node, or NONE. */
  readonly #nodeOf: Int32Array;
  /** What is free, the next to take last. */
  readonly #freeNodes: number[];
  readonly #freeEntries: number[];
  #root = NONE;

  constructor(machine: Machine, handle: number, definition: MapDefinition) {
    super(machine, handle, definition, false);
    const { keySize, maxEntries } = definition;
    const nodes = 2 * maxEntries;
    this.#dataBytes = keySize - LENGTH_BYTES;
    this.#data = new Uint8Array(nodes * this.#dataBytes);
    this.#lengths = new Int32Array(nodes);
    this.#entryOf = new Int32Array(nodes).fill(NONE);
    this.#children = new Int32Array(nodes * 2).fill(NONE);
    this.#nodeOf = new Int32Array(maxEntries).fill(NONE);
    this.#freeNodes = Array.from({ length: nodes }, (_, index) => nodes - 1 - index);
    this.#freeEntries = Array.from({ length: maxEntries }, (_, index) => maxEntries - 1 - index);
  }

  protected find(bytes: Uint8Array, at: number): number {
    const length = readIndex(bytes, at);
    let best = NONE;
    if (length > this.#dataBytes * 8) return best;
    let node = this.#root;
    while (node !== NONE && this.#lengths[node]! <= length) {
      const own = this.#lengths[node]!;
      if (this.#common(node, bytes, at, own) < own) break;
      if (this.#entryOf[node] !== NONE) best = this.#entryOf[node]!;
      if (own === length) break;
      node = this.#children[node * 2 + this.#bit(bytes, at, own)]!;
    }
    return best;
  }

  protected take(bytes: Uint8Array, at: number, flags: number): number {
    const length = readIndex(bytes, at);
    if (length > this.#dataBytes * 8 || flags > BPF_EXIST) return -EINVAL;
    let link = NONE; // index in #children that leads to the node; NONE for the root
    let node = this.#root;
    let common = 0;
    while (node !== NONE) {
      common = this.#common(node, bytes, at, Math.min(this.#lengths[node]!, length));
      if (common < this.#lengths[node]! || common === length) break;
      link = node * 2 + this.#bit(bytes, at, common);
      node = this.#children[link]!;
    }
    const same = node !== NONE && common === length && this.#lengths[node] === length;
    const known = same ? this.#entryOf[node]! : NONE;
    if (known !== NONE) return flags === BPF_NOEXIST ? -EEXIST : known;
    if (flags === BPF_EXIST) return -ENOENT;
    if (this.#freeEntries.length === 0) return FULL;
    const target = same ? node : this.#insert(bytes, at, length, link, node, common);
    const entry = this.#freeEntries.pop()!;
    this.#entryOf[target] = entry;
    this.#nodeOf[entry] = target;
    this.clear(entry);
    return entry;
  }

  protected remove(bytes: Uint8Array, at: number): number {
    const length = readIndex(bytes, at);
    if (length > this.#dataBytes * 8) return -EINVAL;
    let parentLink = NONE;
    let link = NONE;
    let node = this.#root;
    while (node !== NONE && this.#lengths[node]! <= length) {
      const own = this.#lengths[node]!;
      if (this.#common(node, bytes, at, own) < own) return -ENOENT;
      if (own === length) break;
      parentLink = link;
      link = node * 2 + this.#bit(bytes, at, own);
      node = this.#children[link]!;
    }
    if (node === NONE || this.#lengths[node] !== length || this.#entryOf[node] === NONE) return -ENOENT;
    const entry = this.#entryOf[node]!;
    this.#nodeOf[entry] = NONE;
    this.#entryOf[node] = NONE;
    this.#freeEntries.push(entry);
    this.#drop(node, link, parentLink);
    return 0;
  }

  nextEntry(entry: number): number {
    let next = entry + 1;
    while (next < this.#nodeOf.length && this.#nodeOf[next] === NONE) next++;
    return next < this.#nodeOf.length ? next : NONE;
  }

  copyKey(entry: number, to: number): void {
    const node = this.#nodeOf[entry]!;
    const { u8, i32 } = this.machine.arena;
    i32[to >> 2] = this.#lengths[node]!;
    const first = node * this.#dataBytes;
    for (let i = 0; i < this.#dataBytes; i++) u8[to + LENGTH_BYTES + i] = this.#data[first + i]!;
  }

  protected keyOf(entry: number): Uint8Array {
    const node = this.#nodeOf[entry]!;
    const key = new Uint8Array(this.definition.keySize);
    new DataView(key.buffer).setUint32(0, this.#lengths[node]!, true);
    key.set(this.#data.subarray(node * this.#dataBytes, (node + 1) * this.#dataBytes), LENGTH_BYTES);
    return key;
  }

  /** Puts a node for a new prefix where the way to it ends: at `link`, before `node` (or NONE), with which it has `common` bits. */
  #insert(bytes: Uint8Array, at: number, length: number, link: number, node: number, common: number): number {
    const added = this.#makeNode(bytes, at, length);
    let top = added;
    if (node !== NONE && common === length) this.#children[added * 2 + this.#nodeBit(node, length)] = node;
    else if (node !== NONE) {
      top = this.#makeNode(bytes, at, common);
      this.#children[top * 2 + this.#bit(bytes, at, common)] = added;
      this.#children[top * 2 + this.#nodeBit(node, common)] = node;
    }
    this.#setLink(link, top);
    return added;
  }

  /** Takes a node without a value out, and its parent, too, where no two ways part there any more. */
  #drop(node: number, link: number, parentLink: number): void {
    if (this.#isNeeded(node)) return;
    this.#setLink(link, this.#onlyChild(node));
    this.#freeNode(node);
    if (link === NONE) return;
    const parent = link >> 1;
    if (this.#isNeeded(parent)) return;
    this.#setLink(parentLink, this.#onlyChild(parent));
    this.#freeNode(parent);
  }

  #isNeeded(node: number): boolean {
    const parts = this.#children[node * 2] !== NONE && this.#children[node * 2 + 1] !== NONE;
    return parts || this.#entryOf[node] !== NONE;
  }

  #onlyChild(node: number): number {
    return Math.max(this.#children[node * 2]!, this.#children[node * 2 + 1]!);
  }

  #setLink(link: number, node: number): void {
    if (link === NONE) this.#root = node;
    else this.#children[link] = node;
  }

  /** A node for the first `length` bits of a key; the bits behind them are 0. */
  #makeNode(bytes: Uint8Array, at: number, length: number): number {
    const node = this.#freeNodes.pop()!;
    const first = node * this.#dataBytes;
    for (let i = 0; i < this.#dataBytes; i++) {
      const kept = Math.min(Math.max(length - i * 8, 0), 8);
      this.#data[first + i] = bytes[at + LENGTH_BYTES + i]! & (0xff00 >> kept);
    }
    this.#lengths[node] = length;
    return node;
  }

  #freeNode(node: number): void {
    this.#children.fill(NONE, node * 2, node * 2 + 2);
    this.#freeNodes.push(node);
  }

  /** How many of the first `most` bits a node and a key have in common. */
  #common(node: number, bytes: Uint8Array, at: number, most: number): number {
    const first = node * this.#dataBytes;
    for (let i = 0; i * 8 < most; i++) {
      const different = this.#data[first + i]! ^ bytes[at + LENGTH_BYTES + i]!;
      if (different !== 0) return Math.min(i * 8 + Math.clz32(different) - 24, most);
    }
    return most;
  }

  #bit(bytes: Uint8Array, at: number, index: number): number {
    return (bytes[at + LENGTH_BYTES + (index >> 3)]! >> (7 - (index & 7))) & 1;
  }

  #nodeBit(node: number, index: number): number {
    return (this.#data[node * this.#dataBytes + (index >> 3)]! >> (7 - (index & 7))) & 1;
  }
}
