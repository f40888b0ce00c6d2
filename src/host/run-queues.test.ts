import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Arena } from '../arena/arena.js';
import { PacketError } from '../errors.js';
import type { Kernel } from '../kernel/contract.js';
import { PacketBuffer } from '../packet-buffer/packet-buffer.js';
import { SoftKernel } from '../soft-kernel/soft-kernel.js';
import { ThreadedSoftKernel } from '../soft-kernel/thread/threaded-kernel.js';
import { nodeThreads } from './node-threads.js';
import { openQueues } from './open-queues.js';
import { type RunQueuesOptions, runQueues } from './run-queues.js';

const module = new URL('../../test/support/programs/queue-program.js', import.meta.url);
const common = { interface: 'soft0', receive: 'all', ring: 64 } as const;
const base = { ...common, module } as const;

/** A threaded kernel with a NIC of two queues whose generator never ends. */
async function withKernel(run: (kernel: Kernel) => Promise<void>): Promise<void> {
  const arena = Arena.create(2 ** 27);
  const free = arena.freeBytes;
  const kernel = new ThreadedSoftKernel({ host: nodeThreads(), arena, kernelBytes: 2 ** 25 });
  try {
    await kernel.addNic({ name: 'soft0', queues: 2, wire: { kind: 'generator', flows: 64 } });
    await run(kernel);
  } finally {
    await kernel.close();
  }
  assert.equal(arena.freeBytes, free);
}

for (const mode of ['xdp-zc', 'v4', 'v3', 'v2'] as const) {
  for (const how of ['events', 'blocking'] as const) {
    test(`${mode}: a thread for each queue (${how}), which gives every frame back`, async () => {
      await withKernel(async (kernel) => {
        const buffer = PacketBuffer.create({ arena: kernel.arena, frames: 512 });
        const data = { how, packets: 1000 };
        const queues = await runQueues({ ...base, kernel, mode, buffer, data });
        assert.deepEqual([queues.queues, queues.mode.got], [[0, 1], mode]);
        const results = (await queues.results()) as { queue: number; packets: number }[];
        assert.deepEqual(
          results.map(({ queue }) => queue),
          [0, 1],
        );
        for (const { packets } of results) assert.ok(packets >= 1000);
        for (const [i, { queue, received }] of (await queues.statistics()).entries()) {
          assert.equal(queue, i);
          assert.ok(received >= results[i]!.packets);
        }
        await queues.close();
        assert.equal(buffer.free('receive') + buffer.free('send'), 512);
        buffer.close();
      });
    });
  }
}

for (const how of ['events', 'blocking'] as const) {
  test(`closing ends threads that would run for ever (${how}), without force`, async () => {
    await withKernel(async (kernel) => {
      const buffer = PacketBuffer.create({ arena: kernel.arena, frames: 512 });
      const data = { how, packets: Number.POSITIVE_INFINITY };
      const queues = await runQueues({ ...base, kernel, buffer, data, graceMilliseconds: 60_000 });
      await queues.close();
      await queues.close();
      assert.equal(((await queues.results()) as unknown[]).length, 2);
      assert.equal(buffer.free('receive') + buffer.free('send'), 512);
      buffer.close();
    });
  });
}

test('wrong sizes and times of threads are refused by name, and no thread is started', async () => {
  await withKernel(async (kernel) => {
    const wrong: [object, RegExp][] = [
      [{ threadBytes: 4095 }, /threadBytes: 4095 is not a whole number from 4096 to 2147483648/],
      [{ threadBytes: 2 ** 31 + 1 }, /threadBytes: 2147483649/],
      [{ threadBytes: '1 MiB' }, /threadBytes: 1 MiB/],
      [{ graceMilliseconds: -1 }, /graceMilliseconds: -1 is not a whole number from 0 to /],
      [{ graceMilliseconds: Number.POSITIVE_INFINITY }, /graceMilliseconds: Infinity/],
      [{ graceMilliseconds: '1 s' }, /graceMilliseconds: 1 s/],
      [{ graceMillisecond: 1 }, /no option graceMillisecond\b/],
    ];
    for (const [options, message] of wrong) {
      const running = runQueues({ ...base, kernel, data: { how: 'events', packets: 1 }, ...options } as never);
      await assert.rejects(running, { name: 'PacketError', code: 'INVALID_OPTION', message }, String(message));
    }
  });
});

test('a thread that does not listen is ended by force', async () => {
  await withKernel(async (kernel) => {
    const queues = await runQueues({ ...base, kernel, data: { how: 'deaf' }, graceMilliseconds: 20 });
    await queues.close();
    await assert.rejects(queues.results(), /has ended/);
  });
});

test('an error of a function is reported as it was thrown; the other queue goes on', async () => {
  await withKernel(async (kernel) => {
    const queues = await runQueues({ ...base, kernel, data: { how: 'throw', queue: 1, packets: 100 } });
    await assert.rejects(queues.results(), (error) => {
      assert.ok(error instanceof PacketError);
      assert.deepEqual([error.code, error.message, error.remedy], ['OWNERSHIP', 'queue 1 fails', 'none']);
      return true;
    });
    await queues.close();
  });
});

test('a thread that ends itself is reported', async () => {
  await withKernel(async (kernel) => {
    const queues = await runQueues({ ...base, kernel, data: { how: 'exit', queue: 0, packets: 10 } });
    await assert.rejects(queues.results(), /thread of queue 0 has ended \(3\)/);
    await queues.close();
  });
});

test('all or none', async () => {
  await withKernel(async (kernel) => {
    const refused = (options: Partial<RunQueuesOptions>, code: string, message: RegExp): Promise<void> =>
      assert.rejects(runQueues({ ...base, kernel, ...options }), { code, message });
    const free = kernel.arena.freeBytes;
    await refused({ queues: [0, 2] }, 'NO_QUEUE', /queue 2/);
    await refused({ queues: [] }, 'INVALID_OPTION', /queues/);
    await refused({ queues: [1, 1] }, 'INVALID_OPTION', /twice/);
    await refused({ module: './x.js' as never }, 'INVALID_OPTION', /URL/);
    await refused({ module: new URL('../errors.js', import.meta.url) }, 'INVALID_OPTION', /no function/);
    await refused({ data: () => 0 }, 'INVALID_OPTION', /plain data/);
    await refused({ checkOwnership: () => 0 }, 'INVALID_OPTION', /plain data/);
    await refused({ mode: 'xdp-generic' }, 'MODE_UNSUPPORTED', /xdp-generic/);
    // One queue is taken: the other one is not kept.
    const buffer = PacketBuffer.create({ arena: kernel.arena, frames: 512 });
    const taken = await openQueues({ ...common, kernel, queues: [1], mode: 'xdp-zc', buffer });
    const mine = PacketBuffer.create({ arena: kernel.arena, frames: 512 });
    await refused({ mode: 'xdp-zc', buffer: mine }, 'QUEUE_BUSY', /queue 1/);
    assert.equal(mine.free('receive') + mine.free('send'), 512);
    mine.close();
    await taken.close();
    buffer.close();
    assert.equal(kernel.arena.freeBytes, free);
    const all = await openQueues({ ...common, kernel, mode: 'xdp-zc' });
    assert.equal(all.sockets.length, 2);
    await all.close();
  });
});

test('a kernel that moves packets on its own thread cannot lend its sockets', async () => {
  const kernel = new SoftKernel({ arena: Arena.create(2 ** 26) });
  await kernel.addNic({ name: 'soft0', queues: 2 });
  await assert.rejects(runQueues({ ...base, kernel, mode: 'v4', buffer: { frames: 64 } }), {
    code: 'MODE_UNSUPPORTED',
    message: /soft kernel .* own thread/,
    remedy: /ThreadedSoftKernel/,
  });
  await kernel.close();
});
