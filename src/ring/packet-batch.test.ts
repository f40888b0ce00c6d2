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

test('an entry is appended to another batch with everything that is known of it', () => {
  const { user } = new RingPair({ version: 'v4' });
  const from = new PacketBatch(3);
  from.origin = user;
  from.length = 3;
  const columns = (batch: PacketBatch) => [
    batch.offset,
    batch.size,
    batch.flags,
    batch.originalSize,
    batch.outcome,
    batch.seconds,
    batch.nanoseconds,
  ];
  columns(from).forEach((column, c) => {
    for (let i = 0; i < 3; i++) column[i] = 100 * c + i;
  });
  const to = new PacketBatch(2);
  assert.equal(to.append(from, 2), true);
  assert.equal(to.append(from, 0), true);
  assert.deepEqual([to.length, to.origin, from.length], [2, user, 3]);
  columns(to).forEach((column, c) => {
    assert.deepEqual([...column], [100 * c + 2, 100 * c]);
  });
  assert.equal(to.append(from, 1), false, 'full');
  for (const index of [3, -1, 100]) assert.equal(new PacketBatch().append(from, index), false);
});

test('a batch takes entries of one origin, or of sockets that share their frames', () => {
  const first = new RingPair({ version: 'v4' });
  const neighbour = new RingPair({ version: 'xdp', buffer: first.buffer });
  const stranger = new RingPair({ version: 'v4' });
  const of = (origin: PacketBatch['origin']): PacketBatch => {
    const batch = new PacketBatch(1);
    batch.origin = origin;
    batch.length = 1;
    return batch;
  };
  const batch = new PacketBatch();
  assert.equal(batch.append(of(first.user), 0), true);
  assert.equal(batch.append(of(neighbour.user), 0), true);
  assert.equal(batch.append(of(stranger.user), 0), false);
  assert.equal(batch.append(of(null), 0), false);
  assert.deepEqual([batch.length, batch.origin], [2, first.user]);
  const made = new PacketBatch();
  assert.equal(made.append(of(null), 0), true);
  assert.equal(made.append(of(null), 0), true);
  assert.equal(made.append(of(first.user), 0), false);
});

test('a batch of nobody moves nowhere', () => {
  const { user } = new RingPair({ version: 'v4' });
  const batch = new PacketBatch();
  assert.equal(batch.movable(user), false);
  batch.origin = user;
  assert.equal(batch.movable(user), true);
});
