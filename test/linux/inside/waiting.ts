import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { PacketBatch } from '../../../src/ring/packet-batch.js';
import { VethPair } from '../../support/veth-pair.js';
import { openXdp } from '../../support/xdp-session.js';

const pair = VethPair.inherited();
after(() => pair.close());
const program = (name: string): string => fileURLToPath(new URL(`../../support/programs/${name}.js`, import.meta.url));
const { interface: name } = pair.near;
const send = (count: number) => pair.start(pair.far, program('txpush'), pair.far.interface, 'xdp-copy', count, 60);

test('wait ends with the packet, in time, and the event loop runs meanwhile', async () => {
  const { socket, rings, close } = await openXdp({ interface: name, mode: 'xdp-copy', receive: 'all' });
  let ticks = 0;
  const ticking = setInterval(() => ticks++, 5);
  const sender = send(1);
  assert.equal(await socket.wait(() => rings.readable(), { timeoutMilliseconds: 5000 }), true);
  clearInterval(ticking);
  assert.equal(rings.receive(new PacketBatch(8)), 1);
  assert.ok(ticks >= 5, `the loop ran ${ticks} times`);
  await sender.result;
  const start = performance.now();
  assert.equal(await socket.wait(() => rings.readable(), { timeoutMilliseconds: 50 }), false);
  assert.ok(performance.now() - start >= 45);
  assert.equal(await socket.wait(() => true, { timeoutMilliseconds: 0 }), true);
  assert.equal(await socket.wait(() => false, { timeoutMilliseconds: 0 }), false);
  await close();
});

test('wait spins first where it is told to', async () => {
  const { socket, close } = await openXdp({ interface: name, mode: 'xdp-copy', receive: 'all' });
  let looks = 0;
  const start = performance.now();
  const ready = (): boolean => {
    looks++;
    return performance.now() - start > 2;
  };
  const waiting = socket.wait(ready, { spinNanoseconds: 50e6 });
  assert.ok(looks > 10);
  assert.equal(await waiting, true);
  await close();
});

test('wait is aborted with the reason of the signal', async () => {
  const { socket, close } = await openXdp({ interface: name, mode: 'xdp-copy', receive: 'all' });
  const reason = new Error('enough');
  await assert.rejects(
    socket.wait(() => false, { signal: AbortSignal.abort(reason) }),
    reason,
  );
  const controller = new AbortController();
  const waiting = socket.wait(() => false, { signal: controller.signal });
  setTimeout(() => controller.abort(reason), 10);
  await assert.rejects(waiting, reason);
  await close();
});

test('several waits at once end each for itself; closing ends them all', async () => {
  const { socket, rings, close } = await openXdp({ interface: name, mode: 'xdp-copy', receive: 'all' });
  const readable = [1, 2, 3].map(() => socket.wait(() => rings.readable(), { timeoutMilliseconds: 5000 }));
  const other = socket.wait(() => false, {});
  await send(1).result;
  assert.deepEqual(await Promise.all(readable), [true, true, true]);
  await close();
  assert.equal(await other, false);
  await assert.rejects(
    socket.wait(() => true, {}),
    { code: 'SOCKET_CLOSED' },
  );
});

test('waiting for something else than the packets that are there does not spin', async () => {
  const { socket, rings, close } = await openXdp({ interface: name, mode: 'xdp-copy', receive: 'all' });
  await send(1).result;
  assert.ok(rings.readable());
  const before = process.cpuUsage();
  let looks = 0;
  const never = (): boolean => {
    looks++;
    return false;
  };
  assert.equal(await socket.wait(never, { timeoutMilliseconds: 200 }), false);
  assert.equal(socket.waitBlocking(never, { timeoutMilliseconds: 200, how: 'sleep' }), false);
  const { user, system } = process.cpuUsage(before);
  assert.ok(looks < 1000, `looked ${looks} times`);
  assert.ok(user + system < 200_000, `took ${user + system} µs of CPU time`);
  await close();
});

for (const how of ['busy', 'sleep'] as const) {
  test(`waitBlocking (${how}) ends with the packet, or in time`, async () => {
    const { socket, rings, close } = await openXdp({ interface: name, mode: 'xdp-copy', receive: 'all' });
    const sender = send(1);
    assert.equal(
      socket.waitBlocking(() => rings.readable(), { timeoutMilliseconds: 5000, how }),
      true,
    );
    assert.equal(rings.receive(new PacketBatch(8)), 1);
    await sender.result;
    const start = performance.now();
    assert.equal(
      socket.waitBlocking(() => rings.readable(), { timeoutMilliseconds: 30, how }),
      false,
    );
    const took = performance.now() - start;
    assert.ok(took >= 29 && took < 1000, `${took} ms`);
    await close();
  });
}

test('a waiting worker thread can be terminated; its program is detached with the process', async () => {
  const worker = new Worker(new URL('../../support/programs/wait-forever.js', import.meta.url), { argv: [name] });
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  await worker.terminate();
});
