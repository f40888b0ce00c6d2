import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FRAME_VERSIONS, type FrameVersion, RingPair } from '../../test/support/ring-pair.js';
import { Arena } from '../arena/arena.js';
import { CONTINUES, PacketArray } from '../packet-array/packet-array.js';
import { PacketBuffer } from '../packet-buffer/packet-buffer.js';
import { PagePool } from '../soft-kernel/page-pool.js';
import { PacketBatch } from './packet-batch.js';

// F4: a packet array does not know what its ends are. Populated from one ring, it can be flushed to another.

/** Two sockets of one packet buffer, of any two formats. */
function sockets(from: FrameVersion, to: FrameVersion): [RingPair, RingPair] {
  const arena = Arena.create(2 ** 23);
  const buffer = PacketBuffer.create({ arena, frames: 128, sendFrames: 64 });
  return [new RingPair({ version: from, buffer }), new RingPair({ version: to, buffer })];
}

for (const from of FRAME_VERSIONS) {
  for (const to of FRAME_VERSIONS) {
    test(`empty frames posted in a ${from} ring carry packets to a ${to} ring (as XDP redirect does)`, () => {
      const [a, b] = sockets(from, to);
      a.user.replenish();
      const array = new PacketArray(16);
      assert.equal(a.kernel.receive!.populate(array, 5), 5);
      const addresses = [...array.address.subarray(0, 5)];
      array.length.set([60, 61, 62, 63, 64]);
      array.flags.set([0, CONTINUES, 0, 0, 0]);
      array.advance(5);
      if (to === 'v4') b.user.replenish(); // a V4 descriptor carries frames both ways: there must be one to write to
      b.kernel.receive!.populate(new PacketArray(16), 5);
      b.kernel.receive!.flush(array, 5);
      const batch = new PacketBatch(16);
      assert.equal(b.user.receive(batch), 5);
      assert.deepEqual([...batch.offset.subarray(0, 5)], addresses);
      assert.deepEqual([...batch.size.subarray(0, 5)], [60, 61, 62, 63, 64]);
      assert.deepEqual([...batch.flags.subarray(0, 5)], [0, 1, 0, 0, 0]);
      assert.equal(array.done, 0);
    });

    test(`packets posted in a ${from} TX ring can be received from a ${to} ring (as veth does), with no copy`, () => {
      const [a, b] = sockets(from, to);
      const batch = new PacketBatch(4);
      a.user.allocate(batch, 4);
      batch.size.set([60, 1500, 61, 62]);
      const offsets = [...batch.offset];
      a.user.send(batch);
      const array = new PacketArray(16);
      assert.equal(a.kernel.transmit!.populate(array, 16), 4);
      if (to === 'v4') b.user.replenish();
      b.kernel.receive!.populate(new PacketArray(16), 4);
      array.advance(4);
      b.kernel.receive!.flush(array, 4);
      assert.equal(b.user.receive(batch), 4);
      assert.deepEqual([...batch.offset], offsets);
      assert.deepEqual([...batch.size], [60, 1500, 61, 62]);
    });
  }

  test(`an array that served the kernel's page pool can serve a ${from} ring next`, () => {
    const arena = Arena.create(2 ** 24);
    const pool = new PagePool(arena, 1024);
    const array = new PacketArray(16);
    assert.equal(pool.populate(array, 16), 16);
    array.advance(16);
    pool.reclaim(array, array.end);
    assert.equal(pool.outstanding, 0);
    assert.equal(array.room, 16);
    const pair = new RingPair({ version: from, arena });
    pair.user.replenish();
    assert.equal(pair.kernel.receive!.populate(array, 16), 16);
    for (let i = array.start; i !== array.end; i++) assert.ok(pair.buffer.contains(array.address[i & array.mask]!));
  });
}
