import assert from 'node:assert/strict';
import { EbpfRuns } from '../../test/support/ebpf-runs.js';
import { testEngines } from '../../test/support/engines.js';
import { Random } from '../../test/support/random.js';
import { instruction, wideInstruction } from './instruction.js';
import * as op from './opcodes.js';

/** Of the engine that is tested. */
let runs: EbpfRuns;
/** How many of the random cases it is given: a module of WebAssembly for each takes its time. */
let share: number;
const exit = instruction(op.BPF_JMP | op.BPF_EXIT);
const LOWEST = 0x8000000000000000n;
const ONES = 0xffffffffffffffffn;

function testArithmetic(name: string, run: () => void): void {
  testEngines(name, (engine) => {
    runs = new EbpfRuns({ engine });
    share = engine.name === 'compiler' ? 0.1 : 1;
    run();
  });
}

/** r0 = first; r1 = second; r0 operation= r1. */
function calculate(opcode: number, first: bigint, second: bigint, offset = 0): bigint {
  const { result, fault } = runs.result([
    ...wideInstruction(0, first),
    ...wideInstruction(1, second),
    instruction(opcode | op.BPF_X, { source: 1, offset }),
    exit,
  ]);
  assert.equal(fault, 0);
  return result;
}

/** r0 = first; r0 operation= immediate. */
function calculateImmediate(opcode: number, first: bigint, immediate: number, offset = 0): bigint {
  return runs.result([...wideInstruction(0, first), instruction(opcode, { immediate, offset }), exit]).result;
}

const { BPF_ALU, BPF_ALU64, BPF_DIV, BPF_MOD } = op;

testArithmetic('division by zero, and of the lowest number by -1', () => {
  const cases: [opcode: number, first: bigint, second: bigint, offset: number, result: bigint][] = [
    [BPF_ALU64 | BPF_DIV, 77n, 0n, 0, 0n],
    [BPF_ALU64 | BPF_DIV, 77n, 0n, 1, 0n],
    [BPF_ALU64 | BPF_MOD, ONES, 0n, 0, ONES],
    [BPF_ALU64 | BPF_MOD, ONES, 0n, 1, ONES],
    [BPF_ALU | BPF_DIV, ONES, 0n, 0, 0n],
    [BPF_ALU | BPF_DIV, ONES, 0xff00000000n, 1, 0n],
    [BPF_ALU | BPF_MOD, ONES, 0n, 0, 0xffffffffn],
    [BPF_ALU | BPF_MOD, ONES, 0xff00000000n, 1, 0xffffffffn],
    [BPF_ALU64 | BPF_DIV, LOWEST, ONES, 1, LOWEST],
    [BPF_ALU64 | BPF_MOD, LOWEST, ONES, 1, 0n],
    [BPF_ALU64 | BPF_DIV, LOWEST, ONES, 0, 0n],
    [BPF_ALU64 | BPF_MOD, LOWEST, ONES, 0, LOWEST],
    [BPF_ALU | BPF_DIV, 0x80000000n, 0xffffffffn, 1, 0x80000000n],
    [BPF_ALU | BPF_MOD, 0x80000000n, 0xffffffffn, 1, 0n],
    // RFC 9669, section 4.1: signed division truncates, -13 % 3 is -1.
    [BPF_ALU64 | BPF_DIV, -13n, 3n, 1, BigInt.asUintN(64, -4n)],
    [BPF_ALU64 | BPF_MOD, -13n, 3n, 1, ONES],
    [BPF_ALU | BPF_MOD, -13n, 3n, 1, 0xffffffffn],
  ];
  for (const [opcode, first, second, offset, result] of cases) {
    assert.equal(calculate(opcode, first, second, offset), result, `${opcode} ${first} ${second} ${offset}`);
  }
  // An immediate is sign-extended first, then unsigned: 2^64 - 1 by 2^64 - 2.
  assert.equal(calculateImmediate(BPF_ALU64 | BPF_DIV, ONES, -2), 1n);
  assert.equal(calculateImmediate(BPF_ALU64 | BPF_MOD, ONES, -2), 1n);
});

testArithmetic('shifts use the lowest bits of the distance: 6 of them, or 5', () => {
  const value = 0x89abcdef01234567n;
  for (const bits of [0n, 1n, 31n, 32n, 33n, 63n, 64n, 65n, ONES]) {
    const used = bits & 63n;
    assert.equal(calculate(op.BPF_ALU64 | op.BPF_LSH, value, bits), BigInt.asUintN(64, value << used));
    assert.equal(calculate(op.BPF_ALU64 | op.BPF_RSH, value, bits), value >> used);
    const arithmetic = BigInt.asUintN(64, BigInt.asIntN(64, value) >> used);
    assert.equal(calculate(op.BPF_ALU64 | op.BPF_ARSH, value, bits), arithmetic, `${bits}`);
  }
  assert.equal(calculate(op.BPF_ALU | op.BPF_LSH, value, 33n), 0x02468acen);
  assert.equal(calculate(op.BPF_ALU | op.BPF_ARSH, 0xf0000000n, 36n), 0xff000000n);
});

testArithmetic('arithmetic on 32 bits clears the upper ones', () => {
  const value = 0xffffffff_00000005n;
  assert.equal(calculateImmediate(op.BPF_ALU | op.BPF_ADD, value, -6), 0xffffffffn);
  assert.equal(calculateImmediate(op.BPF_ALU | op.BPF_MOV, value, -1), 0xffffffffn);
  assert.equal(calculateImmediate(op.BPF_ALU64 | op.BPF_MOV, value, -1), ONES);
  assert.equal(calculateImmediate(op.BPF_ALU | op.BPF_NEG, value, 0), 0xfffffffbn);
  assert.equal(calculateImmediate(op.BPF_ALU | op.BPF_RSH, value, 0), 5n);
});

testArithmetic('moves extend the sign from 8, 16 or 32 bits', () => {
  const value = 0x11223344_8899aa80n;
  assert.equal(calculate(op.BPF_ALU64 | op.BPF_MOV, 0n, value, 8), 0xffffffffffffff80n);
  assert.equal(calculate(op.BPF_ALU64 | op.BPF_MOV, 0n, value, 16), 0xffffffffffffaa80n);
  assert.equal(calculate(op.BPF_ALU64 | op.BPF_MOV, 0n, value, 32), 0xffffffff8899aa80n);
  assert.equal(calculate(op.BPF_ALU | op.BPF_MOV, 0n, value, 8), 0xffffff80n);
  assert.equal(calculate(op.BPF_ALU | op.BPF_MOV, 0n, 0x7fn, 8), 0x7fn);
});

testArithmetic('byte orders: to little-endian cuts off, to big-endian and swaps turn round', () => {
  const value = 0x0102030405060708n;
  const { BPF_END, BPF_TO_BE, BPF_TO_LE } = op;
  const expected: [opcode: number, bits: number, result: bigint][] = [
    [op.BPF_ALU | BPF_END | BPF_TO_LE, 16, 0x0708n],
    [op.BPF_ALU | BPF_END | BPF_TO_LE, 32, 0x05060708n],
    [op.BPF_ALU | BPF_END | BPF_TO_LE, 64, value],
    [op.BPF_ALU | BPF_END | BPF_TO_BE, 16, 0x0807n],
    [op.BPF_ALU | BPF_END | BPF_TO_BE, 32, 0x08070605n],
    [op.BPF_ALU | BPF_END | BPF_TO_BE, 64, 0x0807060504030201n],
    [op.BPF_ALU64 | BPF_END, 16, 0x0807n],
    [op.BPF_ALU64 | BPF_END, 32, 0x08070605n],
    [op.BPF_ALU64 | BPF_END, 64, 0x0807060504030201n],
  ];
  for (const [opcode, bits, result] of expected) assert.equal(calculateImmediate(opcode, value, bits), result);
});

/** What an operation means, in numbers of any size. Signed operands where `signed`. */
function meaning(operation: number, first: bigint, second: bigint, bits: 32 | 64, offset: number): bigint {
  const signed = (value: bigint) => BigInt.asIntN(bits, value);
  const unsigned = (value: bigint) => BigInt.asUintN(bits, value);
  const [a, b] = offset === 1 ? [signed(first), signed(second)] : [unsigned(first), unsigned(second)];
  const distance = b & BigInt(bits - 1);
  switch (operation) {
    case op.BPF_ADD:
      return unsigned(a + b);
    case op.BPF_SUB:
      return unsigned(a - b);
    case op.BPF_MUL:
      return unsigned(a * b);
    case op.BPF_DIV:
      return b === 0n ? 0n : unsigned(a / b);
    case op.BPF_MOD:
      return b === 0n ? unsigned(a) : unsigned(a % b);
    case op.BPF_OR:
      return a | b;
    case op.BPF_AND:
      return a & b;
    case op.BPF_XOR:
      return a ^ b;
    case op.BPF_LSH:
      return unsigned(a << distance);
    case op.BPF_RSH:
      return a >> distance;
    default: // BPF_ARSH
      return unsigned(signed(a) >> distance);
  }
}

/** Numbers with edges: words that are 0, 1, all ones, the lowest and highest signed, or any. */
function operand(random: Random): bigint {
  const word = () => BigInt(random.pick([0, 1, 0xffffffff, 0x80000000, 0x7fffffff, random.word(), random.below(256)]));
  return (word() << 32n) | word();
}

testArithmetic('all operations give what numbers of any size give, with registers and immediates', () => {
  const random = new Random(9669);
  const { BPF_ADD, BPF_SUB, BPF_MUL, BPF_OR, BPF_AND, BPF_XOR, BPF_LSH, BPF_RSH, BPF_ARSH } = op;
  const operations = [
    BPF_ADD,
    BPF_SUB,
    BPF_MUL,
    BPF_OR,
    BPF_AND,
    BPF_XOR,
    BPF_LSH,
    BPF_RSH,
    BPF_ARSH,
    BPF_DIV,
    BPF_MOD,
  ];
  for (let i = 0; i < 6000 * share; i++) {
    const operation = random.pick(operations);
    const [first, second] = [operand(random), operand(random)];
    const immediate = Number(BigInt.asIntN(32, second));
    const offset = operation === BPF_DIV || operation === BPF_MOD ? random.below(2) : 0;
    const text = `${operation} ${first} ${second} ${offset}`;
    for (const [bits, group] of [
      [64, op.BPF_ALU64],
      [32, op.BPF_ALU],
    ] as const) {
      assert.equal(
        calculate(group | operation, first, second, offset),
        meaning(operation, first, second, bits, offset),
        text,
      );
      const result = calculateImmediate(group | operation, first, immediate, offset);
      assert.equal(result, meaning(operation, first, BigInt(immediate), bits, offset), `${text} immediate`);
    }
  }
});

testArithmetic('all comparisons, of 64 and 32 bits, with registers and immediates', () => {
  const random = new Random(4321);
  const compare: Record<number, (a: bigint, b: bigint) => boolean> = {
    [op.BPF_JEQ]: (a, b) => a === b,
    [op.BPF_JNE]: (a, b) => a !== b,
    [op.BPF_JSET]: (a, b) => (a & b) !== 0n,
    [op.BPF_JGT]: (a, b) => a > b,
    [op.BPF_JGE]: (a, b) => a >= b,
    [op.BPF_JLT]: (a, b) => a < b,
    [op.BPF_JLE]: (a, b) => a <= b,
    [op.BPF_JSGT]: (a, b) => a > b,
    [op.BPF_JSGE]: (a, b) => a >= b,
    [op.BPF_JSLT]: (a, b) => a < b,
    [op.BPF_JSLE]: (a, b) => a <= b,
  };
  const signedOperations = new Set([op.BPF_JSGT, op.BPF_JSGE, op.BPF_JSLT, op.BPF_JSLE]);
  const taken = (first: bigint, second: bigint, jump: Parameters<typeof instruction>) =>
    runs.result([
      ...wideInstruction(1, first),
      ...wideInstruction(2, second),
      instruction(op.BPF_ALU64 | op.BPF_MOV | op.BPF_K, { immediate: 1 }),
      instruction(...jump),
      instruction(op.BPF_ALU64 | op.BPF_MOV | op.BPF_K, { immediate: 0 }),
      exit,
    ]).result === 1n;
  for (let i = 0; i < 3000 * share; i++) {
    const operation = Number(random.pick(Object.keys(compare)));
    const first = operand(random);
    const second = random.oneIn(4) ? first : operand(random);
    for (const [bits, group] of [
      [64, op.BPF_JMP],
      [32, op.BPF_JMP32],
    ] as const) {
      const cut = (value: bigint) =>
        signedOperations.has(operation) ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
      const immediate = Number(BigInt.asIntN(32, second));
      const parts = { destination: 1, offset: 1 };
      const text = `${operation} ${first} ${second} ${bits}`;
      const byRegister = taken(first, second, [group | operation | op.BPF_X, { ...parts, source: 2 }]);
      assert.equal(byRegister, compare[operation]!(cut(first), cut(second)), text);
      const byImmediate = taken(first, second, [group | operation, { ...parts, immediate }]);
      assert.equal(byImmediate, compare[operation]!(cut(first), cut(BigInt(immediate))), `${text} immediate`);
    }
  }
});
