/** What a program needs to know to look into a table: where it is, and how keys are hashed. */
export interface CuckooTable {
  /** Bytes in front of it. */
  readonly offset: number;
  /** log2 of its slots; at least {@link FEWEST_BITS}. */
  readonly bits: number;
  /** Odd, one for each word of a key. */
  readonly factors: readonly number[];
}

/** Tells the second slot of a hash from its first. */
export const SECOND_FACTOR = 0x9e3779b1;
export const SECOND_SHIFT = 15;

const FEWEST_BITS = 4;
/** Cuckoo hashing with two slots a key wants less than half of them used. */
const MOST_USED = 0.45;
/** Moves until it is believed that the keys do not fit, and draws of factors until the table is made larger. */
const MOST_MOVES = 500;
const MOST_DRAWS = 8;

/**
 * A hash table in which each key has two slots that it can be in (cuckoo hashing), so that a lookup is two comparisons at most, whatever is
 * in it and whatever is looked for; it is made once and never changed. A slot is
 *
 *     value + 1, or 0: free | word | word | ...        4 bytes each, in the byte order of the host
 *
 * and the slots of a key, with 32-bit arithmetic:
 *
 *     hash   = sum of word * its factor                first  = the upper bits of hash
 *     second = the upper bits of (hash ^ hash >>> SECOND_SHIFT) * SECOND_FACTOR
 */
export class CuckooBuilder {
  readonly #keys: Int32Array[] = [];
  readonly #values: number[] = [];
  readonly #byName = new Map<string, number>();
  readonly #words: number;
  #random = 1;

  /** @param words of a key, at least 1 */
  constructor(words: number) {
    this.#words = words;
  }

  /** Keeps the least value of a key. @param value 0 to 2^32 - 2 */
  enter(key: Int32Array, value: number): void {
    const name = key.join();
    const at = this.#byName.get(name);
    if (at !== undefined) {
      this.#values[at] = Math.min(this.#values[at]!, value);
      return;
    }
    this.#byName.set(name, this.#keys.length);
    this.#keys.push(key);
    this.#values.push(value);
  }

  /** Bytes of a slot. */
  get slotBytes(): number {
    return 4 * (1 + this.#words);
  }

  /** @param offset where it will lie */
  build(offset: number): CuckooTable & { readonly bytes: Uint8Array } {
    let bits = Math.max(FEWEST_BITS, Math.ceil(Math.log2(this.#keys.length / MOST_USED)));
    for (let draw = 1; ; draw++) {
      const factors = Array.from({ length: this.#words }, () => this.#draw());
      const slots = this.#place(bits, factors);
      if (slots !== undefined) return { offset, bits, factors, bytes: this.#write(slots) };
      if (draw % MOST_DRAWS === 0) bits++;
    }
  }

  /** @returns for each slot the index of its key, or -1; undefined when they do not fit */
  #place(bits: number, factors: readonly number[]): Int32Array | undefined {
    const slots = new Int32Array(1 << bits).fill(-1);
    for (let key = 0; key < this.#keys.length; key++) {
      let moving = key;
      let slot = firstSlot(this.#hash(moving, factors), bits);
      for (let moves = 0; moving >= 0; moves++) {
        if (moves === MOST_MOVES) return undefined;
        const evicted = slots[slot]!;
        slots[slot] = moving;
        moving = evicted;
        if (moving < 0) break;
        // To its other slot; the same, if both are one.
        const hash = this.#hash(moving, factors);
        const first = firstSlot(hash, bits);
        slot = slot === first ? secondSlot(hash, bits) : first;
      }
    }
    return slots;
  }

  #hash(key: number, factors: readonly number[]): number {
    const words = this.#keys[key]!;
    let hash = 0;
    for (let i = 0; i < words.length; i++) hash = (hash + Math.imul(words[i]!, factors[i]!)) | 0;
    return hash;
  }

  #write(slots: Int32Array): Uint8Array {
    const stride = 1 + this.#words;
    const words = new Int32Array(slots.length * stride);
    for (let slot = 0; slot < slots.length; slot++) {
      const key = slots[slot]!;
      if (key < 0) continue;
      words[slot * stride] = this.#values[key]! + 1;
      words.set(this.#keys[key]!, slot * stride + 1);
    }
    return new Uint8Array(words.buffer);
  }

  /** An odd number, the same ones in every run, so that a list of rules is always the same program. */
  #draw(): number {
    this.#random = (this.#random + 0x9e3779b9) | 0;
    let mixed = Math.imul(this.#random ^ (this.#random >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) | 1;
  }
}

function firstSlot(hash: number, bits: number): number {
  return hash >>> (32 - bits);
}

function secondSlot(hash: number, bits: number): number {
  return Math.imul(hash ^ (hash >>> SECOND_SHIFT), SECOND_FACTOR) >>> (32 - bits);
}
