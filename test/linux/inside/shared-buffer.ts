import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Arena } from '../../../src/arena/arena.js';
import { createLinuxBuffer } from '../../../src/host/linux-buffer.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import type { PacketBuffer } from '../../../src/packet-buffer/packet-buffer.js';
import { PacketBatch } from '../../../src/ring/packet-batch.js';
import { openSocket } from '../../../src/socket/open-socket.js';
import { VethPair } from '../../support/veth-pair.js';

const pair = VethPair.inherited();
after(() => pair.close());
const program = (name: string): string => fileURLToPath(new URL(`../../support/programs/${name}.js`, import.meta.url));
const { interface: name } = pair.near;
const arena = Arena.create(2 ** 25);
arena.allocate(2 ** 20); // the buffer lies elsewhere in the child
const kernel = new LinuxKernel({ arena });

async function startChild(buffer: PacketBuffer, queue: number): Promise<ChildProcess> {
  const child = spawn(process.execPath, [program('shared-buffer-child'), name, String(queue)], {
    stdio: ['ignore', 'inherit', 'inherit', buffer.descriptor, 'ipc'],
  });
  assert.deepEqual((await once(child, 'message'))[0], 'ready');
  return child;
}

async function ask<Answer>(child: ChildProcess, message: object | string): Promise<Answer> {
  const answer = once(child, 'message');
  child.send(message);
  return (await answer)[0] as Answer;
}

test('a child sends what its parent has received, through a queue of its own and without a copy', async () => {
  const buffer = await createLinuxBuffer({ arena, frames: 512, shared: true });
  const socket = await openSocket({
    ...({ kernel, interface: name, queue: 0, mode: 'xdp-copy', receive: 'all', ring: 64, buffer } as const),
  });
  const child = await startChild(buffer, 1);
  // What the child sends through queue 1 arrives there on the other side.
  const far = pair.start(pair.far, program('rxdrop'), pair.far.interface, 'xdp-copy', 20, 60, 'event', 1);
  await far.line('ready');
  await pair.start(pair.far, program('txpush'), pair.far.interface, 'xdp-copy', 20, 60, 0).result;
  const batch = new PacketBatch(64);
  assert.ok(await socket.wait({ timeoutMilliseconds: 5000 }));
  assert.equal(socket.receive(batch), 20);
  const places = [...batch.offset.subarray(0, 20)].map((offset) => offset - buffer.base);
  const sizes = [...batch.size.subarray(0, 20)];
  batch.length = 0; // they are the child's now
  batch.origin = null;
  const { sent, copied, base } = await ask<{ sent: number; copied: number; base: number }>(child, { places, sizes });
  assert.deepEqual([sent, copied], [20, 0]);
  assert.notEqual(base, buffer.base);
  const { good, inOrder } = JSON.parse((await far.result).stdout.split('\n')[1]!) as Record<string, number>;
  assert.deepEqual([good, inOrder], [20, 20]);
  child.send('end');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
  await socket.close();
  assert.equal(buffer.free('receive') + buffer.free('send'), 512);
  buffer.close();
});

test('what a child that was killed has held is recovered; the parent goes on meanwhile', async () => {
  const buffer = await createLinuxBuffer({ arena, frames: 128, shared: true });
  const open = () =>
    openSocket({ kernel, interface: name, queue: 0, mode: 'xdp-copy', receive: 'all', ring: 32, buffer });
  const socket = await open();
  const child = await startChild(buffer, 1);
  assert.deepEqual(await ask(child, 'hold'), { held: 16 });
  assert.equal(buffer.free('send'), 48);
  child.kill('SIGKILL');
  await once(child, 'exit');
  await pair.start(pair.far, program('txpush'), pair.far.interface, 'xdp-copy', 10, 60, 0).result;
  const batch = new PacketBatch(64);
  assert.ok(await socket.wait({ timeoutMilliseconds: 5000 }));
  assert.equal(socket.receive(batch), 10);
  socket.release(batch);
  assert.throws(() => buffer.reset(), { code: 'BUFFER_IN_USE' });
  await socket.close();
  assert.equal(buffer.free('send'), 48);
  buffer.reset();
  assert.deepEqual([buffer.free('receive'), buffer.free('send')], [64, 64]);
  await (await open()).close();
  buffer.close();
});
