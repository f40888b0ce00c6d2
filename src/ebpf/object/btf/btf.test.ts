import assert from 'node:assert/strict';
import { test } from 'node:test';
import { btfBytes } from '../../../../test/support/btf-bytes.js';
import { objectBytes, objectTypes } from '../../../../test/support/objects.js';
import {
  BTF_INT_BOOL,
  BTF_INT_CHAR,
  BTF_INT_SIGNED,
  BTF_KIND_ARRAY,
  BTF_KIND_CONST,
  BTF_KIND_DATASEC,
  BTF_KIND_DECL_TAG,
  BTF_KIND_ENUM,
  BTF_KIND_ENUM64,
  BTF_KIND_FLOAT,
  BTF_KIND_FUNC,
  BTF_KIND_FUNC_PROTO,
  BTF_KIND_FWD,
  BTF_KIND_INT,
  BTF_KIND_PTR,
  BTF_KIND_STRUCT,
  BTF_KIND_TYPE_TAG,
  BTF_KIND_TYPEDEF,
  BTF_KIND_UNION,
  BTF_KIND_VAR,
  BTF_MAGIC_SWAPPED,
} from './constants.js';
import { readBtf } from './read-btf.js';

const INT = { name: 'int', kind: BTF_KIND_INT, word: 4, rest: [(BTF_INT_SIGNED << 24) | 32] };

test('types of all kinds are read', () => {
  const { types } = readBtf(
    btfBytes([
      INT,
      { name: 'char', kind: BTF_KIND_INT, word: 1, rest: [(BTF_INT_CHAR << 24) | 8] },
      { name: '_Bool', kind: BTF_KIND_INT, word: 1, rest: [(BTF_INT_BOOL << 24) | (3 << 16) | 1] },
      { kind: BTF_KIND_PTR, word: 1 },
      { kind: BTF_KIND_ARRAY, rest: [2, 1, 7] },
      { name: 's', kind: BTF_KIND_STRUCT, count: 2, flag: true, word: 8, rest: ['a', 1, (5 << 24) | 3, 'b', 1, 32] },
      { name: 'u', kind: BTF_KIND_UNION, count: 1, word: 4, rest: ['', 1, 0] },
      { name: 'e', kind: BTF_KIND_ENUM, count: 2, flag: true, word: 4, rest: ['NO', 0xffffffff, 'YES', 1] },
      { name: 'E', kind: BTF_KIND_ENUM64, count: 1, word: 8, rest: ['WIDE', 1, 0x80000000] },
      { name: 'later', kind: BTF_KIND_FWD, flag: true },
      { name: 't', kind: BTF_KIND_TYPEDEF, word: 6 },
      { kind: BTF_KIND_FUNC_PROTO, count: 2, word: 1, rest: ['x', 1, '', 0] },
      { name: 'f', kind: BTF_KIND_FUNC, count: 1, word: 12 },
      { name: 'v', kind: BTF_KIND_VAR, word: 1, rest: [0] },
      { name: '.data', kind: BTF_KIND_DATASEC, count: 1, word: 4, rest: [14, 0, 4] },
      { name: 'double', kind: BTF_KIND_FLOAT, word: 8 },
      { name: 'note', kind: BTF_KIND_DECL_TAG, word: 6, rest: [0xffffffff] },
      { name: 'user', kind: BTF_KIND_TYPE_TAG, word: 1 },
    ]),
  );
  const number = { bitOffset: 0, isSigned: false, isCharacter: false, isBoolean: false };
  assert.deepEqual(types, [
    { kind: 'void', id: 0, name: '' },
    { ...number, kind: 'int', id: 1, name: 'int', size: 4, bits: 32, isSigned: true },
    { ...number, kind: 'int', id: 2, name: 'char', size: 1, bits: 8, isCharacter: true },
    { ...number, kind: 'int', id: 3, name: '_Bool', size: 1, bits: 1, bitOffset: 3, isBoolean: true },
    { kind: 'ptr', id: 4, name: '', type: 1 },
    { kind: 'array', id: 5, name: '', element: 2, length: 7 },
    {
      kind: 'struct',
      id: 6,
      name: 's',
      size: 8,
      members: [
        { name: 'a', type: 1, bitOffset: 3, bits: 5 },
        { name: 'b', type: 1, bitOffset: 32, bits: 0 },
      ],
    },
    { kind: 'union', id: 7, name: 'u', size: 4, members: [{ name: '', type: 1, bitOffset: 0, bits: 0 }] },
    {
      kind: 'enum',
      id: 8,
      name: 'e',
      size: 4,
      isSigned: true,
      values: [
        { name: 'NO', value: -1n },
        { name: 'YES', value: 1n },
      ],
    },
    { kind: 'enum64', id: 9, name: 'E', size: 8, isSigned: false, values: [{ name: 'WIDE', value: 2n ** 63n + 1n }] },
    { kind: 'fwd', id: 10, name: 'later', of: 'union' },
    { kind: 'typedef', id: 11, name: 't', type: 6 },
    {
      kind: 'func_proto',
      id: 12,
      name: '',
      returns: 1,
      parameters: [
        { name: 'x', type: 1 },
        { name: '', type: 0 },
      ],
    },
    { kind: 'func', id: 13, name: 'f', type: 12, linkage: 'global' },
    { kind: 'var', id: 14, name: 'v', type: 1, linkage: 'static' },
    { kind: 'datasec', id: 15, name: '.data', size: 4, variables: [{ type: 14, offset: 0, size: 4 }] },
    { kind: 'float', id: 16, name: 'double', size: 8 },
    { kind: 'decl_tag', id: 17, name: 'note', type: 6, component: -1 },
    { kind: 'type_tag', id: 18, name: 'user', type: 1 },
  ]);
});

test('sizes are those of what is behind names and arrays', () => {
  const btf = readBtf(
    btfBytes([
      INT,
      { kind: BTF_KIND_ARRAY, rest: [1, 1, 3] },
      { kind: BTF_KIND_CONST, word: 2 },
      { kind: BTF_KIND_ARRAY, rest: [3, 1, 5] },
      { name: 't', kind: BTF_KIND_TYPEDEF, word: 4 },
      { kind: BTF_KIND_PTR, word: 5 },
    ]),
  );
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6].map((id) => btf.sizeOf(id)),
    [4, 12, 12, 60, 60, 8],
  );
  assert.equal(btf.resolve(5).id, 4);
  assert.throws(() => btf.sizeOf(0), { code: 'PROGRAM_CORRUPT', message: /no size/ });
});

test('types that lead to each other in a circle, to none, or to more than memory are refused when asked for', () => {
  const btf = readBtf(
    btfBytes([
      { name: 'a', kind: BTF_KIND_TYPEDEF, word: 2 },
      { name: 'b', kind: BTF_KIND_TYPEDEF, word: 1 },
      { kind: BTF_KIND_ARRAY, rest: [3, 1, 1] },
      { kind: BTF_KIND_CONST, word: 4000 },
      { kind: BTF_KIND_ARRAY, rest: [6, 1, 0x10000] },
      { kind: BTF_KIND_ARRAY, rest: [7, 1, 0x10000] },
      INT,
    ]),
  );
  for (const id of [1, 2, 3]) assert.throws(() => btf.sizeOf(id), { code: 'PROGRAM_CORRUPT', message: /no end/ });
  assert.throws(() => btf.resolve(1), { code: 'PROGRAM_CORRUPT' });
  assert.throws(() => btf.sizeOf(4), { code: 'PROGRAM_CORRUPT', message: /no type 4000/ });
  assert.throws(() => btf.sizeOf(5), { code: 'PROGRAM_CORRUPT', message: /would have/ });
});

test('damaged BTF is refused with what is wrong', () => {
  const refused = (bytes: Uint8Array, message: RegExp, code = 'PROGRAM_CORRUPT') =>
    assert.throws(() => readBtf(bytes), { code, message });
  refused(new Uint8Array(0), /2 bytes at 0/);
  refused(new Uint8Array(100), /does not begin with 0xeb9f/);
  refused(btfBytes([{ kind: 25 }]), /type 1 is of kind 25/);
  refused(btfBytes([{ kind: BTF_KIND_STRUCT, count: 0xffff }]), /types of BTF: 4 bytes at 20/);
  refused(btfBytes([{ kind: BTF_KIND_FUNC, count: 9 }]), /no linkage 9/);
  const patched = (at: number, value: number) => {
    const bytes = btfBytes([INT]);
    new DataView(bytes.buffer).setUint32(at, value, true);
    return bytes;
  };
  refused(patched(4, 0xffffffff), /header says it has 4294967295/);
  refused(patched(12, 0x7fffffff), /types of BTF at 24/);
  refused(patched(16, 0xffffffff), /strings of BTF at/);
  refused(patched(20, 3), /no string/);
  refused(patched(24, 0x123456), /no string at 1193046/);
  const swapped = btfBytes([INT]);
  new DataView(swapped.buffer).setUint16(0, BTF_MAGIC_SWAPPED, true);
  refused(swapped, /big-endian/, 'PROGRAM_UNSUPPORTED');
});

test('variables are where the symbols of the object are', () => {
  const types = objectTypes(objectBytes('globals'));
  const named = (section: string) =>
    types.dataSection(section)!.variables.map(({ type, offset, size }) => [types.type(type).name, offset, size]);
  assert.deepEqual(named('.data'), [
    ['current', 0, 20],
    ['offset_of_all', 20, 4],
  ]);
  const ends = named('.bss').map(([, offset, size]) => Number(offset) + Number(size));
  assert.equal(new Set(ends).size, 3);
  assert.equal(Math.max(...ends), 32);
});
