import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runOnce, testObject } from '../../../../test/support/objects.js';
import { BPF_F_MMAPABLE, BPF_F_NO_PREALLOC, BPF_F_RDONLY_PROG } from '../../maps/contract.js';
import { dataMapName } from './data-maps.js';

const maps = testObject('maps');

test('maps have the sizes of their types, or those that were given', () => {
  const sizes = maps.maps.map(({ name, type, keySize, valueSize, maxEntries }) => [
    name,
    type,
    keySize,
    valueSize,
    maxEntries,
  ]);
  const expected = [
    ['flows', 'lru_percpu_hash', 16, 16, 1024],
    ['prefixes', 'lpm_trie', 8, 4, 10000],
    ['matrix', 'array', 4, 32, 8],
    ['records', 'ringbuf', 0, 0, 65536],
    ['waiting', 'queue', 0, 4, 32],
    ['events', 'perf_event_array', 4, 4, 0],
    ['sockets', 'xskmap', 4, 4, 64],
    ['devices', 'devmap_hash', 4, 8, 16],
    ['stages', 'prog_array', 4, 4, 4],
    ['inner_one', 'hash', 2, 8, 5],
    ['inner_two', 'hash', 2, 8, 5],
    ['ports', 'array_of_maps', 4, 4, 3],
    ['ports_of_tenants', 'hash_of_maps', 8, 4, 9],
  ] as const;
  for (const map of expected) {
    assert.deepEqual(
      sizes.find(([name]) => name === map[0]),
      map,
    );
  }
  assert.equal(sizes.filter(([name]) => !String(name).startsWith('.')).length, expected.length);
});

test('maps have their flags, and whether they are pinned', () => {
  assert.equal(maps.map('prefixes').flags, BPF_F_NO_PREALLOC);
  assert.equal(maps.map('flows').pinnedByName, true);
  assert.equal(maps.map('matrix').pinnedByName, undefined);
});

test('maps of programs and of maps have their entries at the start, and know what maps in them are like', () => {
  assert.deepEqual(maps.map('stages').initialEntries, [
    { index: 1, name: 'pass_all' },
    { index: 3, name: 'drop_all' },
  ]);
  assert.deepEqual(maps.map('ports').initialEntries, [
    { index: 0, name: 'inner_one' },
    { index: 2, name: 'inner_two' },
  ]);
  const inner = { type: 'hash', keySize: 2, valueSize: 8, maxEntries: 5, flags: 0 };
  assert.deepEqual(maps.map('ports').inner, { name: 'ports.inner', ...inner });
  assert.deepEqual(maps.map('ports_of_tenants').inner, { name: 'ports_of_tenants.inner', ...inner });
  assert.equal(maps.map('stages').inner, undefined);
});

test('programs that share a map have the same definition', () => {
  const { programs, maps } = testObject('globals');
  const bss = maps.find(({ name }) => name === 'globals.bss')!;
  for (const program of programs) assert.ok(program.maps.includes(bss));
});

test('instructions name the maps that they use', () => {
  const { maps: own } = runOnce(maps.program('dispatch'));
  const matrix = own.find(({ definition }) => definition.name === 'matrix')!;
  const row = matrix.lookup(new Uint8Array([2, 0, 0, 0]))!;
  assert.deepEqual([...new BigUint64Array(row.buffer.slice(row.byteOffset, row.byteOffset + 32))], [0n, 64n, 0n, 0n]);
});

test('structures in the section maps are maps, too', () => {
  const { maps, program } = testObject('legacy');
  assert.deepEqual(maps, [
    { name: 'first', type: 'array', keySize: 4, valueSize: 8, maxEntries: 2, flags: 0 },
    { name: 'second', type: 'hash', keySize: 4, valueSize: 16, maxEntries: 100, flags: BPF_F_NO_PREALLOC },
  ]);
  const { result, maps: own } = runOnce(program());
  assert.equal(result, 2);
  assert.equal(own[0]!.lookup(new Uint8Array([1, 0, 0, 0]))![0], 1);
});

test('sections of variables are arrays with one value; constants are frozen', () => {
  const globals = testObject('globals');
  const common = { type: 'array', keySize: 4, maxEntries: 1 };
  const text = (name: string) => [...Buffer.from(name.padEnd(8, '\0'))];
  const { initialValue, ...data } = globals.map('.data');
  assert.deepEqual(data, { ...common, name: 'globals.data', valueSize: 24, flags: BPF_F_MMAPABLE });
  assert.deepEqual([...initialValue!], [100, 0, 0, 0, 53, 0, 80, 0, 187, 1, ...text('default'), 0, 0, 7, 0, 0, 0]);
  const constant = globals.map('.rodata');
  assert.equal(constant.flags, BPF_F_RDONLY_PROG | BPF_F_MMAPABLE);
  assert.equal(constant.frozen, true);
  assert.equal(constant.initialValue!.length, constant.valueSize);
  assert.deepEqual(globals.map('.bss'), { ...common, name: 'globals.bss', valueSize: 32, flags: BPF_F_MMAPABLE });
  assert.equal(globals.map('.data.special').name, '.data.special');
  assert.equal(globals.map('.rodata.special').frozen, true);
});

test('maps of variables have the names that libbpf gives them', () => {
  assert.equal(dataMapName('xdp-dispatcher', '.rodata'), 'xdp_disp.rodata');
  assert.equal(dataMapName('xdp-dispatcher', '.bss'), 'xdp_disp.bss');
  assert.equal(dataMapName('a', '.data'), 'a.data');
  assert.equal(dataMapName('a', '.rodata.str1.1'), '.rodata.str1.1');
  assert.equal(dataMapName('a', '.data.read_mostly.x'), '.data.read_most');
});

test('a map that is not there is refused with those that are', () => {
  assert.throws(() => maps.map('flow'), { code: 'INVALID_OPTION', message: /no map flow/, remedy: /flows/ });
});
