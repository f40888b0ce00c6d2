import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../test/support/random.js';
import { CuckooBuilder, type CuckooTable, SECOND_FACTOR, SECOND_SHIFT } from './cuckoo-table.js';

/** Looks up as programs do. */
function find({ bits, factors, bytes }: CuckooTable & { bytes: Uint8Array }, key: Int32Array): number | undefined {
  const words = new Int32Array(bytes.buffer);
  const hash = key.reduce((sum, word, i) => (sum + Math.imul(word, factors[i]!)) | 0, 0);
  const second = Math.imul(hash ^ (hash >>> SECOND_SHIFT), SECOND_FACTOR);
  for (const slot of [hash >>> (32 - bits), second >>> (32 - bits)]) {
    const at = slot * (1 + key.length);
    if (words[at] !== 0 && key.every((word, i) => words[at + 1 + i] === word)) return (words[at]! - 1) >>> 0;
  }
  return undefined;
}

for (const [name, keyOf] of [
  ['counting', (i: number) => [i, 17]],
  ['in steps of a power of two', (i: number) => [i << 16, i << 12, 0]],
  ['at random', (_: number, random: Random) => [random.word(), random.word(), random.word()]],
  ['of one word', (i: number) => [Math.imul(i, 0x01000193)]],
] as const) {
  test(`keys ${name} are found, and others are not`, () => {
    const random = new Random(3);
    for (const count of [1, 7, 300, 20_000]) {
      const keys = Array.from({ length: count }, (_, i) => Int32Array.from(keyOf(i, random)));
      const builder = new CuckooBuilder(keys[0]!.length);
      for (const [value, key] of keys.entries()) builder.enter(key, value);
      const table = builder.build(0);
      for (const [value, key] of keys.entries()) assert.equal(find(table, key), value);
      for (let i = 0; i < 1000; i++) {
        const other = Int32Array.from(keys[0]!, () => random.word());
        if (!keys.some((key) => key.join() === other.join())) assert.equal(find(table, other), undefined);
      }
      assert.ok(table.bytes.length <= Math.max(16, 8 * count) * builder.slotBytes, `${table.bytes.length} bytes`);
    }
  });
}

test('the least value of a key is kept, and the same keys are the same table', () => {
  const build = () => {
    const builder = new CuckooBuilder(1);
    for (const value of [9, 4, 6]) builder.enter(Int32Array.of(5), value);
    builder.enter(Int32Array.of(0), 0xfffffffe);
    return builder.build(64);
  };
  assert.equal(find(build(), Int32Array.of(5)), 4);
  assert.equal(find(build(), Int32Array.of(0)), 0xfffffffe);
  assert.deepEqual(build(), build());
});
