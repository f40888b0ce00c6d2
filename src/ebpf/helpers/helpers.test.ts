import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EbpfRuns, HEADROOM, TAILROOM } from '../../../test/support/ebpf-runs.js';
import { CONTROL_CPU, XDP_ABORTED, XDP_DROP, XDP_REDIRECT } from '../execution.js';
import { type Instruction, instruction, wideInstruction } from '../instruction.js';
import type { EbpfMap, MapDefinition } from '../maps/contract.js';
import { createMap } from '../maps/create-map.js';
import * as op from '../opcodes.js';

const exit = instruction(op.BPF_JMP | op.BPF_EXIT);
const call = (number: number) => instruction(op.BPF_JMP | op.BPF_CALL, { immediate: number });
const value = (register: number, number: bigint) => wideInstruction(register, number);
const copy = (destination: number, source: number) =>
  instruction(op.BPF_ALU64 | op.BPF_MOV | op.BPF_X, { destination, source });
const EINVAL = 2n ** 64n - 22n;
const EFAULT = 2n ** 64n - 14n;
const EACCES = 2n ** 64n - 13n;

const definition: MapDefinition = { name: 'm', type: 'hash', keySize: 4, valueSize: 8, maxEntries: 2, flags: 0 };
const map1 = wideInstruction(1, 0n, op.BPF_PSEUDO_MAP_IDX);
/** Registers 2 and 3: key and value on the stack. */
const entry = (key: number, contents: number): Instruction[] => [
  instruction(op.BPF_ST | op.BPF_MEM | op.BPF_W, { destination: 10, offset: -4, immediate: key }),
  instruction(op.BPF_ST | op.BPF_MEM | op.BPF_DW, { destination: 10, offset: -16, immediate: contents }),
  copy(2, 10),
  instruction(op.BPF_ALU64 | op.BPF_ADD | op.BPF_K, { destination: 2, immediate: -4 }),
  copy(3, 10),
  instruction(op.BPF_ALU64 | op.BPF_ADD | op.BPF_K, { destination: 3, immediate: -16 }),
];

test('programs look up, update and delete entries, and work on values in place', () => {
  const runs = new EbpfRuns();
  const map = createMap(runs.machine, definition);
  const update = (key: number, contents: number, flags = 0n) =>
    runs.result([...map1, ...entry(key, contents), ...value(4, flags), call(2), exit], [map]).result;
  assert.deepEqual([update(1, 5), update(2, 6), update(3, 7)], [0n, 0n, 2n ** 64n - 7n]);
  assert.deepEqual([update(1, 5, 1n), update(1, 5, 2n ** 32n)], [2n ** 64n - 17n, EINVAL]);
  const count = [
    ...map1,
    ...entry(1, 0),
    call(1),
    instruction(op.BPF_JMP | op.BPF_JEQ | op.BPF_K, { destination: 0, offset: 2 }),
    instruction(op.BPF_ALU64 | op.BPF_MOV | op.BPF_K, { destination: 1, immediate: 1 }),
    instruction(op.BPF_STX | op.BPF_ATOMIC | op.BPF_DW, { destination: 0, source: 1 }),
    exit,
  ];
  runs.result(count, [map]);
  runs.result(count, [map]);
  assert.equal(map.lookup(Uint8Array.of(1, 0, 0, 0))![0], 7);
  const remove = [...map1, ...entry(1, 0), call(3), exit];
  assert.deepEqual([runs.result(remove, [map]).result, runs.result(remove, [map]).result], [0n, 2n ** 64n - 2n]);
  assert.equal(runs.result(count, [map]).result, 0n);
});

test('map helpers trust neither maps nor pointers', () => {
  const runs = new EbpfRuns();
  const map = createMap(runs.machine, definition);
  for (const handle of [0n, 2n, 99n, 2n ** 32n + 1n, 2n ** 64n - 1n]) {
    for (const [helper, result] of [
      [1, 0n],
      [2, EINVAL],
      [3, EINVAL],
    ] as const) {
      const program = [...value(1, handle), ...entry(1, 1), ...value(4, 0n), call(helper), exit];
      assert.equal(runs.result(program, [map]).result, result, `${handle} ${helper}`);
    }
  }
  const { high, control } = runs.machine;
  for (const key of [0n, BigInt(high - 3), BigInt(control), 2n ** 63n]) {
    for (const [helper, result] of [
      [1, 0n],
      [2, EFAULT],
      [3, EFAULT],
    ] as const) {
      const program = [...map1, ...entry(1, 1), ...value(2, key), ...value(4, 0n), call(helper), exit];
      assert.equal(runs.result(program, [map]).result, result, `${key} ${helper}`);
    }
  }
  const badValue = [...map1, ...entry(1, 1), ...value(3, BigInt(high - 7)), ...value(4, 0n), call(2), exit];
  assert.equal(runs.result(badValue, [map]).result, EFAULT);
  assert.equal([...map.entries()].length, 0);
});

/** Calls a helper with the context and a distance, and keeps what it says. */
const adjust = (helper: number, distance: number) => [copy(1, 6), ...value(2, BigInt(distance)), call(helper)];
const begin = copy(6, 1);

test('the packet grows and shrinks at its head, within its room', () => {
  const runs = new EbpfRuns();
  const packet = Uint8Array.from({ length: 64 }, (_, index) => index);
  const run = (distance: number) => runs.result([begin, ...adjust(44, distance), exit], [], packet);
  assert.deepEqual([run(14).result, run(14).packet], [0n, packet.slice(14)]);
  assert.deepEqual([run(-20).result, run(-20).packet.slice(20), run(-20).packet.length], [0n, packet, 84]);
  assert.deepEqual([run(50).result, run(51).result, run(51).packet], [0n, EINVAL, packet]);
  assert.deepEqual([run(-HEADROOM).result, run(-HEADROOM - 1).result], [0n, EINVAL]);
  for (const distance of [2 ** 31 - 1, -(2 ** 31)]) assert.equal(run(distance).result, EINVAL);
  // The context tells where the packet is now: its first byte is 14.
  const first = [
    begin,
    ...adjust(44, 14),
    instruction(op.BPF_LDX | op.BPF_MEM | op.BPF_W, { destination: 2, source: 6 }),
    instruction(op.BPF_LDX | op.BPF_MEM | op.BPF_B, { destination: 0, source: 2 }),
    exit,
  ];
  assert.equal(runs.result(first, [], packet).result, 14n);
});

test('the packet grows, by zeros, and shrinks at its tail, within its room', () => {
  const runs = new EbpfRuns();
  const packet = new Uint8Array(64).fill(3);
  runs.arena.u8.fill(0xee, runs.packets);
  const run = (distance: number) => runs.result([begin, ...adjust(65, distance), exit], [], packet);
  assert.deepEqual([run(-50).packet, run(-51).result], [packet.slice(0, 14), EINVAL]);
  assert.deepEqual(run(8).packet, Uint8Array.of(...packet, 0, 0, 0, 0, 0, 0, 0, 0));
  assert.deepEqual([run(TAILROOM).result, run(TAILROOM + 1).result], [0n, EINVAL]);
  for (const distance of [2 ** 31 - 1, -(2 ** 31)]) assert.equal(run(distance).result, EINVAL);
  const beyond = [
    begin,
    ...adjust(65, 8),
    instruction(op.BPF_LDX | op.BPF_MEM | op.BPF_W, { destination: 2, source: 6, offset: 4 }),
    instruction(op.BPF_ST | op.BPF_MEM | op.BPF_B, { destination: 2, offset: -1, immediate: 9 }),
    exit,
  ];
  assert.equal(runs.result(beyond, [], packet).packet[71], 9);
});

test('metadata is made in front of the packet, and moves with its head', () => {
  const runs = new EbpfRuns();
  const packet = new Uint8Array(64).fill(3);
  const run = (...parts: Instruction[]) => runs.result([begin, ...parts, exit], [], packet);
  assert.equal(run(...adjust(54, -8)).metadata.length, 8);
  assert.deepEqual([run(...adjust(54, -6)).result, run(...adjust(54, -256)).result], [EACCES, EACCES]);
  assert.deepEqual([run(...adjust(54, 4)).result, run(...adjust(54, -260)).result], [EINVAL, EINVAL]);
  const written = [
    ...adjust(54, -4),
    instruction(op.BPF_LDX | op.BPF_MEM | op.BPF_W, { destination: 2, source: 6, offset: 8 }),
    instruction(op.BPF_ST | op.BPF_MEM | op.BPF_W, { destination: 2, immediate: 0x01020304 }),
  ];
  for (const distance of [0, -20, 20]) {
    const { metadata, packet: after } = run(...written, ...adjust(44, distance));
    assert.deepEqual([[...metadata], after.length], [[4, 3, 2, 1], 64 - distance]);
  }
  // The room at the head is there for both.
  assert.equal(run(...adjust(54, -4), ...adjust(44, -HEADROOM + 4)).result, 0n);
  assert.equal(run(...adjust(54, -4), ...adjust(44, -HEADROOM + 3)).result, EINVAL);
});

/** Sum of 16-bit words with the carries added at the end, as RFC 1071 has it. */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes[i]! | (bytes[i + 1]! << 8);
  return sum % 0xffff;
}

test('the checksum difference turns the sum of the old bytes into that of the new ones', () => {
  const runs = new EbpfRuns();
  const packet = Uint8Array.from({ length: 64 }, (_, index) => index * 37 + 11);
  const difference = (from: number, oldBytes: number, to: number, newBytes: number, seed: number) =>
    runs.result(
      [
        instruction(op.BPF_LDX | op.BPF_MEM | op.BPF_W, { destination: 6, source: 1 }),
        copy(1, 6),
        instruction(op.BPF_ALU64 | op.BPF_ADD | op.BPF_K, { destination: 1, immediate: from }),
        ...value(2, BigInt(oldBytes)),
        copy(3, 6),
        instruction(op.BPF_ALU64 | op.BPF_ADD | op.BPF_K, { destination: 3, immediate: to }),
        ...value(4, BigInt(newBytes)),
        ...value(5, BigInt(seed)),
        call(28),
        exit,
      ],
      [],
      packet,
    ).result;
  for (const [from, oldBytes, to, newBytes] of [
    [0, 20, 20, 20],
    [0, 0, 3, 40],
    [5, 8, 0, 0],
    [0, 4, 8, 16],
  ] as const) {
    const before = checksum(packet.slice(from, from + oldBytes));
    const after = checksum(packet.slice(to, to + newBytes));
    const seed = 0x12345678;
    const expected = (0x1234 + 0x5678 + after + 0xffff - before) % 0xffff;
    assert.equal(difference(from, oldBytes, to, newBytes, seed) % 0xffffn, BigInt(expected));
  }
  assert.equal(difference(0, 3, 0, 0, 0), EINVAL);
  assert.equal(difference(0, 2 ** 33, 0, 0, 0), EINVAL);
  assert.equal(difference(0, 68, 0, 0, 0), EFAULT);
  assert.equal(difference(0, 0, 61, 4, 0), EFAULT);
});

test('time goes on, random numbers have 32 bits, and the CPU is the one that programs are told', () => {
  const runs = new EbpfRuns();
  const time = runs.prepare([call(5), exit]);
  let before = 0n;
  for (let i = 0; i < 100; i++) {
    const { result } = runs.run(time);
    assert.ok(result >= before);
    before = result;
  }
  assert.ok(before > 0n && before < 2n ** 53n);
  const random = runs.prepare([call(7), exit]);
  const numbers = Array.from({ length: 64 }, () => runs.run(random).result);
  assert.ok(new Set(numbers).size > 32);
  assert.ok(numbers.every((number) => number < 2n ** 32n));
  runs.arena.i32[(runs.machine.control >> 2) + CONTROL_CPU] = 5;
  assert.equal(runs.result([call(8), exit]).result, 5n);
});

test('a redirection to an interface is noted for the caller, and forgotten for the next packet', () => {
  const runs = new EbpfRuns();
  const redirect = (flags: bigint) => runs.result([...value(1, 17n), ...value(2, flags), call(23), exit]);
  const good = redirect(0n);
  assert.deepEqual([good.verdict, good.redirect], [XDP_REDIRECT, { map: 0, target: 17, flags: 0 }]);
  const none = { map: 0, target: 0, flags: 0 };
  for (const flags of [1n, 2n ** 32n]) {
    const bad = redirect(flags);
    assert.deepEqual([bad.verdict, bad.redirect], [XDP_ABORTED, none]);
  }
  assert.deepEqual(runs.result([...value(0, 4n), exit]).redirect, none);
});

test('a redirection by map needs an entry, unless it goes to all', () => {
  const runs = new EbpfRuns();
  const targets = (type: 'devmap' | 'xskmap') => {
    const map = createMap(runs.machine, { ...definition, type, valueSize: 4, maxEntries: 8 });
    map.update(Uint8Array.of(3, 0, 0, 0), Uint8Array.of(17, 0, 0, 0));
    return map;
  };
  const redirect = (map: EbpfMap, key: bigint, flags: bigint) => {
    const { verdict, redirect: noted } = runs.result(
      [...map1, ...value(2, key), ...value(3, flags), call(51), exit],
      [map],
    );
    return [verdict, noted.map, noted.target, noted.flags];
  };
  const [sockets, devices] = [targets('xskmap'), targets('devmap')];
  assert.deepEqual(redirect(sockets, 3n, 2n), [XDP_REDIRECT, sockets.handle, 3, 2]);
  assert.deepEqual(redirect(sockets, 4n, 1n), [XDP_DROP, 0, 0, 0]);
  assert.deepEqual(redirect(sockets, 3n, 8n), [XDP_ABORTED, 0, 0, 0]);
  assert.deepEqual(redirect(devices, 9n, 24n), [XDP_REDIRECT, devices.handle, 9, 24]);
  assert.deepEqual(redirect(devices, 3n, 32n), [XDP_ABORTED, 0, 0, 0]);
  // Linux looks at the lower half of the key only.
  assert.deepEqual(redirect(devices, 2n ** 32n + 3n, 0n), [XDP_REDIRECT, devices.handle, 3, 0]);
  const hash = createMap(runs.machine, definition);
  assert.deepEqual(redirect(hash, 3n, 2n), [XDP_ABORTED, 0, 0, 0]);
});

test('a key without an entry undoes an earlier redirection', () => {
  const runs = new EbpfRuns();
  const map = createMap(runs.machine, { ...definition, type: 'devmap' });
  const twice = [
    ...value(1, 17n),
    ...value(2, 0n),
    call(23),
    ...map1,
    ...value(2, 0n),
    ...value(3, 2n),
    call(51),
    exit,
  ];
  const { result, redirect } = runs.result(twice, [map]);
  assert.deepEqual([result, redirect], [2n, { map: 0, target: 0, flags: 0 }]);
});
