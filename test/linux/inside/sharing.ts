import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Arena } from '../../../src/arena/arena.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { PacketBuffer } from '../../../src/packet-buffer/packet-buffer.js';
import { PacketBatch } from '../../../src/ring/packet-batch.js';
import { writeNumberedFrame } from '../../support/frames.js';
import { VethPair } from '../../support/veth-pair.js';
import { openXdp, type XdpSession } from '../../support/xdp-session.js';

const pair = VethPair.inherited();
after(() => pair.close());
const program = (name: string): string => fileURLToPath(new URL(`../../support/programs/${name}.js`, import.meta.url));
const { interface: name } = pair.near;
const arena = Arena.create(2 ** 25);
const kernel = new LinuxKernel({ arena });
const buffer = PacketBuffer.create({ arena, frames: 1024 });
const options = { interface: name, mode: 'xdp-copy', receive: 'all', kernel, buffer, entries: 128 } as const;

/** Sends packets through one queue and waits until the frames are back. */
async function send({ rings, socket }: XdpSession, count: number): Promise<void> {
  const batch = new PacketBatch(count);
  assert.equal(rings.allocate(batch, count), count);
  for (let i = 0; i < count; i++) {
    writeNumberedFrame(arena.u8, batch.offset[i]!, 60, i);
    batch.size[i] = 60;
  }
  assert.equal(rings.send(batch), count);
  assert.ok(await socket.wait(() => !socket.sending(), { timeoutMilliseconds: 1000 }));
}

test('without a queue to choose from, a queue must be named', async () => {
  await assert.rejects(openXdp(options), { code: 'NO_QUEUE', message: /2 queues/ });
});

test('two queues of one device share a buffer and a program; each goes on when the other is closed', async () => {
  const first = await openXdp({ ...options, queue: 0 });
  const second = await openXdp({ ...options, queue: 1 });
  assert.deepEqual([first.binding.queue, second.binding.queue], [0, 1]);
  assert.equal(second.binding.mode, 'xdp-copy');
  await send(first, 10);
  await send(second, 20);
  assert.equal((await first.socket.statistics()).sent, 10);
  assert.equal((await second.socket.statistics()).sent, 20);

  // veth takes a packet to the queue it came from: what one sends through queue 1 arrives on queue 1.
  const far = pair.start(pair.far, program('echo'), pair.far.interface, 1, 20);
  await far.line('ready');
  await send(second, 20);
  assert.ok(await second.socket.wait(() => second.rings.readable(), { timeoutMilliseconds: 2000 }));
  const batch = new PacketBatch(64);
  let received = 0;
  while (received < 20 && (await second.socket.wait(() => second.rings.readable(), { timeoutMilliseconds: 1000 }))) {
    received += second.rings.receive(batch);
    // Another queue's frames are this one's, too.
    first.rings.release(batch);
  }
  assert.equal(received, 20);
  assert.equal(first.rings.readable(), false);
  assert.equal((await far.result).status, 0);

  await first.close(); // the owner of the registration
  await send(second, 5);
  const third = await openXdp({ ...options, queue: 0 }); // shares with the one that shared
  await send(third, 5);
  assert.match(pair.run(pair.near, 'ip', 'link', 'show', name), /prog\/xdp/);
  await second.close();
  await send(third, 5);
  await third.close();
  assert.doesNotMatch(pair.run(pair.near, 'ip', 'link', 'show', name), /prog\/xdp/);
  assert.equal(buffer.free('receive') + buffer.free('send'), buffer.frames);
});

test('sockets of one interface run in one kind of mode', async () => {
  const first = await openXdp({ ...options, queue: 0 });
  await assert.rejects(openXdp({ ...options, queue: 1, mode: 'xdp-generic' }), {
    code: 'MODE_UNSUPPORTED',
    message: /runs its XDP program in native mode/,
  });
  await assert.rejects(openXdp({ ...options, queue: 1, segments: true }), {
    code: 'MODE_UNSUPPORTED',
    remedy: /segments/,
  });
  await first.close();
});

test('a program of another process is in the way, and is not replaced', async () => {
  const other = pair.start(pair.near, program('wait-forever'), name, 1);
  await other.line('waiting');
  await assert.rejects(openXdp({ ...options, queue: 0 }), {
    code: 'INTERFACE_BUSY',
    message: new RegExp(`XDP program \\d+ \\(tp4_redirect\\) is attached to it by process ${other.process.pid} \\(`),
    remedy: new RegExp(`kill ${other.process.pid}`),
    errno: 16,
  });
  const sender = await openXdp({ ...options, queue: 0, receive: 'none' }); // needs no program
  await send(sender, 10);
  await sender.close();
  other.process.kill('SIGKILL');
  await other.result;
  await (await openXdp({ ...options, queue: 0 })).close();
});

test('one buffer serves two devices, each with a registration of its own', async () => {
  const first = await openXdp({ ...options, queue: 0 });
  const second = await openXdp({ ...options, interface: 'lo', mode: 'xdp-generic' });
  await send(first, 10);
  await send(second, 10);
  await second.close();
  await first.close();
  assert.equal(buffer.free('receive') + buffer.free('send'), buffer.frames);
});
