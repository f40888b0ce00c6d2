import { negate } from './pairs.js';

/** Dividend, then remainder; divisor; quotient: two words each. */
const scratch = new Int32Array(6);
const REMAINDER = 0;
const DIVISOR = 2;
const QUOTIENT = 4;

/**
 * Divides 64 bits: the pair at `at` becomes the quotient, or the remainder with `modulo`. By zero the quotient is 0 and the remainder the
 * dividend. Signed division truncates, the remainder has the dividend's sign; the lowest number by -1 is itself, remainder 0 (RFC 9669,
 * section 4.1).
 */
export function divide(
  words: Int32Array,
  at: number,
  low: number,
  high: number,
  signed: boolean,
  modulo: boolean,
): void {
  scratch[REMAINDER] = words[at]!;
  scratch[REMAINDER + 1] = words[at + 1]!;
  scratch[DIVISOR] = low;
  scratch[DIVISOR + 1] = high;
  scratch[QUOTIENT] = 0;
  scratch[QUOTIENT + 1] = 0;
  const negative = signed && words[at + 1]! < 0;
  const negativeDivisor = signed && high < 0;
  if (negative) negate(scratch, REMAINDER);
  if (negativeDivisor) negate(scratch, DIVISOR);
  if ((low | high) !== 0) divideUnsigned();
  const result = modulo ? REMAINDER : QUOTIENT;
  if (modulo ? negative : negative !== negativeDivisor) negate(scratch, result);
  words[at] = scratch[result]!;
  words[at + 1] = scratch[result + 1]!;
}

/** Divides what is in `scratch`. */
function divideUnsigned(): void {
  if (scratch[REMAINDER + 1] === 0 && scratch[DIVISOR + 1] === 0) {
    const dividend = scratch[REMAINDER]! >>> 0;
    const divisor = scratch[DIVISOR]! >>> 0;
    scratch[QUOTIENT] = Math.floor(dividend / divisor);
    scratch[REMAINDER] = dividend % divisor;
    return;
  }
  divideLong();
}

/** Bit by bit from the top, as on paper: the remainder moves left by one digit of the dividend, and loses the divisor where it can. */
function divideLong(): void {
  const divisorLow = scratch[DIVISOR]! >>> 0;
  const divisorHigh = scratch[DIVISOR + 1]! >>> 0;
  let dividendLow = scratch[REMAINDER]!;
  let dividendHigh = scratch[REMAINDER + 1]!;
  let low = 0;
  let high = 0;
  for (let bit = 63; bit >= 0; bit--) {
    // What the shift pushes out of the remainder: then it is larger than any divisor.
    const carry = high >>> 31;
    high = ((high << 1) | (low >>> 31)) >>> 0;
    low = ((low << 1) | (dividendHigh >>> 31)) >>> 0;
    dividendHigh = (dividendHigh << 1) | (dividendLow >>> 31);
    dividendLow <<= 1;
    if (carry === 0 && (high < divisorHigh || (high === divisorHigh && low < divisorLow))) continue;
    high = (high - divisorHigh - (low < divisorLow ? 1 : 0)) >>> 0;
    low = (low - divisorLow) >>> 0;
    const word = bit >= 32 ? QUOTIENT + 1 : QUOTIENT;
    scratch[word] = scratch[word]! | (1 << (bit & 31));
  }
  scratch[REMAINDER] = low;
  scratch[REMAINDER + 1] = high;
}
