import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { XDP_PASS } from '../../../src/ebpf/execution.js';
import { MAP_TYPES, type MapContents, type MapDefinition, type MapType } from '../../../src/ebpf/maps/contract.js';
import { assemble } from '../../../src/ebpf/text/assemble.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { countPossibleCpus } from '../../../src/linux-kernel/programs/possible-cpus.js';
import { doubleWord, mapOf, number, recordingProgram, word } from '../../support/xdp-programs.js';

const kernel = new LinuxKernel();
after(() => kernel.close());

/** Makes a map, uses it, and gives it back. */
async function withMap(definition: MapDefinition, use: (map: MapContents) => void): Promise<void> {
  const object = await kernel.loadObject({ programs: [], maps: [definition] });
  try {
    use(object.maps.get(definition.name)!);
  } finally {
    object.close();
  }
}

const descriptors = (): number => readdirSync('/proc/self/fd').length;

/** Keeps this thread from moving to another CPU, whose records would come in an order of their own. */
function stayOnOneCpu(): void {
  const [, cpu] = /Cpus_allowed_list:\s*(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))!;
  assert.equal(spawnSync('taskset', ['-cp', cpu!, String(process.pid)]).status, 0);
}

const refused = (code: string, message: RegExp) => ({ name: 'PacketError', code, message });
const byKey = (map: MapContents): number[][] =>
  [...map.entries()].map(([key, value]) => [key[0]!, number(value)]).sort((a, b) => a[0]! - b[0]!);

test('maps of every type can be made, and tell their sizes', async () => {
  const inner = mapOf('array', 'inner');
  const parts: Partial<Record<MapType, Partial<MapDefinition>>> = {
    lpm_trie: { keySize: 8, flags: 1 },
    array_of_maps: { inner },
    hash_of_maps: { inner, valueSize: 4 },
    queue: { keySize: 0 },
    stack: { keySize: 0 },
    ringbuf: { keySize: 0, valueSize: 0, maxEntries: 4096 },
    perf_event_array: { valueSize: 4, maxEntries: 0 },
  };
  for (const type of Object.keys(MAP_TYPES) as MapType[]) {
    await withMap(mapOf(type, `tp4_${type}`, 4, parts[type]), (map) => assert.ok(map.handle > 2, type));
  }
});

test('entries of hashes are set, read, changed and removed', async () => {
  for (const type of ['hash', 'lru_hash'] as const) {
    await withMap(mapOf(type, 'h', 64), (map) => {
      assert.equal(map.lookup(word(1)), undefined);
      map.update(word(1), doubleWord(10));
      map.update(word(2), doubleWord(20), 1);
      assert.equal(number(map.lookup(word(1))), 10);
      assert.throws(() => map.update(word(1), doubleWord(11), 1), refused('MAP_ENTRY', /has a value already/));
      assert.throws(() => map.update(word(3), doubleWord(11), 2), refused('MAP_ENTRY', /has no value/));
      map.update(word(1), doubleWord(11), 2);
      assert.deepEqual(byKey(map), [
        [1, 11],
        [2, 20],
      ]);
      assert.deepEqual([map.delete(word(1)), map.delete(word(1))], [true, false]);
      assert.deepEqual(byKey(map), [[2, 20]]);
      assert.throws(() => map.update(word(1), word(1)), refused('INVALID_OPTION', /a value of 4 bytes/));
      assert.throws(() => map.lookup(new Uint8Array(3)), refused('INVALID_OPTION', /a key of 3 bytes/));
      assert.throws(() => map.update(word(1), doubleWord(1), 4), refused('INVALID_OPTION', /flags/));
    });
  }
});

test('a full hash refuses one entry more', async () => {
  await withMap(mapOf('hash', 'full', 2), (map) => {
    const entries = [1, 2, 3].map((key) => [word(key), doubleWord(key)] as const);
    assert.throws(() => map.updateAll(entries), refused('MAP_FULL', /map full: it is full/));
    assert.equal([...map.entries()].length, 2);
  });
});

test('thousands of entries go in and come out in batches, each once', async () => {
  const count = 20_000;
  for (const type of ['hash', 'percpu_hash', 'lru_hash', 'lpm_trie', 'array', 'percpu_array'] as const) {
    const parts = type === 'lpm_trie' ? { keySize: 8, flags: 1 } : {};
    const definition = mapOf(type, 'many', type === 'lru_hash' ? 4 * count : count, parts);
    const cpus = type.startsWith('percpu') ? countPossibleCpus() : 1;
    const keyOf = (i: number) => (type === 'lpm_trie' ? new Uint8Array([...word(32), ...word(i)]) : word(i));
    await withMap(definition, (map) => {
      map.updateAll(Array.from({ length: count }, (_, i) => [keyOf(i), new Uint8Array(8 * cpus).fill(i)] as const));
      const seen = new Set<number>();
      for (const [key, value] of map.entries()) {
        const i = new DataView(key.buffer).getUint32(definition.keySize - 4, true);
        assert.equal(value.length, 8 * cpus);
        assert.ok(value.every((byte) => byte === (i & 0xff)));
        seen.add(i);
      }
      assert.equal(seen.size, count, type);
    });
  }
});

test('arrays have all their entries from the start, and keep them', async () => {
  await withMap(mapOf('array', 'a', 3, { initialValue: doubleWord(7) }), (map) => {
    assert.deepEqual(byKey(map), [
      [0, 7],
      [1, 0],
      [2, 0],
    ]);
    map.update(word(2), doubleWord(5));
    assert.equal(number(map.lookup(word(2))), 5);
    assert.equal(map.lookup(word(3)), undefined);
    assert.throws(() => map.update(word(3), doubleWord(1)), refused('MAP_FULL', /no entry has this index/));
    assert.throws(() => map.delete(word(0)), refused('MAP_UNSUPPORTED', /cannot be removed/));
  });
});

test('constants cannot be changed, by nobody', async () => {
  const constants = mapOf('array', '.rodata', 1, { initialValue: doubleWord(7), frozen: true, flags: 1 << 7 });
  await withMap(constants, (map) => {
    assert.equal(number(map.lookup(word(0))), 7);
    assert.throws(() => map.update(word(0), doubleWord(8)), refused('MAP_UNSUPPORTED', /frozen/));
    assert.throws(() => map.updateAll([[word(0), doubleWord(8)]]), refused('MAP_UNSUPPORTED', /frozen/));
    assert.throws(() => map.delete(word(0)), refused('MAP_UNSUPPORTED', /frozen/));
  });
});

test('the longest prefix is found', async () => {
  const prefix = (bits: number, ...address: number[]) => new Uint8Array([...word(bits), ...address]);
  await withMap(mapOf('lpm_trie', 'trie', 16, { keySize: 8, flags: 1 }), (map) => {
    map.update(prefix(8, 10, 0, 0, 0), doubleWord(8));
    map.update(prefix(24, 10, 1, 2, 0), doubleWord(24));
    assert.equal(number(map.lookup(prefix(32, 10, 1, 2, 3))), 24);
    assert.equal(number(map.lookup(prefix(32, 10, 9, 9, 9))), 8);
    assert.equal(map.lookup(prefix(32, 11, 0, 0, 0)), undefined);
    assert.equal([...map.entries()].length, 2);
    assert.throws(() => map.update(prefix(33, 10, 0, 0, 0), doubleWord(1)), refused('INVALID_OPTION', /no entry can/));
  });
  await assert.rejects(
    withMap(mapOf('lpm_trie', 'trie', 16, { keySize: 8 }), () => {}),
    {
      ...refused('MAP_UNSUPPORTED', /make the map trie: Linux makes no lpm_trie of keys of 8/),
      remedy: /BPF_F_NO_PREALLOC/,
    },
  );
});

test('queues and stacks hand out values in their order', async () => {
  const none = new Uint8Array(0);
  for (const [type, order] of [
    ['queue', [1, 2, 3]],
    ['stack', [3, 2, 1]],
  ] as const) {
    await withMap(mapOf(type, 'order', 3, { keySize: 0 }), (map) => {
      for (const value of [1, 2, 3]) map.update(none, doubleWord(value));
      assert.throws(() => map.update(none, doubleWord(4)), refused('MAP_FULL', /full/));
      for (const value of order) {
        assert.equal(number(map.lookup(none)), value, type);
        assert.equal(map.delete(none), true);
      }
      assert.equal(map.delete(none), false);
      assert.equal(map.lookup(none), undefined);
      assert.throws(() => [...map.entries()], refused('MAP_UNSUPPORTED', /shows no entries of type/));
    });
  }
});

test('maps of what has a name elsewhere say what an entry is', async () => {
  for (const type of ['prog_array', 'xskmap', 'devmap'] as const) {
    await withMap(mapOf(type, 'names'), (map) => {
      assert.throws(
        () => map.update(word(0), word(0x7fff_ffff)),
        refused('INVALID_OPTION', /names nothing that it can/),
      );
      assert.equal(map.delete(word(0)), type === 'xskmap', 'of sockets the kernel does not tell');
    });
  }
  await withMap(mapOf('cpumap', 'cpus'), (map) => {
    map.update(word(0), word(192));
    assert.deepEqual(
      [...map.entries()].map(([key, value]) => [key[0], value[0]]),
      [[0, 192]],
    );
    assert.deepEqual([map.delete(word(0)), map.delete(word(0))], [true, false]);
  });
  await withMap(mapOf('xskmap', 'sockets'), (map) => {
    assert.throws(() => map.lookup(word(0)), refused('MAP_UNSUPPORTED', /shows no entries of type xskmap/));
  });
});

test('maps in maps are those of the object, or others like them', async () => {
  const [first, second] = [mapOf('array', 'first'), mapOf('array', 'second')];
  const outer = mapOf('array_of_maps', 'outer', 2, { inner: first, initialEntries: [{ index: 1, name: 'second' }] });
  const object = await kernel.loadObject({ programs: [], maps: [first, second, outer] });
  const map = object.maps.get('outer')!;
  assert.equal(map.lookup(word(0)), undefined);
  assert.ok(map.lookup(word(1)) !== undefined);
  map.update(word(0), word(object.maps.get('first')!.handle));
  assert.equal([...map.entries()].length, 2);
  assert.deepEqual([map.delete(word(0)), map.delete(word(0))], [true, false]);
  object.close();
  object.close();
  assert.throws(() => map.lookup(word(0)), refused('WRONG_STATE', /map outer is closed/));
});

test('records of a perf_event_array are read in their order, waited for, and counted where they are lost', async () => {
  const object = await kernel.loadObject(
    assemble(`
      .map events perf_event_array key 4 value 4 entries 1024
      .function tell
        r2 = *(u32 *)(r1 +0)
        r3 = *(u32 *)(r1 +4)
        r4 = r2
        r4 += 8
        if r4 > r3 goto pass
        r4 = *(u64 *)(r2 +0)
        *(u64 *)(r10 -16) = r4
        *(u64 *)(r10 -8) = 0
        r2 = map[events]
        r3 = 0xffffffff ll    ; BPF_F_CURRENT_CPU
        r4 = r10
        r4 += -16
        r5 = 12
        call bpf_perf_event_output
      pass:
        r0 = 2
        exit
    `),
  );
  const [program] = object.programs;
  stayOnOneCpu();
  const free = kernel.arena.freeBytes;
  const open = descriptors();
  const reader = await kernel.openRecords(object.maps.get('events')!);
  assert.deepEqual([reader.read(), await reader.wait(0), await reader.wait(20)], [undefined, false, false]);
  // Several times around the ring of a CPU.
  let count = 0;
  for (let round = 0; round < 100; round++) {
    const packet = new Uint8Array(60);
    for (let i = 0; i < 100; i++) program!.test(packet.fill(round + i, 0, 8));
    for (let record = reader.read(); record !== undefined; record = reader.read()) {
      assert.deepEqual(record, new Uint8Array(12).fill(round + (count++ % 100), 0, 8));
    }
  }
  assert.deepEqual([count, reader.lost], [10_000, 0]);
  // What finds no room is lost, and counted once something comes behind it.
  program!.test(new Uint8Array(60), 10_000);
  let kept = 0;
  while (reader.read() !== undefined) kept++;
  assert.ok(kept > 1000 && kept < 10_000, `${kept} records`);
  program!.test(new Uint8Array(60));
  while (reader.read() !== undefined);
  assert.equal(reader.lost, 10_000 - kept);
  const waiting = reader.wait(5000);
  setTimeout(() => program!.test(new Uint8Array(60)), 20);
  assert.equal(await waiting, true);
  assert.equal(reader.read()!.length, 12);
  reader.close();
  reader.close();
  assert.throws(() => reader.read(), refused('WRONG_STATE', /closed/));
  assert.deepEqual([kernel.arena.freeBytes, descriptors()], [free, open]);
  const again = await kernel.openRecords(object.maps.get('events')!);
  program!.test(new Uint8Array(60));
  assert.equal(again.read()!.length, 12);
  again.close();
  object.close();
});

test('records of a ring buffer are read in their order, and waited for, many times around', async () => {
  const ring = mapOf('ringbuf', 'events', 4096, { keySize: 0, valueSize: 0 });
  const object = await kernel.loadObject({
    programs: [recordingProgram(ring, XDP_PASS)],
    maps: [ring, mapOf('hash', 'h')],
  });
  const [program] = object.programs;
  await assert.rejects(kernel.openRecords(object.maps.get('h')!), {
    code: 'MAP_UNSUPPORTED',
    message: /holds no records/,
  });
  const free = kernel.arena.freeBytes;
  const reader = await kernel.openRecords(object.maps.get('events')!);
  assert.deepEqual([reader.read(), await reader.wait(0), await reader.wait(20)], [undefined, false, false]);
  let next = 0;
  for (let round = 0; round < 30; round++) {
    const packet = new Uint8Array(60);
    for (let i = 0; i < 100; i++) program!.test(packet.fill(round * 100 + i, 0, 8));
    for (let record = reader.read(); record !== undefined; record = reader.read()) {
      assert.deepEqual(record, new Uint8Array(14).fill(next++, 0, 8));
    }
  }
  assert.equal(next, 3000);
  // A full ring takes no more, and goes on when there is room.
  program!.test(new Uint8Array(60), 1000);
  let held = 0;
  while (reader.read() !== undefined) held++;
  assert.ok(held > 100 && held < 1000, `${held} records`);
  const waiting = reader.wait(5000);
  setTimeout(() => program!.test(new Uint8Array(60)), 20);
  assert.equal(await waiting, true);
  assert.equal(reader.read()!.length, 14);
  reader.close();
  reader.close();
  assert.throws(() => reader.read(), refused('WRONG_STATE', /closed/));
  assert.equal(kernel.arena.freeBytes, free);
  object.close();
});
