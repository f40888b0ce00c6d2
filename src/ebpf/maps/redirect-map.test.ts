import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EbpfRuns } from '../../../test/support/ebpf-runs.js';
import { PacketError } from '../../errors.js';
import { createProgram } from '../create-program.js';
import { instruction } from '../instruction.js';
import { interpreter } from '../interpreter/interpreter.js';
import { BPF_EXIT, BPF_JMP } from '../opcodes.js';
import type { ProgramPlace } from '../program.js';
import { BPF_EXIST, BPF_NOEXIST, type MapDefinition } from './contract.js';
import { createMap } from './create-map.js';

function refused(code: string, text: RegExp) {
  return (error: unknown) => error instanceof PacketError && error.code === code && text.test(error.message);
}

const definition = <Type extends 'devmap' | 'devmap_hash' | 'cpumap' | 'xskmap'>(
  type: Type,
  parts: Partial<MapDefinition> = {},
) => ({ name: 'm', keySize: 4, valueSize: 8, maxEntries: 4, flags: 0, ...parts, type });
const words = (...numbers: number[]) => new Uint8Array(Uint32Array.from(numbers).buffer);

function enterProgram({ machine }: EbpfRuns, place: ProgramPlace): number {
  const program = createProgram([instruction(BPF_JMP | BPF_EXIT)], { place });
  return machine.addProgram(interpreter.prepare({ program, maps: [] }, machine));
}

test('a devmap leads to interfaces, through programs, by index', () => {
  const runs = new EbpfRuns();
  const map = createMap(runs.machine, definition('devmap'));
  const program = enterProgram(runs, 'xdp/devmap');
  map.update(words(2), words(17, program));
  map.update(words(0), words(18, 0));
  const [two, zero] = [map.entryOf(2), map.entryOf(0)];
  assert.deepEqual([map.targetOf(two), map.targetOf(zero)], [17, 18]);
  assert.equal(map.programOf(two), runs.machine.program(program));
  assert.equal(map.programOf(zero), undefined);
  for (const key of [1, 3, 4, -1, 2 ** 31]) assert.equal(map.entryOf(key), -1);
  assert.deepEqual(map.lookup(words(2)), words(17, program));
  // To all of them: each entry once.
  const all = [];
  for (let entry = map.nextEntry(-1); entry >= 0; entry = map.nextEntry(entry)) all.push(map.targetOf(entry));
  assert.deepEqual(all.sort(), [17, 18]);
  // A target of 0 is none.
  map.update(words(2), words(0, 0));
  assert.equal(map.entryOf(2), -1);
  assert.equal(map.delete(words(0)), true);
  assert.equal(map.nextEntry(-1), -1);
});

test('what cannot be led to is refused', () => {
  const runs = new EbpfRuns();
  const program = enterProgram(runs, 'xdp');
  const devices = createMap(runs.machine, definition('devmap'));
  const hash = createMap(runs.machine, definition('devmap_hash', { maxEntries: 2 }));
  const cpus = createMap(runs.machine, definition('cpumap'));
  assert.throws(() => devices.update(words(4), words(1, 0)), refused('MAP_FULL', /no entry has this index/));
  assert.throws(() => devices.update(words(1), words(1, 0), BPF_NOEXIST), refused('MAP_ENTRY', /already/));
  const sockets = createMap(runs.machine, definition('xskmap', { valueSize: 4 }));
  assert.throws(() => sockets.update(words(4), words(1)), refused('MAP_FULL', /no entry has this index/));
  assert.throws(() => sockets.update(words(1), words(1), BPF_EXIST), refused('MAP_ENTRY', /has no value/));
  sockets.update(words(1), words(1), BPF_NOEXIST);
  assert.throws(() => sockets.update(words(1), words(2), BPF_NOEXIST), refused('MAP_ENTRY', /already/));
  assert.throws(() => devices.update(words(1), words(1, 99)), refused('INVALID_OPTION', /no program 99/));
  assert.throws(
    () => devices.update(words(1), words(1, program)),
    refused('INVALID_OPTION', /program 1 is for xdp, not for xdp\/devmap/),
  );
  assert.throws(() => cpus.update(words(1), words(1, program)), refused('INVALID_OPTION', /not for xdp\/cpumap/));
  assert.throws(() => cpus.update(words(1), words(16385, 0)), refused('INVALID_OPTION', /queue of 16385 packets/));
  assert.throws(() => hash.update(words(1), words(0, 0)), refused('INVALID_OPTION', /no target 0/));
  assert.throws(() => hash.update(words(1), words(1)), refused('INVALID_OPTION', /a value of 4 bytes/));
  hash.update(words(70_000), words(3, 0), BPF_NOEXIST);
  hash.update(words(5), words(4, 0));
  assert.throws(() => hash.update(words(6), words(4, 0)), refused('MAP_FULL', /full/));
  assert.equal(hash.targetOf(hash.entryOf(70_000)), 3);
  assert.throws(
    () => createMap(runs.machine, definition('devmap', { valueSize: 6 })),
    refused('MAP_UNSUPPORTED', /4 or 8 bytes/),
  );
});

test('programs see copies, and cannot change where packets go', () => {
  const runs = new EbpfRuns();
  const sockets = createMap(runs.machine, definition('xskmap', { valueSize: 4 }));
  sockets.update(words(1), words(0)); // socket 0
  const key = runs.machine.allocate(8).offset;
  runs.arena.i32[key >> 2] = 1;
  const seen = sockets.lookupAt(key);
  assert.ok(seen > 0);
  runs.arena.i32[seen >> 2] = 77;
  assert.equal(sockets.targetOf(sockets.entryOf(1)), 0);
  assert.deepEqual([sockets.updateAt(key, key, 0), sockets.deleteAt(key)], [-22, -22]);
});
