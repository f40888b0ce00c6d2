const NONE = -1;

/**
 * Gives out the numbers below a limit, and takes them back: entries of a map, nodes of a tree. Nothing is written in advance, so that a large
 * one takes no memory until it is used.
 */
export class FreeNumbers {
  /** By number that was given back: the one given back before it, or NONE. */
  readonly #before: Int32Array;
  #last = NONE;
  /** The numbers from here on were never given out. */
  #fresh = 0;

  constructor(limit: number) {
    this.#before = new Int32Array(limit);
  }

  /** A number, or -1 when all are given out. */
  take(): number {
    const number = this.#last;
    if (number !== NONE) this.#last = this.#before[number]!;
    else if (this.#fresh < this.#before.length) return this.#fresh++;
    return number;
  }

  /** Takes back a number that was given out. */
  give(number: number): void {
    this.#before[number] = this.#last;
    this.#last = number;
  }
}
