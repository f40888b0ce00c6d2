import {
  BPF_ADD,
  BPF_AND,
  BPF_ARSH,
  BPF_DIV,
  BPF_LSH,
  BPF_MOD,
  BPF_MUL,
  BPF_OR,
  BPF_RSH,
  BPF_SUB,
  BPF_XOR,
} from '../opcodes.js';
import {
  type Bounds,
  constantBounds,
  higher,
  isConstant,
  isUnknown,
  lower,
  lowerHalf,
  signedLowerHalf,
  tighten,
  UNKNOWN,
  unsignedBounds,
} from './bounds.js';
import {
  addBits,
  andBits,
  exclusiveOrBits,
  multiplyBits,
  orBits,
  shiftBitsLeft,
  shiftBitsRight,
  shiftBitsRightSigned,
  subtractBits,
  type TristateNumber,
} from './tristate-number.js';

const SIZE = 1n << 64n;
const SIZE_32 = 2 ** 32;

/**
 * What an operation of BPF_ALU64 gives of numbers within bounds.
 *
 * @param operation BPF_ADD and so on, not BPF_MOV, BPF_NEG and BPF_END
 * @param signed of BPF_DIV and BPF_MOD
 */
export function calculate64(operation: number, a: Bounds, b: Bounds, signed: boolean): Bounds {
  switch (operation) {
    case BPF_ADD:
      return add(a, b);
    case BPF_SUB:
      return subtract(a, b);
    case BPF_MUL:
      return multiply(a, b);
    case BPF_AND:
      return tighten({ ...UNKNOWN, bits: andBits(a.bits, b.bits), most: lower(a.most, b.most) })!;
    case BPF_OR:
      return tighten({ ...UNKNOWN, bits: orBits(a.bits, b.bits), least: higher(a.least, b.least) })!;
    case BPF_XOR:
      return ofBits(exclusiveOrBits(a.bits, b.bits));
    case BPF_LSH:
      return shiftLeft(a, b);
    case BPF_RSH:
      return shiftRight(a, b);
    case BPF_ARSH:
      return shiftRightSigned(a, b);
    case BPF_DIV:
      return signed ? divideSigned(a, b) : divide(a, b);
    case BPF_MOD:
      return signed ? remainderSigned(a, b) : remainder(a, b);
    default:
      return UNKNOWN;
  }
}

/** The same of BPF_ALU: of the lower halves, zero-extended. */
export function calculate32(operation: number, a: Bounds, b: Bounds, signed: boolean): Bounds {
  const half = signed && (operation === BPF_DIV || operation === BPF_MOD) ? signedLowerHalf : lowerHalf;
  switch (operation) {
    case BPF_LSH:
    case BPF_RSH:
      return lowerHalf(calculate64(operation, lowerHalf(a), shiftCount32(b), false));
    case BPF_ARSH:
      return lowerHalf(calculate64(operation, signedLowerHalf(a), shiftCount32(b), false));
    default:
      return lowerHalf(calculate64(operation, half(a), half(b), signed));
  }
}

/** The lower `size` bits (8, 16 or 32), sign-extended. */
export function extendSign(bounds: Bounds, size: number): Bounds {
  if (size === 32) return signedLowerHalf(bounds);
  const count = constantBounds(BigInt(64 - size));
  const limit = 1n << BigInt(size - 1);
  if (bounds.signedLeast >= -limit && bounds.signedMost < limit) return bounds;
  return shiftRightSigned(ofBits(shiftBitsLeft(bounds.bits, BigInt(64 - size))), count);
}

function ofBits(bits: TristateNumber): Bounds {
  return tighten({ ...UNKNOWN, bits })!;
}

function add(a: Bounds, b: Bounds): Bounds {
  if (isConstant(a) && isConstant(b)) return constantBounds(a.least + b.least);
  if (isUnknown(a) || isUnknown(b)) return UNKNOWN;
  return tighten({
    bits: addBits(a.bits, b.bits),
    ...range(a.least + b.least, a.most + b.most),
    ...signedRange(a.signedLeast + b.signedLeast, a.signedMost + b.signedMost),
    ...range32(a.least32 + b.least32, a.most32 + b.most32),
    ...signedRange32(a.signedLeast32 + b.signedLeast32, a.signedMost32 + b.signedMost32),
  })!;
}

function subtract(a: Bounds, b: Bounds): Bounds {
  if (isConstant(a) && isConstant(b)) return constantBounds(a.least - b.least);
  if (isUnknown(a) || isUnknown(b)) return UNKNOWN;
  return tighten({
    bits: subtractBits(a.bits, b.bits),
    ...range(a.least - b.most, a.most - b.least),
    ...signedRange(a.signedLeast - b.signedMost, a.signedMost - b.signedLeast),
    ...range32(a.least32 - b.most32, a.most32 - b.least32),
    ...signedRange32(a.signedLeast32 - b.signedMost32, a.signedMost32 - b.signedLeast32),
  })!;
}

function multiply(a: Bounds, b: Bounds): Bounds {
  const bits = multiplyBits(a.bits, b.bits);
  const most = a.most * b.most;
  const unsigned = most < SIZE ? { least: a.least * b.least, most } : {};
  const products = [a.signedLeast, a.signedMost].flatMap((x) => [x * b.signedLeast, x * b.signedMost]);
  const signedLeast = products.reduce(lower);
  const signedMost = products.reduce(higher);
  const fits = signedLeast >= UNKNOWN.signedLeast && signedMost <= UNKNOWN.signedMost;
  return tighten({ ...UNKNOWN, bits, ...unsigned, ...(fits && { signedLeast, signedMost }) })!;
}

/** Shifts count modulo 64. */
function shiftLeft(a: Bounds, b: Bounds): Bounds {
  if (!isConstant(b)) return UNKNOWN;
  const count = b.least & 63n;
  const most = a.most << count;
  const unsigned = most < SIZE ? { least: a.least << count, most } : {};
  return tighten({ ...UNKNOWN, bits: shiftBitsLeft(a.bits, count), ...unsigned })!;
}

function shiftRight(a: Bounds, b: Bounds): Bounds {
  if (!isConstant(b)) return unsignedBounds(b.most < 64n ? a.least >> b.most : 0n, a.most);
  const count = b.least & 63n;
  return tighten({
    ...UNKNOWN,
    bits: shiftBitsRight(a.bits, count),
    least: a.least >> count,
    most: a.most >> count,
  })!;
}

function shiftRightSigned(a: Bounds, b: Bounds): Bounds {
  if (!isConstant(b)) return UNKNOWN;
  const count = b.least & 63n;
  return tighten({
    ...UNKNOWN,
    bits: shiftBitsRightSigned(a.bits, count),
    signedLeast: a.signedLeast >> count,
    signedMost: a.signedMost >> count,
  })!;
}

/** By zero: 0. */
function divide(a: Bounds, b: Bounds): Bounds {
  if (isConstant(b)) return b.least === 0n ? constantBounds(0n) : unsignedBounds(a.least / b.least, a.most / b.least);
  return unsignedBounds(0n, b.least > 0n ? a.most / b.least : a.most);
}

/** By zero: the dividend. */
function remainder(a: Bounds, b: Bounds): Bounds {
  if (b.most === 0n || a.most < b.least) return a;
  if (isConstant(a) && isConstant(b)) return constantBounds(a.least % b.least);
  return unsignedBounds(0n, b.least > 0n && b.most - 1n < a.most ? b.most - 1n : a.most);
}

function divideSigned(a: Bounds, b: Bounds): Bounds {
  if (!isConstant(a) || !isConstant(b)) return UNKNOWN;
  return constantBounds(b.signedLeast === 0n ? 0n : a.signedLeast / b.signedLeast);
}

function remainderSigned(a: Bounds, b: Bounds): Bounds {
  if (!isConstant(a) || !isConstant(b)) return UNKNOWN;
  return constantBounds(b.signedLeast === 0n ? a.signedLeast : a.signedLeast % b.signedLeast);
}

/** Shifts of 32 bits count modulo 32. */
function shiftCount32(b: Bounds): Bounds {
  if (isConstant(b)) return constantBounds(b.least & 31n);
  return b.most < 32n ? b : unsignedBounds(0n, 31n);
}

/** A range of sums, wrapped where both ends wrap alike; nothing where only one does. */
function range(least: bigint, most: bigint): Pick<Bounds, 'least' | 'most'> {
  if (least >> 64n === most >> 64n) return { least: BigInt.asUintN(64, least), most: BigInt.asUintN(64, most) };
  return UNKNOWN_RANGE;
}

function signedRange(signedLeast: bigint, signedMost: bigint): Pick<Bounds, 'signedLeast' | 'signedMost'> {
  const half = 1n << 63n;
  if ((signedLeast + half) >> 64n !== (signedMost + half) >> 64n) return UNKNOWN_SIGNED_RANGE;
  return { signedLeast: BigInt.asIntN(64, signedLeast), signedMost: BigInt.asIntN(64, signedMost) };
}

function range32(least32: number, most32: number): Pick<Bounds, 'least32' | 'most32'> {
  if (Math.floor(least32 / SIZE_32) !== Math.floor(most32 / SIZE_32)) return UNKNOWN_RANGE_32;
  return { least32: least32 >>> 0, most32: most32 >>> 0 };
}

function signedRange32(least: number, most: number): Pick<Bounds, 'signedLeast32' | 'signedMost32'> {
  const half = SIZE_32 / 2;
  if (Math.floor((least + half) / SIZE_32) !== Math.floor((most + half) / SIZE_32)) return UNKNOWN_SIGNED_RANGE_32;
  return { signedLeast32: least | 0, signedMost32: most | 0 };
}

const UNKNOWN_RANGE = { least: UNKNOWN.least, most: UNKNOWN.most };
const UNKNOWN_SIGNED_RANGE = { signedLeast: UNKNOWN.signedLeast, signedMost: UNKNOWN.signedMost };
const UNKNOWN_RANGE_32 = { least32: UNKNOWN.least32, most32: UNKNOWN.most32 };
const UNKNOWN_SIGNED_RANGE_32 = { signedLeast32: UNKNOWN.signedLeast32, signedMost32: UNKNOWN.signedMost32 };
