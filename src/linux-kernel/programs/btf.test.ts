import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../test/support/random.js';
import { PacketError } from '../../errors.js';
import {
  BTF_KIND_DATASEC,
  BTF_KIND_DECL_TAG,
  BTF_KIND_FUNC,
  BTF_KIND_FUNC_PROTO,
  BTF_KIND_INT,
  BTF_KIND_PTR,
  BTF_KIND_STRUCT,
  BTF_KIND_VAR,
  Btf,
} from './btf.js';
import { BtfComposer } from './btf-composer.js';

/** A section from words of types and texts. */
function section(types: readonly (readonly number[])[], texts: readonly string[]): Uint8Array {
  const words = Uint32Array.from(types.flat());
  const strings = new TextEncoder().encode(texts.map((text) => `${text}\0`).join(''));
  const bytes = new Uint8Array(24 + words.byteLength + strings.length);
  const header = [0x0001_eb9f, 24, 0, words.byteLength, words.byteLength, strings.length];
  bytes.set(new Uint8Array(Uint32Array.from(header).buffer));
  bytes.set(new Uint8Array(words.buffer), 24);
  bytes.set(strings, 24 + words.byteLength);
  return bytes;
}

const kind = (number: number, members = 0): number => (number << 24) | members;

/** `int walk(struct list *next)` with `struct list { struct list *next; }`, and what only a linker can complete. */
const EXAMPLE = section(
  [
    [0, kind(BTF_KIND_VAR), 2, 0],
    [1, kind(BTF_KIND_INT), 4, (1 << 24) | 32],
    [0, kind(BTF_KIND_PTR), 4],
    [5, kind(BTF_KIND_STRUCT, 1), 8, 10, 3, 0],
    [0, kind(BTF_KIND_FUNC_PROTO, 1), 2, 10, 3],
    [15, kind(BTF_KIND_FUNC, 1), 5],
    [20, kind(BTF_KIND_DATASEC, 1), 0, 1, 0, 4],
    [26, kind(BTF_KIND_DECL_TAG), 6, 0xffff_ffff],
  ],
  ['', 'int', 'list', 'next', 'walk', '.data', 'arg'],
);

test('types are read with their numbers and names', () => {
  const btf = new Btf(EXAMPLE);
  const read = [...btf.types()].map((type) => [type.number, type.kind, btf.name(type)]);
  assert.deepEqual(read.slice(1, 6), [
    [2, BTF_KIND_INT, 'int'],
    [3, BTF_KIND_PTR, ''],
    [4, BTF_KIND_STRUCT, 'list'],
    [5, BTF_KIND_FUNC_PROTO, ''],
    [6, BTF_KIND_FUNC, 'walk'],
  ]);
  assert.equal(btf.text(1000), '');
});

test('a function is copied with what its type consists of, and no more', () => {
  const composer = new BtfComposer(new Btf(EXAMPLE));
  const number = composer.copyFunction(6)!;
  const line = composer.text('return 0;');
  assert.equal(composer.text('return 0;'), line);
  const copy = new Btf(composer.bytes());
  const types = [...copy.types()];
  assert.equal(copy.name(types[number - 1]!), 'walk');
  assert.deepEqual(
    types.map((type) => type.kind).sort((a, b) => a - b),
    [BTF_KIND_INT, BTF_KIND_PTR, BTF_KIND_STRUCT, BTF_KIND_FUNC, BTF_KIND_FUNC_PROTO, BTF_KIND_DECL_TAG],
  );
  // The ring of pointer and structure is closed again.
  const [pointer, structure] = [BTF_KIND_PTR, BTF_KIND_STRUCT].map(
    (wanted) => types.find((type) => type.kind === wanted)!,
  );
  assert.equal(copy.view.getUint32(pointer!.at + 8, true), structure!.number);
  assert.equal(copy.view.getUint32(structure!.at + 16, true), pointer!.number);
  assert.equal(copy.text(line), 'return 0;');
  for (const other of [0, 3, 99]) assert.equal(composer.copyFunction(other), undefined);
});

test('without types functions have their names', () => {
  const composer = new BtfComposer();
  const numbers = [composer.plainFunction('main'), composer.plainFunction('a function')];
  const btf = new Btf(composer.bytes());
  const types = [...btf.types()];
  assert.deepEqual(
    numbers.map((number) => btf.name(types[number - 1]!)),
    ['main', 'a_function'],
  );
});

test('damaged types are refused, and nothing outside is read', () => {
  const damaged = { name: 'PacketError', code: 'PROGRAM_CORRUPT' };
  for (const bytes of [new Uint8Array(0), new Uint8Array(24), EXAMPLE.subarray(0, 60)]) {
    assert.throws(() => new Btf(bytes), damaged);
  }
  const random = new Random(7);
  let refused = 0;
  for (let i = 0; i < 3000; i++) {
    const bytes = EXAMPLE.slice();
    for (let flips = 0; flips < 3; flips++) bytes[random.between(4, bytes.length - 1)] = random.between(0, 255);
    try {
      const composer = new BtfComposer(new Btf(bytes));
      for (let number = 0; number < 10; number++) composer.copyFunction(number);
      composer.bytes();
    } catch (error) {
      assert.ok(error instanceof PacketError && error.code === 'PROGRAM_CORRUPT', String(error));
      refused++;
    }
  }
  assert.ok(refused > 300 && refused < 3000, `${refused} refused`);
});

test('a chain of types of any length is copied', () => {
  const pointers = Array.from({ length: 50_000 }, (_, i) => [0, kind(BTF_KIND_PTR), i + 4]);
  const bytes = section([[0, kind(BTF_KIND_FUNC), 2], [0, kind(BTF_KIND_FUNC_PROTO), 3], ...pointers], ['']);
  const composer = new BtfComposer(new Btf(bytes));
  assert.equal(composer.copyFunction(1), 1);
  assert.equal([...new Btf(composer.bytes()).types()].length, 50_002);
});
