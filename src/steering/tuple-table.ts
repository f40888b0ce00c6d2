import {
  FLOW_BUCKET,
  FLOW_DESTINATION,
  FLOW_KEY_WORDS,
  FLOW_LINK,
  FLOW_NETWORK,
  FLOW_PORTS,
  FLOW_SOURCE,
  type FlowKey,
} from '../packet/flow-key.js';

// Private names for the lookup: V8 folds them into the code, exported ones it loads each time (see flow-key.ts).
const LINK = FLOW_LINK;
const NETWORK = FLOW_NETWORK;
const PORTS = FLOW_PORTS;
const SOURCE = FLOW_SOURCE;
const DESTINATION = FLOW_DESTINATION;
const BUCKET = FLOW_BUCKET;

/** Slots that a key may lie behind its own before the table is hashed anew. At most half the slots are in use. */
const MOST_PROBES = 128;
const FEWEST_SLOTS = 8;

/** log2 of the words of a slot. */
const NARROW_SHIFT = 3;
const WIDE_SHIFT = 4;

/**
 * All tuples of one mask, in a hash table with open addressing: finding a key costs the same for one tuple and for many. A slot
 * holds side by side all that a lookup needs, in half a cache line, or a whole one when the mask reaches into the
 * last three words of an IPv6 address:
 *
 *     0          1        2     3        4      5              6                   7       8-10           11-13
 *     entry + 1  its      link  network  ports  first word of  first word of       bucket  the rest of    the rest of the
 *     0: free    target                         the source     the destination             the source     destination
 *
 * The hash is drawn anew for every table, and again when keys crowd together, so that whoever chooses rules or packets cannot
 * aim them at one slot. What entries and targets are is the flow table's business.
 */
export class TupleTable {
  readonly mask: FlowKey;
  /** A found slot starts at the index that {@link find} returns. */
  slots: Int32Array;
  /** Tuples in the table. */
  count = 0;
  /** Two odd random factors for each word of a key. */
  readonly #factors = new Int32Array(2 * FLOW_KEY_WORDS);
  readonly #isWide: boolean;
  readonly #slotShift: number;
  #slotMask = FEWEST_SLOTS - 1;
  #hashShift = Math.clz32(FEWEST_SLOTS - 1);
  #random: number;
  #addedSinceRehash = 0;

  /** @param seed any number; makes hashes, and so costs, repeatable */
  constructor(mask: FlowKey, seed: number) {
    this.mask = mask.slice();
    this.#isWide = mask.some((bits, word) => bits !== 0 && word > SOURCE && word < BUCKET && word !== DESTINATION);
    this.#slotShift = this.#isWide ? WIDE_SHIFT : NARROW_SHIFT;
    this.slots = new Int32Array(FEWEST_SLOTS << this.#slotShift);
    this.#random = seed | 0;
    this.#drawFactors();
  }

  /** Where the slot of a key lies in {@link slots}, or -1. Data path: no allocation. */
  find(key: FlowKey): number {
    const slots = this.slots;
    const slotShift = this.#slotShift;
    const slotMask = this.#slotMask;
    for (let slot = this.#hash(key); ; slot = (slot + 1) & slotMask) {
      const at = slot << slotShift;
      if (slots[at] === 0) return -1;
      if (this.#equals(key, at)) return at;
    }
  }

  /** Adds a value that is not there yet. */
  add(value: FlowKey, entry: number, target: number): void {
    this.count++;
    this.#addedSinceRehash++;
    if (2 * this.count > this.#slotMask + 1) this.#rehash(2 * (this.#slotMask + 1));
    const probes = this.#place(value, entry, target);
    // Rehashing pays only when many tuples share its cost. Not to be seen without somebody who knows the factors.
    if (probes > MOST_PROBES && 8 * this.#addedSinceRehash > this.#slotMask) this.#rehash(this.#slotMask + 1);
  }

  /** Frees the slot that {@link find} returned. Those behind it move up, so that no marks of the dead slow later lookups. */
  delete(at: number): void {
    const slots = this.slots;
    const slotShift = this.#slotShift;
    const slotMask = this.#slotMask;
    const value = new Int32Array(FLOW_KEY_WORDS);
    let free = at >> slotShift;
    for (let slot = (free + 1) & slotMask; slots[slot << slotShift] !== 0; slot = (slot + 1) & slotMask) {
      this.#readValue(slots, slot << slotShift, value);
      // It stays when its own slot lies between the free one and where it is.
      const distance = (slot - this.#hash(value)) & slotMask;
      if (distance < ((slot - free) & slotMask)) continue;
      slots.copyWithin(free << slotShift, slot << slotShift, (slot + 1) << slotShift);
      free = slot;
    }
    slots.fill(0, free << slotShift, (free + 1) << slotShift);
    this.count--;
  }

  /** The most slots that a lookup of any key there is passes by; for tests and explanations, takes time. */
  longestProbe(): number {
    const value = new Int32Array(FLOW_KEY_WORDS);
    let longest = 0;
    for (let slot = 0; slot <= this.#slotMask; slot++) {
      const at = slot << this.#slotShift;
      if (this.slots[at] === 0) continue;
      this.#readValue(this.slots, at, value);
      longest = Math.max(longest, (slot - this.#hash(value)) & this.#slotMask);
    }
    return longest;
  }

  /**
   * The first slot to look at for a key. Straight code over all words, also those that the mask leaves out: a lookup takes 21 ns
   * against 32 with loops over the words under the mask.
   */
  #hash(key: FlowKey): number {
    const mask = this.mask;
    const factors = this.#factors;
    // Words have factors of their own, so that differences in several words do not cancel out. The upper bits of a product,
    // which know most of the word, take part in the second one as lower bits. The upper bits of the sum are the slot.
    const fields =
      Math.imul(key[LINK]! & mask[LINK]!, factors[0]!) + Math.imul(key[NETWORK]! & mask[NETWORK]!, factors[2]!);
    const ports =
      Math.imul(key[PORTS]! & mask[PORTS]!, factors[4]!) + Math.imul(key[BUCKET]! & mask[BUCKET]!, factors[22]!);
    const source = Math.imul(key[SOURCE]! & mask[SOURCE]!, factors[6]!);
    const destination = Math.imul(key[DESTINATION]! & mask[DESTINATION]!, factors[8]!);
    const hash =
      (Math.imul(fields ^ (fields >>> 15), factors[1]!) +
        Math.imul(ports ^ (ports >>> 15), factors[5]!) +
        Math.imul(source ^ (source >>> 15), factors[7]!) +
        Math.imul(destination ^ (destination >>> 15), factors[9]!)) |
      0;
    return (this.#isWide ? (hash + this.#hashRest(key)) | 0 : hash) >>> this.#hashShift;
  }

  #equals(key: FlowKey, at: number): boolean {
    const mask = this.mask;
    const slots = this.slots;
    return (
      slots[at + 5] === (key[SOURCE]! & mask[SOURCE]!) &&
      slots[at + 6] === (key[DESTINATION]! & mask[DESTINATION]!) &&
      slots[at + 4] === (key[PORTS]! & mask[PORTS]!) &&
      slots[at + 3] === (key[NETWORK]! & mask[NETWORK]!) &&
      slots[at + 2] === (key[LINK]! & mask[LINK]!) &&
      slots[at + 7] === (key[BUCKET]! & mask[BUCKET]!) &&
      (!this.#isWide || this.#restEquals(key, at))
    );
  }

  /** The share of the words that only IPv6 has. */
  #hashRest(key: FlowKey): number {
    const mask = this.mask;
    const factors = this.#factors;
    let hash = 0;
    for (let i = 1; i < 4; i++) {
      const source = Math.imul(key[SOURCE + i]! & mask[SOURCE + i]!, factors[4 * i + 6]!);
      const destination = Math.imul(key[DESTINATION + i]! & mask[DESTINATION + i]!, factors[4 * i + 8]!);
      hash = (hash + Math.imul(source ^ (source >>> 15), factors[4 * i + 7]!)) | 0;
      hash = (hash + Math.imul(destination ^ (destination >>> 15), factors[4 * i + 9]!)) | 0;
    }
    return hash;
  }

  #restEquals(key: FlowKey, at: number): boolean {
    const mask = this.mask;
    const slots = this.slots;
    for (let i = 1; i < 4; i++) {
      if (slots[at + 7 + i] !== (key[SOURCE + i]! & mask[SOURCE + i]!)) return false;
      if (slots[at + 10 + i] !== (key[DESTINATION + i]! & mask[DESTINATION + i]!)) return false;
    }
    return true;
  }

  /** @returns slots passed by */
  #place(value: FlowKey, entry: number, target: number): number {
    const slots = this.slots;
    let slot = this.#hash(value);
    let probes = 0;
    for (; slots[slot << this.#slotShift] !== 0; probes++) slot = (slot + 1) & this.#slotMask;
    const at = slot << this.#slotShift;
    slots[at] = entry + 1;
    slots[at + 1] = target;
    for (let i = 0; i < NARROW_WORDS.length; i++) slots[at + 2 + i] = value[NARROW_WORDS[i]!]!;
    for (let i = 1; i < 4 && this.#isWide; i++) {
      slots[at + 7 + i] = value[SOURCE + i]!;
      slots[at + 10 + i] = value[DESTINATION + i]!;
    }
    return probes;
  }

  #readValue(slots: Int32Array, at: number, value: FlowKey): void {
    for (let i = 0; i < NARROW_WORDS.length; i++) value[NARROW_WORDS[i]!] = slots[at + 2 + i]!;
    for (let i = 1; i < 4 && this.#isWide; i++) {
      value[SOURCE + i] = slots[at + 7 + i]!;
      value[DESTINATION + i] = slots[at + 10 + i]!;
    }
  }

  #rehash(slotCount: number): void {
    const old = this.slots;
    this.slots = new Int32Array(slotCount << this.#slotShift);
    this.#slotMask = slotCount - 1;
    this.#hashShift = Math.clz32(this.#slotMask);
    this.#addedSinceRehash = 0;
    this.#drawFactors();
    const value = new Int32Array(FLOW_KEY_WORDS);
    for (let at = 0; at < old.length; at += 1 << this.#slotShift) {
      if (old[at] === 0) continue;
      this.#readValue(old, at, value);
      this.#place(value, old[at]! - 1, old[at + 1]!);
    }
  }

  #drawFactors(): void {
    for (let i = 0; i < this.#factors.length; i++) {
      // A counter in golden-ratio steps, mixed: cheap, and every seed gives other factors.
      this.#random = (this.#random + 0x9e3779b9) | 0;
      let mixed = Math.imul(this.#random ^ (this.#random >>> 16), 0x21f0aaad);
      mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
      this.#factors[i] = (mixed ^ (mixed >>> 15)) | 1;
    }
  }
}

/** The words of a key that every slot holds, in the order of the slot. */
const NARROW_WORDS = [LINK, NETWORK, PORTS, SOURCE, DESTINATION, BUCKET] as const;
