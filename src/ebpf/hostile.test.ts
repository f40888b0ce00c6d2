import assert from 'node:assert/strict';
import { EbpfRuns } from '../../test/support/ebpf-runs.js';
import { testEngines } from '../../test/support/engines.js';
import { Random } from '../../test/support/random.js';
import { PacketError } from '../errors.js';
import { makeCode } from './code.js';
import { createProgram } from './create-program.js';
import { type Executable, PACKET_DATA_META, PACKET_FIRST, PACKET_LIMIT, PACKET_RECORD_BYTES } from './execution.js';
import { decodeInstructions, type Instruction, instruction } from './instruction.js';
import type { EbpfMap, MapDefinition, MapType } from './maps/contract.js';
import { createMap } from './maps/create-map.js';
import * as op from './opcodes.js';

const PROGRAMS = 4000;
/** The last one is a prog_array, which names the programs themselves. */
const TYPES: readonly MapType[] = [
  'array',
  'hash',
  'lru_hash',
  'percpu_array',
  'percpu_hash',
  'lpm_trie',
  'devmap',
  'xskmap',
  'queue',
  'stack',
  'ringbuf',
  'perf_event_array',
  'prog_array',
];
const HELPERS = [
  1, 2, 3, 5, 6, 7, 8, 12, 23, 25, 28, 44, 51, 54, 65, 69, 87, 88, 89, 130, 131, 132, 133, 134, 163, 165, 177, 182, 188,
  189, 190, 195,
];
const SIZES: Partial<Record<MapType, Partial<MapDefinition>>> = {
  lpm_trie: { keySize: 8, flags: 1 },
  queue: { keySize: 0 },
  stack: { keySize: 0 },
  ringbuf: { keySize: 0, valueSize: 0, maxEntries: 4096 },
};
const OPCODES = Array.from({ length: 256 }, (_, opcode) => opcode);

function makeMaps(runs: EbpfRuns): EbpfMap[] {
  return TYPES.map((type) =>
    createMap(runs.machine, { name: type, type, keySize: 4, valueSize: 4, maxEntries: 3, flags: 0, ...SIZES[type] }),
  );
}

/** An instruction that has a chance to pass the structure check, of any kind, with numbers at the edges. */
function hostileInstruction(random: Random, maps: number, targets: readonly number[], length: number, slot: number) {
  const immediate = random.pick([0, 1, -1, 8, 16, 32, 64, -(2 ** 31), 2 ** 31 - 1, random.word() | 0, ...targets]);
  const offset = random.pick([0, 0, 0, 1, -1, -8, 32767, -32768, random.between(-20, 20)]);
  const [destination, source] = [random.below(11), random.below(11)];
  switch (random.below(7)) {
    case 0:
      return [instruction(op.BPF_JMP | op.BPF_CALL, { immediate: random.pick(HELPERS) })];
    case 1: {
      const named = { destination, source: op.BPF_PSEUDO_MAP_IDX, immediate: random.below(maps) };
      return [instruction(op.BPF_LOAD_WIDE, { ...named, destination: 1 }), instruction(0)];
    }
    case 2:
      return [instruction(op.BPF_JMP | op.BPF_CALL, { source: 1, immediate: random.between(-slot - 1, length) })];
    case 3:
      return [instruction(0xbf, { destination: random.between(1, 5), source: random.pick([10, 6, 1, 2]) })];
    case 4: {
      // A store about the end of something.
      const address = random.pick(targets) + random.between(-8, 8);
      return [
        instruction(0xb7, { destination: 1, immediate: address }),
        instruction(random.pick([0x62, 0x6a, 0x72, 0x7a]), { destination: 1, immediate: -1 }),
      ];
    }
    default:
      return [instruction(random.pick(OPCODES), { destination, source, offset, immediate })];
  }
}

/** Puts a program together slot by slot from what the check lets through. */
function hostileProgram(random: Random, runs: EbpfRuns, maps: readonly EbpfMap[]): Executable {
  const { low, high, context, stackEnd } = runs.machine;
  const targets = [low, high, high - 1, context, stackEnd, runs.packets, runs.record, runs.machine.control];
  const exit = instruction(op.BPF_JMP | op.BPF_EXIT);
  const length = random.between(3, 40);
  const instructions: Instruction[] = [
    instruction(op.BPF_LDX | op.BPF_MEM | op.BPF_W, { destination: 6, source: 1 }),
    exit,
  ];
  for (let tries = 0; tries < length * 3 && instructions.length < length; tries++) {
    const at = random.between(1, instructions.length - 1);
    const added = hostileInstruction(random, maps.length, targets, length, at);
    const candidate = [...instructions.slice(0, at), ...added, ...instructions.slice(at)];
    try {
      makeCode(
        { program: createProgram(candidate, { maps: maps.map(({ definition }) => definition) }), maps },
        runs.machine,
      );
    } catch (error) {
      assert.ok(error instanceof PacketError && error.code === 'PROGRAM_REFUSED', `${error}`);
      continue;
    }
    instructions.splice(at, 0, ...added);
  }
  return runs.prepare(instructions, maps);
}

testEngines('whatever passes the structure check ends, and leaves everything outside alone', (engine) => {
  const runs = new EbpfRuns({ engine, budget: 2000, cpus: 2, bytes: 65536 });
  const maps = makeMaps(runs);
  const { control, high } = runs.machine;
  const { u8, i32 } = runs.arena;
  const record = runs.record >> 2;
  // Program memory, the page of the control block and the packet's room are the program's or the engine's; all else must stay.
  const faults = new Set<number>();
  const known: number[] = [];
  for (let seed = 1; seed <= PROGRAMS; seed++) {
    const random = new Random(seed);
    const executable = hostileProgram(random, runs, maps);
    if (random.oneIn(4)) {
      const number = runs.machine.addProgram(executable);
      maps.at(-1)!.update(Uint8Array.of(0, 0, 0, 0), word(number));
      known.push(number);
    }
    if (random.oneIn(20)) for (const number of known.splice(0)) runs.machine.removeProgram(number);
    const before = u8.slice();
    const { fault } = runs.run(executable);
    faults.add(fault);
    const [first, limit] = [i32[record + PACKET_FIRST]!, i32[record + PACKET_LIMIT]!];
    assert.ok(i32[record + PACKET_DATA_META]! >= first, `seed ${seed}`);
    const stays: [from: number, to: number][] = [
      [0, control],
      [high, runs.record],
      [runs.record + PACKET_RECORD_BYTES, first],
      [limit, u8.length],
    ];
    for (const [from, to] of stays) {
      const same = Buffer.compare(u8.subarray(from, to), before.subarray(from, to)) === 0;
      assert.ok(same, `seed ${seed} wrote between ${from} and ${to}`);
    }
  }
  assert.deepEqual([...faults].sort(), [0, 1, 2, 3], 'all ways to end came about');
});

/** A value of a map, little endian. */
function word(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

testEngines('random bytes are refused as what they are, or run to an end', (engine) => {
  const runs = new EbpfRuns({ engine, budget: 1000 });
  for (let seed = 1; seed <= 20_000; seed++) {
    const random = new Random(seed);
    const bytes = new Uint8Array(random.between(1, 4) * 8);
    random.fill(bytes, 0, bytes.length);
    if (random.oneIn(2)) bytes.set([0x95, 0, 0, 0, 0, 0, 0, 0], bytes.length - 8);
    try {
      runs.result(decodeInstructions(bytes));
    } catch (error) {
      assert.ok(error instanceof PacketError && error.code === 'PROGRAM_REFUSED', `seed ${seed}: ${error}`);
    }
  }
});
