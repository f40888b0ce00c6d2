import assert from 'node:assert/strict';
import { test } from 'node:test';
import { poolIsWhole } from '../../test/support/pool.js';
import { openSmall, softKernel } from '../../test/support/soft.js';
import type { Mode } from '../kernel/contract.js';
import { PacketBuffer } from '../packet-buffer/packet-buffer.js';
import { PacketBatch } from '../ring/packet-batch.js';
import type { SoftKernel } from '../soft-kernel/soft-kernel.js';
import type { PacketSocket } from './packet-socket.js';

const MODES: readonly Mode[] = ['v2', 'v3', 'v4', 'v4-zc', 'xdp-copy', 'xdp-zc'];
const EINVAL = 22;
const EMSGSIZE = 90;

/** Every outcome that comes back within some steps; the entries are released. */
function outcomes(kernel: SoftKernel, socket: PacketSocket, capacity = 8): number[] {
  const batch = new PacketBatch(capacity);
  const found: number[] = [];
  for (let step = 0; step < 200; step++) {
    socket.completions(batch);
    found.push(...batch.outcome.subarray(0, batch.length));
    socket.release(batch);
    kernel.run(1);
  }
  return found;
}

/** How many there are of each. */
const tally = (found: readonly number[], errno: number): number => found.filter((outcome) => outcome === errno).length;

for (const mode of MODES) {
  test(`${mode}: with outcomes, packets that can never be sent come back with an errno, each once (I9)`, async () => {
    await using kernel = softKernel();
    await kernel.addNic({ name: 'soft0' });
    const buffer = PacketBuffer.create({ arena: kernel.arena, frames: 64 });
    {
      await using socket = await openSmall(kernel, 'soft0', { mode, receive: 'none', outcomes: true, buffer });
      for (let round = 0; round < 50; round++) {
        const batch = new PacketBatch(8);
        assert.equal(socket.allocate(batch), 8);
        for (let i = 0; i < 8; i++) batch.size[i] = [60, 1600, 60, 0, -5, 60, 2 ** 30, 61][i]!;
        let posted = socket.send(batch);
        const found = outcomes(kernel, socket);
        while (batch.length > 0) {
          posted += socket.send(batch);
          found.push(...outcomes(kernel, socket));
        }
        assert.deepEqual([posted, found.length], [8, 8]);
        assert.deepEqual([tally(found, EMSGSIZE), tally(found, EINVAL)], [2, 2]);
      }
      const { sent, unsendable, kernelSent } = await socket.statistics();
      assert.deepEqual([sent, unsendable, kernelSent], [200, 200, 200]);
    }
    assert.ok(poolIsWhole(buffer));
  });

  for (const checkOwnership of [false, true]) {
    const checked = checkOwnership ? ', ownership checked' : '';

    test(`${mode}${checked}: with outcomes, refused packets of another socket go back to it when they are released, or at the close`, async () => {
      await using kernel = softKernel();
      await kernel.addNic({ name: 'soft0' });
      await kernel.addNic({ name: 'soft1' });
      const buffers = [0, 1].map(() => PacketBuffer.create({ arena: kernel.arena, frames: 64 })) as [
        PacketBuffer,
        PacketBuffer,
      ];
      const checkers: PacketSocket['ownership'][] = [];
      {
        await using maker = await openSmall(kernel, 'soft0', {
          mode: 'v4',
          receive: 'none',
          buffer: buffers[0],
          checkOwnership,
        });
        await using socket = await openSmall(kernel, 'soft1', {
          mode,
          receive: 'none',
          outcomes: true,
          buffer: buffers[1],
          checkOwnership,
        });
        checkers.push(maker.ownership, socket.ownership);
        for (let round = 0; round < 40; round++) {
          const batch = new PacketBatch(4);
          assert.equal(maker.allocate(batch), 4);
          batch.size.set([60, 1700, 60, 0]);
          assert.equal(socket.send(batch), 4);
          if (round === 39) break; // nobody asks for these
          const found = outcomes(kernel, socket);
          assert.deepEqual([found.length, tally(found, EMSGSIZE), tally(found, EINVAL)], [4, 1, 1]);
        }
      }
      assert.ok(buffers.every(poolIsWhole));
      for (const checker of checkers) assert.deepEqual(checker?.violations ?? [], []);
    });

    test(`${mode}${checked}: refused packets that nobody asks for hold sending up, and lose nothing`, async () => {
      await using kernel = softKernel();
      await kernel.addNic({ name: 'soft0' });
      await using socket = await openSmall(kernel, 'soft0', { mode, receive: 'none', outcomes: true, checkOwnership });
      const batch = new PacketBatch(1);
      let posted = 0;
      for (let tries = 0; tries < 1000; tries++) {
        batch.length = 1;
        batch.offset[0] = -1;
        batch.size[0] = 60;
        posted += socket.send(batch);
        if (batch.length > 0) break;
      }
      assert.ok(posted > 0 && batch.length === 1, `${posted} taken`);
      assert.equal(outcomes(kernel, socket).length, posted);
      assert.equal(socket.send(batch), 1);
      assert.deepEqual(socket.ownership?.violations ?? [], []);
    });
  }

  test(`${mode}: a packet that the program has made somewhere in the arena is copied and sent`, async () => {
    await using kernel = softKernel();
    await kernel.addNic({ name: 'soft0' });
    await using socket = await openSmall(kernel, 'soft0', { mode, receive: 'none' });
    const region = kernel.arena.allocate(4096);
    const batch = new PacketBatch(3);
    batch.offset.set([region.offset, socket.bytes.length - 10, -60]); // the latter two lie outside
    batch.size.fill(60);
    batch.length = 3;
    assert.equal(socket.send(batch), 3);
    kernel.run(20);
    const { copied, unsendable, kernelSent } = await socket.statistics();
    assert.deepEqual([copied, unsendable, kernelSent], [1, 2, 1]);
    kernel.arena.free(region);
  });
}
