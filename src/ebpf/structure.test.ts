import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PacketError } from '../errors.js';
import { createProgram } from './create-program.js';
import { XDP_HELPERS } from './helpers/xdp-helpers.js';
import { type Instruction, instruction, wideInstruction } from './instruction.js';
import * as op from './opcodes.js';
import type { Program } from './program.js';
import { checkStructure } from './structure.js';

const exit = instruction(op.BPF_JMP | op.BPF_EXIT);
const move = instruction(op.BPF_ALU64 | op.BPF_MOV | op.BPF_K);
const call = (source: number, immediate: number) => instruction(op.BPF_JMP | op.BPF_CALL, { source, immediate });

function check(instructions: readonly Instruction[], parts: Partial<Program> = {}): void {
  checkStructure(createProgram(instructions, parts), XDP_HELPERS);
}

function refuses(instructions: readonly Instruction[], text: RegExp, parts: Partial<Program> = {}): void {
  assert.throws(
    () => check(instructions, parts),
    (error) => error instanceof PacketError && error.code === 'PROGRAM_REFUSED' && text.test(error.message),
    `${text}`,
  );
}

test('the operation codes of RFC 9669 are let through, all others are not', () => {
  // Appendix A of RFC 9669 without the packet access of classic BPF, written out.
  const good = new Set([
    ...[0x04, 0x05, 0x06, 0x07, 0x0c, 0x0f, 0x14, 0x15, 0x16, 0x17, 0x18, 0x1c, 0x1d, 0x1e, 0x1f, 0x24, 0x25, 0x26],
    ...[0x27, 0x2c, 0x2d, 0x2e, 0x2f, 0x34, 0x35, 0x36, 0x37, 0x3c, 0x3d, 0x3e, 0x3f, 0x44, 0x45, 0x46, 0x47, 0x4c],
    ...[0x4d, 0x4e, 0x4f, 0x54, 0x55, 0x56, 0x57, 0x5c, 0x5d, 0x5e, 0x5f, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67],
    ...[0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x79, 0x7a, 0x7b, 0x7c],
    ...[0x7d, 0x7e, 0x7f, 0x81, 0x84, 0x85, 0x87, 0x89, 0x91, 0x94, 0x95, 0x97, 0x9c, 0x9f, 0xa4, 0xa5, 0xa6, 0xa7],
    ...[0xac, 0xad, 0xae, 0xaf, 0xb4, 0xb5, 0xb6, 0xb7, 0xbc, 0xbd, 0xbe, 0xbf, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xcc],
    ...[0xcd, 0xce, 0xcf, 0xd4, 0xd5, 0xd6, 0xd7, 0xdb, 0xdc, 0xdd, 0xde],
  ]);
  for (let opcode = 0; opcode < 256; opcode++) {
    const swaps = (opcode & 0xf4) === 0xd4 && ((opcode & 7) === 4 || (opcode & 7) === 7);
    const immediate = swaps ? 16 : opcode === 0x85 ? 5 : 0;
    const first = instruction(opcode, { immediate });
    const program = [...(opcode === 0x18 ? [first, instruction(0)] : [first]), exit];
    if (good.has(opcode)) check(program);
    else refuses(program, new RegExp(`slot 0 .*no operation code 0x${opcode.toString(16).padStart(2, '0')}`));
  }
});

test('fields that an instruction does not use are 0, and those it uses have a meaning', () => {
  const cases: [Instruction, RegExp][] = [
    [instruction(0x07, { source: 1 }), /its source must be 0, not 1/],
    [instruction(0x0f, { immediate: 7 }), /its immediate must be 0, not 7/],
    [instruction(0x07, { offset: 1 }), /the offset 1 means nothing here/],
    [instruction(0x3f, { offset: 2 }), /the offset 2 means nothing/],
    [instruction(0xbc, { offset: 32 }), /the offset 32 means nothing/],
    [instruction(0xb7, { offset: 8 }), /the offset 8 means nothing/],
    [instruction(0xd4, { immediate: 8 }), /bytes of 8 bits/],
    [instruction(0x87, { immediate: 1 }), /its immediate must be 0/],
    [instruction(0x95, { immediate: 1 }), /its immediate must be 0/],
    [instruction(0x05, { immediate: 1 }), /its immediate must be 0/],
    [instruction(0x06, { offset: 1 }), /its offset must be 0/],
    [instruction(0x61, { immediate: 1 }), /its immediate must be 0/],
    [instruction(0x62, { source: 1 }), /its source must be 0/],
    [instruction(0xdb, { immediate: 2 }), /no atomic operation 2/],
    [instruction(0xdb, { immediate: 0x20 }), /no atomic operation 32/],
    [call(3, 0), /calls of kind 3/],
  ];
  for (const [wrong, text] of cases) refuses([wrong, exit], text);
  for (const offset of [8, 16, 32]) check([instruction(0xbf, { offset }), exit]);
  for (const opcode of [0x37, 0x3f, 0x97, 0x9f, 0x34, 0x3c]) check([instruction(opcode, { offset: 1 }), exit]);
});

test('registers exist, and register 10 is never written', () => {
  refuses([instruction(0xb7, { destination: 11 }), exit], /register 11 does not exist/);
  refuses([instruction(0xbf, { source: 15 }), exit], /register 15 does not exist/);
  for (const opcode of [0xb7, 0xbf, 0x07, 0x87, 0x79]) {
    refuses([instruction(opcode, { destination: 10 }), exit], /register 10.*cannot be written/);
  }
  refuses([...wideInstruction(10, 1n), exit], /cannot be written/);
  refuses([instruction(0xdb, { destination: 1, source: 10, immediate: 1 }), exit], /cannot be written/);
  check([instruction(0xdb, { destination: 10, source: 1, immediate: 1 }), exit]);
  check([instruction(0xdb, { destination: 10, source: 10, immediate: op.BPF_CMPXCHG }), exit]);
  check([instruction(0x7b, { destination: 10, source: 10 }), exit]);
});

test('jumps hit the start of an instruction of their subprogram', () => {
  const jump = (offset: number) => instruction(op.BPF_JMP | op.BPF_JEQ | op.BPF_K, { offset });
  check([jump(0), exit]);
  check([move, jump(-2), exit]);
  refuses([jump(1), exit], /slot 0 \(0x15, .*offset 1.*leads to slot 2, out of subprogram main/);
  refuses([jump(-2), exit], /leads to slot -1/);
  refuses([jump(1), ...wideInstruction(0, 0n), exit], /leads to slot 2, the second of an instruction/);
  refuses([instruction(op.BPF_JMP32 | op.BPF_JA, { immediate: 2 ** 31 - 1 }), exit], /leads to slot 2147483648/);
  refuses([call(1, 1), exit, jump(-3), exit], /leads to slot 0, out of subprogram function_2/);
});

test('a subprogram ends with exit or a jump', () => {
  refuses([], /no instructions/);
  refuses([exit, move], /slot 1 .*runs over its end/);
  refuses(wideInstruction(0, 0n), /slot 0 .*runs over its end/);
  refuses([instruction(op.BPF_LOAD_WIDE)], /its second slot is missing/);
  refuses([instruction(op.BPF_LOAD_WIDE), exit], /its second slot holds more than an immediate/);
  refuses([call(1, 1), move, exit], /subprogram main runs over its end/);
  check([move, instruction(op.BPF_JMP | op.BPF_JA, { offset: -2 })]);
});

test('helpers, kernel functions, maps and subprograms that are named exist', () => {
  refuses([call(0, 9999), exit], /there is no helper 9999/);
  refuses([call(2, 0), exit], /names no kernel function 0/);
  refuses([call(2, 0), exit], /there is no kernel function bpf_nothing/, { kernelFunctions: ['bpf_nothing'] });
  refuses([call(1, 7), exit], /no subprogram starts at slot 8/);
  refuses([...wideInstruction(1, 0n, op.BPF_PSEUDO_MAP_IDX), exit], /the program has no map 0/);
  refuses([...wideInstruction(1, 3n, op.BPF_PSEUDO_MAP_FD), exit], /immediates of kind 1/);
  refuses([...wideInstruction(1, 2n ** 32n, op.BPF_PSEUDO_MAP_IDX), exit], /second slot must be 0/);
});

test('subprograms cover the program without gaps', () => {
  const subprogram = (start: number, end: number) => ({ name: `f${start}`, start, end });
  const two = [move, exit, move, exit];
  refuses(two, /f1 has the slots 1 to 3/, { subprograms: [subprogram(1, 4)] });
  refuses(two, /slot 2 and what follows/, { subprograms: [subprogram(0, 2)] });
  refuses(two, /f0 has the slots 0 to 4/, { subprograms: [subprogram(0, 5)] });
  refuses(two, /f0 has the slots 0 to -1/, { subprograms: [subprogram(0, 0), subprogram(0, 4)] });
  check(two, { subprograms: [subprogram(0, 2), subprogram(2, 4)] });
});

test('the message says the line of source', () => {
  const lines = [{ slot: 0, file: 'drop.c', line: 12, column: 1, text: '' }];
  refuses([call(0, 9999), exit], /slot 0 \(0x85.*\) of drop\.c:12: there is no helper 9999/, { lines });
});
