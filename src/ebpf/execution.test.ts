import assert from 'node:assert/strict';
import { EbpfRuns, HEADROOM } from '../../test/support/ebpf-runs.js';
import { testEngines } from '../../test/support/engines.js';
import { PacketError } from '../errors.js';
import {
  FAULT_BUDGET,
  FAULT_CALL_DEPTH,
  FAULT_MEMORY,
  FAULT_NONE,
  PACKET_DATA_END,
  PACKET_RECORD_BYTES,
  PACKET_VERDICT,
  XDP_ABORTED,
  XDP_PASS,
} from './execution.js';
import { type Instruction, instruction, wideInstruction } from './instruction.js';
import { createMap } from './maps/create-map.js';
import * as op from './opcodes.js';

const exit = instruction(op.BPF_JMP | op.BPF_EXIT);
const move = (destination: number, immediate: number) =>
  instruction(op.BPF_ALU64 | op.BPF_MOV | op.BPF_K, { destination, immediate });
const add = (destination: number, immediate: number) =>
  instruction(op.BPF_ALU64 | op.BPF_ADD | op.BPF_K, { destination, immediate });
const copy = (destination: number, source: number) =>
  instruction(op.BPF_ALU64 | op.BPF_MOV | op.BPF_X, { destination, source });
const load = (size: number, destination: number, source: number, offset: number, mode: number = op.BPF_MEM) =>
  instruction(op.BPF_LDX | mode | size, { destination, source, offset });
const store = (size: number, destination: number, offset: number, source: number) =>
  instruction(op.BPF_STX | op.BPF_MEM | size, { destination, source, offset });
const storeImmediate = (size: number, destination: number, offset: number, immediate: number) =>
  instruction(op.BPF_ST | op.BPF_MEM | size, { destination, offset, immediate });
const jump = (offset: number) => instruction(op.BPF_JMP | op.BPF_JA, { offset });
const call = (distance: number) =>
  instruction(op.BPF_JMP | op.BPF_CALL, { source: op.BPF_PSEUDO_CALL, immediate: distance });
const atomic = (size: number, operation: number, offset: number, source: number) =>
  instruction(op.BPF_STX | op.BPF_ATOMIC | size, { destination: 10, offset, source, immediate: operation });
/** r6 = packet, r7 = its end. */
const packetRegisters = [load(op.BPF_W, 6, 1, 0), load(op.BPF_W, 7, 1, 4)];

testEngines('loads of all sizes, at any address, with and without sign', (engine) => {
  const runs = new EbpfRuns({ engine });
  const packet = Uint8Array.from({ length: 64 }, (_, index) => 0xf8 - index * 3);
  const view = new DataView(packet.buffer);
  for (let at = 0; at <= 16; at++) {
    const value = (size: number, mode?: number) =>
      runs.result([...packetRegisters, load(size, 0, 6, at, mode), exit], [], packet).result;
    assert.equal(value(op.BPF_B), BigInt(view.getUint8(at)));
    assert.equal(value(op.BPF_H), BigInt(view.getUint16(at, true)));
    assert.equal(value(op.BPF_W), BigInt(view.getUint32(at, true)));
    assert.equal(value(op.BPF_DW), view.getBigUint64(at, true));
    const signed = (number: number) => BigInt.asUintN(64, BigInt(number));
    assert.equal(value(op.BPF_B, op.BPF_MEMSX), signed(view.getInt8(at)));
    assert.equal(value(op.BPF_H, op.BPF_MEMSX), signed(view.getInt16(at, true)));
    assert.equal(value(op.BPF_W, op.BPF_MEMSX), signed(view.getInt32(at, true)));
  }
});

testEngines('stores of all sizes, at any address, change so many bytes', (engine) => {
  const runs = new EbpfRuns({ engine });
  for (const [size, bytes] of [
    [op.BPF_B, 1],
    [op.BPF_H, 2],
    [op.BPF_W, 4],
    [op.BPF_DW, 8],
  ] as const) {
    for (let at = 20; at < 28; at++) {
      const packet = new Uint8Array(64).fill(0x55);
      const expected = packet.slice();
      expected.set([0x88, 0x77, 0x66, 0x85, 0x44, 0x33, 0x22, 0x11].slice(0, bytes), at);
      const program = [...packetRegisters, ...wideInstruction(2, 0x1122334485667788n), store(size, 6, at, 2), exit];
      assert.deepEqual(runs.result(program, [], packet).packet, expected);
      // A stored immediate is sign-extended.
      expected.set([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff].slice(0, bytes), at);
      assert.deepEqual(
        runs.result([...packetRegisters, storeImmediate(size, 6, at, -2), exit], [], packet).packet,
        expected,
      );
    }
  }
});

testEngines('atomic operations, with what was in memory before', (engine) => {
  const runs = new EbpfRuns({ engine });
  const before = 0x00000001_fffffff0n;
  const operand = 0x7_00000013n;
  const run = (size: number, operation: number, zero: bigint, ...result: Instruction[]) =>
    runs.result([
      ...wideInstruction(2, before),
      store(op.BPF_DW, 10, -8, 2),
      ...wideInstruction(3, operand),
      ...wideInstruction(0, zero),
      atomic(size, operation, -8, 3),
      ...result,
      exit,
    ]).result;
  const inMemory = load(op.BPF_DW, 0, 10, -8);
  const upper = before & 0xffffffff00000000n;
  const cases: [operation: number, wide: bigint, narrow: bigint][] = [
    [op.BPF_ADD, 0x9_00000003n, 0x00000003n],
    [op.BPF_OR, before | operand, 0xfffffff3n],
    [op.BPF_AND, before & operand, 0x10n],
    [op.BPF_XOR, before ^ operand, 0xffffffe3n],
  ];
  for (const [operation, wide, narrow] of cases) {
    for (const fetch of [0, op.BPF_FETCH]) {
      assert.equal(run(op.BPF_DW, operation | fetch, 0n, inMemory), wide);
      assert.equal(run(op.BPF_W, operation | fetch, 0n, inMemory), upper | narrow);
    }
    assert.equal(run(op.BPF_DW, operation, 0n, copy(0, 3)), operand);
    assert.equal(run(op.BPF_DW, operation | op.BPF_FETCH, 0n, copy(0, 3)), before);
    assert.equal(run(op.BPF_W, operation | op.BPF_FETCH, 0n, copy(0, 3)), 0xfffffff0n);
  }
  assert.equal(run(op.BPF_DW, op.BPF_XCHG, 0n, inMemory), operand);
  assert.equal(run(op.BPF_DW, op.BPF_XCHG, 0n, copy(0, 3)), before);
  assert.equal(run(op.BPF_DW, op.BPF_CMPXCHG, before, inMemory), operand);
  assert.equal(run(op.BPF_DW, op.BPF_CMPXCHG, before + 2n ** 32n, inMemory), before);
  assert.equal(run(op.BPF_DW, op.BPF_CMPXCHG, 5n), before);
  assert.equal(run(op.BPF_W, op.BPF_CMPXCHG, 0x7_fffffff0n, inMemory), upper | 0x13n);
  assert.equal(run(op.BPF_W, op.BPF_CMPXCHG, 0x7_fffffff0n), 0xfffffff0n);
});

testEngines('an access outside program memory and packet stops the run, at its slot, and changes nothing', (engine) => {
  const runs = new EbpfRuns({ engine });
  const packet = new Uint8Array(60).fill(7);
  const before = runs.arena.u8.slice();
  const faults: Instruction[][] = [
    [load(op.BPF_B, 0, 6, 60)],
    [load(op.BPF_DW, 0, 6, 53)],
    [load(op.BPF_B, 0, 6, -1)],
    [storeImmediate(op.BPF_W, 6, 57, -1)],
    [store(op.BPF_DW, 7, -7, 7)],
    [atomic(op.BPF_W, op.BPF_ADD, 1, 7), exit],
    // The context is there to be read.
    [storeImmediate(op.BPF_W, 1, 20, 0)],
    [instruction(op.BPF_STX | op.BPF_ATOMIC | op.BPF_W, { destination: 1, source: 7 })],
  ];
  for (const instructions of faults) {
    const {
      verdict,
      fault,
      faultSlot,
      packet: after,
    } = runs.result([...packetRegisters, ...instructions, exit], [], packet);
    assert.deepEqual([verdict, fault, faultSlot], [XDP_ABORTED, FAULT_MEMORY, 2]);
    assert.deepEqual(after, packet);
  }
  for (const address of [
    0n,
    1n,
    BigInt(runs.record),
    BigInt(runs.machine.control),
    2n ** 32n,
    2n ** 63n,
    2n ** 64n - 1n,
  ]) {
    const { fault } = runs.result([...wideInstruction(2, address), storeImmediate(op.BPF_DW, 2, 0, -1), exit]);
    assert.equal(fault, FAULT_MEMORY, `${address}`);
  }
  // The packet's surroundings are as they were.
  const data = runs.packets + HEADROOM;
  assert.deepEqual(runs.arena.u8.slice(runs.packets, data), before.slice(runs.packets, data));
  assert.deepEqual(runs.arena.u8.slice(data + 64, data + 128), before.slice(data + 64, data + 128));
});

testEngines('addresses wrap at 64 bits', (engine) => {
  const runs = new EbpfRuns({ engine });
  const { writable } = runs.machine;
  assert.ok(writable < 32000);
  const program = [...wideInstruction(2, -8n), storeImmediate(op.BPF_DW, 2, writable + 8, 1), move(0, XDP_PASS), exit];
  assert.equal(runs.result(program).fault, FAULT_NONE);
});

testEngines('subprograms have frames of their own, and registers 6 to 9 are kept over calls', (engine) => {
  const runs = new EbpfRuns({ engine });
  const program = [
    move(6, 60),
    move(9, 90),
    storeImmediate(op.BPF_DW, 10, -8, 11),
    move(1, 5),
    call(4), // slot 4, to 9
    load(op.BPF_DW, 2, 10, -8),
    instruction(op.BPF_ALU64 | op.BPF_ADD | op.BPF_X, { destination: 0, source: 2 }),
    instruction(op.BPF_ALU64 | op.BPF_ADD | op.BPF_X, { destination: 0, source: 6 }),
    exit,
    move(6, 1),
    move(9, 2),
    storeImmediate(op.BPF_DW, 10, -8, 1000),
    copy(0, 1),
    exit,
  ];
  assert.equal(runs.result(program).result, 76n);
});

testEngines('eight frames are enough, a ninth stops the run', (engine) => {
  const runs = new EbpfRuns({ engine });
  // r1 counts down; the subprogram calls itself until it is 0.
  const recursive = (times: number) => [
    move(1, times),
    call(1),
    exit,
    instruction(op.BPF_JMP | op.BPF_JEQ | op.BPF_K, { destination: 1, offset: 2 }),
    add(1, -1),
    call(-3),
    move(0, XDP_PASS),
    exit,
  ];
  assert.deepEqual([runs.result(recursive(6)).verdict, runs.result(recursive(6)).fault], [XDP_PASS, FAULT_NONE]);
  const { verdict, fault, faultSlot } = runs.result(recursive(7));
  assert.deepEqual([verdict, fault, faultSlot], [XDP_ABORTED, FAULT_CALL_DEPTH, 5]);
});

testEngines('loops end at the budget: a backward jump costs the slots that it goes back over', (engine) => {
  // The loop body has three slots; r0 counts rounds.
  const loop = (rounds: number) => [
    move(0, 0),
    add(0, 1),
    move(2, 0),
    instruction(op.BPF_JMP | op.BPF_JNE | op.BPF_K, { destination: 0, offset: -3, immediate: rounds }),
    exit,
  ];
  const runs = new EbpfRuns({ engine, budget: 30 });
  assert.deepEqual([runs.result(loop(11)).fault, runs.result(loop(11)).result], [FAULT_NONE, 11n]);
  const { fault, faultSlot } = runs.result(loop(12));
  assert.deepEqual([fault, faultSlot], [FAULT_BUDGET, 3]);
  assert.equal(runs.result([jump(-1)]).fault, FAULT_BUDGET);
  // A call costs the subprogram's slots: here 2, and one jump back of 3.
  const calls = [call(1), jump(-2), move(0, 0), exit];
  assert.equal(runs.result(calls).fault, FAULT_BUDGET);
});

testEngines('a batch has a budget, a verdict and a fault for each packet', (engine) => {
  const runs = new EbpfRuns({ engine, budget: 10 });
  const program = [
    ...packetRegisters,
    load(op.BPF_B, 0, 6, 0),
    instruction(op.BPF_JMP | op.BPF_JEQ | op.BPF_K, { destination: 0, offset: -1, immediate: 1 }),
    exit,
  ];
  const executable = runs.prepare(program);
  const words = runs.arena.i32;
  for (const [index, first] of [3, 1, 2].entries()) {
    runs.run(executable, Uint8Array.of(first));
    const at = runs.packets + 4096 + index * 64;
    runs.arena.u8[at] = first;
    const record = (runs.record + (index + 1) * PACKET_RECORD_BYTES) >> 2;
    words.copyWithin(record, runs.record >> 2, (runs.record + PACKET_RECORD_BYTES) >> 2);
    words.fill(at, record + 1, record + 3);
    words[record + PACKET_DATA_END] = at + 1;
    words[record + PACKET_VERDICT] = 99;
  }
  executable.run(runs.record + PACKET_RECORD_BYTES, 3);
  const verdicts = [1, 2, 3].map((index) => words[((runs.record + index * PACKET_RECORD_BYTES) >> 2) + PACKET_VERDICT]);
  assert.deepEqual(verdicts, [3, XDP_ABORTED, 2]);
});

const programs = (maxEntries: number) =>
  ({ name: 'programs', type: 'prog_array', keySize: 4, valueSize: 4, maxEntries, flags: 0 }) as const;
const tailCall = (index: number) => [
  ...wideInstruction(2, 0n, op.BPF_PSEUDO_MAP_IDX),
  move(3, index),
  instruction(op.BPF_JMP | op.BPF_CALL, { immediate: 12 }),
];
const word = (number: number) => Uint8Array.of(number, 0, 0, 0);

testEngines('a tail call does not come back; where it leads nowhere the program goes on', (engine) => {
  const runs = new EbpfRuns({ engine });
  const map = createMap(runs.machine, programs(4));
  const number = runs.machine.addProgram(runs.prepare([move(0, 3), exit]));
  map.update(word(1), word(number));
  const caller = (index: number) => runs.result([...tailCall(index), move(0, 1), exit], [map]).verdict;
  assert.deepEqual([caller(0), caller(1), caller(4), caller(-1)], [1, 3, 1, 1]);
  // From a subprogram it ends that subprogram.
  const nested = runs.result([call(2), add(0, 10), exit, ...tailCall(1), exit], [map]);
  assert.equal(nested.result, 13n);
  map.delete(word(1));
  assert.equal(caller(1), 1);
});

testEngines('a program that calls itself without end goes on after 33 tail calls', (engine) => {
  const runs = new EbpfRuns({ engine });
  const map = createMap(runs.machine, programs(1));
  const counted = [
    ...packetRegisters,
    load(op.BPF_B, 2, 6, 0),
    add(2, 1),
    store(op.BPF_B, 6, 0, 2),
    ...tailCall(0),
    move(0, XDP_PASS),
    exit,
  ];
  const executable = runs.prepare(counted, [map]);
  map.update(word(0), word(runs.machine.addProgram(executable)));
  const { verdict, packet } = runs.run(executable);
  assert.deepEqual([verdict, packet[0]], [XDP_PASS, 34]);
});

testEngines('a fault after a tail call stops the whole run', (engine) => {
  const runs = new EbpfRuns({ engine });
  const map = createMap(runs.machine, programs(1));
  const faulty = runs.prepare([move(0, XDP_PASS), move(2, 0), load(op.BPF_W, 3, 2, 0), exit]);
  map.update(word(0), word(runs.machine.addProgram(faulty)));
  const { verdict, fault, faultSlot } = runs.result([call(1), exit, ...tailCall(0), exit], [map]);
  assert.deepEqual([verdict, fault, faultSlot], [XDP_ABORTED, FAULT_MEMORY, 2]);
});

testEngines(
  'wide instructions load numbers, handles of maps, addresses of values, and slots of subprograms',
  (engine) => {
    const runs = new EbpfRuns({ engine });
    const initialValue = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
    const globals = {
      name: '.data',
      type: 'array',
      keySize: 4,
      valueSize: 8,
      maxEntries: 1,
      flags: 0,
      initialValue,
    } as const;
    const map = createMap(runs.machine, globals);
    const wide = (immediate: bigint, source: number) =>
      runs.result([...wideInstruction(0, immediate, source), exit], [map]).result;
    assert.equal(wide(0x1234567890abcdefn, 0), 0x1234567890abcdefn);
    assert.equal(wide(0n, op.BPF_PSEUDO_MAP_IDX), BigInt(map.handle));
    const third = [...wideInstruction(2, 2n << 32n, op.BPF_PSEUDO_MAP_IDX_VALUE), load(op.BPF_B, 0, 2, 0), exit];
    assert.equal(runs.result(third, [map]).result, 3n);
    assert.equal(runs.result([...wideInstruction(0, 2n, op.BPF_PSEUDO_FUNC), exit, exit]).result, 3n);
    const hash = createMap(runs.machine, { ...programs(1), name: 'hash', type: 'hash' });
    const refused = (text: RegExp) => (error: unknown) =>
      error instanceof PacketError && error.code === 'PROGRAM_REFUSED' && text.test(error.message);
    const global = [...wideInstruction(2, 0n, op.BPF_PSEUDO_MAP_IDX_VALUE), exit];
    assert.throws(() => runs.prepare(global, [hash]), refused(/map hash: its values are no row/));
    const beyond = [...wideInstruction(2, 8n << 32n, op.BPF_PSEUDO_MAP_IDX_VALUE), exit];
    assert.throws(() => runs.prepare(beyond, [map]), refused(/its value has 8 bytes/));
    assert.throws(
      () => new EbpfRuns({ engine }).prepare(global, [map]),
      refused(/map .data was not made on the machine/),
    );
  },
);
