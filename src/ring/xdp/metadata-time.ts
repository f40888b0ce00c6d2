/**
 * Times in metadata in front of packets: nanoseconds as a 64-bit number in native byte order, which is two words of the arena. All sums are
 * exact, and without BigInt.
 *
 * @module
 */

export const NANOSECONDS_PER_SECOND = 1e9;
const LOW = 2 ** 32;

/**
 * @param word index of the lower word
 * @param seconds whole ones, from 0 to 2^32 - 1
 * @param nanoseconds whole ones below a second
 */
export function writeTime(i32: Int32Array, word: number, seconds: number, nanoseconds: number): void {
  // In two halves of the seconds, so that every product is exact.
  const upper = (seconds >>> 16) * NANOSECONDS_PER_SECOND;
  const lower = (seconds & 0xffff) * NANOSECONDS_PER_SECOND + nanoseconds;
  const low = (upper % 65536) * 65536 + (lower % LOW);
  i32[word] = (low % LOW) | 0;
  i32[word + 1] = (Math.floor(upper / 65536) + Math.floor(lower / LOW) + Math.floor(low / LOW)) | 0;
}

/** Whole seconds of a time, given its lower and upper word, signed or not. */
export function secondsOf(low: number, high: number): number {
  // Long division by 10^9, 16 bits at a time.
  const upper = ((high >>> 0) % NANOSECONDS_PER_SECOND) * 65536 + (low >>> 16);
  const lower = (upper % NANOSECONDS_PER_SECOND) * 65536 + (low & 0xffff);
  const quotient = Math.floor(upper / NANOSECONDS_PER_SECOND) * 65536 + Math.floor(lower / NANOSECONDS_PER_SECOND);
  return Math.floor((high >>> 0) / NANOSECONDS_PER_SECOND) * LOW + quotient;
}

/** What is left of a time beside its whole seconds. */
export function nanosecondsOf(low: number, high: number): number {
  const upper = ((high >>> 0) % NANOSECONDS_PER_SECOND) * 65536 + (low >>> 16);
  return ((upper % NANOSECONDS_PER_SECOND) * 65536 + (low & 0xffff)) % NANOSECONDS_PER_SECOND;
}
