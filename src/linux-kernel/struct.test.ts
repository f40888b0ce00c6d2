import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Struct } from './struct.js';

test('fields are little-endian, at their offsets, and the rest is zero', () => {
  const struct = new Struct(24).u16(0, 0x1234).u32(4, 0xdeadbeef).u64(8, 0x1_2345_6789).i32(16, -2);
  assert.deepEqual(
    [...struct.bytes],
    [0x34, 0x12, 0, 0, 0xef, 0xbe, 0xad, 0xde, 0x89, 0x67, 0x45, 0x23, 1, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0, 0, 0, 0],
  );
  assert.equal(struct.readU32(4), 0xdeadbeef);
  assert.equal(struct.readU64(8), 0x1_2345_6789);
  assert.equal(struct.readI32(16), -2);
  assert.equal(new Struct(8).u64(0, 0x7fff_ffff_ffff_ffffn).readU32(4), 0x7fffffff);
});

test('64-bit counts read exactly up to 2^53', () => {
  for (const value of [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 7, 2 ** 53 - 1]) {
    assert.equal(new Struct(8).u64(0, value).readU64(0), value);
  }
});

test('text ends at its zero or with its field', () => {
  const struct = new Struct(12).text(2, 'tp4far');
  assert.equal(struct.readText(2, 10), 'tp4far');
  assert.equal(struct.readText(2, 3), 'tp4');
  assert.equal(struct.readText(0, 2), '');
});
