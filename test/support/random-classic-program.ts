import type { ClassicInstruction } from '../../src/filter/classic/instruction.js';
import * as op from '../../src/filter/classic/opcodes.js';
import type { Random } from './random.js';

const SIZES = [op.BPF_W, op.BPF_H, op.BPF_B];
const OPERATIONS = [
  ...[
    op.BPF_ADD,
    op.BPF_SUB,
    op.BPF_MUL,
    op.BPF_DIV,
    op.BPF_OR,
    op.BPF_AND,
    op.BPF_LSH,
    op.BPF_RSH,
    op.BPF_MOD,
    op.BPF_XOR,
  ],
];
const TESTS = [op.BPF_JEQ, op.BPF_JGT, op.BPF_JGE, op.BPF_JSET];
const PLACES = [0, 1, 6, 12, 14, 20, 23, 30, 40, 60, 0x7ffc, 0x8000, 0xfffe, 0x10000, 0xfffffff0, 0xffffefff];

/** A random classic program that passes `checkClassicProgram`: any instructions in any order, each jump forward, a return at the end. */
export function randomClassicProgram(random: Random, length: number): ClassicInstruction[] {
  const program: ClassicInstruction[] = [];
  for (let word = 0; word < op.BPF_MEMWORDS; word++) program.push(plain(op.BPF_ST, word));
  const end = program.length + length;
  while (program.length < end) program.push(randomInstruction(random, end - program.length));
  program.push(plain(op.BPF_RET | random.pick([op.BPF_A, op.BPF_K]), random.pick([0, 1, 0xffffffff])));
  return program;
}

function plain(code: number, value = 0): ClassicInstruction {
  return { code, jumpTrue: 0, jumpFalse: 0, value };
}

/** @param left instructions up to the last return, which is the furthest that jumps go to */
function randomInstruction(random: Random, left: number): ClassicInstruction {
  const source = random.pick([op.BPF_K, op.BPF_X]);
  switch (random.below(12)) {
    case 0:
    case 1:
      return plain(op.BPF_LD | random.pick(SIZES) | op.BPF_ABS, random.pick(PLACES));
    case 2:
    case 3:
      return plain(op.BPF_LD | random.pick(SIZES) | op.BPF_IND, random.pick(PLACES));
    case 4:
      return plain(op.BPF_LDX | op.BPF_B | op.BPF_MSH, random.pick(PLACES.filter((place) => place < 64)));
    case 5: {
      const mode = random.pick([op.BPF_IMM, op.BPF_MEM, op.BPF_LEN]);
      const value =
        mode === op.BPF_MEM ? random.below(op.BPF_MEMWORDS) : random.pick([0, 1, 5, 14, 0xffff, random.word()]);
      return plain(random.pick([op.BPF_LD, op.BPF_LDX]) | mode, value);
    }
    case 6:
      return plain(random.pick([op.BPF_ST, op.BPF_STX]), random.below(op.BPF_MEMWORDS));
    case 7:
    case 8: {
      if (random.oneIn(10)) return plain(op.BPF_ALU | op.BPF_NEG);
      return plain(op.BPF_ALU | random.pick(OPERATIONS) | source, random.between(1, 31));
    }
    case 9:
      return plain(op.BPF_MISC | random.pick([op.BPF_TAX, op.BPF_TXA]));
    case 10:
      if (!random.oneIn(30)) return plain(op.BPF_MISC | op.BPF_TAX);
      return random.oneIn(2) ? plain(op.BPF_RET | op.BPF_A) : plain(op.BPF_JMP | op.BPF_JA, random.below(left));
    default: {
      const value = random.pick([0, 1, 0x45, 0x800, 0xffff, random.word()]);
      const near = (): number => random.below(Math.min(left, 12));
      return { code: op.BPF_JMP | random.pick(TESTS) | source, jumpTrue: near(), jumpFalse: near(), value };
    }
  }
}
