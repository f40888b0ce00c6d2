import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Arena } from '../../../src/arena/arena.js';
import { openQueues } from '../../../src/host/open-queues.js';
import { runQueues } from '../../../src/host/run-queues.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { PacketBuffer } from '../../../src/packet-buffer/packet-buffer.js';
import { PacketBatch } from '../../../src/ring/packet-batch.js';
import { openSocket } from '../../../src/socket/open-socket.js';
import { VethPair } from '../../support/veth-pair.js';

const pair = VethPair.inherited();
after(() => pair.close());
const program = (name: string): string => fileURLToPath(new URL(`../../support/programs/${name}.js`, import.meta.url));
const { interface: name } = pair.near;
const arena = Arena.create(2 ** 26);
const kernel = new LinuxKernel({ arena });
const options = { kernel, interface: name, receive: 'all', mode: 'xdp-copy', ring: 256 } as const;
const module = new URL('../../support/programs/queue-program.js', import.meta.url);

/** Sends packets that arrive on one queue: veth takes them to the queue they left through. */
async function send(queue: number, packets: number): Promise<void> {
  const { status, stderr } = await pair.start(
    pair.far,
    program('txpush'),
    ...[pair.far.interface, 'xdp-copy', packets, 60, queue],
  ).result;
  assert.equal(status, 0, stderr);
}

const attached = (): boolean => /prog\/xdp/.test(pair.run(pair.near, 'ip', 'link', 'show', name));

test('a socket for each queue over one registration, with statistics of each', async () => {
  const queues = await openQueues(options);
  assert.deepEqual(
    queues.sockets.map(({ queue, mode }) => [queue, mode.got]),
    [
      [0, 'xdp-copy'],
      [1, 'xdp-copy'],
    ],
  );
  await send(0, 10);
  await send(1, 20);
  const batch = new PacketBatch(64);
  for (const socket of queues.sockets) {
    socket.receive(batch);
    socket.release(batch);
  }
  assert.deepEqual(
    (await queues.statistics()).map(({ queue, received, kernelReceived }) => [queue, received, kernelReceived]),
    [
      [0, 10, 10],
      [1, 20, 20],
    ],
  );
  await queues.close();
  assert.equal(attached(), false);
});

test('all or none', async () => {
  const buffer = PacketBuffer.create({ arena, frames: 1024 });
  const taken = await openSocket({ ...options, queue: 1, buffer });
  const free = arena.freeBytes;
  await assert.rejects(openQueues(options), { code: 'QUEUE_BUSY', message: /queue 1/ });
  await assert.rejects(runQueues({ ...options, module }), { code: 'QUEUE_BUSY', message: /queue 1/ });
  assert.equal(arena.freeBytes, free);
  await taken.close();
  assert.equal(attached(), false);
  buffer.close();
});

for (const how of ['events', 'blocking'] as const) {
  test(`a thread for each queue (${how})`, async () => {
    const buffer = PacketBuffer.create({ arena, frames: 2048 });
    const free = arena.freeBytes;
    const queues = await runQueues({ ...options, buffer, module, data: { how, packets: 30 } });
    await send(0, 30);
    await send(1, 30);
    assert.deepEqual(await queues.results(), [
      { queue: 0, packets: 30 },
      { queue: 1, packets: 30 },
    ]);
    const counted = await queues.statistics();
    assert.deepEqual(
      counted.map(({ queue, received, sent, drops }) => ({ queue, received, sent, drops })),
      [0, 1].map((queue) => ({ queue, received: 30, sent: 0, drops: {} })),
    );
    // Blocking waits are made of poll(2); the event loop's own waiting is not counted.
    if (how === 'blocking') for (const { systemCalls } of counted) assert.ok(systemCalls! > 0);
    await queues.close();
    assert.equal(attached(), false);
    assert.equal(arena.freeBytes, free);
    assert.equal(buffer.free('receive') + buffer.free('send'), 2048);
    buffer.close();
  });
}

test('threads that wait for packets that never come are closed cleanly; deaf ones by force', async () => {
  for (const how of ['events', 'blocking'] as const) {
    const waiting = await runQueues({ ...options, module, data: { how, packets: 1 }, graceMilliseconds: 60_000 });
    await waiting.close();
    assert.deepEqual(await waiting.results(), [
      { queue: 0, packets: 0 },
      { queue: 1, packets: 0 },
    ]);
  }
  const deaf = await runQueues({ ...options, module, data: { how: 'deaf' }, graceMilliseconds: 10 });
  assert.equal(attached(), true);
  await deaf.close();
  assert.equal(attached(), false);
  await (await openQueues(options)).close();
});
