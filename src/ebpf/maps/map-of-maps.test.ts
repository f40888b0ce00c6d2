import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EbpfRuns } from '../../../test/support/ebpf-runs.js';
import { PacketError } from '../../errors.js';
import { interpreter } from '../interpreter/interpreter.js';
import { prepareObject } from '../prepare-object.js';
import { assemble } from '../text/assemble.js';
import type { MapDefinition } from './contract.js';
import { createMap } from './create-map.js';

const word = (value: number) => new Uint8Array(Int32Array.of(value).buffer);
const refused = (code: string, text: RegExp) => (error: unknown) =>
  error instanceof PacketError && error.code === code && text.test(error.message);
const inner: MapDefinition = { name: 'i', type: 'array', keySize: 4, valueSize: 8, maxEntries: 2, flags: 0 };
const outer = { name: 'o', type: 'array_of_maps', keySize: 4, valueSize: 4, maxEntries: 2, flags: 0, inner } as const;

const LOOK = `
  *(u32 *)(r10 -4) = 1
  r1 = map[versions]
  r2 = r10
  r2 += -4
  call bpf_map_lookup_elem
  if r0 == 0 goto none
  *(u32 *)(r10 -4) = 0
  r1 = r0
  r2 = r10
  r2 += -4
  call bpf_map_lookup_elem
  if r0 == 0 goto none
  r0 = *(u64 *)(r0 +0)
  exit
none:
  r0 = 77
  exit`;

test('programs look maps up in a map, and values in those; control code exchanges them', () => {
  for (const type of ['array_of_maps', 'hash_of_maps']) {
    const runs = new EbpfRuns();
    const source = `
      .map first array key 4 value 8 entries 2
      .value 05
      .template like array key 4 value 8 entries 2
      .map versions ${type} key 4 value 4 entries 2 inner like
      .entry 1 first
      .function look
      ${LOOK}`;
    const { executables, maps } = prepareObject(assemble(source), runs.machine, interpreter);
    const [first, versions] = maps;
    assert.equal(runs.run(executables[0]!).result, 5n, type);
    assert.deepEqual(versions!.lookup(word(1)), word(first!.handle));
    const second = createMap(runs.machine, { ...inner, initialValue: word(6) });
    versions!.update(word(1), word(second.handle));
    assert.equal(runs.run(executables[0]!).result, 6n);
    second.close();
    assert.equal(runs.run(executables[0]!).result, 77n, 'a closed map is no longer found');
    createMap(runs.machine, inner); // under the same handle
    assert.equal(runs.run(executables[0]!).result, 77n);
    assert.equal(versions!.delete(word(1)), true);
    assert.deepEqual([...versions!.entries()], []);
  }
});

test('only maps like the one described go in', () => {
  const { machine } = new EbpfRuns();
  const map = createMap(machine, outer);
  const put = (parts: Partial<MapDefinition>) =>
    map.update(word(0), word(createMap(machine, { ...inner, ...parts }).handle));
  put({ name: 'other' });
  for (const parts of [{ type: 'percpu_array' }, { valueSize: 4 }, { maxEntries: 3 }, { flags: 128 }] as const) {
    assert.throws(() => put(parts), refused('INVALID_OPTION', /not like those described/));
  }
  assert.throws(() => map.update(word(0), word(99)), refused('INVALID_OPTION', /no map 99/));
  assert.throws(() => map.update(word(2), word(1)), refused('INVALID_OPTION', /./));
  const hash = createMap(machine, { ...outer, type: 'hash_of_maps', inner: { ...inner, type: 'hash' } });
  hash.update(word(9), word(createMap(machine, { ...inner, type: 'hash', maxEntries: 7 }).handle));
  const { inner: _, ...without } = outer;
  assert.throws(() => createMap(machine, without), refused('MAP_UNSUPPORTED', /need `inner`/));
  assert.throws(
    () => createMap(machine, { ...outer, inner: outer }),
    refused('MAP_UNSUPPORTED', /cannot be in others/),
  );
});
