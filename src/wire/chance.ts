/**
 * Random decisions about numbered things, all the same for the same seed: each depends on the seed, on what is decided and on the
 * number only, not on what was decided before. So the n-th packet meets the same fate however packets fall into batches, and
 * another probability of one fault leaves the others as they are.
 */
export class Chance {
  readonly #key: number;
  readonly #threshold: number;

  /**
   * @param probability 0 to 1
   * @param purpose tells decisions of one seed apart
   */
  constructor(seed: number, purpose: number, probability: number) {
    this.#key = scramble(seed + Math.imul(purpose + 1, 0x6a09e667));
    this.#threshold = probability * 2 ** 32;
  }

  /** Whether it happens to number `n`. */
  hits(n: number): boolean {
    return this.#threshold > 0 && scramble(this.#key + Math.imul(n, 0x9e3779b1)) >>> 0 < this.#threshold;
  }

  /** A whole number from 0 to `limit - 1` for number `n`, independent of `hits`. */
  below(limit: number, n: number): number {
    return (scramble(~this.#key + Math.imul(n, 0x9e3779b1)) >>> 0) % limit;
  }
}

/** The 32-bit finalizer of MurmurHash3 (Appleby, public domain): every bit of the input changes half the bits of the result. */
function scramble(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
