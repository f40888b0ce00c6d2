import { PacketError } from '../../errors.js';
import { type ClassicInstruction, MOST_CLASSIC_INSTRUCTIONS } from './instruction.js';
import * as op from './opcodes.js';

/** Every operation code that there is. */
const CODES = new Set([
  ...[op.BPF_W, op.BPF_H, op.BPF_B].flatMap((size) => [op.BPF_LD | size | op.BPF_ABS, op.BPF_LD | size | op.BPF_IND]),
  ...[op.BPF_IMM, op.BPF_MEM, op.BPF_LEN].flatMap((mode) => [op.BPF_LD | mode, op.BPF_LDX | mode]),
  op.BPF_LDX | op.BPF_B | op.BPF_MSH,
  op.BPF_ST,
  op.BPF_STX,
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
  ].flatMap((operation) => [op.BPF_ALU | operation | op.BPF_K, op.BPF_ALU | operation | op.BPF_X]),
  op.BPF_ALU | op.BPF_NEG,
  op.BPF_JMP | op.BPF_JA,
  ...[op.BPF_JEQ, op.BPF_JGT, op.BPF_JGE, op.BPF_JSET].flatMap((operation) => [
    op.BPF_JMP | operation | op.BPF_K,
    op.BPF_JMP | operation | op.BPF_X,
  ]),
  op.BPF_RET | op.BPF_K,
  op.BPF_RET | op.BPF_A,
  op.BPF_MISC | op.BPF_TAX,
  op.BPF_MISC | op.BPF_TXA,
]);

const CLASS_MASK = 0x07;
const SCRATCH_CODES = new Set([op.BPF_LD | op.BPF_MEM, op.BPF_LDX | op.BPF_MEM, op.BPF_ST, op.BPF_STX]);
const DIVISIONS = new Set([op.BPF_ALU | op.BPF_DIV, op.BPF_ALU | op.BPF_MOD]);
const SHIFTS = new Set([op.BPF_ALU | op.BPF_LSH, op.BPF_ALU | op.BPF_RSH]);

/**
 * Checks that a program runs safely and ends: known instructions, jumps within it (forward only, by their nature), scratch words that
 * exist and hold something wherever they are read, no division by a constant 0, no shift by more than 31 bits, a return at the end.
 * These are the checks of Linux when a filter is attached.
 *
 * @throws PacketError FILTER_CORRUPT that names the instruction
 */
export function checkClassicProgram(program: readonly ClassicInstruction[]): void {
  if (program.length === 0 || program.length > MOST_CLASSIC_INSTRUCTIONS) {
    throw corrupt(
      `${program.length} instructions are no classic BPF program`,
      `a program has 1 to ${MOST_CLASSIC_INSTRUCTIONS}`,
    );
  }
  for (const [at, instruction] of program.entries()) checkInstruction(program.length, at, instruction);
  if ((program.at(-1)!.code & CLASS_MASK) !== op.BPF_RET) {
    throw corrupt(`instruction ${program.length - 1} is the last one and no return`, 'end the program with a return');
  }
  checkScratch(program);
}

function checkInstruction(length: number, at: number, { code, jumpTrue, jumpFalse, value }: ClassicInstruction): void {
  const fields = [
    [code, 0xffff],
    [jumpTrue, 0xff],
    [jumpFalse, 0xff],
    [value, 0xffffffff],
  ] as const;
  if (fields.some(([field, most]) => !Number.isInteger(field) || field < 0 || field > most) || !CODES.has(code)) {
    throw corrupt(
      `instruction ${at} is none of classic BPF (code 0x${Number(code).toString(16)})`,
      'see struct sock_filter in linux/filter.h',
    );
  }
  if (SCRATCH_CODES.has(code) && value >= op.BPF_MEMWORDS) {
    throw corrupt(`instruction ${at} uses scratch word ${value}`, `there are ${op.BPF_MEMWORDS}, from 0 on`);
  }
  if (DIVISIONS.has(code) && value === 0) throw corrupt(`instruction ${at} divides by 0`, 'divide by another number');
  if (SHIFTS.has(code) && value > 31)
    throw corrupt(`instruction ${at} shifts by ${value} bits`, 'shift by 0 to 31 bits');
  if ((code & CLASS_MASK) !== op.BPF_JMP) return;
  const furthest = code === (op.BPF_JMP | op.BPF_JA) ? value : Math.max(jumpTrue, jumpFalse);
  if (at + 1 + furthest >= length) {
    throw corrupt(`instruction ${at} jumps beyond the end of the program`, 'jump to one of its instructions');
  }
}

/** Every way to a read of a scratch word comes through a write. One pass: all jumps go forward. */
function checkScratch(program: readonly ClassicInstruction[]): void {
  const ALL = 0xffff;
  // Words that hold something on every way to the instruction; what no way leads to does not matter.
  const held = new Array<number>(program.length).fill(ALL);
  held[0] = 0;
  const reach = (at: number, words: number): void => {
    held[at]! &= words;
  };
  for (const [at, { code, jumpTrue, jumpFalse, value }] of program.entries()) {
    let words = held[at]!;
    if (code === op.BPF_ST || code === op.BPF_STX) words |= 1 << value;
    else if (SCRATCH_CODES.has(code) && (words & (1 << value)) === 0) {
      throw corrupt(`instruction ${at} reads scratch word ${value}, which may hold nothing`, 'store the word before');
    }
    if ((code & CLASS_MASK) === op.BPF_RET) continue;
    if (code === (op.BPF_JMP | op.BPF_JA)) reach(at + 1 + value, words);
    else if ((code & CLASS_MASK) === op.BPF_JMP) {
      reach(at + 1 + jumpTrue, words);
      reach(at + 1 + jumpFalse, words);
    } else reach(at + 1, words);
  }
}

function corrupt(message: string, remedy: string): PacketError {
  return new PacketError('FILTER_CORRUPT', message, { remedy });
}
