import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { PacketBatch } from '../../../src/ring/packet-batch.js';
import { type OpenSocketOptions, openSocket } from '../../../src/socket/open-socket.js';
import type { PacketSocket } from '../../../src/socket/packet-socket.js';
import { receiveNumbered } from '../../support/numbered-traffic.js';
import { VethPair } from '../../support/veth-pair.js';

const pair = VethPair.inherited();
after(() => pair.close());
const program = (name: string): string => fileURLToPath(new URL(`../../support/programs/${name}.js`, import.meta.url));
const kernel = new LinuxKernel();
const { interface: name } = pair.near;
const MODES = ['v2', 'v3'] as const;

const open = (options: Partial<OpenSocketOptions>): Promise<PacketSocket> =>
  openSocket({
    kernel,
    interface: name,
    receive: 'all',
    ring: 256,
    blockSize: 16384,
    buffer: { frames: 64 },
    ...options,
  });
const send = (count: number) => pair.start(pair.far, program('txpush'), pair.far.interface, 'v2', count, 60);
const setLink = (state: 'up' | 'down'): string => pair.run(pair.near, 'ip', 'link', 'set', name, state);

for (const mode of MODES) {
  test(`${mode}: wait ends with the packet, in time, and the event loop runs meanwhile`, async () => {
    await using socket = await open({ mode });
    let ticks = 0;
    const ticking = setInterval(() => ticks++, 5);
    const sender = send(1);
    assert.equal(await socket.wait({ timeoutMilliseconds: 5000 }), true);
    clearInterval(ticking);
    assert.ok(ticks >= 5, `the loop ran ${ticks} times`);
    await receiveNumbered(socket, 1, 60);
    await sender.result;
    assert.equal(await socket.wait({ timeoutMilliseconds: 20 }), false);
    assert.equal(socket.waitBlocking({ timeoutMilliseconds: 20 }), false);
  });

  for (const strategy of ['event', 'busy'] as const) {
    test(`${mode}: waitBlocking (${strategy}) ends with the packet`, async () => {
      await using socket = await open({ mode });
      const sender = send(1);
      assert.equal(socket.waitBlocking({ strategy, timeoutMilliseconds: 5000 }), true);
      await receiveNumbered(socket, 1, 60);
      await sender.result;
    });
  }

  // The kernel says POLLIN for as long as the frame or block that it filled last is not given back.
  test(`${mode}: waiting while packets are held does not spin, and new packets are noticed`, async () => {
    await using socket = await open({ mode });
    await send(3).result;
    const held = new PacketBatch(8);
    assert.ok(await socket.wait({ timeoutMilliseconds: 5000 }));
    assert.equal(socket.receive(held), 3);
    assert.equal(await socket.wait({ timeoutMilliseconds: 1 }), false); // compiles what the measured waits run
    const before = process.cpuUsage();
    assert.equal(await socket.wait({ timeoutMilliseconds: 500 }), false);
    assert.equal(socket.waitBlocking({ timeoutMilliseconds: 500 }), false);
    const { user, system } = process.cpuUsage(before);
    assert.ok(user + system < 300_000, `took ${user + system} µs of CPU time in a second`);
    for (const blocking of [false, true]) {
      const sender = send(1);
      if (!blocking) assert.equal(await socket.wait({ timeoutMilliseconds: 5000 }), true);
      else assert.equal(socket.waitBlocking({ timeoutMilliseconds: 5000 }), true);
      await receiveNumbered(socket, 1, 60);
      await sender.result;
    }
    socket.release(held);
  });

  test(`${mode}: a full TX ring has room again as packets leave`, async () => {
    await using socket = await open({ mode, receive: 'none', ring: 16 });
    const batch = new PacketBatch(16);
    setLink('down'); // nothing leaves
    assert.equal(socket.allocate(batch), 16);
    batch.size.fill(60);
    assert.equal(socket.send(batch), 16);
    assert.equal(socket.allocate(batch), 0);
    const room = { for: 'send', timeoutMilliseconds: 50 } as const;
    await assert.rejects(socket.wait(room), { code: 'NO_INTERFACE', message: /went down.*sendto/ }); // told once
    assert.equal(await socket.wait(room), false);
    assert.equal((await socket.statistics()).kernelSent, 0);
    setLink('up');
    assert.equal(await socket.wait({ for: 'send', timeoutMilliseconds: 5000 }), true);
    assert.equal(socket.allocate(batch), 16);
    assert.equal((await socket.statistics()).kernelSent, 16);
  });

  test(`${mode}: an interface that goes down fails the waits under way, once, and the socket works when it is up again`, async () => {
    await using socket = await open({ mode });
    const down = { code: 'NO_INTERFACE', errno: 100, message: /went down/, remedy: /ip link set dev tp4near up/ };
    const waits = [socket.wait({}), socket.wait({})].map((wait) => assert.rejects(wait, down));
    setLink('down');
    await Promise.all(waits);
    assert.equal(await socket.wait({ timeoutMilliseconds: 20 }), false);
    setLink('up');
    setLink('down');
    assert.throws(() => socket.waitBlocking({ timeoutMilliseconds: 1000 }), down);
    setLink('up');
    await send(20).result;
    await receiveNumbered(socket, 20, 60);
  });

  test(`${mode}: what a kick was told of an interface that went down, the next wait is told`, async () => {
    await using socket = await open({ mode });
    const batch = new PacketBatch(4);
    setLink('down');
    assert.equal(socket.allocate(batch), 4);
    batch.size.fill(60);
    assert.equal(socket.send(batch), 4); // its sendto may take the error that the kernel keeps for the socket
    setLink('up');
    const down = { code: 'NO_INTERFACE', errno: 100, message: /went down/ };
    await assert.rejects(socket.wait({ timeoutMilliseconds: 1000 }), down);
    assert.equal(await socket.wait({ timeoutMilliseconds: 20 }), false);
    setLink('down');
    assert.throws(() => socket.waitBlocking({ timeoutMilliseconds: 1000 }), down);
    setLink('up');
  });

  test(`${mode}: closing ends waits`, async () => {
    const socket = await open({ mode });
    const waiting = socket.wait();
    await socket.close();
    assert.equal(await waiting, false);
  });
}

test('an interface that vanishes fails all waits, and the sockets can be closed', async () => {
  // Ones that only send are told by nothing but their own calls.
  const senders = await Promise.all(MODES.map((mode) => open({ mode, receive: 'none', ring: 16 })));
  const sockets = await Promise.all(MODES.map((mode) => open({ mode })));
  const gone = { code: 'NO_INTERFACE', errno: 100 };
  const waits = sockets.map((socket) => assert.rejects(socket.wait(), gone));
  pair.run(pair.near, 'ip', 'link', 'del', name);
  await Promise.all(waits);
  for (const socket of senders) {
    const batch = new PacketBatch(16);
    assert.equal(socket.allocate(batch), 16);
    batch.size.fill(60);
    socket.send(batch);
    await assert.rejects(socket.wait({ for: 'send', timeoutMilliseconds: 5000 }), {
      ...gone,
      message: /has been removed/,
    });
    await socket.close();
  }
  for (const socket of sockets) {
    await assert.rejects(socket.wait(), { ...gone, message: /has been removed/ });
    assert.throws(() => socket.waitBlocking(), gone);
    const batch = new PacketBatch(4);
    assert.equal(socket.allocate(batch), 4);
    batch.size.fill(60);
    socket.send(batch);
    await socket.close();
  }
  await assert.rejects(open({ mode: 'v3' }), { code: 'NO_INTERFACE' });
});
