import assert from 'node:assert/strict';
import { test } from 'node:test';
import { numberOf, udpPacket } from '../../test/support/packets.js';
import { poolIsWhole } from '../../test/support/pool.js';
import { Random } from '../../test/support/random.js';
import { drain, openSmall, sendAll, softKernel } from '../../test/support/soft.js';
import type { Mode } from '../kernel/contract.js';
import { PacketBuffer } from '../packet-buffer/packet-buffer.js';
import { PacketBatch } from '../ring/packet-batch.js';
import type { PacketSocket } from '../socket/packet-socket.js';
import { flowAddress } from '../wire/traffic.js';
import type { SoftKernel } from './soft-kernel.js';

const COPYING: readonly Mode[] = ['v2', 'v3', 'v4', 'xdp-copy'];
const generator = { kind: 'generator', packets: 64, flows: 64 } as const;

/** Two joined interfaces, and a socket on the far one to send from. */
async function joined(): Promise<{ kernel: SoftKernel; far: PacketSocket }> {
  const kernel = softKernel();
  await kernel.addVeth({ names: ['near', 'far'] });
  return { kernel, far: await openSmall(kernel, 'far', { mode: 'v4', receive: 'none' }) };
}

const numbered = (count: number, first = 0): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => udpPacket({ number: first + i, destinationPort: 100 + ((first + i) % 10) }));

/** The numbers of all packets that a socket has; V3's come when their block is full or its time is over. */
function numbers(socket: PacketSocket): number[] {
  const seen: number[] = [];
  const see = (offset: number): void => void seen.push(numberOf(socket.bytes, offset));
  while (drain(socket, see, 5) > 0 || socket.waitBlocking({ timeoutMilliseconds: 5 }));
  return seen;
}

for (const mode of COPYING) {
  const exclusive = mode === 'xdp-copy';

  test(`${mode}: ${exclusive ? 'the packets are the socket’s alone' : 'the ordinary stack and other sockets see the packets, too'} (Q2)`, async () => {
    const { kernel, far } = await joined();
    await using _ = kernel;
    await using tap = await openSmall(kernel, 'near', { mode: 'v4' });
    await using socket = await openSmall(kernel, 'near', { mode });
    assert.equal(socket.mode.exclusive, exclusive);
    sendAll(far, numbered(20));
    assert.deepEqual(numbers(socket), [...Array(20).keys()]);
    assert.deepEqual(numbers(tap), exclusive ? [] : [...Array(20).keys()]);
    assert.equal((await kernel.stackStatistics('near')).packets, exclusive ? 0 : 20);
  });

  test(`${mode}: rules choose what is copied to the socket, and can change while traffic runs (Q4)`, async () => {
    const { kernel, far } = await joined();
    await using _ = kernel;
    await using socket = await openSmall(kernel, 'near', {
      mode,
      receive: [{ protocol: 'udp', destinationPort: 103 }],
    });
    sendAll(far, numbered(20));
    assert.deepEqual(numbers(socket), [3, 13]);
    await socket.steer([{ protocol: 'udp', destinationPort: [104, 105] }, { etherType: 'arp' }]);
    sendAll(far, numbered(10, 20));
    assert.deepEqual(numbers(socket), [24, 25]);
    await socket.steer('none');
    sendAll(far, numbered(10, 30));
    assert.deepEqual(numbers(socket), []);
    await socket.steer('all');
    sendAll(far, numbered(10, 40));
    assert.deepEqual(numbers(socket), [40, 41, 42, 43, 44, 45, 46, 47, 48, 49]);
    await assert.rejects(socket.steer([{ vlan: 5000 }]), { code: 'INVALID_OPTION' });
    sendAll(far, numbered(1, 50));
    assert.deepEqual(numbers(socket), [50], 'a refused change changes nothing');
  });

  test(`${mode}: a socket that takes nothing loses its own packets, counted, and nobody else's`, async () => {
    const { kernel, far } = await joined();
    await using _ = kernel;
    await using lazy = await openSmall(kernel, 'near', {
      mode: mode === 'xdp-copy' ? 'v4' : mode,
      ring: 16,
      blockSize: 4096,
      buffer: { frames: 64 },
    });
    await using socket = await openSmall(
      kernel,
      'near',
      exclusive ? { mode, receive: [{ protocol: 'udp' }] } : { mode },
    );
    if (exclusive) await socket.steer([{ protocol: 'udp', destinationPort: [100, 104] }]); // the rest is for the lazy one
    const seen: number[] = [];
    for (let round = 0; round < 20; round++) {
      sendAll(far, numbered(20, round * 20));
      seen.push(...numbers(socket));
    }
    assert.equal(seen.length, exclusive ? 200 : 400);
    const { drops } = await lazy.statistics();
    assert.ok(drops['fill-ring-empty']! + drops['receive-ring-full']! > 0);
    assert.deepEqual(
      Object.values((await socket.statistics()).drops).filter((count) => count > 0),
      [],
    );
  });

  test(`${mode}: what is sent is on its way when send returns, and the frames come back`, async () => {
    const kernel = softKernel();
    await using _ = kernel;
    await kernel.addVeth({ names: ['near', 'far'] });
    await using socket = await openSmall(kernel, 'near', { mode, receive: 'none' });
    await using far = await openSmall(kernel, 'far', { mode: 'xdp-zc', buffer: { frames: 1024 }, ring: 256 });
    const seen: number[] = [];
    for (let round = 0; round < 30; round++) {
      assert.equal(sendAll(socket, numbered(50, round * 50)), 50);
      seen.push(...numbers(far));
    }
    assert.deepEqual(seen, [...Array(1500).keys()]);
    assert.equal((await socket.statistics()).kernelSent, 1500);
  });

  test(`${mode}: closing in the middle of traffic returns every frame, and the kernel goes on`, async () => {
    await using kernel = softKernel();
    await kernel.addNic({ name: 'soft0', wire: generator });
    const buffer = PacketBuffer.create({ arena: kernel.arena, frames: 512 });
    for (let round = 0; round < 10; round++) {
      const socket = await openSmall(kernel, 'soft0', { mode, buffer });
      drain(socket, undefined, round);
      sendAll(socket, numbered(30));
      kernel.run(round % 3);
      await socket.close();
      assert.ok(poolIsWhole(buffer), `round ${round}`);
    }
    kernel.run(10);
    assert.ok((await kernel.stackStatistics('soft0')).packets > 0);
    buffer.close();
  });
}

test('copy mode works for every queue at once, or for one', async () => {
  await using kernel = softKernel();
  await kernel.addNic({ name: 'soft0', queues: 4, wire: { ...generator, count: 256 } });
  await using all = await openSmall(kernel, 'soft0', { mode: 'v4', ring: 512, buffer: { frames: 2048 } });
  await using two = await openSmall(kernel, 'soft0', { mode: 'v4', queue: 2, ring: 512, buffer: { frames: 2048 } });
  assert.deepEqual([all.queue, two.queue], [undefined, 2]);
  kernel.run(50);
  const statistics = await kernel.deviceStatistics('soft0');
  assert.equal(drain(all), 256);
  assert.equal(drain(two), statistics.rx_queue_2_packets);
  await assert.rejects(openSmall(kernel, 'soft0', { mode: 'v4', queue: 4 }), { code: 'NO_QUEUE' });
});

test('sockets that share a packet buffer get a copy each, in frames of their own', async () => {
  const { kernel, far } = await joined();
  await using _ = kernel;
  const buffer = PacketBuffer.create({ arena: kernel.arena, frames: 512 });
  const sockets = await Promise.all([1, 2, 3].map(() => openSmall(kernel, 'near', { mode: 'v4', buffer })));
  sendAll(far, numbered(10));
  const batches = sockets.map((socket) => {
    const batch = new PacketBatch(16);
    assert.equal(socket.receive(batch), 10);
    return batch;
  });
  const offsets = new Set(batches.flatMap((batch) => [...batch.offset.subarray(0, 10)]));
  assert.equal(offsets.size, 30);
  sockets.forEach((socket, i) => {
    socket.bytes.fill(i, batches[i]!.offset[0]!, batches[i]!.offset[0]! + 60);
    socket.release(batches[i]!);
  });
  for (const socket of sockets) await socket.close();
  assert.ok(poolIsWhole(buffer));
});

test('thousands of sockets share queues; each gets its own flow, whatever the others do (Q4)', async () => {
  await using kernel = softKernel(2 ** 29);
  const count = 2000;
  await kernel.addNic({
    name: 'soft0',
    queues: 2,
    wire: { kind: 'generator', packets: count, flows: count, packetsPerSecond: 1e6 },
  });
  const buffer = PacketBuffer.create({ arena: kernel.arena, frames: 32768, sendFrames: 0 });
  const rule = (flow: number) => [{ protocol: 'udp', source: flowAddress(flow) }] as const;
  const sockets = await Promise.all(
    Array.from({ length: count }, (_, flow) =>
      openSmall(kernel, 'soft0', { mode: 'v4', receive: rule(flow), buffer, ring: 8 }),
    ),
  );
  const owned = sockets.map((_, i) => i);
  /** Whose packets may still be in a socket's ring from before. */
  let former = [...owned];
  const random = new Random(3);
  const flowOf = (socket: PacketSocket, offset: number): number =>
    ((socket.bytes[offset + 34]! << 8) | socket.bytes[offset + 35]!) - 1024;
  let packets = 0;
  for (let round = 0; round < 3; round++) {
    kernel.run(count + 100);
    sockets.forEach((socket, i) => {
      packets += drain(socket, (offset) => assert.ok([owned[i], former[i]].includes(flowOf(socket, offset))), 2);
    });
    // Some flows change hands.
    former = [...owned];
    const changing = random.shuffle([...owned.keys()]).slice(0, 100);
    for (let change = 0; change < 100; change += 2) {
      const [a, b] = [changing[change]!, changing[change + 1]!];
      await sockets[a]!.steer(rule(owned[b]!));
      await sockets[b]!.steer(rule(owned[a]!));
      [owned[a], owned[b]] = [owned[b]!, owned[a]!];
    }
  }
  assert.ok(packets >= 3 * count - 300, `${packets}`);
  for (const socket of sockets) await socket.close();
  assert.ok(poolIsWhole(buffer));
});
