import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EbpfRuns } from '../../test/support/ebpf-runs.js';
import { PacketError } from '../errors.js';
import { interpreter } from './interpreter/interpreter.js';
import { prepareObject } from './prepare-object.js';
import { assemble } from './text/assemble.js';

const SOURCE = `
.map unused ringbuf entries 4096
.map shared array key 4 value 8 entries 2
.value 05
.map programs prog_array key 4 value 4 entries 4
.entry 2 second
.function first
  r1 = map[shared][0]+0
  *(u64 *)(r1 +0) = 9
  r1 = r10
  r2 = map[programs]
  r3 = 2
  call bpf_tail_call#12
  r0 = 0
  exit
.function second
  r1 = map[shared][0]+0
  r0 = *(u64 *)(r1 +0)
  exit`;

test('programs of an object share their maps, and find each other in arrays of programs', () => {
  const runs = new EbpfRuns();
  const { executables, maps } = prepareObject(assemble(SOURCE), runs.machine, interpreter);
  assert.deepEqual(
    maps.map(({ definition }) => definition.name),
    ['shared', 'programs'],
    'maps that no program uses are not made',
  );
  assert.equal(runs.run(executables[1]!).result, 5n);
  assert.equal(runs.run(executables[0]!).result, 9n);
});

test('an entry that names no program of the object is told', () => {
  assert.throws(
    () =>
      prepareObject(assemble(SOURCE.replace('.entry 2 second', '.entry 2 third')), new EbpfRuns().machine, interpreter),
    (error: unknown) => {
      assert.ok(error instanceof PacketError && error.code === 'PROGRAM_CORRUPT', String(error));
      assert.match(error.message, /entry 2 of map programs names third/);
      return true;
    },
  );
});
