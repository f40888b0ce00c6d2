import {
  bitsOfRange,
  includesBits,
  intersectBits,
  knownBits,
  lowerBits,
  type TristateNumber,
  UNKNOWN_BITS,
} from './tristate-number.js';

const MOST = 0xffff_ffff_ffff_ffffn;
const SIGNED_LEAST = -(1n << 63n);
const SIGNED_MOST = (1n << 63n) - 1n;
const MOST_32 = 0xffff_ffff;
const SIGNED_LEAST_32 = -0x8000_0000;
const SIGNED_MOST_32 = 0x7fff_ffff;
const LOWER_HALF = 0xffff_ffffn;

/**
 * What is known of a number of 64 bits: its bits, and the range that it lies in, read as unsigned and as signed, and the same for its lower
 * 32 bits. Bounds are never changed, so states share them.
 */
export interface Bounds {
  readonly bits: TristateNumber;
  readonly least: bigint;
  readonly most: bigint;
  readonly signedLeast: bigint;
  readonly signedMost: bigint;
  readonly least32: number;
  readonly most32: number;
  readonly signedLeast32: number;
  readonly signedMost32: number;
}

/** Any number. */
export const UNKNOWN: Bounds = {
  bits: UNKNOWN_BITS,
  least: 0n,
  most: MOST,
  signedLeast: SIGNED_LEAST,
  signedMost: SIGNED_MOST,
  least32: 0,
  most32: MOST_32,
  signedLeast32: SIGNED_LEAST_32,
  signedMost32: SIGNED_MOST_32,
};

/** One number, given modulo 2^64. */
export function constantBounds(number: bigint): Bounds {
  const unsigned = BigInt.asUintN(64, number);
  const signed = BigInt.asIntN(64, number);
  const lower = Number(unsigned & LOWER_HALF);
  return {
    bits: knownBits(unsigned),
    least: unsigned,
    most: unsigned,
    signedLeast: signed,
    signedMost: signed,
    least32: lower,
    most32: lower,
    signedLeast32: lower | 0,
    signedMost32: lower | 0,
  };
}

export const ZERO = constantBounds(0n);

/** Any number from `least` to `most`, unsigned. */
export function unsignedBounds(least: bigint, most: bigint): Bounds {
  return tighten({ ...UNKNOWN, least, most })!;
}

/** Any number from `signedLeast` to `signedMost`, signed. */
export function signedBounds(signedLeast: bigint, signedMost: bigint): Bounds {
  return tighten({ ...UNKNOWN, signedLeast, signedMost })!;
}

const LOADED = new Map([1, 2, 4].map((bytes) => [bytes, unsignedBounds(0n, (1n << BigInt(bytes * 8)) - 1n)]));
const LOADED_SIGNED = new Map(
  [1, 2, 4].map((bytes) => [bytes, signedBounds(-(1n << BigInt(bytes * 8 - 1)), (1n << BigInt(bytes * 8 - 1)) - 1n)]),
);

/** What a load of 1, 2, 4 or 8 bytes of unknown memory gives. */
export function loadedBounds(bytes: number, signed: boolean): Bounds {
  return (signed ? LOADED_SIGNED : LOADED).get(bytes) ?? UNKNOWN;
}

/** Whether it is one number. */
export function isConstant({ bits }: Bounds): boolean {
  return bits.mask === 0n;
}

/** Whether nothing is known. */
export function isUnknown(bounds: Bounds): boolean {
  return (
    bounds === UNKNOWN ||
    (bounds.bits.mask === MOST &&
      bounds.least === 0n &&
      bounds.most === MOST &&
      bounds.signedLeast === SIGNED_LEAST &&
      bounds.signedMost === SIGNED_MOST &&
      bounds.least32 === 0 &&
      bounds.most32 === MOST_32 &&
      bounds.signedLeast32 === SIGNED_LEAST_32 &&
      bounds.signedMost32 === SIGNED_MOST_32)
  );
}

/** Whether each number within `part` is within `whole`, too. */
export function includesBounds(whole: Bounds, part: Bounds): boolean {
  return (
    whole === part ||
    (whole.least <= part.least &&
      whole.most >= part.most &&
      whole.signedLeast <= part.signedLeast &&
      whole.signedMost >= part.signedMost &&
      whole.least32 <= part.least32 &&
      whole.most32 >= part.most32 &&
      whole.signedLeast32 <= part.signedLeast32 &&
      whole.signedMost32 >= part.signedMost32 &&
      includesBits(whole.bits, part.bits))
  );
}

/** The lower 32 bits, zero-extended. */
export function lowerHalf(bounds: Bounds): Bounds {
  if (bounds.most <= LOWER_HALF) return bounds;
  return tighten({
    ...bounds,
    bits: lowerBits(bounds.bits, 32),
    least: BigInt(bounds.least32),
    most: BigInt(bounds.most32),
    signedLeast: BigInt(bounds.least32),
    signedMost: BigInt(bounds.most32),
  })!;
}

/** The lower 32 bits, sign-extended. */
export function signedLowerHalf(bounds: Bounds): Bounds {
  const { least32, most32, signedLeast32, signedMost32 } = bounds;
  const signs = { signedLeast: BigInt(signedLeast32), signedMost: BigInt(signedMost32) };
  return tighten({ ...UNKNOWN, ...signs, least32, most32, signedLeast32, signedMost32 })!;
}

/** Both descriptions of one number together, or undefined where there is no such number. */
export function intersectBounds(a: Bounds, b: Bounds): Bounds | undefined {
  const bits = intersectBits(a.bits, b.bits);
  if (bits === undefined) return undefined;
  return tighten({
    bits,
    least: higher(a.least, b.least),
    most: lower(a.most, b.most),
    signedLeast: higher(a.signedLeast, b.signedLeast),
    signedMost: lower(a.signedMost, b.signedMost),
    least32: Math.max(a.least32, b.least32),
    most32: Math.min(a.most32, b.most32),
    signedLeast32: Math.max(a.signedLeast32, b.signedLeast32),
    signedMost32: Math.min(a.signedMost32, b.signedMost32),
  });
}

/** Lets each part of a description learn from the others. Returns undefined where they contradict each other: no number is like that. */
export function tighten(start: Bounds): Bounds | undefined {
  let { bits, least, most, signedLeast, signedMost, least32, most32, signedLeast32, signedMost32 } = start;
  for (let round = 0; round < 2; round++) {
    // From the bits.
    least = higher(least, bits.value);
    most = lower(most, bits.value | bits.mask);
    const sign = bits.mask & (1n << 63n);
    signedLeast = higher(signedLeast, BigInt.asIntN(64, bits.value | sign));
    signedMost = lower(signedMost, BigInt.asIntN(64, bits.value | (bits.mask & ~sign)));
    const value32 = Number(bits.value & LOWER_HALF);
    const mask32 = Number(bits.mask & LOWER_HALF);
    least32 = Math.max(least32, value32);
    most32 = Math.min(most32, (value32 | mask32) >>> 0);
    signedLeast32 = Math.max(signedLeast32, value32 | (mask32 & 0x8000_0000));
    signedMost32 = Math.min(signedMost32, value32 | (mask32 & 0x7fff_ffff));
    // The lower half from the whole, where the upper halves are the same.
    if (least >> 32n === most >> 32n) {
      least32 = Math.max(least32, Number(least & LOWER_HALF));
      most32 = Math.min(most32, Number(most & LOWER_HALF));
    }
    if (signedLeast >= BigInt(SIGNED_LEAST_32) && signedMost <= BigInt(SIGNED_MOST_32)) {
      signedLeast32 = Math.max(signedLeast32, Number(signedLeast));
      signedMost32 = Math.min(signedMost32, Number(signedMost));
    }
    // Signed and unsigned from each other, where all have one sign.
    if ((least32 | 0) <= (most32 | 0)) {
      signedLeast32 = Math.max(signedLeast32, least32 | 0);
      signedMost32 = Math.min(signedMost32, most32 | 0);
    }
    if (signedLeast32 >>> 0 <= signedMost32 >>> 0) {
      least32 = Math.max(least32, signedLeast32 >>> 0);
      most32 = Math.min(most32, signedMost32 >>> 0);
    }
    if (least > SIGNED_MOST || most <= SIGNED_MOST) {
      signedLeast = higher(signedLeast, BigInt.asIntN(64, least));
      signedMost = lower(signedMost, BigInt.asIntN(64, most));
    }
    if (signedLeast >= 0n || signedMost < 0n) {
      least = higher(least, BigInt.asUintN(64, signedLeast));
      most = lower(most, BigInt.asUintN(64, signedMost));
    }
    // The whole from the lower half.
    least = higher(least, ((least >> 32n) << 32n) | BigInt(least32));
    most = lower(most, ((most >> 32n) << 32n) | BigInt(most32));
    if (least > most || signedLeast > signedMost || least32 > most32 || signedLeast32 > signedMost32) return undefined;
    if (bits.mask === 0n) break;
    const narrowed = intersectBits(bits, bitsOfRange(least, most));
    if (narrowed === undefined) return undefined;
    const range32 = bitsOfRange(BigInt(least32), BigInt(most32));
    const again = intersectBits(narrowed, { value: range32.value, mask: range32.mask | (LOWER_HALF << 32n) });
    if (again === undefined) return undefined;
    bits = again;
  }
  return { bits, least, most, signedLeast, signedMost, least32, most32, signedLeast32, signedMost32 };
}

/** The higher of two. */
export function higher(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

/** The lower of two. */
export function lower(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
