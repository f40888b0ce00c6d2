// What several parts need of 64-bit arithmetic on two words: see arithmetic.ts.

/** Adds with the carry between the words. */
export function add(words: Int32Array, at: number, low: number, high: number): void {
  const sum = (words[at]! >>> 0) + (low >>> 0);
  words[at] = sum;
  words[at + 1] = words[at + 1]! + high + (sum >= 2 ** 32 ? 1 : 0);
}

/** 0 - value. */
export function negate(words: Int32Array, at: number): void {
  words[at + 1] = words[at] === 0 ? -words[at + 1]! : ~words[at + 1]!;
  words[at] = -words[at]!;
}
