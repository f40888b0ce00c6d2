import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allows, randomBoundsOf, randomNumber } from '../../../test/support/bounds.js';
import { Random } from '../../../test/support/random.js';
import * as op from '../opcodes.js';
import {
  type Bounds,
  constantBounds,
  includesBounds,
  intersectBounds,
  lowerHalf,
  signedLowerHalf,
  unsignedBounds,
} from './bounds.js';
import { calculate32, calculate64, extendSign } from './bounds-arithmetic.js';
import { learn } from './bounds-comparison.js';

const SAMPLES = 40_000;
const OPERATIONS = [
  ...[op.BPF_ADD, op.BPF_SUB, op.BPF_MUL, op.BPF_DIV, op.BPF_MOD, op.BPF_OR, op.BPF_AND, op.BPF_XOR],
  ...[op.BPF_LSH, op.BPF_RSH, op.BPF_ARSH],
];
const COMPARISONS = [
  ...[op.BPF_JEQ, op.BPF_JNE, op.BPF_JSET, op.BPF_JGT, op.BPF_JGE, op.BPF_JLT, op.BPF_JLE],
  ...[op.BPF_JSGT, op.BPF_JSGE, op.BPF_JSLT, op.BPF_JSLE],
];

/** What an operation of so many bits gives, by RFC 9669; unsigned. */
function result(operation: number, x: bigint, y: bigint, bits: number, signed: boolean): bigint {
  const a = BigInt.asUintN(bits, x);
  const b = BigInt.asUintN(bits, y);
  const signedA = BigInt.asIntN(bits, x);
  const signedB = BigInt.asIntN(bits, y);
  const count = b & BigInt(bits - 1);
  const number = () => {
    switch (operation) {
      case op.BPF_ADD:
        return a + b;
      case op.BPF_SUB:
        return a - b;
      case op.BPF_MUL:
        return a * b;
      case op.BPF_DIV:
        if (b === 0n) return 0n;
        return signed ? signedA / signedB : a / b;
      case op.BPF_MOD:
        if (b === 0n) return a;
        return signed ? signedA % signedB : a % b;
      case op.BPF_OR:
        return a | b;
      case op.BPF_AND:
        return a & b;
      case op.BPF_XOR:
        return a ^ b;
      case op.BPF_LSH:
        return a << count;
      case op.BPF_RSH:
        return a >> count;
      default:
        return signedA >> count;
    }
  };
  return BigInt.asUintN(bits, number());
}

function holds(operation: number, x: bigint, y: bigint, bits: number): boolean {
  const [a, b] = [BigInt.asUintN(bits, x), BigInt.asUintN(bits, y)];
  const [signedA, signedB] = [BigInt.asIntN(bits, x), BigInt.asIntN(bits, y)];
  switch (operation) {
    case op.BPF_JEQ:
      return a === b;
    case op.BPF_JNE:
      return a !== b;
    case op.BPF_JSET:
      return (a & b) !== 0n;
    case op.BPF_JGT:
      return a > b;
    case op.BPF_JGE:
      return a >= b;
    case op.BPF_JLT:
      return a < b;
    case op.BPF_JLE:
      return a <= b;
    case op.BPF_JSGT:
      return signedA > signedB;
    case op.BPF_JSGE:
      return signedA >= signedB;
    case op.BPF_JSLT:
      return signedA < signedB;
    default:
      return signedA <= signedB;
  }
}

test('bounds of a result allow what there is, of random numbers within random bounds', () => {
  for (let seed = 1; seed <= SAMPLES; seed++) {
    const random = new Random(seed);
    const [x, y] = [randomNumber(random), random.oneIn(3) ? BigInt(random.below(70)) : randomNumber(random)];
    const [a, b] = [randomBoundsOf(random, x), randomBoundsOf(random, y)];
    const operation = random.pick(OPERATIONS);
    const signed = random.oneIn(2);
    const wide = calculate64(operation, a, b, signed);
    const narrow = calculate32(operation, a, b, signed);
    const what = `seed ${seed}: operation ${operation} of ${x} and ${y}`;
    assert.ok(allows(wide, result(operation, x, y, 64, signed)), what);
    assert.ok(allows(narrow, result(operation, x, y, 32, signed)), `${what}, of 32 bits`);
  }
});

test('what a comparison teaches allows the numbers that were compared', () => {
  let refuted = 0;
  let narrowed = 0;
  for (let seed = 1; seed <= SAMPLES; seed++) {
    const random = new Random(seed);
    const x = randomNumber(random);
    const y = random.oneIn(3) ? x : randomNumber(random);
    const [a, b] = [randomBoundsOf(random, x), randomBoundsOf(random, y)];
    const operation = random.pick(COMPARISONS);
    const wide = random.oneIn(2);
    const taken = holds(operation, x, y, wide ? 64 : 32);
    const learnt = learn(operation, a, b, wide, taken);
    const what = `seed ${seed}: comparison ${operation} of ${x} and ${y}`;
    assert.ok(learnt !== undefined, what);
    assert.ok(allows(learnt[0], x), what);
    assert.ok(allows(learnt[1], y), what);
    assert.ok(includesBounds(a, learnt[0]) && includesBounds(b, learnt[1]), `${what}: nothing is forgotten`);
    if (!includesBounds(learnt[0], a)) narrowed++;
    if (learn(operation, a, b, wide, !taken) === undefined) refuted++;
  }
  assert.ok(narrowed > SAMPLES / 20, `${narrowed} of the comparisons teach something`);
  assert.ok(refuted > SAMPLES / 5, `${refuted} of the comparisons are decided`);
});

test('halves, extensions and intersections allow what there is', () => {
  for (let seed = 1; seed <= SAMPLES; seed++) {
    const random = new Random(seed);
    const x = randomNumber(random);
    const a = randomBoundsOf(random, x);
    assert.ok(allows(lowerHalf(a), BigInt.asUintN(32, x)), `seed ${seed}`);
    assert.ok(allows(signedLowerHalf(a), BigInt.asUintN(64, BigInt.asIntN(32, x))), `seed ${seed}`);
    for (const size of [8, 16, 32]) {
      assert.ok(allows(extendSign(a, size), BigInt.asUintN(64, BigInt.asIntN(size, x))), `seed ${seed}, ${size} bits`);
    }
    const y = randomNumber(random);
    const both = intersectBounds(a, randomBoundsOf(random, y));
    if (both !== undefined) assert.ok(includesBounds(a, both), `seed ${seed}`);
    else assert.ok(!allows(a, y), `seed ${seed}`);
  }
});

test('constants stay constants', () => {
  for (let seed = 1; seed <= 5_000; seed++) {
    const random = new Random(seed);
    const [x, y] = [randomNumber(random), randomNumber(random)];
    const operation = random.pick(OPERATIONS);
    const calculated = calculate64(operation, constantBounds(x), constantBounds(y), false);
    assert.deepEqual(calculated, constantBounds(result(operation, x, y, 64, false)), `seed ${seed}: ${operation}`);
  }
});

test('programs get the ranges that they ask for', () => {
  const range = (bounds: Bounds) => [bounds.least, bounds.most];
  const byte = unsignedBounds(0n, 255n);
  const limit = (operation: number, by: bigint) => calculate64(operation, byte, constantBounds(by), false);
  assert.deepEqual(range(limit(op.BPF_AND, 0x0fn)), [0n, 15n]);
  assert.deepEqual(range(limit(op.BPF_ADD, 20n)), [20n, 275n]);
  assert.deepEqual(range(limit(op.BPF_LSH, 2n)), [0n, 1020n]);
  assert.deepEqual(range(limit(op.BPF_RSH, 4n)), [0n, 15n]);
  assert.deepEqual(range(limit(op.BPF_MUL, 4n)), [0n, 1020n]);
  assert.deepEqual(range(limit(op.BPF_DIV, 10n)), [0n, 25n]);
  assert.deepEqual(range(limit(op.BPF_MOD, 10n)), [0n, 9n]);
  assert.deepEqual(range(limit(op.BPF_OR, 1n)), [1n, 255n]);
  // A distance from the front: -20 to 235.
  const signed = limit(op.BPF_SUB, 20n);
  assert.deepEqual([signed.signedLeast, signed.signedMost], [-20n, 235n]);
  // Bits that alignment hangs on survive.
  assert.equal(calculate64(op.BPF_ADD, limit(op.BPF_LSH, 3n), constantBounds(16n), false).bits.mask & 7n, 0n);
});

test('a comparison with a constant narrows both ways out', () => {
  const byte = unsignedBounds(0n, 255n);
  const ten = constantBounds(10n);
  const range = (operation: number, taken: boolean) => {
    const [bounds] = learn(operation, byte, ten, true, taken)!;
    return [bounds.least, bounds.most];
  };
  assert.deepEqual(range(op.BPF_JGT, true), [11n, 255n]);
  assert.deepEqual(range(op.BPF_JGT, false), [0n, 10n]);
  assert.deepEqual(range(op.BPF_JLT, true), [0n, 9n]);
  assert.deepEqual(range(op.BPF_JSGE, false), [0n, 9n]);
  assert.deepEqual(range(op.BPF_JEQ, true), [10n, 10n]);
  assert.equal(learn(op.BPF_JGT, byte, constantBounds(255n), true, true), undefined);
  assert.equal(learn(op.BPF_JSLT, byte, constantBounds(0n), true, true), undefined);
});
