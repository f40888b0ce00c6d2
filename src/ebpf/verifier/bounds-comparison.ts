import {
  BPF_JEQ,
  BPF_JGE,
  BPF_JGT,
  BPF_JLE,
  BPF_JLT,
  BPF_JNE,
  BPF_JSET,
  BPF_JSGE,
  BPF_JSGT,
  BPF_JSLE,
  BPF_JSLT,
} from '../opcodes.js';
import { type Bounds, intersectBounds, isConstant, tighten, UNKNOWN } from './bounds.js';
import { intersectBits } from './tristate-number.js';

const LOWER_HALF = 0xffff_ffffn;
const ALL_BITS = 0xffff_ffff_ffff_ffffn;

/** What a comparison has taught about its two operands, or undefined where it cannot have come out like that. */
export type Learnt = readonly [left: Bounds, right: Bounds] | undefined;

/** The operation that is true when the given one is not; BPF_JSET has none. */
const OPPOSITE = new Map([
  [BPF_JEQ, BPF_JNE],
  [BPF_JNE, BPF_JEQ],
  [BPF_JGT, BPF_JLE],
  [BPF_JLE, BPF_JGT],
  [BPF_JGE, BPF_JLT],
  [BPF_JLT, BPF_JGE],
  [BPF_JSGT, BPF_JSLE],
  [BPF_JSLE, BPF_JSGT],
  [BPF_JSGE, BPF_JSLT],
  [BPF_JSLT, BPF_JSGE],
]);

/**
 * What is known of two numbers after a jump has compared them.
 *
 * @param operation BPF_JEQ and so on
 * @param wide whether 64 bits were compared rather than the lower 32
 * @param taken whether the jump was taken
 */
export function learn(operation: number, a: Bounds, b: Bounds, wide: boolean, taken: boolean): Learnt {
  if (operation === BPF_JSET) return taken ? haveCommonBits(a, b, wide) : haveNoCommonBits(a, b, wide);
  switch (taken ? operation : OPPOSITE.get(operation)!) {
    case BPF_JEQ:
      return areEqual(a, b, wide);
    case BPF_JNE:
      return areDifferent(a, b, wide);
    case BPF_JGT:
      return swap(isBelow(b, a, wide, 1));
    case BPF_JGE:
      return swap(isBelow(b, a, wide, 0));
    case BPF_JLT:
      return isBelow(a, b, wide, 1);
    case BPF_JLE:
      return isBelow(a, b, wide, 0);
    case BPF_JSGT:
      return swap(isBelowSigned(b, a, wide, 1));
    case BPF_JSGE:
      return swap(isBelowSigned(b, a, wide, 0));
    case BPF_JSLT:
      return isBelowSigned(a, b, wide, 1);
    default: // BPF_JSLE
      return isBelowSigned(a, b, wide, 0);
  }
}

function both(left: Bounds | undefined, right: Bounds | undefined): Learnt {
  return left === undefined || right === undefined ? undefined : [left, right];
}

function swap(learnt: Learnt): Learnt {
  return learnt === undefined ? undefined : [learnt[1], learnt[0]];
}

function areEqual(a: Bounds, b: Bounds, wide: boolean): Learnt {
  if (!wide) return both(withLowerHalf(a, b), withLowerHalf(b, a));
  const common = intersectBounds(a, b);
  return both(common, common);
}

/** `a` where its lower half is the lower half of a number within `b`. */
function withLowerHalf(a: Bounds, b: Bounds): Bounds | undefined {
  const { least32, most32, signedLeast32, signedMost32 } = b;
  const bits = { value: b.bits.value & LOWER_HALF, mask: b.bits.mask | (LOWER_HALF << 32n) };
  return intersectBounds(a, { ...UNKNOWN, bits, least32, most32, signedLeast32, signedMost32 });
}

function areDifferent(a: Bounds, b: Bounds, wide: boolean): Learnt {
  if (wide) {
    return both(isConstant(b) ? withoutNumber(a, b) : a, isConstant(a) ? withoutNumber(b, a) : b);
  }
  const isConstant32 = ({ least32, most32 }: Bounds) => least32 === most32;
  return both(isConstant32(b) ? withoutNumber32(a, b) : a, isConstant32(a) ? withoutNumber32(b, a) : b);
}

/** Takes a number away where it is at an end of a range. */
function withoutNumber(a: Bounds, { least: number, signedLeast: signed }: Bounds): Bounds | undefined {
  if (isConstant(a)) return a.least === number ? undefined : a;
  // Most numbers lie somewhere in between: nothing is learnt.
  if (a.least !== number && a.most !== number && a.signedLeast !== signed && a.signedMost !== signed) return a;
  return tighten({
    ...a,
    least: a.least === number ? a.least + 1n : a.least,
    most: a.most === number ? a.most - 1n : a.most,
    signedLeast: a.signedLeast === signed ? a.signedLeast + 1n : a.signedLeast,
    signedMost: a.signedMost === signed ? a.signedMost - 1n : a.signedMost,
  });
}

function withoutNumber32(a: Bounds, { least32: number }: Bounds): Bounds | undefined {
  const signed = number | 0;
  return tighten({
    ...a,
    least32: a.least32 === number ? a.least32 + 1 : a.least32,
    most32: a.most32 === number ? a.most32 - 1 : a.most32,
    signedLeast32: a.signedLeast32 === signed ? a.signedLeast32 + 1 : a.signedLeast32,
    signedMost32: a.signedMost32 === signed ? a.signedMost32 - 1 : a.signedMost32,
  });
}

/** `a` is below `b`, by at least `distance`, 0 or 1. */
function isBelow(a: Bounds, b: Bounds, wide: boolean, distance: number): Learnt {
  if (!wide) {
    return both(
      tighten({ ...a, most32: Math.min(a.most32, b.most32 - distance) }),
      tighten({ ...b, least32: Math.max(b.least32, a.least32 + distance) }),
    );
  }
  const most = b.most - BigInt(distance);
  const least = a.least + BigInt(distance);
  return both(a.most <= most ? a : tighten({ ...a, most }), b.least >= least ? b : tighten({ ...b, least }));
}

function isBelowSigned(a: Bounds, b: Bounds, wide: boolean, distance: number): Learnt {
  if (!wide) {
    return both(
      tighten({ ...a, signedMost32: Math.min(a.signedMost32, b.signedMost32 - distance) }),
      tighten({ ...b, signedLeast32: Math.max(b.signedLeast32, a.signedLeast32 + distance) }),
    );
  }
  const signedMost = b.signedMost - BigInt(distance);
  const signedLeast = a.signedLeast + BigInt(distance);
  return both(
    a.signedMost <= signedMost ? a : tighten({ ...a, signedMost }),
    b.signedLeast >= signedLeast ? b : tighten({ ...b, signedLeast }),
  );
}

function haveCommonBits(a: Bounds, b: Bounds, wide: boolean): Learnt {
  const compared = wide ? ALL_BITS : LOWER_HALF;
  const possible = (a.bits.value | a.bits.mask) & (b.bits.value | b.bits.mask) & compared;
  if (possible === 0n) return undefined;
  const isSingle = (possible & (possible - 1n)) === 0n;
  if (!isSingle) return [a, b];
  const bit = { value: possible, mask: ALL_BITS & ~possible };
  return both(withBits(a, bit), withBits(b, bit));
}

function haveNoCommonBits(a: Bounds, b: Bounds, wide: boolean): Learnt {
  const compared = wide ? ALL_BITS : LOWER_HALF;
  if ((a.bits.value & b.bits.value & compared) !== 0n) return undefined;
  return both(
    withBits(a, { value: 0n, mask: ALL_BITS & ~(b.bits.value & compared) }),
    withBits(b, { value: 0n, mask: ALL_BITS & ~(a.bits.value & compared) }),
  );
}

function withBits(a: Bounds, bits: Bounds['bits']): Bounds | undefined {
  const narrowed = intersectBits(a.bits, bits);
  return narrowed === undefined ? undefined : tighten({ ...a, bits: narrowed });
}
