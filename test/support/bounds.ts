import {
  type Bounds,
  constantBounds,
  intersectBounds,
  signedBounds,
  UNKNOWN,
  unsignedBounds,
} from '../../src/ebpf/verifier/bounds.js';
import { bitsOfRange } from '../../src/ebpf/verifier/tristate-number.js';
import type { Random } from './random.js';

const EDGES = [0n, 1n, 2n, 0x7fn, 0x80n, 0xffn, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn, 0x1_0000_0000n];

/** A number of 64 bits, unsigned; often one near an edge. */
export function randomNumber(random: Random): bigint {
  const wide = (BigInt(random.word()) << 32n) | BigInt(random.word());
  const edge = random.pick(EDGES) + BigInt(random.between(-2, 2));
  const high = (1n << 63n) + BigInt(random.between(-2, 2));
  const short = wide >> BigInt(random.below(64));
  return BigInt.asUintN(64, random.pick([wide, edge, -edge, high, short, -short, BigInt(random.below(256))]));
}

/** Whether a number, unsigned, is one of those that the bounds allow. */
export function allows(bounds: Bounds, number: bigint): boolean {
  const signed = BigInt.asIntN(64, number);
  const lower = Number(BigInt.asUintN(32, number));
  return (
    (number & ~bounds.bits.mask) === bounds.bits.value &&
    bounds.least <= number &&
    number <= bounds.most &&
    bounds.signedLeast <= signed &&
    signed <= bounds.signedMost &&
    bounds.least32 <= lower &&
    lower <= bounds.most32 &&
    bounds.signedLeast32 <= (lower | 0) &&
    (lower | 0) <= bounds.signedMost32
  );
}

/** Bounds of one or several kinds at once that allow the number. */
export function randomBoundsOf(random: Random, number: bigint): Bounds {
  let bounds = UNKNOWN;
  do {
    const other = boundsOfOneKind(random, number);
    // Both allow the number, so there is one.
    bounds = intersectBounds(bounds, other)!;
  } while (random.oneIn(2));
  return bounds;
}

function boundsOfOneKind(random: Random, number: bigint): Bounds {
  const other = random.oneIn(2) ? randomNumber(random) : BigInt.asUintN(64, number + BigInt(random.between(-300, 300)));
  const [least, most] = number < other ? [number, other] : [other, number];
  const signed = [BigInt.asIntN(64, number), BigInt.asIntN(64, other)].sort((a, b) => (a < b ? -1 : 1));
  const lower = [number, other].map((each) => Number(BigInt.asUintN(32, each))).sort((a, b) => a - b);
  const lowerSigned = [number, other].map((each) => Number(BigInt.asIntN(32, each))).sort((a, b) => a - b);
  const mask = randomNumber(random);
  switch (random.below(7)) {
    case 0:
      return constantBounds(number);
    case 1:
      return unsignedBounds(least, most);
    case 2:
      return signedBounds(signed[0]!, signed[1]!);
    case 3:
      return intersectBounds(UNKNOWN, { ...UNKNOWN, bits: { value: number & ~mask, mask } })!;
    case 4:
      return intersectBounds(UNKNOWN, { ...UNKNOWN, least32: lower[0]!, most32: lower[1]! })!;
    case 5:
      return intersectBounds(UNKNOWN, { ...UNKNOWN, signedLeast32: lowerSigned[0]!, signedMost32: lowerSigned[1]! })!;
    default:
      return intersectBounds(UNKNOWN, { ...UNKNOWN, bits: bitsOfRange(least, most) })!;
  }
}
