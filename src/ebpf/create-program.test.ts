import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createProgram, findSubprograms } from './create-program.js';
import { instruction, wideInstruction } from './instruction.js';
import { BPF_ALU64, BPF_CALL, BPF_EXIT, BPF_JMP, BPF_MOV, BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC } from './opcodes.js';
import { sourceLineAt } from './program.js';

const EXIT = instruction(BPF_JMP | BPF_EXIT);
const MOVE = instruction(BPF_ALU64 | BPF_MOV);
const call = (immediate: number) => instruction(BPF_JMP | BPF_CALL, { source: BPF_PSEUDO_CALL, immediate });
const ranges = (program: Parameters<typeof findSubprograms>[0]) =>
  findSubprograms(program).map((s) => [s.start, s.end]);

test('subprograms begin where calls and addresses of functions lead', () => {
  const program = [...wideInstruction(2, 5n, BPF_PSEUDO_FUNC), call(1), EXIT, MOVE, EXIT, MOVE, EXIT];
  assert.deepEqual(ranges(program), [
    [0, 4],
    [4, 6],
    [6, 8],
  ]);
});

test('a call backwards leads to the main program, and twice the same call to one subprogram', () => {
  assert.deepEqual(ranges([call(1), EXIT, call(-1), call(-4), EXIT]), [
    [0, 2],
    [2, 5],
  ]);
});

test('calls out of the program, helpers and second halves of wide instructions make no subprogram', () => {
  const helper = instruction(BPF_JMP | BPF_CALL, { immediate: 1 });
  const hidden = [wideInstruction(1, 0n)[0], call(0)];
  assert.deepEqual(ranges([call(100), call(-100), helper, ...hidden, EXIT]), [[0, 6]]);
});

test('no instructions are one empty subprogram', () => {
  assert.deepEqual(ranges([]), [[0, 0]]);
});

test('a slot belongs to the last line that begins at or before it', () => {
  const line = (slot: number, number: number) => ({ slot, file: 'a.c', line: number, column: 1, text: '' });
  const program = createProgram([MOVE, MOVE, MOVE, EXIT], { lines: [line(1, 10), line(3, 20)] });
  assert.deepEqual(
    [0, 1, 2, 3].map((slot) => sourceLineAt(program, slot)?.line),
    [undefined, 10, 10, 20],
  );
});
