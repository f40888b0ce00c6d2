import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { OBJECTS, objectBytes, runOnce, testObject } from '../../../test/support/objects.js';
import { XDP_HELPERS } from '../helpers/xdp-helpers.js';
import { BPF_LOAD_WIDE, BPF_PSEUDO_FUNC } from '../opcodes.js';
import { sourceLineAt } from '../program.js';
import { checkStructure } from '../structure.js';
import { readBtf } from './btf/read-btf.js';
import type { VariableValue } from './contract.js';
import { readObject } from './read-object.js';

const PACKET_BYTES = 64;

test('programs have all functions that they call, however indirectly, each once and in the order of the calls', () => {
  for (const name of ['functions', 'functions-without-btf']) {
    const object = testObject(name);
    assert.equal(object.license, 'Dual MIT/GPL');
    const parts = object.programs.map((program) => [program.name, ...program.subprograms.map((part) => part.name)]);
    assert.deepEqual(parts, [
      ['length_times_ten', 'length_times_ten', 'length_of', 'ten_times', 'four_times', 'twice'],
      ['length_times_two', 'length_times_two', 'length_of', 'twice'],
      ['sum_to_length', 'sum_to_length', 'length_of', 'count'],
      ['alone', 'alone'],
    ]);
    for (const { subprograms, instructions } of object.programs) {
      const ends = subprograms.map(({ end }) => end);
      assert.deepEqual(
        subprograms.map(({ start }) => start),
        [0, ...ends.slice(0, -1)],
      );
      assert.equal(ends.at(-1), instructions.length);
    }
  }
});

test('linked programs compute what their source says', () => {
  const object = testObject('functions');
  assert.equal(runOnce(object.program('length_times_ten')).result, PACKET_BYTES * 10);
  assert.equal(runOnce(object.program('length_times_two')).result, PACKET_BYTES * 2);
  assert.equal(runOnce(object.program('alone')).result, 2);
});

test('the address of a function is the distance to it', () => {
  const { instructions, subprograms } = testObject('functions').program('sum_to_length');
  const slot = instructions.findIndex(({ opcode, source }) => opcode === BPF_LOAD_WIDE && source === BPF_PSEUDO_FUNC);
  const target = slot + 1 + instructions[slot]!.immediate;
  assert.equal(subprograms.find(({ start }) => start === target)?.name, 'count');
  assert.equal(instructions[slot + 1]!.immediate, 0);
});

test('global variables have their values, constants, too, and keep what programs write', () => {
  const program = testObject('globals').program('sum_of_variables');
  const { result, maps } = runOnce(program);
  const current = 100 + 80 + 443 + 'f'.charCodeAt(0);
  const fixed = 3 + 'd'.charCodeAt(0);
  assert.equal(result, current + 7 + fixed + 4 + 3 + PACKET_BYTES + 1 + 12 + 13);
  const special = maps[program.maps.findIndex(({ name }) => name === '.data.special')]!;
  assert.equal(special.lookup(new Uint8Array(4))![0], 12);
});

test('the option variables sets variables of all sections before the program starts', () => {
  const word = (value: number) => new Uint8Array(Int32Array.of(value).buffer);
  const long = (value: bigint) => new Uint8Array(BigInt64Array.of(value).buffer);
  const plain = runOnce(testObject('globals').program('sum_of_variables')).result;
  const variables = { offset_of_all: word(1007), step: long(4n), packets: long(10n), special: word(20) };
  const object = testObject('globals', { variables });
  // table[14] instead of table[3] is counted up.
  assert.equal(runOnce(object.program('sum_of_variables')).result, plain + 1000 + (14 - 3) - 1 + 9);
  assert.equal(runOnce(object.program('packets_so_far')).result, 10);
});

test('variables take whole numbers as well', () => {
  const resultOf = (variables: Record<string, VariableValue>) =>
    runOnce(testObject('globals', { variables }).program('sum_of_variables')).result;
  const plain = resultOf({});
  assert.equal(resultOf({ offset_of_all: 1007, step: 4n, packets: 10 }), plain + 1000 + 11 - 1);
  assert.equal(resultOf({ offset_of_all: -1 }), plain - 8);
  assert.equal(resultOf({ offset_of_all: 0xffffffff }), plain - 8);
});

test('variables that are not there, have another length or no room for a number are refused by name', () => {
  const set = (variables: Record<string, VariableValue>) => () => testObject('globals', { variables });
  assert.throws(set({ offsets: new Uint8Array(4) }), { code: 'INVALID_OPTION', message: /no variable offsets/ });
  assert.throws(set({ offset_of_all: new Uint8Array(8) }), {
    code: 'INVALID_OPTION',
    message: /offset_of_all: it has 4 bytes, not 8/,
  });
  assert.throws(set({ current: 1 }), { code: 'INVALID_OPTION', message: /current: it is no number, but has 20 bytes/ });
  for (const value of [2 ** 32, -(2 ** 31) - 1, 0.5, Number.NaN, 2n ** 40n]) {
    assert.throws(set({ offset_of_all: value }), { code: 'INVALID_OPTION', message: /does not go into its 4 bytes/ });
  }
});

test('each section has its place, and whether packets of several frames are taken', () => {
  const object = testObject('places');
  assert.deepEqual(
    object.programs.map(({ name, place, segments }) => [name, place, segments]),
    [
      ['plain', 'xdp', false],
      ['on_demand', 'xdp', false],
      ['named', 'xdp', false],
      ['old_name', 'xdp', false],
      ['in_segments', 'xdp', true],
      ['behind_device', 'xdp/devmap', false],
      ['behind_device_in_segments', 'xdp/devmap', true],
      ['behind_device_old', 'xdp/devmap', false],
      ['behind_cpu', 'xdp/cpumap', false],
      ['behind_cpu_in_segments', 'xdp/cpumap', true],
    ],
  );
  assert.deepEqual(object.otherPrograms, [
    { name: 'by_iproute2', section: 'prog' },
    { name: 'for_tc', section: 'classifier' },
    { name: 'for_tracing', section: 'fentry/xdp_do_redirect' },
  ]);
});

test('programs are found by function, by section, or as the only one; others by the section that was named', () => {
  const places = testObject('places', { sections: { prog: 'xdp' } });
  assert.equal(places.program('in_segments').name, 'in_segments');
  assert.equal(places.program('xdp/devmap').name, 'behind_device');
  assert.equal(places.program('prog').place, 'xdp');
  assert.equal(testObject('kernel-functions').program().name, 'hinted');
  assert.throws(() => places.program(), { code: 'INVALID_OPTION', remedy: /plain, on_demand/ });
  assert.throws(() => places.program('xpd'), { code: 'INVALID_OPTION', remedy: /plain, on_demand/ });
  assert.throws(() => places.program('for_tc'), { code: 'PROGRAM_UNSUPPORTED', message: /section classifier/ });
  assert.throws(() => testObject('functions').program('xdp'), { code: 'INVALID_OPTION', message: /4 programs/ });
});

test('kernel functions are named once each, in the order of their calls', () => {
  const { kernelFunctions, instructions } = testObject('kernel-functions').program('hinted');
  assert.deepEqual(kernelFunctions, ['bpf_xdp_metadata_rx_hash', 'bpf_xdp_metadata_rx_timestamp']);
  const calls = instructions.filter(({ opcode }) => opcode === 0x85);
  assert.deepEqual(
    calls.map(({ source, immediate }) => [source, immediate]),
    [
      [2, 0],
      [2, 1],
      [2, 0],
    ],
  );
});

test('slots have their lines of source, also in functions that were put behind the program', () => {
  const source = readFileSync(`${OBJECTS}functions.c`, 'utf8').split('\n');
  const program = testObject('functions').program('length_times_ten');
  const lineOf = (name: string) => {
    const { start } = program.subprograms.find((part) => part.name === name)!;
    return sourceLineAt(program, start + 1)!;
  };
  assert.match(lineOf('length_times_ten').text, /ten_times\(length_of\(context\)\)/);
  assert.match(lineOf('twice').text, /number \+ number/);
  assert.equal(lineOf('four_times').file, './functions.c');
  for (const { line, text } of program.lines) assert.equal(text, source[line - 1]);
  const { text, column } = lineOf('twice');
  assert.equal(column, text.indexOf('+') + 1);
  const slots = program.lines.map(({ slot }) => slot);
  assert.deepEqual(
    slots,
    [...new Set(slots)].sort((a, b) => a - b),
  );
});

test('functions have their types, of the same name', () => {
  for (const { subprograms, btf } of testObject('functions').programs) {
    const types = readBtf(btf!);
    for (const { name, typeId } of subprograms) assert.equal(types.type(typeId!).name, name);
  }
});

test('accesses to members come out as in the types that the object was compiled with', () => {
  // All members of the map's value are 0: what remains is the length of the name, of the structure, and a constant.
  assert.equal(runOnce(testObject('fields').program()).result, 16 + 4 + 8);
});

test('what XDP programs cannot have is refused by name', () => {
  const refusals: [string, RegExp][] = [
    ['settings', /CONFIG_HZ is a setting of the kernel/],
    ['kernel-variables', /function by_variable.*bpf_prog_active is a variable of the kernel/],
    ['undefined', /section xdp, slot 1 .*elsewhere is in another object/],
    ['addresses', /section \.data: the address of .* byte 8/],
    ['functions-big-endian', /big-endian/],
  ];
  for (const [name, message] of refusals) {
    assert.throws(() => testObject(name), { code: 'PROGRAM_UNSUPPORTED', message }, name);
  }
});

test('linked programs are programs in structure', () => {
  const anyHelper = XDP_HELPERS.byNumber(1);
  const helpers = { byNumber: () => anyHelper, byName: () => anyHelper };
  for (const name of ['functions', 'globals', 'maps', 'legacy', 'places', 'fields', 'kernel-functions']) {
    for (const program of testObject(name).programs) checkStructure(program, helpers);
  }
});

test('options are checked by name', () => {
  assert.throws(() => readObject(objectBytes('functions'), { nam: 'x' } as object), { code: 'INVALID_OPTION' });
});

test('the bytes given stay as they are, also in a Buffer, and are not kept', () => {
  const bytes = readFileSync(`${OBJECTS}globals.o`);
  const before = Buffer.from(bytes);
  const object = readObject(bytes);
  assert.ok(bytes.equals(before));
  const text = JSON.stringify(object.programs);
  bytes.fill(0);
  assert.equal(JSON.stringify(object.programs), text);
});
