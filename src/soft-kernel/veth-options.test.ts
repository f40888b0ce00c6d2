import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Arena } from '../arena/arena.js';
import type { Mode } from '../kernel/contract.js';
import { PacketBuffer } from '../packet-buffer/packet-buffer.js';
import { PacketBatch } from '../ring/packet-batch.js';
import { type OpenSocketOptions, openSocket } from '../socket/open-socket.js';
import type { PacketSocket } from '../socket/packet-socket.js';
import { SoftKernel } from './soft-kernel.js';
import type { VethOptions } from './veth-options.js';

const MODES: readonly Mode[] = ['v2', 'v3', 'v4', 'v4-zc', 'xdp-copy', 'xdp-zc'];
const FRAMES = 1024;
const ENETDOWN = 100;

/** A kernel with a veth pair, left and right; `close` checks that nothing was kept. */
async function makeKernel(options: Omit<VethOptions, 'names'> = {}) {
  const arena = Arena.create(2 ** 26);
  const free = arena.freeBytes;
  const kernel = new SoftKernel({ arena });
  await kernel.addVeth({ names: ['left', 'right'], ...options });
  const buffers: PacketBuffer[] = [];
  return {
    kernel,
    async open(name: string, mode: Mode, more: Partial<OpenSocketOptions> = {}): Promise<PacketSocket> {
      const buffer = PacketBuffer.create({ arena, frames: FRAMES });
      buffers.push(buffer);
      return openSocket({ kernel, interface: name, mode, receive: 'all', buffer, ring: 256, ...more });
    },
    statistics(name: string): Record<string, number> {
      return kernel.device(name).driver.statistics();
    },
    /** Closes everything; every frame and every byte must be back. */
    async close(sockets: readonly PacketSocket[]): Promise<void> {
      for (const socket of sockets) await socket.close();
      kernel.run(20);
      for (const buffer of buffers) {
        assert.equal(buffer.free('receive') + buffer.free('send'), FRAMES, 'frames are back in their pool');
        buffer.close();
      }
      // Queues may keep a few empty frames for later.
      for (const name of ['left', 'right']) kernel.device(name).driver.close();
      assert.equal(kernel.pool.outstanding, 0, 'page-pool frames are back');
      await kernel.close();
      assert.equal(arena.freeBytes, free, 'arena is whole again');
    },
  };
}

/** Packet `number`, told by its text; its length follows from the number. */
function packet(from: string, number: number, most: number): Uint8Array {
  const length = 60 + ((number * 7919) % (most - 59));
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (number * 31 + i * 7) & 255;
  bytes.set(Buffer.from(`${from} ${number};`), 14);
  return bytes;
}

/** Sends packets from `first` on; returns how many were taken. */
function send(socket: PacketSocket, from: string, first: number, count: number, most = 1514): number {
  const batch = new PacketBatch(64);
  socket.allocate(batch, count);
  for (let i = 0; i < batch.length; i++) {
    const bytes = packet(from, first + i, most);
    socket.bytes.set(bytes, batch.offset[i]!);
    batch.size[i] = bytes.length;
  }
  const sent = socket.send(batch);
  socket.release(batch);
  return sent;
}

/** Takes what is there and checks that it goes on with packet `next`; returns the packet after the last. */
function receive(socket: PacketSocket, from: string, next: number, most = 1514): number {
  const batch = new PacketBatch(64);
  while (socket.receive(batch) > 0) {
    for (let i = 0; i < batch.length; i++) {
      const expected = packet(from, next, most);
      const bytes = socket.bytes.slice(batch.offset[i]!, batch.offset[i]! + batch.size[i]!);
      assert.deepEqual(bytes, expected, `packet ${next} of ${from}`);
      next++;
    }
    socket.release(batch);
  }
  return next;
}

/** Sends `total` packets each way and checks every byte. */
async function exchange(left: PacketSocket, right: PacketSocket, total: number): Promise<void> {
  let [sentLeft, sentRight, gotLeft, gotRight] = [0, 0, 0, 0];
  for (let round = 0; round < 10_000 && (gotLeft < total || gotRight < total); round++) {
    sentLeft += send(left, 'left', sentLeft, Math.min(24, total - sentLeft));
    sentRight += send(right, 'right', sentRight, Math.min(24, total - sentRight));
    gotLeft = receive(left, 'right', gotLeft);
    gotRight = receive(right, 'left', gotRight);
    // V3 hands a block over when it is full or its time has come.
    const { kernel } = left;
    if (sentLeft === total && sentRight === total) {
      await (gotLeft < total ? left : right).wait({ timeoutMilliseconds: 10 });
      (kernel as SoftKernel).run(4);
    }
  }
  assert.equal(gotLeft, total);
  assert.equal(gotRight, total);
}

describe('a veth pair', () => {
  for (const one of MODES) {
    for (const two of MODES) {
      test(`${one} <-> ${two}: packets arrive both ways, counts add up, nothing leaks`, async () => {
        const setup = await makeKernel();
        const left = await setup.open('left', one);
        const right = await setup.open('right', two);
        assert.equal(left.mode.got, one);
        await exchange(left, right, 500);
        for (const [here, there] of [
          ['left', 'right'],
          ['right', 'left'],
        ] as const) {
          const mine = setup.statistics(here);
          const theirs = setup.statistics(there);
          assert.equal(mine.tx_packets, 500);
          assert.equal(theirs.rx_packets, 500);
          assert.equal(mine.tx_bytes, theirs.rx_bytes);
          assert.equal(theirs.rx_no_descriptor, 0);
          assert.equal(theirs.rx_oversize, 0);
        }
        for (const socket of [left, right]) {
          const { kernelReceived, kernelSent, drops } = await socket.statistics();
          assert.equal(kernelReceived, 500);
          assert.equal(kernelSent, 500);
          assert.ok(Object.values(drops).every((count) => count === 0));
        }
        await setup.close([left, right]);
      });
    }
  }

  test('without a socket at the other end packets go to the ordinary stack', async () => {
    for (const mode of MODES) {
      const setup = await makeKernel();
      const left = await setup.open('left', mode);
      const { stack } = setup.kernel.device('right').core;
      let next = 0;
      stack.observe = (packets) => {
        for (let i = 0; i < packets.count; i++, next++) {
          const at = packets.address[i]!;
          assert.deepEqual(setup.kernel.arena.u8.slice(at, at + packets.length[i]!), packet('left', next, 1514));
        }
      };
      for (let sent = 0; sent < 200; ) sent += send(left, 'left', sent, Math.min(32, 200 - sent));
      setup.kernel.run(10);
      assert.equal(stack.packets, 200, mode);
      assert.equal(next, 200, mode);
      await setup.close([left]);
    }
  });

  test('a zero-copy socket that posts no frames loses its packets, counted in its statistics, and nobody else suffers', async () => {
    for (const mode of ['v4-zc', 'xdp-zc'] as const) {
      const setup = await makeKernel({ queues: 2 });
      const left = await setup.open('left', 'v4');
      const right = await setup.open('right', mode, { queue: 0, ring: 8 });
      for (let sent = 0; sent < 100; ) sent += send(left, 'left', sent, Math.min(10, 100 - sent));
      setup.kernel.run(20);
      const { kernelReceived, drops } = await right.statistics();
      assert.equal(kernelReceived + (drops['nic-no-descriptor'] ?? 0), 100, mode);
      assert.ok(kernelReceived <= 16, mode);
      assert.equal(setup.statistics('right').rx_queue_0_drops, drops['nic-no-descriptor']);
      // It takes its packets and posts frames again: packets arrive again.
      const batch = new PacketBatch(64);
      while (right.receive(batch) > 0) right.release(batch);
      send(left, 'left', 0, 4);
      setup.kernel.run(10);
      assert.equal(receive(right, 'left', 0), 4, mode);
      assert.equal(send(right, 'right', 0, 4), 4, mode);
      setup.kernel.run(4);
      assert.equal(receive(left, 'right', 0), 4, mode);
      await setup.close([left, right]);
    }
  });

  test('closing and reopening either end while packets are under way loses packets, never frames', async () => {
    for (const one of MODES) {
      for (const two of ['v4', 'v4-zc', 'xdp-zc'] as const) {
        const setup = await makeKernel();
        let left = await setup.open('left', one);
        let right = await setup.open('right', two);
        const closed: PacketSocket[] = [];
        for (let round = 0; round < 6; round++) {
          send(left, 'left', 0, 40);
          send(right, 'right', 0, 40);
          if (round % 2 === 0) {
            await right.close();
            send(left, 'left', 0, 24);
            closed.push(right);
            right = await setup.open('right', two);
          } else {
            await left.close();
            send(right, 'right', 0, 24);
            closed.push(left);
            left = await setup.open('left', one);
          }
          setup.kernel.run(3);
          const batch = new PacketBatch(64);
          for (const socket of [left, right]) while (socket.receive(batch) > 0) socket.release(batch);
        }
        await setup.close([...closed, left, right]);
      }
    }
  });

  test('packets of several frames arrive whole, from and to frames of any size', async () => {
    for (const [one, two] of [
      ['v4-zc', 'xdp-zc'],
      ['v4-zc', 'v4'],
      ['xdp-copy', 'xdp-zc'],
      ['v4', 'v4'],
    ] as const) {
      const setup = await makeKernel({ mtu: 9000 });
      const left = await setup.open('left', one, { segments: true });
      const right = await setup.open('right', two, { segments: true });
      const batch = new PacketBatch(64);
      for (const size of [100, 1792, 1793, 4000, 9014]) {
        const bytes = packet('left', 0, 1514);
        const whole = new Uint8Array(size).map((_, i) => bytes[i % bytes.length]!);
        const parts = Math.ceil(size / 1500);
        left.allocate(batch, parts);
        for (let i = 0; i < parts; i++) {
          const part = whole.slice(i * 1500, (i + 1) * 1500);
          left.bytes.set(part, batch.offset[i]!);
          batch.size[i] = part.length;
          batch.flags[i] = i < parts - 1 ? 1 : 0;
        }
        assert.equal(left.send(batch), parts);
        setup.kernel.run(4);
        const got: number[] = [];
        assert.ok(right.receive(batch) > 0, `${one} to ${two}: ${size} bytes`);
        for (let i = 0; i < batch.length; i++) {
          got.push(...right.bytes.subarray(batch.offset[i]!, batch.offset[i]! + batch.size[i]!));
          assert.equal(batch.flags[i], i < batch.length - 1 ? 1 : 0);
        }
        assert.deepEqual(Uint8Array.from(got), whole, `${one} to ${two}: ${size} bytes`);
        right.release(batch);
      }
      await setup.close([left, right]);
    }
  });

  test('each end has its own MTU; what is too long for the receiver is counted there', async () => {
    const setup = await makeKernel({ mtu: [1500, 576] });
    const left = await setup.open('left', 'v4');
    const right = await setup.open('right', 'v4-zc');
    const batch = new PacketBatch(64);
    left.allocate(batch, 3);
    batch.size.set([598, 599, 1514]);
    left.send(batch);
    setup.kernel.run(4);
    assert.equal(right.receive(batch), 1);
    assert.equal(batch.size[0], 598);
    right.release(batch);
    assert.equal(setup.statistics('right').rx_oversize, 2);
    assert.equal(setup.statistics('left').tx_packets, 3);
    await setup.close([left, right]);
  });

  test('a link that is down fails what is sent, with ENETDOWN where the ring can tell; up again, packets pass', async () => {
    for (const mode of MODES) {
      const setup = await makeKernel();
      const left = await setup.open('left', mode, { outcomes: mode === 'v4' || mode === 'v4-zc' });
      const right = await setup.open('right', 'v4');
      await setup.kernel.setLink('right', false);
      assert.ok((await setup.kernel.interfaces()).every(({ up }) => !up));
      assert.equal(send(left, 'left', 0, 5), 5);
      setup.kernel.run(4);
      assert.equal(setup.statistics('left').tx_errors, 5);
      const { kernelSent, drops } = await left.statistics();
      assert.equal(kernelSent, 0);
      assert.equal(drops['transmit-error'], 5, mode);
      if (mode === 'v4' || mode === 'v4-zc') {
        const batch = new PacketBatch(64);
        assert.equal(left.completions(batch), 5);
        assert.deepEqual(Array.from(batch.outcome.subarray(0, 5)), new Array(5).fill(ENETDOWN));
        left.release(batch);
      }
      await setup.kernel.setLink('right', true);
      assert.equal(send(left, 'left', 0, 5), 5);
      setup.kernel.run(4);
      assert.equal(receive(right, 'left', 0), 5, mode);
      if (mode === 'v4' || mode === 'v4-zc') {
        const batch = new PacketBatch(64);
        left.completions(batch);
        left.release(batch);
      }
      await setup.close([left, right]);
    }
  });

  test('queues: each zero-copy socket has its own, the stack shares the rest', async () => {
    const setup = await makeKernel({ queues: 4 });
    const left = await Promise.all([1, 2].map((queue) => setup.open('left', 'v4-zc', { queue })));
    const right = await Promise.all([1, 2].map((queue) => setup.open('right', 'xdp-zc', { queue })));
    const tap = await setup.open('right', 'v4');
    const talker = await setup.open('left', 'v4');
    left.forEach((socket, i) => {
      assert.equal(send(socket, `left${i}`, 0, 10), 10);
    });
    send(talker, 'talker', 0, 10);
    setup.kernel.run(4);
    right.forEach((socket, i) => {
      assert.equal(receive(socket, `left${i}`, 0), 10);
    });
    assert.equal(receive(tap, 'talker', 0), 10, 'what zero-copy sockets receive is theirs alone');
    await setup.close([...left, ...right, tap, talker]);
  });

  test('rules are for copy modes: zero-copy is refused and the ladder goes on', async () => {
    const setup = await makeKernel();
    const right = await setup.open('right', 'v4');
    const socket = await openSocket({
      kernel: setup.kernel,
      interface: 'left',
      receive: [{ etherType: 0x88b5 }],
    });
    assert.equal(socket.mode.got, 'xdp-copy');
    assert.equal(socket.mode.refused[0]!.mode, 'xdp-zc');
    const batch = new PacketBatch(8);
    right.allocate(batch, 2);
    for (let i = 0; i < 2; i++) {
      right.bytes.fill(0, batch.offset[i]!, batch.offset[i]! + 60);
      right.bytes.set([0x88, 0xb5 + i], batch.offset[i]! + 12);
      batch.size[i] = 60;
    }
    right.send(batch);
    setup.kernel.run(4);
    assert.equal(socket.receive(batch), 1);
    assert.equal(socket.bytes[batch.offset[0]! + 13], 0xb5);
    socket.release(batch);
    await setup.close([socket, right]);
  });

  test('wrong options are typed errors that name the option', async () => {
    const kernel = new SoftKernel({ arena: Arena.create(2 ** 24) });
    const add = (options: object) => kernel.addVeth({ names: ['a', 'b'], ...options } as VethOptions);
    await assert.rejects(add({ names: ['a', 'a'] }), { code: 'INTERFACE_EXISTS' });
    await assert.rejects(add({ names: ['a'] }), { code: 'INVALID_OPTION', message: /names/ });
    await assert.rejects(add({ names: ['a', ''] }), { code: 'INVALID_OPTION', message: /name/ });
    await assert.rejects(add({ queues: 4097 }), { code: 'INVALID_OPTION', message: /queues.*4096/ });
    await assert.rejects(add({ mtu: 67 }), { code: 'INVALID_OPTION', message: /mtu.*68/ });
    await assert.rejects(add({ mtu: [1500] }), { code: 'INVALID_OPTION', message: /mtu/ });
    await assert.rejects(add({ macs: ['02:00:00:00:00:01', 'nonsense'] }), { code: 'INVALID_OPTION', message: /macs/ });
    assert.equal((await kernel.interfaces()).length, 0, 'nothing is half made');
    const [a, b] = await add({ queues: 4096, mtu: [1400, 9000] });
    assert.deepEqual([a.name, a.driver, a.queues, a.mtu, a.up, b.mtu], ['a', 'veth', 4096, 1400, true, 9000]);
    assert.notEqual(a.mac, b.mac);
    await assert.rejects(kernel.addVeth({ names: ['c', 'b'] }), { code: 'INTERFACE_EXISTS' });
    await kernel.close();
  });
});
