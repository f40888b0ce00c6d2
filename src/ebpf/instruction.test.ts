import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../test/support/random.js';
import { PacketError } from '../errors.js';
import {
  decodeInstructions,
  encodeInstructions,
  instruction,
  isWide,
  wideImmediate,
  wideInstruction,
} from './instruction.js';
import { BPF_ALU64, BPF_EXIT, BPF_JEQ, BPF_JMP, BPF_K, BPF_LDX, BPF_MEM, BPF_MOV, BPF_W, BPF_X } from './opcodes.js';

test('the bytes are those that clang writes', () => {
  // r0 = 2; r3 = *(u32 *)(r1 - 4); if r3 == 0xffffffff goto -2; r2 = r10; exit
  const program = [
    instruction(BPF_ALU64 | BPF_MOV | BPF_K, { destination: 0, immediate: 2 }),
    instruction(BPF_LDX | BPF_MEM | BPF_W, { destination: 3, source: 1, offset: -4 }),
    instruction(BPF_JMP | BPF_JEQ | BPF_K, { destination: 3, offset: -2, immediate: 0xffffffff }),
    instruction(BPF_ALU64 | BPF_MOV | BPF_X, { destination: 2, source: 10 }),
    instruction(BPF_JMP | BPF_EXIT),
  ];
  assert.equal(
    Buffer.from(encodeInstructions(program)).toString('hex'),
    'b700000002000000' + '6113fcff00000000' + '1503feffffffffff' + 'bfa2000000000000' + '9500000000000000',
  );
  assert.deepEqual(decodeInstructions(encodeInstructions(program)), program);
});

test('a wide instruction is two slots with half of the immediate each', () => {
  for (const immediate of [0n, 1n, 0xffffffffn, 0x1_00000000n, 0x8000000080000000n, 0xfedcba9876543210n]) {
    const slots = wideInstruction(7, immediate, 5);
    assert.deepEqual([isWide(slots[0]), isWide(slots[1])], [true, false]);
    assert.deepEqual([slots[0].destination, slots[0].source, slots[1].opcode], [7, 5, 0]);
    const bytes = encodeInstructions(slots);
    const view = new DataView(bytes.buffer);
    assert.equal(BigInt(view.getUint32(4, true)) | (BigInt(view.getUint32(12, true)) << 32n), immediate);
    assert.equal(wideImmediate(decodeInstructions(bytes), 0), immediate);
  }
  assert.deepEqual(wideInstruction(1, -1n), wideInstruction(1, 2n ** 64n - 1n));
});

test('the immediate of a wide instruction whose second slot is missing can still be read', () => {
  assert.equal(wideImmediate([wideInstruction(1, 0x5_00000007n)[0]], 0), 7n);
});

test('any bytes decode, wherever they lie in their buffer, and come back the same', () => {
  const random = new Random(1);
  for (let round = 0; round < 200; round++) {
    const start = random.below(9);
    const bytes = new Uint8Array(start + 8 * random.below(30));
    random.fill(bytes, 0, bytes.length);
    const slots = bytes.subarray(start);
    assert.deepEqual(encodeInstructions(decodeInstructions(slots)), slots.slice());
  }
});

test('parts of a slot are refused', () => {
  assert.throws(
    () => decodeInstructions(new Uint8Array(15)),
    (error: unknown) =>
      error instanceof PacketError && error.code === 'PROGRAM_CORRUPT' && /15 bytes/.test(error.message),
  );
});
