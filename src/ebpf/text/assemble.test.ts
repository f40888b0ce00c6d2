import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testObject, testObjects } from '../../../test/support/objects.js';
import { Random } from '../../../test/support/random.js';
import { PacketError } from '../../errors.js';
import { createProgram } from '../create-program.js';
import { encodeInstructions } from '../instruction.js';
import type { MapDefinition } from '../maps/contract.js';
import type { ObjectFile } from '../object/contract.js';
import type { Program } from '../program.js';
import { assemble, assembleInstructions } from './assemble.js';
import { disassembleObject, disassembleProgram } from './program-text.js';

const SOURCE = `; Counts packets, and lets those through that a function says.
.license GPL
.map unused hash key 4 value 8 entries 1
.map counts percpu_array key 4 value 8 entries 256 pinned
.map .rodata array key 4 value 100 entries 1 flags 0x80 frozen
.value 01 02 ff
.zeros 97
.template inside array key 4 value 16 entries 2
.map outer array_of_maps key 4 value 4 entries 8 inner inside
.entry 3 counts
.map "odd name\\n" ringbuf entries 4096
.extern unused_function
.extern bpf_xdp_metadata_rx_hash

.section xdp.frags/devmap
.function first
  r1 = map[counts]
  r1 = map[.rodata][0]+2
  r1 = map[outer]
  r1 = map["odd name\\n"]
  call twice
  if r0 == 0 goto out
  call bpf_xdp_metadata_rx_hash
  r2 = subprog[thrice]
out: exit

.section xdp
.function second
  r1 = map[unused]
  call thrice
  call first
  exit

.text
.function uncalled
  exit
.function thrice
  r0 = r1
  r0 *= 3
  exit
.function twice
  call thrice
  exit
`;

const ranges = ({ subprograms }: Program) => subprograms.map(({ name, start, end }) => [name, start, end]);

test('a file gives its programs, each with the maps and functions that it uses', () => {
  const { programs, maps } = assemble(SOURCE, { file: 'count.s' });
  assert.deepEqual(
    maps.map((map) => map.name),
    ['unused', 'counts', '.rodata', 'outer', 'odd name\n'],
  );
  const [first, second] = programs as [Program, Program];
  assert.equal(programs.length, 2);
  assert.deepEqual([first.name, first.place, first.segments, first.license], ['first', 'xdp/devmap', true, 'GPL']);
  assert.deepEqual([second.name, second.place, second.segments, second.license], ['second', 'xdp', false, 'GPL']);
  assert.deepEqual(first.maps, maps.slice(1));
  assert.deepEqual(first.kernelFunctions, ['bpf_xdp_metadata_rx_hash']);
  assert.deepEqual(ranges(first), [
    ['first', 0, 14],
    ['thrice', 14, 17],
    ['twice', 17, 19],
  ]);
  assert.deepEqual(ranges(second), [
    ['second', 0, 5],
    ['first', 5, 19],
    ['thrice', 19, 22],
    ['twice', 22, 24],
  ]);
  assert.equal(second.maps[1], maps[1], 'programs that share a map have the same definition object');
  assert.deepEqual(first.lines[1], {
    slot: 2,
    file: 'count.s',
    line: 18,
    column: 3,
    text: 'r1 = map[.rodata][0]+2',
  });
});

test('maps are as declared', () => {
  const { maps } = assemble(SOURCE);
  const plain = { keySize: 4, flags: 0 };
  assert.deepEqual(maps.slice(1), [
    { ...plain, name: 'counts', type: 'percpu_array', valueSize: 8, maxEntries: 256, pinnedByName: true },
    {
      ...plain,
      name: '.rodata',
      type: 'array',
      valueSize: 100,
      maxEntries: 1,
      flags: 0x80,
      frozen: true,
      initialValue: Uint8Array.from([1, 2, 255, ...new Array<number>(97).fill(0)]),
    },
    {
      ...plain,
      name: 'outer',
      type: 'array_of_maps',
      valueSize: 4,
      maxEntries: 8,
      inner: { ...plain, name: 'inside', type: 'array', valueSize: 16, maxEntries: 2 },
      initialEntries: [{ index: 3, name: 'counts' }],
    },
    { name: 'odd name\n', type: 'ringbuf', keySize: 0, valueSize: 0, maxEntries: 4096, flags: 0 },
  ] satisfies MapDefinition[]);
});

test('a program that was written out comes back the same', () => {
  for (const program of assemble(SOURCE).programs) {
    const text = disassembleProgram(program);
    const { programs } = assemble(text);
    assert.deepEqual(programs, [{ ...program, lines: programs[0]!.lines }], text);
    assert.equal(disassembleProgram(programs[0]!), text);
  }
});

test('an object that was written out comes back the same, functions of several programs written once', () => {
  const object = assemble(SOURCE);
  const text = disassembleObject(object);
  assert.equal(text.match(/^\.function thrice$/gm)!.length, 1);
  const again = assemble(text);
  assert.deepEqual(again.maps, object.maps);
  assert.deepEqual(
    again.programs.map((program) => ({ ...program, lines: [] })),
    object.programs.map((program) => ({ ...program, lines: [] })),
  );
  assert.equal(disassembleObject(again), text);
});

test('programs that clang has compiled come back the same', () => {
  let programs = 0;
  for (const name of testObjects()) {
    let object: ObjectFile;
    try {
      object = testObject(name);
    } catch (error) {
      if (error instanceof PacketError) continue; // damaged, or not ours to read
      throw error;
    }
    for (const program of object.programs) {
      const [again] = assemble(disassembleProgram(program)).programs;
      const { btf, ...rest } = program;
      assert.deepEqual(
        { ...again!, lines: [], subprograms: ranges(again!) },
        { ...rest, lines: [], subprograms: ranges(program) },
        `${name}: ${program.name}`,
      );
      programs++;
    }
    const all = assemble(disassembleObject(object));
    assert.deepEqual(all.maps, object.maps);
    assert.deepEqual(
      all.programs.map((program) => [program.name, program.place, program.segments, program.instructions.length]),
      object.programs.map((program) => [program.name, program.place, program.segments, program.instructions.length]),
    );
  }
  assert.ok(programs > 15, `${programs} programs`);
});

test('functions of one name in several programs stay apart where they or what they call are different', () => {
  const [one, two] = ['r0 = 1', 'r0 = 2'].map((statement, index) => {
    const source = `.function main${index}\ncall outer\nexit\n.text\n.function outer\ncall inner\nexit\n.function inner\n${statement}\nexit\n`;
    return assemble(source).programs[0]!;
  });
  const again = assemble(disassembleObject({ programs: [one!, two!], maps: [] }));
  for (const [index, program] of [one!, two!].entries()) {
    assert.deepEqual(again.programs[index]!.instructions, program.instructions);
  }
  assert.deepEqual(
    again.programs.map(({ subprograms }) => subprograms.map(({ name }) => name)),
    [
      ['main0', 'outer', 'inner'],
      ['main1', 'outer_2', 'inner_2'],
    ],
  );
});

test('lines of source are comments in front of what they were compiled to', () => {
  const [program] = assemble('  r0 = 1\nout: exit\n', { file: 'a.s' }).programs;
  const text = disassembleProgram(program!, { source: true, slots: true });
  assert.equal(
    text.slice(text.indexOf('.function')),
    '.function program\n; a.s:1: r0 = 1\n  0: (b7) r0 = 1\n; a.s:2: out: exit\n  1: (95) exit\n',
  );
});

test('functions whose names are taken or empty get names of their own', () => {
  const { instructions } = createProgram(assembleInstructions('call a\ncall b\nexit\na: exit\nb: exit\n'));
  const subprograms = [0, 3, 4].map((start, index) => ({
    name: index === 2 ? '' : 'same',
    start,
    end: [3, 4, 5][index]!,
  }));
  const { programs } = assemble(disassembleProgram(createProgram(instructions, { name: 'same', subprograms })));
  assert.deepEqual(ranges(programs[0]!), [
    ['same', 0, 3],
    ['same_2', 3, 4],
    ['_2', 4, 5],
  ]);
  assert.deepEqual(encodeInstructions(programs[0]!.instructions), encodeInstructions(instructions));
});

test('instructions before any directive are an XDP program, and labels that are called are its functions', () => {
  const { programs } = assemble('call double\nexit\ndouble: r0 = r1\nr0 *= 2\nexit\n');
  const [program] = programs as [Program];
  assert.deepEqual([program.name, program.place, program.license], ['program', 'xdp', 'Dual MIT/GPL']);
  assert.deepEqual(ranges(program), [
    ['program', 0, 2],
    ['double', 2, 5],
  ]);
});

test('a text without instructions is no program', () => {
  assert.deepEqual(assemble('; nothing\n\n').programs, []);
  assert.deepEqual(assembleInstructions(''), []);
});

test('own functions go before helpers of the same name, numbers name helpers', () => {
  const { programs } = assemble('call redirect\ncall redirect#23\nexit\n.text\n.function redirect\nexit\n');
  assert.deepEqual(
    programs[0]!.instructions.slice(0, 2).map(({ source, immediate }) => [source, immediate]),
    [
      [1, 2],
      [0, 23],
    ],
  );
});

test('mistakes are told with line, column, what was expected and what is there', () => {
  for (const [text, message] of [
    ['r0 = 1\nr0 = r1 +', '2:9: expected the end of the line, found "+"'],
    ['r0', '1:3: expected an operator, found the end of the line'],
    ['r0 = ', '1:6: expected a register, a number or another value, found the end of the line'],
    ['  if r1 > 5 goto nowhere', '1:18: there is no label nowhere'],
    ['here: if r1 > 5 goto hera', '1:22: there is no label hera (did you mean here?)'],
    ['call redirect_mop', '1:6: there is no function or helper redirect_mop (did you mean redirect_map?)'],
    ['call redirect_mop#51', '1:6: there is no function or helper redirect_mop (did you mean redirect_map?)'],
    ['call map_lookup_elem#2', '1:6: helper map_lookup_elem has the number 1, not 2'],
    ['r11 = 1', '1:1: there is no register r11'],
    ['w1 += r2', '1:7: expected a register w0 to w10, found "r2"'],
    ['r1 = -r2', '1:7: expected r1, found "r2"'],
    ['r1 = be16 r2', '1:11: expected r1, found "r2"'],
    [
      'r1 = 4294967296',
      '1:6: a register or an immediate must be a number from -2147483648 to 2147483647, not 4294967296',
    ],
    ['w1 = (s32)w2', '1:7: expected s8 or s16, found "s32"'],
    ['r1 = *(s64 *)(r2 +0)', '1:8: expected u8, u16, u32, u64, s8, s16 or s32, found "s64"'],
    ['*(s8 *)(r2 +0) = 1', '1:3: expected u8, u16, u32 or u64, found "s8"'],
    ['r1 = *(u32 *)(r2)', '1:17: expected an offset with its sign, found ")"'],
    ['r1 = *(u32 *)(r2 +32768)', '1:19: an offset must be a number from -32768 to 32767, not 32768'],
    ['lock *(u16 *)(r1 +0) += r2', '1:8: atomic operations are of 32 or 64 bits'],
    ['(b7) exit', '1:2: (b7) is not the operation code of this instruction'],
    ['.slot 95 00', '1:12: expected eight bytes of two hexadecimal digits, found the end of the line'],
    ['.mup x', '1:1: there is no directive .mup (did you mean .map?)'],
    ['.map x aray', '1:8: expected a type of map (did you mean array?), found "aray"'],
    ['.map x array kee 4', '1:14: expected key, value, entries, flags, frozen, pinned or inner, found "kee"'],
    ['.map x array\n.map x array', '2:6: there is a map x already'],
    ['.template y array\n.template x array_of_maps inner y', '2:34: maps in a map of maps hold no maps themselves'],
    ['.map x array_of_maps inner y', '1:28: there is no template y'],
    ['.map x array value 1\n.value 01 02', '2:13: 2 bytes are more than a value of map x has'],
    ['.value 01', '1:8: there is no map above'],
    ['r1 = map[count]\n.map counts array', '1:10: there is no map count (did you mean counts?)'],
    ['.section xpd', '1:10: there is no section xpd (did you mean xdp?)'],
    ['a: exit\na: exit', '2:1: there is a label a already'],
    ['.function a\nexit\n.function a', '3:11: there is a function a already'],
    ['.function a\n.function b\nexit', '1:1: function a has no instructions'],
    ['r0 = 1 @', '1:8: "@" cannot stand here'],
    ['.license "\\x"', '1:10: "\\x" is no text as JSON has it'],
  ] as const) {
    assert.throws(
      () => assemble(text, { file: 'a.s' }),
      (error: unknown) => {
        assert.ok(error instanceof PacketError, String(error));
        assert.equal(error.message, `a.s:${message}`);
        assert.equal(error.code, 'PROGRAM_CORRUPT');
        assert.ok(error.remedy.length > 0);
        return true;
      },
      text,
    );
  }
});

test('a short text cannot ask for much memory', () => {
  const zeros = '.map a array value 4294967295\n.zeros 4294967295\n';
  assert.throws(() => assemble(zeros), /the initial values of all maps are too long/);
  const functions = Array.from({ length: 200 }, (_, index) => `.function f${index}\ncall big\nexit\n`).join('');
  assert.throws(
    () => assemble(`${functions}.text\n.function big\n${'exit\n'.repeat(10_000)}`),
    /more than 1000000 slots/,
  );
});

test('a file may have tens of thousands of maps and kernel functions, and use all of them', () => {
  const count = 30_000;
  const lines = (write: (index: number) => string): string =>
    Array.from({ length: count }, (_, i) => write(i)).join('\n');
  const text = [
    lines((i) => `.map m${i} array`),
    lines((i) => `.extern k${i}`),
    lines((i) => `r1 = map[m${i}]\ncall k${i}`),
  ];
  const { programs } = assemble(`${text.join('\n')}\nexit\n`);
  assert.equal(programs[0]!.maps.length, count);
  assert.equal(programs[0]!.kernelFunctions[count - 1], `k${count - 1}`);
});

test('hostile text is read or refused with a PacketError', () => {
  const random = new Random(4);
  const pieces = [...new Set(SOURCE.match(/\w+|[^\w\s]+|\s+/g))];
  const outcomes = { read: 0, refused: 0 };
  for (let round = 0; round < 3000; round++) {
    const bytes = Buffer.from(random.oneIn(5) ? '' : SOURCE);
    let text = bytes.toString('latin1');
    for (let change = random.below(4); change >= 0; change--) {
      const at = random.below(text.length + 1);
      const piece = random.oneIn(3)
        ? String.fromCharCode(random.below(random.pick([128, 65536])))
        : random.pick(pieces);
      text = text.slice(0, at) + piece.repeat(random.oneIn(9) ? 50 : 1) + text.slice(at + random.below(6));
    }
    if (random.oneIn(10)) {
      random.fill(bytes, 0, bytes.length);
      text = bytes.toString('latin1');
    }
    try {
      for (const program of assemble(text).programs) disassembleProgram(program);
      outcomes.read++;
    } catch (error) {
      assert.ok(error instanceof PacketError && error.code === 'PROGRAM_CORRUPT', `round ${round}: ${String(error)}`);
      outcomes.refused++;
    }
  }
  assert.ok(outcomes.read > 50 && outcomes.refused > 200, JSON.stringify(outcomes));
});
