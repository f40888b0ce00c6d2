import type { CapturePacket } from './contract.js';

/** Decimal digits that one division takes off: 10^9 times 2^16 stays below 2^53. */
const DIGITS_PER_DIVISION = 9;
const NANOSECOND_DIGITS = 9;

/**
 * Turns an interface's timestamps, 64-bit counts of some unit, into seconds and nanoseconds without 64-bit numbers. Units are a
 * power of ten or of two of a second; what is finer than a nanosecond is cut off.
 */
export class TimestampScale {
  /** Negative power of two if set, else of ten. */
  readonly #binary: boolean;
  readonly #exponent: number;
  readonly #offsetSeconds: number;
  /** For powers of ten: what takes the count to nanoseconds where it is finer, then what takes it to seconds. */
  readonly #divisors: number[] = [];
  /** For powers of ten: of what is left when the seconds are out. */
  readonly #nanosecondsPerUnit: number;
  // The fraction of a second in binary, 64 bits.
  #high = 0;
  #low = 0;

  /**
   * @param resolution the option if_tsresol: upper bit set for 2^-n seconds, clear for 10^-n, n in the lower seven bits
   * @param offsetSeconds the option if_tsoffset: seconds to add
   */
  constructor(resolution: number, offsetSeconds: number) {
    this.#binary = (resolution & 0x80) !== 0;
    this.#exponent = resolution & 0x7f;
    this.#offsetSeconds = offsetSeconds;
    let digits = this.#exponent;
    while (digits > NANOSECOND_DIGITS) {
      const cut = Math.min(digits - NANOSECOND_DIGITS, DIGITS_PER_DIVISION);
      this.#divisors.push(10 ** cut);
      digits -= cut;
    }
    this.#divisors.push(10 ** digits);
    this.#nanosecondsPerUnit = 10 ** (NANOSECOND_DIGITS - digits);
  }

  /** Converts the timestamp of two unsigned 32-bit words and writes it into the packet. */
  convert(high: number, low: number, packet: CapturePacket): void {
    if (this.#binary) this.#convertBinary(high, low, packet);
    else this.#convertDecimal(high, low, packet);
    packet.seconds += this.#offsetSeconds;
    packet.timestamped = true;
  }

  /** Long division of the 64-bit count, 16 bits at a time, so that every step is exact in a double. */
  #convertDecimal(high: number, low: number, packet: CapturePacket): void {
    const divisors = this.#divisors;
    let remainder = 0;
    for (let i = 0; i < divisors.length; i++) {
      const divisor = divisors[i]!;
      const top = Math.floor(high / divisor);
      const middle = (high - top * divisor) * 0x10000 + (low >>> 16);
      const middleQuotient = Math.floor(middle / divisor);
      const bottom = (middle - middleQuotient * divisor) * 0x10000 + (low & 0xffff);
      const bottomQuotient = Math.floor(bottom / divisor);
      remainder = bottom - bottomQuotient * divisor;
      high = top;
      low = middleQuotient * 0x10000 + bottomQuotient;
    }
    packet.seconds = high * 2 ** 32 + low;
    packet.nanoseconds = remainder * this.#nanosecondsPerUnit;
  }

  #convertBinary(high: number, low: number, packet: CapturePacket): void {
    const bits = this.#exponent;
    if (bits < 32) packet.seconds = high * 2 ** (32 - bits) + (low >>> bits);
    else packet.seconds = bits < 64 ? high >>> (bits - 32) : 0;
    this.#align(high, low, 64 - bits);
    // The fraction of a second is now in units of 2^-64: times 10^9, 16 bits at a time, keeping what spills over the top.
    let nanoseconds = Math.floor(((this.#low & 0xffff) * 1e9) / 0x10000);
    nanoseconds = Math.floor(((this.#low >>> 16) * 1e9 + nanoseconds) / 0x10000);
    nanoseconds = Math.floor(((this.#high & 0xffff) * 1e9 + nanoseconds) / 0x10000);
    packet.nanoseconds = Math.floor(((this.#high >>> 16) * 1e9 + nanoseconds) / 0x10000);
  }

  /** Shifts 64 bits to the left, or to the right by a negative count. JavaScript shifts by a count modulo 32. */
  #align(high: number, low: number, left: number): void {
    if (left >= 64) {
      this.#high = 0;
      this.#low = 0;
    } else if (left >= 32) {
      this.#high = low << (left - 32);
      this.#low = 0;
    } else if (left > 0) {
      this.#high = (high << left) | (low >>> (32 - left));
      this.#low = low << left;
    } else if (left === 0) {
      this.#high = high;
      this.#low = low;
    } else if (left > -32) {
      this.#high = high >>> -left;
      this.#low = (low >>> -left) | (high << (32 + left));
    } else {
      this.#high = 0;
      this.#low = high >>> (-left - 32);
    }
  }
}
