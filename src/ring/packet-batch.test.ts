import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RingPair } from '../../test/support/ring-pair.js';
import { PacketBatch } from './packet-batch.js';

test('a batch holds 64 packets unless told otherwise, 1 to 65536', () => {
  assert.equal(new PacketBatch().capacity, 64);
  assert.equal(new PacketBatch(65536).offset.length, 65536);
  for (const capacity of [0, -1, 65537, 1.5, Number.NaN]) {
    assert.throws(() => new PacketBatch(capacity), {
      code: 'INVALID_OPTION',
      message: /batch capacity: .* 1 to 65536/,
    });
  }
});

test('dropping the first entries moves everything that is known of the others to the front', () => {
  const batch = new PacketBatch(4);
  const { user } = new RingPair({ version: 'v4' });
  batch.origin = user;
  batch.length = 4;
  for (let i = 0; i < 4; i++) {
    batch.offset[i] = 1000 + i;
    batch.size[i] = 60 + i;
    batch.flags[i] = i & 1;
    batch.outcome[i] = 100 + i;
    batch.seconds[i] = 1_700_000_000 + i;
    batch.nanoseconds[i] = i;
  }
  batch.dropFirst(1);
  batch.dropFirst(0);
  assert.equal(batch.length, 3);
  assert.equal(batch.origin, user);
  for (let i = 0; i < 3; i++) {
    assert.deepEqual(
      [batch.offset[i], batch.size[i], batch.flags[i], batch.outcome[i], batch.seconds[i], batch.nanoseconds[i]],
      [1001 + i, 61 + i, (i + 1) & 1, 101 + i, 1_700_000_001 + i, i + 1],
    );
  }
  batch.dropFirst(3);
  assert.deepEqual([batch.length, batch.origin], [0, null]);
});

test('a batch of nobody moves nowhere', () => {
  const { user } = new RingPair({ version: 'v4' });
  const batch = new PacketBatch();
  assert.equal(batch.movable(user), false);
  batch.origin = user;
  assert.equal(batch.movable(user), true);
});
