import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Arena } from '../../../src/arena/arena.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { PacketBuffer } from '../../../src/packet-buffer/packet-buffer.js';
import { PacketBatch } from '../../../src/ring/packet-batch.js';
import { VethPair } from '../../support/veth-pair.js';
import { openXdp } from '../../support/xdp-session.js';

const pair = VethPair.inherited();
after(() => pair.close());
const program = (name: string): string => fileURLToPath(new URL(`../../support/programs/${name}.js`, import.meta.url));
const { interface: name } = pair.near;
const attached = (): boolean => /prog\/xdp/.test(pair.run(pair.near, 'ip', 'link', 'show', name));
const descriptors = (): number => readdirSync('/proc/self/fd').length;
const send = (count: number) => pair.start(pair.far, program('txpush'), pair.far.interface, 'xdp-copy', count, 60);

test('close undoes everything, however often a socket is opened', async () => {
  const arena = Arena.create(2 ** 24);
  const kernel = new LinuxKernel({ arena });
  const buffer = PacketBuffer.create({ arena, frames: 256 });
  const options = { interface: name, mode: 'xdp-copy', receive: 'all', kernel, buffer, entries: 64 } as const;
  await (await openXdp(options)).close(); // loads what stays loaded
  const [free, open] = [arena.freeBytes, descriptors()];
  for (let i = 0; i < 20; i++) {
    const session = await openXdp(options);
    assert.equal(attached(), true);
    await session.close();
    await session.close();
    assert.equal(attached(), false);
  }
  assert.deepEqual([arena.freeBytes, descriptors()], [free, open]);
  assert.equal(buffer.free('receive') + buffer.free('send'), 256);
});

test('a set-up that fails half-way leaves nothing', async () => {
  const arena = Arena.create(2 ** 22);
  const kernel = new LinuxKernel({ arena });
  const buffer = PacketBuffer.create({ arena, frames: 256 });
  const [free, open] = [arena.freeBytes, descriptors()];
  for (let i = 0; i < 3; i++) {
    // Refused last of all, when everything else is there: lo runs no native program.
    await assert.rejects(openXdp({ interface: 'lo', mode: 'xdp-copy', receive: 'all', kernel, buffer, entries: 64 }), {
      code: 'MODE_UNSUPPORTED',
    });
    // The first ring fits the arena, the second does not.
    await assert.rejects(
      openXdp({ interface: name, mode: 'xdp-copy', receive: 'all', kernel, buffer, entries: 131072 }),
      {
        code: 'ARENA_EXHAUSTED',
      },
    );
    assert.deepEqual([arena.freeBytes, descriptors(), attached()], [free, open, false]);
  }
  await kernel.close();
});

test('unbinding gives every frame back, with packets in the rings, and leaves the rings readable', async () => {
  const { socket, rings, buffer, kernel } = await openXdp({
    interface: name,
    mode: 'xdp-copy',
    receive: 'all',
    entries: 64,
    frames: 256,
  });
  await send(20).result;
  await socket.unbind();
  assert.equal(attached(), false);
  const batch = new PacketBatch(64);
  assert.equal(rings.receive(batch), 20);
  assert.equal((await socket.statistics()).received, 20);
  rings.release(batch);
  rings.close();
  await socket.close();
  assert.equal((await socket.statistics()).received, 20);
  assert.equal(buffer.free('receive') + buffer.free('send'), 256);
  await kernel.close();
});

test('a stale reference into the rings reads zeros', async () => {
  const arena = Arena.create(2 ** 24);
  const kernel = new LinuxKernel({ arena });
  const socket = await kernel.socket('xdp');
  await socket.createRings({ receive: 64, transmit: 64 });
  const maps = await socket.map();
  const word = maps.fill!.producer! >> 2;
  Atomics.store(arena.i32, word, 12345);
  await socket.close();
  assert.equal(Atomics.load(arena.i32, word), 0);
  Atomics.store(arena.i32, word, 1); // nor does writing to it harm anybody
  const again = await kernel.socket('xdp');
  await again.createRings({ receive: 64, transmit: 64 });
  assert.equal(Atomics.load(arena.i32, (await again.map()).fill!.producer! >> 2), 0);
  await kernel.close();
});

test('the frames of a socket closed under fire are not written to afterwards', async () => {
  const session = await openXdp({ interface: name, mode: 'xdp-copy', receive: 'all', entries: 256, frames: 512 });
  const { buffer, rings, socket } = session;
  const source = pair.start(pair.far, program('live-frames'), pair.far.interface, 3_000_000, 60);
  assert.ok(await socket.wait(() => rings.readable(), { timeoutMilliseconds: 5000 }));
  await session.close();
  const { u8 } = buffer.arena;
  const end = buffer.base + buffer.frames * buffer.frameSize;
  u8.fill(0xa5, buffer.base, end);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.ok(u8.subarray(buffer.base, end).every((byte) => byte === 0xa5));
  source.process.kill();
  await source.result;
});

/** Number of the attached program, as `ip link` and bpftool have it. */
const programId = (): string => /prog\/xdp id (\d+)/.exec(pair.run(pair.near, 'ip', 'link', 'show', name))![1]!;
const known = (kind: 'prog' | 'map', id: string): boolean =>
  !/"error"/.test(pair.run(pair.near, 'sh', '-c', `bpftool -j ${kind} show id ${id} || :`));

for (const [how, end] of [
  ['kill -9', (child: ChildProcess) => child.kill('SIGKILL')],
  ['Ctrl-C', (child: ChildProcess) => child.kill('SIGINT')],
  ['an exception that nobody catches', (child: ChildProcess) => child.stdin!.end('throw')],
] as const) {
  test(`${how} leaves neither program, link nor map behind, and the interface as it was`, async () => {
    const before = pair.run(pair.near, 'ip', '-d', '-o', 'link', 'show', name);
    const child = pair.start(pair.near, program('wait-forever'), name);
    await child.line('waiting');
    const id = programId();
    const maps = JSON.parse(pair.run(pair.near, 'bpftool', '-j', 'prog', 'show', 'id', id)) as { map_ids: number[] };
    assert.equal(maps.map_ids.length, 1);
    assert.deepEqual([known('prog', id), known('map', String(maps.map_ids[0]))], [true, true]);
    end(child.process);
    const { status, signal } = await child.result;
    assert.notEqual(signal ?? status, 0);
    assert.equal(pair.run(pair.near, 'ip', '-d', '-o', 'link', 'show', name), before);
    // The kernel frees what is detached a moment later.
    for (let i = 0; i < 100 && (known('prog', id) || known('map', String(maps.map_ids[0]))); i++) await sleep(20);
    assert.deepEqual([known('prog', id), known('map', String(maps.map_ids[0]))], [false, false]);
    await (await openXdp({ interface: name, mode: 'xdp-copy', receive: 'all', entries: 64, frames: 256 })).close();
  });
}

test('an interface that goes down is told to those who wait, once, and survived', async () => {
  const { socket, rings, close } = await openXdp({
    interface: name,
    mode: 'xdp-copy',
    receive: 'all',
    entries: 64,
    frames: 256,
  });
  const never = (): boolean => false;
  const waits = [socket.wait(never, {}), socket.wait(never, {})];
  const down = { code: 'NO_INTERFACE', errno: 100, message: /went down/, remedy: /up`: then the socket works again/ };
  const told = waits.map((wait) => assert.rejects(wait, down));
  pair.run(pair.near, 'ip', 'link', 'set', name, 'down');
  await Promise.all(told);
  const before = process.cpuUsage();
  assert.equal(await socket.wait(never, { timeoutMilliseconds: 300 }), false);
  assert.equal(socket.waitBlocking(never, { timeoutMilliseconds: 300, how: 'sleep' }), false);
  const { user, system } = process.cpuUsage(before);
  assert.ok(user + system < 300_000, `took ${user + system} µs of CPU time`);
  const batch = new PacketBatch(4);
  rings.allocate(batch, 4);
  batch.size.fill(60);
  assert.equal(rings.send(batch), 4);
  assert.equal(await socket.wait(() => !socket.sending(), { timeoutMilliseconds: 50 }), false);
  assert.ok(socket.kicks.failed > 0);
  pair.run(pair.near, 'ip', 'link', 'set', name, 'up');
  assert.equal(await socket.wait(() => !socket.sending(), { timeoutMilliseconds: 5000 }), true);
  await send(3).result;
  assert.ok(rings.readable());
  assert.equal(await socket.wait(never, { timeoutMilliseconds: 300 }), false); // sees that it is up
  pair.run(pair.near, 'ip', 'link', 'set', name, 'down');
  assert.throws(() => socket.waitBlocking(never, { timeoutMilliseconds: 5000, how: 'sleep' }), down);
  pair.run(pair.near, 'ip', 'link', 'set', name, 'up');
  await close();
});

test('an interface that vanishes ends the waits with an error, and the socket can be closed', async () => {
  const { socket, buffer, close } = await openXdp({
    interface: name,
    mode: 'xdp-copy',
    receive: 'all',
    entries: 64,
    frames: 256,
  });
  const waiting = assert.rejects(
    socket.wait(() => false, {}),
    { code: 'NO_INTERFACE', errno: 100 },
  );
  pair.run(pair.near, 'ip', 'link', 'del', name);
  await waiting;
  for (const how of ['sleep', 'busy'] as const) {
    const start = performance.now();
    assert.throws(() => socket.waitBlocking(() => false, { timeoutMilliseconds: 60_000, how }), {
      code: 'NO_INTERFACE',
    });
    assert.ok(performance.now() - start < 30_000, 'it waited for something that never comes');
  }
  await assert.rejects(
    socket.wait(() => false, {}),
    { code: 'NO_INTERFACE' },
  );
  socket.kick('transmit');
  await close();
  assert.equal(buffer.free('receive') + buffer.free('send'), 256);
});
