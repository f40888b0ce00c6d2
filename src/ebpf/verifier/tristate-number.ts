const ALL_BITS = 0xffff_ffff_ffff_ffffn;
const SIGN_BIT = 1n << 63n;

/**
 * What is known of each bit of a number of 64 bits ("tnum" in the kernel): bits of `mask` may be 0 or 1, the others are those of `value`. Both
 * are unsigned, and have no bit in common.
 */
export interface TristateNumber {
  readonly value: bigint;
  readonly mask: bigint;
}

/** Nothing is known. */
export const UNKNOWN_BITS: TristateNumber = { value: 0n, mask: ALL_BITS };

/** All bits are known: those of `value`, unsigned. */
export function knownBits(value: bigint): TristateNumber {
  return { value, mask: 0n };
}

/** The bits that all numbers from `least` to `most` (unsigned) have in common. */
export function bitsOfRange(least: bigint, most: bigint): TristateNumber {
  const different = least ^ most;
  if (different === 0n) return knownBits(least);
  const mask = (1n << BigInt(different.toString(2).length)) - 1n;
  return { value: least & ~mask, mask };
}

/** What two descriptions of one number say together, or undefined where they contradict each other. */
export function intersectBits(a: TristateNumber, b: TristateNumber): TristateNumber | undefined {
  if (((a.value ^ b.value) & ~(a.mask | b.mask)) !== 0n) return undefined;
  const mask = a.mask & b.mask;
  return { value: (a.value | b.value) & ~mask, mask };
}

/** Whether each number that `part` describes is one that `whole` describes. */
export function includesBits(whole: TristateNumber, part: TristateNumber): boolean {
  return (part.mask & ~whole.mask) === 0n && (part.value & ~whole.mask) === whole.value;
}

export function addBits(a: TristateNumber, b: TristateNumber): TristateNumber {
  const least = a.value + b.value;
  const masks = a.mask + b.mask;
  return without(least, ((least + masks) ^ least) | a.mask | b.mask);
}

export function subtractBits(a: TristateNumber, b: TristateNumber): TristateNumber {
  const difference = BigInt.asUintN(64, a.value - b.value);
  const most = BigInt.asUintN(64, difference + a.mask);
  const least = BigInt.asUintN(64, difference - b.mask);
  return without(difference, (most ^ least) | a.mask | b.mask);
}

export function andBits(a: TristateNumber, b: TristateNumber): TristateNumber {
  const value = a.value & b.value;
  return { value, mask: (a.value | a.mask) & (b.value | b.mask) & ~value };
}

export function orBits(a: TristateNumber, b: TristateNumber): TristateNumber {
  const value = a.value | b.value;
  return { value, mask: (a.mask | b.mask) & ~value };
}

export function exclusiveOrBits(a: TristateNumber, b: TristateNumber): TristateNumber {
  return without(a.value ^ b.value, a.mask | b.mask);
}

/** Of a product only the zeros at its lower end are known; the range says more. */
export function multiplyBits(a: TristateNumber, b: TristateNumber): TristateNumber {
  if (a.mask === 0n && b.mask === 0n) return knownBits(BigInt.asUintN(64, a.value * b.value));
  return { value: 0n, mask: BigInt.asUintN(64, ALL_BITS << (lowerZeros(a) + lowerZeros(b))) };
}

/** @param count 0 to 63 */
export function shiftBitsLeft({ value, mask }: TristateNumber, count: bigint): TristateNumber {
  return { value: BigInt.asUintN(64, value << count), mask: BigInt.asUintN(64, mask << count) };
}

/** @param count 0 to 63 */
export function shiftBitsRight({ value, mask }: TristateNumber, count: bigint): TristateNumber {
  return { value: value >> count, mask: mask >> count };
}

/** With copies of the sign. @param count 0 to 63 */
export function shiftBitsRightSigned({ value, mask }: TristateNumber, count: bigint): TristateNumber {
  return {
    value: BigInt.asUintN(64, BigInt.asIntN(64, value) >> count),
    mask: BigInt.asUintN(64, BigInt.asIntN(64, mask) >> count),
  };
}

/** The lower bits, the others 0. */
export function lowerBits({ value, mask }: TristateNumber, count: number): TristateNumber {
  return { value: BigInt.asUintN(count, value), mask: BigInt.asUintN(count, mask) };
}

/** Whether the sign is known to be 0. */
export function isPositive({ value, mask }: TristateNumber): boolean {
  return ((value | mask) & SIGN_BIT) === 0n;
}

function without(value: bigint, mask: bigint): TristateNumber {
  const unknown = BigInt.asUintN(64, mask);
  return { value: BigInt.asUintN(64, value) & ~unknown, mask: unknown };
}

function lowerZeros({ value, mask }: TristateNumber): bigint {
  const bits = value | mask;
  if (bits === 0n) return 64n;
  let zeros = 0n;
  while (((bits >> zeros) & 1n) === 0n) zeros++;
  return zeros;
}
