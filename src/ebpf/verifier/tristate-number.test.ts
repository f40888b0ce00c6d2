import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  addBits,
  andBits,
  bitsOfRange,
  exclusiveOrBits,
  includesBits,
  intersectBits,
  knownBits,
  lowerBits,
  multiplyBits,
  orBits,
  shiftBitsLeft,
  shiftBitsRight,
  shiftBitsRightSigned,
  subtractBits,
  type TristateNumber,
} from './tristate-number.js';

/** Bits of the numbers that are tried exhaustively. */
const WIDTH = 4;
const ALL = Array.from({ length: 3 ** WIDTH }, (_, index) => {
  const digits = Array.from({ length: WIDTH }, (_, bit) => Math.floor(index / 3 ** bit) % 3);
  const bitsWith = (wanted: number) =>
    digits.reduce((sum, digit, bit) => sum | (digit === wanted ? 1n << BigInt(bit) : 0n), 0n);
  return { value: bitsWith(1), mask: bitsWith(2) };
});

/** All numbers that a description allows. */
function members({ value, mask }: TristateNumber): bigint[] {
  const numbers: bigint[] = [];
  for (let number = 0n; number < 1n << BigInt(WIDTH); number++) {
    if ((number & ~mask) === value) numbers.push(number);
  }
  return numbers;
}

/** The best description of some numbers. */
function describe(numbers: readonly bigint[]): TristateNumber {
  const mask = numbers.reduce((sum, number) => sum | (number ^ numbers[0]!), 0n);
  return { value: numbers[0]! & ~mask, mask };
}

const wrap = (number: bigint) => BigInt.asUintN(64, number);

test('sums, differences and bitwise operations of bits are the best there are, of all numbers of 4 bits', () => {
  const operations: [(a: TristateNumber, b: TristateNumber) => TristateNumber, (x: bigint, y: bigint) => bigint][] = [
    [addBits, (x, y) => x + y],
    [subtractBits, (x, y) => wrap(x - y)],
    [andBits, (x, y) => x & y],
    [orBits, (x, y) => x | y],
    [exclusiveOrBits, (x, y) => x ^ y],
  ];
  for (const a of ALL) {
    for (const b of ALL) {
      const pairs = members(a).flatMap((x) => members(b).map((y) => [x, y] as const));
      for (const [calculate, exact] of operations) {
        const expected = describe(pairs.map(([x, y]) => exact(x, y)));
        assert.deepEqual(calculate(a, b), expected, `${exact} of ${show(a)} and ${show(b)}`);
      }
    }
  }
});

test('products, shifts and parts of bits allow each number that there is', () => {
  for (const a of ALL) {
    for (const b of ALL) {
      const product = multiplyBits(a, b);
      for (const x of members(a)) {
        for (const y of members(b)) {
          assert.ok(includesBits(product, knownBits(x * y)), `${x} times ${y} of ${show(a)} and ${show(b)}`);
        }
      }
    }
    for (const x of members(a)) {
      for (const count of [0, 1, 2, 31, 63]) {
        const by = BigInt(count);
        const negative = wrap(-x);
        const minus = subtractBits(knownBits(0n), a);
        assert.ok(includesBits(shiftBitsLeft(a, by), knownBits(wrap(x << by))));
        assert.ok(includesBits(shiftBitsRight(a, by), knownBits(x >> by)));
        const shifted = knownBits(wrap(BigInt.asIntN(64, negative) >> by));
        assert.ok(includesBits(shiftBitsRightSigned(minus, by), shifted));
        assert.ok(includesBits(lowerBits(minus, 32), knownBits(negative & 0xffff_ffffn)));
      }
    }
  }
});

test('what two descriptions say together is exactly what both allow', () => {
  for (const a of ALL) {
    for (const b of ALL) {
      const both = members(a).filter((x) => members(b).includes(x));
      const together = intersectBits(a, b);
      assert.deepEqual(together === undefined ? [] : members(together), both);
      assert.equal(
        includesBits(a, b),
        members(b).every((x) => members(a).includes(x)),
      );
    }
  }
});

test('a range has the bits that all its numbers have in common', () => {
  for (let least = 0n; least < 40n; least++) {
    for (let most = least; most < 40n; most++) {
      const numbers = Array.from({ length: Number(most - least) + 1 }, (_, index) => least + BigInt(index));
      // Bits below one that differs are all given up: in a range of two or more such numbers most of them differ.
      const { value, mask } = bitsOfRange(least, most);
      for (const number of numbers) assert.equal(number & ~mask, value);
      const highest = describe(numbers).mask.toString(2).length;
      assert.equal(mask.toString(2).length, highest);
    }
  }
});

function show({ value, mask }: TristateNumber): string {
  return `${value.toString(2)} (unknown ${mask.toString(2)})`;
}
