import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EbpfRuns } from '../../../test/support/ebpf-runs.js';
import { Random } from '../../../test/support/random.js';
import { PacketError } from '../../errors.js';
import { CONTROL_CPU } from '../execution.js';
import {
  BPF_EXIST,
  BPF_F_MMAPABLE,
  BPF_F_NO_PREALLOC,
  BPF_F_RDONLY,
  BPF_F_WRONLY,
  BPF_NOEXIST,
  type EbpfMap,
  type MapDefinition,
} from './contract.js';
import { createMap } from './create-map.js';

function refused(code: string, text: RegExp) {
  return (error: unknown) => error instanceof PacketError && error.code === code && text.test(error.message);
}

const definition = (parts: Partial<MapDefinition>): MapDefinition => ({
  name: 'm',
  type: 'hash',
  keySize: 4,
  valueSize: 4,
  maxEntries: 4,
  flags: 0,
  ...parts,
});
const word = (number: number) => Uint8Array.of(number, number >>> 8, number >>> 16, number >>> 24);
const contents = (map: EbpfMap) => [...map.entries()].map(([key, value]) => [[...key], [...value]]);

/** Puts key and value where a program would have them. */
function program({ machine }: EbpfRuns, map: EbpfMap) {
  const key = machine.allocate(512).offset;
  const value = machine.allocate(512).offset;
  const { u8 } = machine.arena;
  return {
    lookup(bytes: Uint8Array): number[] | undefined {
      u8.set(bytes, key);
      const at = map.lookupAt(key);
      return at === 0 ? undefined : [...u8.slice(at, at + map.definition.valueSize)];
    },
    update(bytes: Uint8Array, contents: Uint8Array, flags = 0): number {
      u8.set(bytes, key);
      u8.set(contents, value);
      return map.updateAt(key, value, flags);
    },
    delete(bytes: Uint8Array): number {
      u8.set(bytes, key);
      return map.deleteAt(key);
    },
  };
}

test('an array has all entries from the start, in a row, and an initial value', () => {
  const runs = new EbpfRuns();
  const map = createMap(runs.machine, definition({ type: 'array', valueSize: 5, initialValue: Uint8Array.of(9, 8) }));
  const { lookup, update, delete: remove } = program(runs, map);
  assert.deepEqual(lookup(word(0)), [9, 8, 0, 0, 0]);
  assert.equal(lookup(word(4)), undefined);
  assert.equal(lookup(word(-1)), undefined);
  assert.equal(update(word(3), Uint8Array.of(1, 2, 3, 4, 5)), 0);
  const { first, stride } = map.row!;
  assert.deepEqual([...runs.arena.u8.slice(first + 3 * stride, first + 3 * stride + 5)], [1, 2, 3, 4, 5]);
  assert.deepEqual([...map.lookup(word(3))!], [1, 2, 3, 4, 5]);
  assert.deepEqual([update(word(4), word(0)), update(word(0), word(0), BPF_NOEXIST)], [-7, -17]);
  assert.deepEqual([update(word(0), word(0), 3), remove(word(0))], [-22, -22]);
  assert.equal([...map.entries()].length, 4);
  assert.throws(() => map.update(word(4), new Uint8Array(5)), refused('MAP_FULL', /no entry has this index/));
  assert.throws(() => map.delete(word(0)), refused('MAP_UNSUPPORTED', /type array cannot be removed/));
  assert.throws(() => map.update(word(0), new Uint8Array(4)), refused('INVALID_OPTION', /a value of 4 bytes/));
  assert.throws(() => map.lookup(new Uint8Array(3)), refused('INVALID_OPTION', /a key of 3 bytes/));
  assert.throws(() => map.update(word(0), new Uint8Array(5), 4), refused('INVALID_OPTION', /update flags/));
});

test('a frozen map is changed by nobody', () => {
  const runs = new EbpfRuns();
  const map = createMap(runs.machine, definition({ type: 'array', initialValue: word(7), frozen: true }));
  assert.throws(() => map.update(word(0), word(1)), refused('MAP_UNSUPPORTED', /frozen/));
  assert.equal(program(runs, map).update(word(0), word(1)), -22);
  assert.deepEqual([...map.lookup(word(0))!], [7, 0, 0, 0]);
});

test('a hash map keeps flags, room and deletions apart', () => {
  const runs = new EbpfRuns();
  const map = createMap(runs.machine, definition({ maxEntries: 2 }));
  const { lookup, update, delete: remove } = program(runs, map);
  assert.equal(lookup(word(1)), undefined);
  assert.equal(update(word(1), word(10), BPF_EXIST), -2);
  assert.equal(update(word(1), word(10), BPF_NOEXIST), 0);
  assert.equal(update(word(1), word(11), BPF_NOEXIST), -17);
  assert.equal(update(word(1), word(12), BPF_EXIST), 0);
  assert.equal(update(word(2), word(20)), 0);
  assert.equal(update(word(3), word(30)), -7);
  assert.deepEqual(lookup(word(1)), [12, 0, 0, 0]);
  assert.throws(() => map.update(word(3), word(0)), refused('MAP_FULL', /full/));
  assert.throws(() => map.update(word(1), word(0), BPF_NOEXIST), refused('MAP_ENTRY', /has a value already/));
  assert.throws(() => map.update(word(9), word(0), BPF_EXIST), refused('MAP_ENTRY', /has no value/));
  assert.deepEqual([remove(word(1)), remove(word(1)), map.delete(word(1)), map.delete(word(2))], [0, -2, false, true]);
  map.updateAll([
    [word(5), word(50)],
    [word(6), word(60)],
  ]);
  assert.deepEqual(contents(map).sort(), [
    [
      [5, 0, 0, 0],
      [50, 0, 0, 0],
    ],
    [
      [6, 0, 0, 0],
      [60, 0, 0, 0],
    ],
  ]);
});

for (const keySize of [3, 4, 9, 16]) {
  test(`a hash map with keys of ${keySize} bytes holds what a Map of JavaScript holds, over many changes`, () => {
    const random = new Random(77 + keySize);
    const runs = new EbpfRuns();
    const map = createMap(runs.machine, definition({ keySize, valueSize: 8, maxEntries: 100 }));
    const model = new Map<string, Uint8Array>();
    const place = runs.machine.allocate(64).offset;
    // Few different bytes, at the ends, where mistakes of length would show.
    const anyKey = () => {
      const key = new Uint8Array(keySize);
      key[0] = random.below(12);
      key[keySize - 1] = random.below(12);
      return key;
    };
    for (let i = 0; i < 5000; i++) {
      const key = anyKey();
      const name = [...key].join();
      if (random.oneIn(3)) assert.equal(map.delete(key), model.delete(name));
      else if (model.size < 100 || model.has(name)) {
        const value = new Uint8Array(8);
        random.fill(value, 0, 8);
        map.update(key, value);
        model.set(name, value);
      } else assert.throws(() => map.update(key, new Uint8Array(8)), refused('MAP_FULL', /full/));
      const other = anyKey();
      const expected = model.get([...other].join());
      assert.deepEqual(map.lookup(other), expected);
      // Programs' keys lie anywhere, and behind them is something else.
      const at = place + random.below(8);
      random.fill(runs.arena.u8, place, place + 64);
      runs.arena.u8.set(other, at);
      const found = map.lookupAt(at);
      assert.deepEqual(found === 0 ? undefined : runs.arena.u8.slice(found, found + 8), expected);
    }
    assert.deepEqual(new Map([...map.entries()].map(([key, value]) => [[...key].join(), value])), model);
  });
}

test('an entry stays where it is until it is deleted', () => {
  const runs = new EbpfRuns();
  const map = createMap(runs.machine, definition({ maxEntries: 64 }));
  const at = runs.machine.allocate(8).offset;
  map.update(word(0), word(1));
  const place = map.lookupAt(at);
  for (let i = 1; i < 64; i++) map.update(word(i), word(i));
  map.update(word(0), word(2));
  assert.equal(map.lookupAt(at), place);
  assert.equal(runs.arena.i32[place >> 2], 2);
});

test('a full LRU hash map forgets what was not used for longest', () => {
  const runs = new EbpfRuns();
  const map = createMap(runs.machine, definition({ type: 'lru_hash', maxEntries: 3 }));
  const { lookup, update } = program(runs, map);
  for (const key of [1, 2, 3]) update(word(key), word(key));
  lookup(word(1));
  map.lookup(word(2)); // no use
  update(word(4), word(4));
  assert.deepEqual(
    [1, 2, 3, 4].map((key) => lookup(word(key)) !== undefined),
    [true, false, true, true],
  );
  update(word(1), word(9));
  update(word(5), word(5));
  assert.deepEqual(
    [1, 3, 4, 5].map((key) => lookup(word(key)) !== undefined),
    [true, false, true, true],
  );
  map.delete(word(4));
  update(word(6), word(6));
  assert.deepEqual(
    [1, 5, 6].map((key) => map.lookup(word(key)) !== undefined),
    [true, true, true],
  );
});

test('an LRU hash map forgets in the order of use, over many changes', () => {
  const random = new Random(5);
  const runs = new EbpfRuns();
  const map = createMap(runs.machine, definition({ type: 'lru_hash', maxEntries: 10 }));
  const { lookup, update } = program(runs, map);
  let order: number[] = []; // the oldest first
  for (let i = 0; i < 5000; i++) {
    const key = random.below(16);
    const known = order.includes(key);
    if (random.oneIn(5)) assert.equal(map.delete(word(key)), known);
    else if (random.oneIn(2)) assert.equal(lookup(word(key)) !== undefined, known);
    else update(word(key), word(i));
    const isThere = map.lookup(word(key)) !== undefined;
    order = order.filter((other) => other !== key);
    if (isThere) order.push(key);
    if (order.length > 10) order.shift();
    assert.deepEqual(new Set([...map.entries()].map(([bytes]) => bytes[0])), new Set(order), `step ${i}`);
  }
});

test('maps for each CPU: programs see the value of theirs, control code all of them', () => {
  const runs = new EbpfRuns({ cpus: 3 });
  const cpu = (number: number) => {
    runs.arena.i32[(runs.machine.control >> 2) + CONTROL_CPU] = number;
  };
  for (const type of ['percpu_array', 'percpu_hash', 'lru_percpu_hash'] as const) {
    const map = createMap(runs.machine, definition({ type, maxEntries: 2 }));
    const { lookup, update } = program(runs, map);
    map.update(
      word(1),
      Uint8Array.from({ length: 24 }, (_, index) => index),
    );
    cpu(2);
    assert.deepEqual(lookup(word(1)), [16, 17, 18, 19], type);
    cpu(1);
    update(word(1), word(0x55));
    assert.deepEqual(
      [...map.lookup(word(1))!],
      [0, 1, 2, 3, 4, 5, 6, 7, 0x55, 0, 0, 0, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23],
    );
    // What a program adds is zero for the other CPUs, also where an entry was used before.
    if (type !== 'percpu_array') {
      map.delete(word(1));
      update(word(0), word(7));
      assert.deepEqual(
        [...map.lookup(word(0))!].filter((byte) => byte !== 0),
        [7],
      );
    }
    cpu(0);
    map.close();
  }
});

const trieKey = (length: number, ...data: number[]) => Uint8Array.of(length, 0, 0, 0, ...data);
const trie = (parts: Partial<MapDefinition> = {}) =>
  definition({ type: 'lpm_trie', keySize: 8, flags: BPF_F_NO_PREALLOC, ...parts });

test('a trie finds the longest prefix', () => {
  const runs = new EbpfRuns();
  const map = createMap(runs.machine, trie());
  const { lookup, update, delete: remove } = program(runs, map);
  assert.equal(update(trieKey(8, 10, 0, 0, 0), word(8)), 0);
  assert.equal(update(trieKey(24, 10, 1, 2, 99), word(24)), 0);
  assert.equal(update(trieKey(0, 1, 2, 3, 4), word(1)), 0);
  const value = (...data: number[]) => lookup(trieKey(32, ...data))?.[0];
  assert.deepEqual([value(10, 1, 2, 3), value(10, 1, 3, 3), value(11, 0, 0, 0)], [24, 8, 1]);
  assert.equal(lookup(trieKey(16, 10, 1, 2, 3))?.[0], 8);
  assert.equal(lookup(trieKey(33, 10, 1, 2, 3)), undefined);
  assert.deepEqual([update(trieKey(33), word(0)), remove(trieKey(33))], [-22, -22]);
  assert.throws(() => map.update(trieKey(33, 0, 0, 0, 0), word(0)), refused('INVALID_OPTION', /no entry can have/));
  assert.equal(update(trieKey(9, 10, 0, 0, 0), word(9)), 0);
  assert.equal(update(trieKey(32, 10, 0, 0, 0), word(32)), -28);
  assert.deepEqual(
    [remove(trieKey(24, 10, 1, 2, 0)), remove(trieKey(24, 10, 1, 2, 0)), remove(trieKey(10, 10))],
    [0, -2, -2],
  );
  assert.equal(value(10, 1, 2, 3), 9);
  const keys = contents(map).map(([key]) => key!.join());
  assert.deepEqual(keys.sort(), ['0,0,0,0,0,0,0,0', '8,0,0,0,10,0,0,0', '9,0,0,0,10,0,0,0']);
});

test('a trie finds what a search through all prefixes finds, over many changes', () => {
  const random = new Random(11);
  const runs = new EbpfRuns();
  const map = createMap(runs.machine, trie({ keySize: 7, maxEntries: 60 }));
  const model = new Map<string, { length: number; bits: string; value: number }>();
  const bitsOf = (data: Uint8Array) => [...data].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  // Few different bytes, so that prefixes have much in common.
  const anyKey = () => {
    const length = random.below(25);
    const data = Uint8Array.from({ length: 3 }, () => random.pick([0, 1, 3, 0x80, 0xff]));
    return { length, key: trieKey(length, ...data), bits: bitsOf(data).slice(0, length) };
  };
  for (let i = 0; i < 20_000; i++) {
    const { length, key, bits } = anyKey();
    if (random.oneIn(3)) assert.equal(map.delete(key), model.delete(bits), `step ${i}`);
    else if (model.size < 60 || model.has(bits)) {
      map.update(key, word(i));
      model.set(bits, { length, bits, value: i });
    } else assert.throws(() => map.update(key, word(i)), refused('MAP_FULL', /full/));
    const other = anyKey();
    const found = [...model.values()]
      .filter((prefix) => prefix.length <= other.length && other.bits.startsWith(prefix.bits))
      .sort((a, b) => b.length - a.length)[0];
    assert.deepEqual(map.lookup(other.key), found && word(found.value), `step ${i}`);
  }
  assert.equal([...map.entries()].length, model.size);
});

test('what cannot be a map is refused, and takes nothing', () => {
  const { machine } = new EbpfRuns();
  const cases: [Partial<MapDefinition>, RegExp][] = [
    [{ type: 'queue' }, /4 bytes of a key; maps of type queue take 0/],
    [{ type: 'ringbuf', keySize: 0, valueSize: 0, maxEntries: 5000 }, /5000 bytes of records/],
    [{ type: 'ringbuf', keySize: 0, valueSize: 0, maxEntries: 12_288 }, /12288 bytes of records/],
    [{ maxEntries: 0 }, /0 entries/],
    [{ keySize: 0 }, /0 bytes of a key/],
    [{ keySize: 4096 }, /4096 bytes of a key/],
    [{ keySize: -4 }, /-4 bytes of a key/],
    [{ keySize: 4.5 }, /4\.5 bytes of a key/],
    [{ valueSize: 2 ** 31 }, /2147483648 bytes of a value/],
    [{ maxEntries: 2 ** 32 }, /4294967296 entries/],
    [{ maxEntries: Number.NaN }, /NaN entries/],
    [{ flags: 2 }, /do not take the flags 0x2/],
    [{ flags: 2 ** 31 }, /do not take the flags 0x80000000/],
    [{ flags: -1 }, /do not take the flags/],
    [{ flags: Number.NaN }, /do not take the flags/],
    [{ flags: 2 ** 33 }, /do not take the flags/],
    [{ flags: 0x180 }, /not both/],
    [{ type: 'percpu_array', flags: BPF_F_MMAPABLE }, /do not take the flags 0x400/],
    [{ valueSize: 0 }, /0 bytes of a value/],
    [{ type: 'array', keySize: 8 }, /8 bytes of a key; maps of type array take 4/],
    [{ type: 'prog_array', valueSize: 8 }, /8 bytes of a value/],
    [{ type: 'lpm_trie', keySize: 8 }, /BPF_F_NO_PREALLOC/],
    [{ type: 'lpm_trie', keySize: 4, flags: 1 }, /4 bytes of a key/],
    [{ initialValue: word(1) }, /only an array/],
    [{ type: 'array', initialValue: new Uint8Array(5) }, /only an array/],
  ];
  for (const [parts, text] of cases) {
    assert.throws(() => createMap(machine, definition(parts)), refused('MAP_UNSUPPORTED', text));
  }
  for (const parts of [
    { maxEntries: 2 ** 20 },
    { maxEntries: 2 ** 31 - 1 },
    { valueSize: 2 ** 30 },
    { keySize: 2048, maxEntries: 2 ** 30 },
    trie({ maxEntries: 2 ** 31 - 1 }),
    { type: 'lru_hash', maxEntries: 2 ** 31 - 1 },
    { type: 'prog_array', maxEntries: 2 ** 31 - 1 },
    { type: 'xskmap', maxEntries: 2 ** 30 },
    { type: 'ringbuf', keySize: 0, valueSize: 0, maxEntries: 2 ** 30 },
    { type: 'queue', keySize: 0, maxEntries: 2 ** 30 },
    { type: 'perf_event_array', maxEntries: 2 ** 30 },
  ] as const) {
    assert.throws(() => createMap(machine, definition(parts)), refused('ARENA_EXHAUSTED', /the machine has 131072/));
  }
  assert.throws(
    () => createMap(machine, definition({ type: 'percpu_array', maxEntries: 16_000 })),
    refused('ARENA_EXHAUSTED', /bytes left/),
  );
  assert.equal(createMap(machine, definition({})).handle, 1);
});

test('maps that control code may only read, or only write', () => {
  const runs = new EbpfRuns();
  const readable = createMap(runs.machine, definition({ flags: BPF_F_RDONLY }));
  const writable = createMap(runs.machine, definition({ flags: BPF_F_WRONLY }));
  assert.equal(program(runs, readable).update(word(1), word(5)), 0);
  assert.deepEqual(readable.lookup(word(1)), word(5));
  assert.throws(() => readable.update(word(1), word(6)), refused('MAP_UNSUPPORTED', /may only be read/));
  assert.throws(() => readable.delete(word(1)), refused('MAP_UNSUPPORTED', /may only be read/));
  writable.update(word(1), word(5));
  assert.deepEqual(program(runs, writable).lookup(word(1)), [5, 0, 0, 0]);
  assert.throws(() => writable.lookup(word(1)), refused('MAP_UNSUPPORTED', /may only be written/));
  assert.throws(() => [...writable.entries()], refused('MAP_UNSUPPORTED', /may only be written/));
});

test('a closed map gives its memory and its handle back', () => {
  const { machine } = new EbpfRuns();
  for (let i = 0; i < 50; i++) {
    const map = createMap(machine, definition({ valueSize: 4096, maxEntries: 10 }));
    assert.equal(map.handle, 1);
    map.close();
    assert.equal(machine.map(1), undefined);
  }
});
