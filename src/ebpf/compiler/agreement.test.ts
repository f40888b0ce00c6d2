import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EbpfRuns, HEADROOM, type RunResult } from '../../../test/support/ebpf-runs.js';
import { Random } from '../../../test/support/random.js';
import { randomProgram } from '../../../test/support/random-program.js';
import { type WildSurroundings, wildProgram } from '../../../test/support/wild-program.js';
import type { Engine } from '../execution.js';
import type { Instruction } from '../instruction.js';
import { interpreter } from '../interpreter/interpreter.js';
import type { EbpfMap, MapType } from '../maps/contract.js';
import { createMap } from '../maps/create-map.js';
import { compiler } from './compiler.js';

const PROGRAMS = 1500;
const TYPES: readonly MapType[] = ['array', 'hash', 'percpu_array', 'lru_hash', 'lpm_trie', 'prog_array'];

/** A machine with maps, laid out alike for each engine. */
class World {
  readonly runs: EbpfRuns;
  readonly maps: readonly EbpfMap[];

  constructor(engine: Engine) {
    this.runs = new EbpfRuns({ engine, budget: 3000, bytes: 65536 });
    this.maps = TYPES.map((type, index) =>
      createMap(this.runs.machine, {
        name: type,
        type,
        keySize: type === 'lpm_trie' ? 8 : 4,
        valueSize: type === 'prog_array' ? 4 : 8 + index * 4,
        maxEntries: 3,
        flags: type === 'lpm_trie' ? 1 : 0,
      }),
    );
  }

  get surroundings(): WildSurroundings {
    const { low, writable, high, context, stackEnd, control } = this.runs.machine;
    const ends = [low, writable, high, stackEnd, stackEnd - 512, this.runs.packets + HEADROOM, this.runs.record];
    const addresses = [...ends.flatMap((end) => [end - 8, end - 4, end - 1, end, end + 8]), context, control, 0, -1];
    return { maps: TYPES.length, programArray: TYPES.indexOf('prog_array'), addresses };
  }

  /** Runs a program on packets; it stays where tail calls find it. */
  run(instructions: readonly Instruction[], place: number, packets: readonly Uint8Array[]): RunResult[] {
    const executable = this.runs.prepare(instructions, this.maps);
    const number = this.runs.machine.addProgram(executable);
    this.maps.at(-1)!.update(Uint8Array.of(place, 0, 0, 0), Uint8Array.of(number, number >> 8, 0, 0));
    return packets.map((packet) => this.runs.run(executable, packet));
  }

  /** All memory but the control block's page and the record. */
  memory(): Buffer {
    const { u8 } = this.runs.arena;
    return Buffer.concat([
      u8.slice(0, this.runs.machine.control),
      u8.slice(this.runs.machine.low, this.runs.record),
      u8.slice(this.runs.record + 64),
    ]);
  }
}

/** What is said to be the same: register 0 is not, where a run was stopped. */
function outcome({ verdict, result, fault, faultSlot, metadata, packet, redirect }: RunResult) {
  return { verdict, result: fault === 0 ? result : 0n, fault, faultSlot, metadata, packet, redirect };
}

test('programs that no verifier takes do the same in interpreter and compiler, down to the last byte of memory', () => {
  const [interpreted, compiled] = [new World(interpreter), new World(compiler)];
  const faults = new Map<number, number>();
  for (let seed = 1; seed <= PROGRAMS; seed++) {
    const random = new Random(seed);
    const instructions = wildProgram(random, random.between(2, 25), interpreted.surroundings);
    const place = random.below(3);
    const packets = Array.from({ length: 3 }, () => new Uint8Array(random.pick([14, 20, 64, 100])));
    for (const packet of packets) random.fill(packet, 0, packet.length);
    const expected = interpreted.run(instructions, place, packets);
    const found = compiled.run(instructions, place, packets);
    assert.deepEqual(found.map(outcome), expected.map(outcome), `seed ${seed}`);
    assert.equal(Buffer.compare(interpreted.memory(), compiled.memory()), 0, `seed ${seed}: memory`);
    for (const { fault } of expected) faults.set(fault, (faults.get(fault) ?? 0) + 1);
  }
  for (const fault of [0, 1, 2, 3]) assert.ok(faults.get(fault)! > 20, `fault ${fault}: ${faults.get(fault)} times`);
});

test('programs that Linux takes do the same in interpreter and compiler', () => {
  const [interpreted, compiled] = [new EbpfRuns({ engine: interpreter }), new EbpfRuns({ engine: compiler })];
  for (let seed = 1; seed <= PROGRAMS; seed++) {
    const random = new Random(seed);
    const instructions = randomProgram(random, random.between(5, 120));
    const packet = new Uint8Array(random.pick([63, 64, 200]));
    random.fill(packet, 0, packet.length);
    const expected = interpreted.result(instructions, [], packet);
    assert.equal(expected.fault, 0, `seed ${seed}`);
    assert.deepEqual(compiled.result(instructions, [], packet), expected, `seed ${seed}`);
  }
});
