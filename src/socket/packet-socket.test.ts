import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { numberOf, udpPacket } from '../../test/support/packets.js';
import { freeFrames, poolIsWhole } from '../../test/support/pool.js';
import { openSmall, sendAll, softKernel } from '../../test/support/soft.js';
import type { Mode } from '../kernel/contract.js';
import { PacketBuffer } from '../packet-buffer/packet-buffer.js';
import { PacketBatch } from '../ring/packet-batch.js';
import type { SoftKernel } from '../soft-kernel/soft-kernel.js';
import type { PacketSocket } from './packet-socket.js';

const MODES: readonly Mode[] = ['v2', 'v3', 'v4', 'v4-zc', 'xdp-copy', 'xdp-zc'];
const IN_FRAMES: readonly Mode[] = ['v4', 'v4-zc', 'xdp-copy', 'xdp-zc'];

async function joined(): Promise<SoftKernel> {
  const kernel = softKernel();
  await kernel.addVeth({ names: ['a', 'b'] });
  await kernel.addVeth({ names: ['c', 'd'] });
  return kernel;
}

const numbered = (count: number, first = 0): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => udpPacket({ number: first + i, length: 60 + (i % 5) * 100 }));

/** Waits for `count` packets; returns their numbers. */
async function receiveNumbers(socket: PacketSocket, count: number): Promise<number[]> {
  const batch = new PacketBatch(32);
  const seen: number[] = [];
  while (seen.length < count && (await socket.wait({ timeoutMilliseconds: 50 }))) {
    socket.receive(batch);
    for (let i = 0; i < batch.length; i++) seen.push(numberOf(socket.bytes, batch.offset[i]!));
    socket.release(batch);
  }
  return seen;
}

for (const mode of MODES) {
  test(`${mode}: iterating gives packet after packet; frames go back by themselves`, async () => {
    await using kernel = await joined();
    const buffer = PacketBuffer.create({ arena: kernel.arena, frames: 256 });
    await using sender = await openSmall(kernel, 'b');
    {
      await using socket = await openSmall(kernel, 'a', { mode, buffer });
      const seen: number[] = [];
      for (let round = 0; round < 8; round++) {
        sendAll(sender, numbered(40, round * 40));
        for await (const packet of socket) {
          seen.push(numberOf(packet.data));
          assert.equal(packet.data.length, packet.size);
          assert.equal(packet.data.byteOffset, packet.offset);
          if (mode === 'v2' || mode === 'v3') assert.ok(packet.time >= 0 && packet.time < 10, 'virtual time');
          if (seen.length === (round + 1) * 40) break;
        }
      }
      assert.deepEqual(seen, [...Array(320).keys()]);
    }
    assert.ok(poolIsWhole(buffer));
  });

  test(`${mode}: an iteration ends when the signal is aborted or the socket closed, without an error, and loses no frame`, async () => {
    await using kernel = await joined();
    const buffer = PacketBuffer.create({ arena: kernel.arena, frames: 256 });
    await using sender = await openSmall(kernel, 'b');
    const socket = await openSmall(kernel, 'a', { mode, buffer });
    const controller = new AbortController();
    sendAll(sender, numbered(10));
    const seen: number[] = [];
    for await (const packet of socket.packets({ signal: controller.signal })) {
      seen.push(numberOf(packet.data));
      if (seen.length === 10) setTimeout(() => controller.abort(), 5);
    }
    assert.equal(seen.length, 10);
    for await (const _ of socket.packets({ signal: controller.signal })) assert.fail('aborted before it began');
    sendAll(sender, numbered(10));
    for await (const _ of socket) await socket.close();
    for await (const _ of socket) assert.fail('closed');
    assert.ok(poolIsWhole(buffer), 'what the iteration still held at the close is back');
  });

  test(`${mode}: a closed socket does nothing, harmlessly, and its end can be had twice`, async () => {
    await using kernel = await joined();
    const socket = await openSmall(kernel, 'a', { mode });
    await socket.close();
    await socket.close();
    const batch = new PacketBatch(4);
    assert.deepEqual(
      [socket.receive(batch), socket.allocate(batch), socket.send(batch), socket.completions(batch)],
      [0, 0, 0, 0],
    );
    socket.release(batch);
    assert.equal(await socket.wait(), false);
    assert.equal(socket.waitBlocking(), false);
    await assert.rejects(socket.statistics(), { code: 'SOCKET_CLOSED' });
    await assert.rejects(socket.steer('all'), { code: 'SOCKET_CLOSED' });
  });

  test(`${mode}: statistics of user and kernel side add up`, async () => {
    await using kernel = await joined();
    await using a = await openSmall(kernel, 'a', { mode });
    await using b = await openSmall(kernel, 'b', { mode });
    sendAll(a, numbered(30));
    assert.equal((await receiveNumbers(b, 30)).length, 30);
    const sent = await a.statistics();
    const received = await b.statistics();
    assert.deepEqual([sent.sent, sent.kernelSent, received.received, received.kernelReceived], [30, 30, 30, 30]);
    assert.ok(sent.sendCalls > 0 && received.receiveCalls > 0 && sent.kicks > 0);
    assert.deepEqual(
      Object.values(received.drops).filter((count) => count !== 0),
      [],
    );
    assert.equal(received.copied + received.unsendable + received.invalid, 0);
  });

  test(`${mode}: packets that are too long for the interface are refused, counted, and cost no frame`, async () => {
    await using kernel = await joined();
    const buffer = PacketBuffer.create({ arena: kernel.arena, frames: 64, frameSize: 4096 });
    {
      await using a = await openSmall(kernel, 'a', { mode, buffer });
      await using b = await openSmall(kernel, 'b', { mode: 'xdp-copy' });
      assert.equal(a.largestPacket, 1522);
      assert.equal(
        sendAll(a, [udpPacket({ number: 1 }), udpPacket({ length: 1523 }), udpPacket({ number: 2, length: 1522 })]),
        3,
      );
      assert.deepEqual(await receiveNumbers(b, 2), [1, 2]);
      assert.equal((await a.statistics()).unsendable, 1);
    }
    assert.ok(poolIsWhole(buffer));
  });
}

for (const from of MODES) {
  for (const to of MODES) {
    const moves = IN_FRAMES.includes(from) && IN_FRAMES.includes(to);

    test(`forwarding ${from} to ${to} with one buffer ${moves ? 'moves the frames' : 'copies, and says so'} (I5)`, async () => {
      await using kernel = await joined();
      const buffer = PacketBuffer.create({ arena: kernel.arena, frames: 512 });
      await using source = await openSmall(kernel, 'b');
      await using target = await openSmall(kernel, 'd');
      {
        await using left = await openSmall(kernel, 'a', { mode: from, buffer });
        await using right = await openSmall(kernel, 'c', { mode: to, buffer, receive: 'none' });
        const batch = new PacketBatch(32);
        const seen: number[] = [];
        for (let round = 0; round < 10; round++) {
          sendAll(source, numbered(40, round * 40));
          let forwarded = 0;
          while (forwarded < 40 && (await left.wait({ timeoutMilliseconds: 50 }))) {
            left.receive(batch);
            assert.equal(right.movable(batch), moves);
            while (batch.length > 0) {
              const taken = right.send(batch);
              forwarded += taken;
              if (taken === 0) await right.wait({ for: 'send', timeoutMilliseconds: 10 });
            }
          }
          seen.push(...(await receiveNumbers(target, 40)));
        }
        assert.deepEqual(seen, [...Array(400).keys()]);
        const { copied } = await right.statistics();
        // What was copied out of a V3 block lies in frames, which move.
        const { copiedOut } = await left.statistics();
        assert.equal(copied + (IN_FRAMES.includes(to) ? copiedOut : 0), moves ? 0 : 400);
      }
      assert.ok(poolIsWhole(buffer));
      buffer.close();
    });
  }
}

for (const mode of IN_FRAMES) {
  test(`${mode}: forwarding between buffers copies, counts, and gives every frame back to its own`, async () => {
    await using kernel = await joined();
    const buffers = [1, 2].map(() => PacketBuffer.create({ arena: kernel.arena, frames: 256 }));
    await using source = await openSmall(kernel, 'b');
    await using target = await openSmall(kernel, 'd');
    {
      await using left = await openSmall(kernel, 'a', { mode, buffer: buffers[0]! });
      await using right = await openSmall(kernel, 'c', { mode, buffer: buffers[1]! });
      const batch = new PacketBatch(32);
      for (let round = 0; round < 10; round++) {
        sendAll(source, numbered(30, round * 30));
        while (await left.wait({ timeoutMilliseconds: 1 })) {
          left.receive(batch);
          assert.equal(right.movable(batch), false);
          right.send(batch);
          left.release(batch); // what found no room
        }
      }
      assert.deepEqual(
        await receiveNumbers(target, 64),
        [...Array(64).keys()].slice(0, 64),
        'as many as the receiver’s ring holds',
      );
      assert.equal((await right.statistics()).copied, 300);
    }
    for (const buffer of buffers) assert.ok(poolIsWhole(buffer));
  });

  test(`${mode}: a batch that is held beyond the close of its socket can still be released`, async () => {
    await using kernel = await joined();
    const buffer = PacketBuffer.create({ arena: kernel.arena, frames: 256 });
    await using sender = await openSmall(kernel, 'b');
    const socket = await openSmall(kernel, 'a', { mode, buffer });
    sendAll(sender, numbered(10));
    const batch = new PacketBatch(16);
    await socket.wait({ timeoutMilliseconds: 50 });
    assert.equal(socket.receive(batch), 10);
    await socket.close();
    assert.equal(freeFrames(buffer), 246, 'they are the program’s');
    assert.equal(numberOf(socket.bytes, batch.offset[3]!), 3, 'and unharmed');
    socket.release(batch);
    assert.equal(batch.length, 0);
    assert.ok(poolIsWhole(buffer));
    buffer.close();
  });

  test(`${mode}: sending everything one has never starves receiving`, async () => {
    await using kernel = await joined();
    await using socket = await openSmall(kernel, 'a', { mode, ring: 32, buffer: { frames: 96, sendFrames: 64 } });
    await using peer = await openSmall(kernel, 'b');
    const hoard: PacketBatch[] = [];
    for (;;) {
      const batch = new PacketBatch(16);
      if (socket.allocate(batch) === 0) break;
      hoard.push(batch);
    }
    for (let round = 0; round < 10; round++) {
      sendAll(peer, numbered(20, round * 20));
      assert.deepEqual(
        await receiveNumbers(socket, 20),
        Array.from({ length: 20 }, (_, i) => round * 20 + i),
      );
    }
    for (const batch of hoard) socket.release(batch);
    assert.equal(socket.buffer.free('send'), 64);
  });
}

test('waiting together: two sockets of one program, each with its own', async () => {
  await using kernel = await joined();
  await using a = await openSmall(kernel, 'a');
  await using c = await openSmall(kernel, 'c');
  await using b = await openSmall(kernel, 'b');
  await using d = await openSmall(kernel, 'd');
  const waits = Promise.all([a.wait(), c.wait()]);
  await sleep(2);
  sendAll(b, numbered(1));
  await sleep(2);
  sendAll(d, numbered(1));
  assert.deepEqual(await waits, [true, true]);
});
