import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Arena } from '../arena/arena.js';
import { PacketError } from '../errors.js';
import { CONTROL_PACKET, PACKET_DATA_END, PACKET_DATA_META, STACK_FRAME_BYTES } from './execution.js';
import type { HelperTable } from './helpers/contract.js';
import { Machine } from './machine.js';
import type { EbpfMap } from './maps/contract.js';

const helpers: HelperTable = { byNumber: () => undefined, byName: () => undefined };

function refused(code: string, text: RegExp) {
  return (error: unknown) => error instanceof PacketError && error.code === code && text.test(error.message);
}

test('options are checked by name and range', () => {
  const arena = Arena.create(2 ** 20);
  const free = arena.freeBytes;
  const make = (options: object) => () => new Machine(arena, { helpers, ...options });
  assert.throws(make({ bytes: 65535 }), refused('INVALID_OPTION', /machine bytes: 65535/));
  assert.throws(make({ cpus: 0 }), refused('INVALID_OPTION', /machine cpus/));
  assert.throws(make({ budget: 2 ** 31 }), refused('INVALID_OPTION', /machine budget/));
  assert.throws(make({ cpu: 2 }), refused('INVALID_OPTION', /no option cpu/));
  assert.equal(arena.freeBytes, free);
});

test('context, stack and map values are apart, in program memory, zeroed; the control block is outside', () => {
  const arena = Arena.create(2 ** 20);
  arena.u8.fill(0xee, 4096);
  const machine = new Machine(arena, { helpers, bytes: 65536 });
  const values = machine.allocate(100);
  assert.equal(values.offset % 64, 0);
  assert.ok(arena.u8.subarray(values.offset, values.offset + 100).every((byte) => byte === 0));
  assert.ok(arena.u8.subarray(machine.control, machine.control + 128).every((byte) => byte === 0));
  assert.ok(machine.control + 128 <= machine.low);
  assert.ok(machine.low <= machine.context && machine.context + 24 <= machine.stackEnd - 8 * STACK_FRAME_BYTES);
  assert.ok(machine.stackEnd <= values.offset && values.offset + values.bytes <= machine.high);
});

test('memory that is given back can be had again, and what is missing is said', () => {
  const machine = new Machine(Arena.create(2 ** 20), { helpers, bytes: 65536 });
  const first = machine.allocate(50_000);
  assert.throws(() => machine.allocate(50_000), refused('ARENA_EXHAUSTED', /no 50048 bytes left.*\d+ bytes are free/));
  machine.free(first);
  assert.equal(machine.allocate(50_000).offset, first.offset);
});

test('a closed machine leaves the arena as it was', () => {
  const arena = Arena.create(2 ** 20);
  const free = arena.freeBytes;
  new Machine(arena, { helpers, bytes: 65536 }).close();
  assert.equal(arena.freeBytes, free);
});

test('handles of maps start at 1, are given again, and any other number is no map', () => {
  const machine = new Machine(Arena.create(2 ** 20), { helpers, bytes: 65536 });
  const add = () => machine.addMap((handle) => ({ handle }) as EbpfMap);
  const [first, second] = [add(), add()];
  assert.deepEqual([first.handle, second.handle], [1, 2]);
  assert.equal(machine.map(2), second);
  machine.removeMap(1);
  for (const number of [0, 1, 3, -1, 0.5, 2 ** 31]) assert.equal(machine.map(number), undefined);
  assert.equal(add().handle, 1);
});

test('programs reach program memory and the packet, each as a whole, and nothing else', () => {
  const arena = Arena.create(2 ** 20);
  const machine = new Machine(arena, { helpers, bytes: 65536 });
  const packets = arena.allocate(4096).offset;
  const record = arena.allocate(4096).offset;
  arena.i32[(machine.control >> 2) + CONTROL_PACKET] = record;
  arena.i32[(record >> 2) + PACKET_DATA_META] = packets + 92;
  arena.i32[(record >> 2) + PACKET_DATA_END] = packets + 160;
  const { low, high, control } = machine;
  const good = [low, high - 8, packets + 92, packets + 152];
  const bad = [low - 1, high - 7, packets + 91, packets + 153, control, record, 0, -1, -8, low | 0x80000000];
  for (const address of good) assert.equal(machine.reaches(address, 0, 8), true, `${address}`);
  for (const address of bad) assert.equal(machine.reaches(address, 0, 8), false, `${address}`);
  assert.equal(machine.reaches(low, 1, 8), false);
  assert.equal(machine.reaches(low, 0, 2 ** 31), false);
});
