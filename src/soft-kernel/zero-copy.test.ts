import assert from 'node:assert/strict';
import { test } from 'node:test';
import { numberOf, udpPacket } from '../../test/support/packets.js';
import { poolIsWhole } from '../../test/support/pool.js';
import { drain, openSmall, sendAll, softKernel } from '../../test/support/soft.js';
import { PacketError } from '../errors.js';
import type { Mode } from '../kernel/contract.js';
import { PacketBuffer } from '../packet-buffer/packet-buffer.js';
import { PacketBatch } from '../ring/packet-batch.js';
import type { PacketSocket } from '../socket/packet-socket.js';
import { flowAddress } from '../wire/traffic.js';

const ZERO_COPY: readonly Mode[] = ['v4-zc', 'xdp-zc'];
const generator = { kind: 'generator', packets: 64, flows: 64 } as const;

/** A check for `assert.rejects`: this code, and a remedy. */
function refused(code: string, text = /./) {
  return (error: unknown) =>
    error instanceof PacketError && error.code === code && text.test(error.message) && (error.remedy ?? '').length > 0;
}

/** The flow of a generated packet, told by its source port. */
function flowOf(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset + 34]! << 8) | bytes[offset + 35]!) - 1024;
}

for (const mode of ZERO_COPY) {
  test(`${mode}: the device writes into the socket's own frames, and nobody else sees the packets`, async () => {
    await using kernel = softKernel();
    await kernel.addNic({ name: 'soft0', wire: { ...generator, count: 500 } });
    await using tap = await openSmall(kernel, 'soft0', { mode: 'v4' });
    await using socket = await openSmall(kernel, 'soft0', { mode });
    assert.equal(socket.mode.exclusive, true);
    assert.equal(socket.queue, 0);
    const packets = drain(socket, (offset) => assert.ok(socket.buffer.contains(offset)), 100);
    assert.equal(packets, 500);
    assert.equal(drain(tap), 0);
    assert.equal((await kernel.stackStatistics('soft0')).packets, 0);
    const { received, kernelReceived, copied } = await socket.statistics();
    assert.deepEqual([received, kernelReceived, copied], [500, 500, 0]);
  });

  test(`${mode}: a queue works for one socket; when that is closed, for the next`, async () => {
    await using kernel = softKernel();
    await kernel.addNic({ name: 'soft0', queues: 2 });
    const first = await openSmall(kernel, 'soft0', { mode, queue: 1 });
    for (const other of ZERO_COPY) {
      await assert.rejects(
        openSmall(kernel, 'soft0', { mode: other, queue: 1 }),
        refused('QUEUE_BUSY', /queue 1 of soft0/),
      );
    }
    await using beside = await openSmall(kernel, 'soft0', { mode, queue: 0 });
    assert.equal(beside.queue, 0);
    await first.close();
    await using next = await openSmall(kernel, 'soft0', { mode, queue: 1 });
    assert.equal(next.mode.got, mode);
  });

  test(`${mode}: a device with several queues wants to know which`, async () => {
    await using kernel = softKernel();
    await kernel.addNic({ name: 'soft0', queues: 4 });
    await assert.rejects(openSmall(kernel, 'soft0', { mode }), refused('NO_QUEUE', /4 queues/));
    await assert.rejects(openSmall(kernel, 'soft0', { mode, queue: 4 }), refused('NO_QUEUE', /0 to 3/));
    await assert.rejects(openSmall(kernel, 'soft0', { mode, queue: -1 }), { code: 'INVALID_OPTION' });
  });

  test(`${mode}: frames must hold what the device may bring, or packets may span several (F9)`, async () => {
    await using kernel = softKernel();
    await kernel.addNic({ name: 'soft0', mtu: 9000, wire: { kind: 'generator', size: 9018, count: 20 } });
    await assert.rejects(
      openSmall(kernel, 'soft0', { mode }),
      refused('FRAME_TOO_SMALL', /9022 bytes, frames room for 1792/),
    );
    {
      await using sender = await openSmall(kernel, 'soft0', { mode, receive: 'none' });
      assert.equal(sender.largestPacket, 9022, 'a sender has no frames to fill');
    }
    await using socket = await openSmall(kernel, 'soft0', { mode, segments: true });
    assert.equal(drain(socket), 20 * 6);
    await kernel.addNic({ name: 'soft1', mtu: 16000 });
    const buffer = { frames: 64, headroom: 1728 - 64 };
    await assert.rejects(
      openSmall(kernel, 'soft1', { mode, segments: true, buffer }),
      refused('FRAME_TOO_SMALL', /18 frames/),
    );
    await using large = await openSmall(kernel, 'soft1', { mode, buffer: { frames: 64, frameSize: 32768 } });
    assert.equal(large.mode.got, mode);
  });

  test(`${mode}: with rules only what they match comes, and the rest goes where it went before (X2, Q1)`, async () => {
    await using kernel = softKernel();
    await kernel.addNic({ name: 'soft0', queues: 2, wire: { ...generator, count: 640 } });
    const mine = [3, 17, 40];
    await using socket = await openSmall(kernel, 'soft0', {
      mode,
      queue: 1,
      receive: mine.map((flow) => ({ protocol: 'udp', source: flowAddress(flow) })),
    });
    const seen = new Set<number>();
    const packets = drain(socket, (offset) => seen.add(flowOf(socket.bytes, offset)), 200);
    assert.equal(packets, 30);
    assert.deepEqual(
      [...seen].sort((a, b) => a - b),
      mine,
    );
    assert.equal((await kernel.stackStatistics('soft0')).packets, 610);
  });

  test(`${mode}: rules send packets to the socket, the stack, another queue, or nowhere, the most specific one first`, async () => {
    await using kernel = softKernel();
    await kernel.addNic({ name: 'soft0', queues: 4, wire: { ...generator, count: 640, packetsPerSecond: 1e6 } });
    const from = (flow: number) => ({ source: flowAddress(flow) });
    await using other = await openSmall(kernel, 'soft0', { mode, queue: 2, receive: [from(1)] });
    await using socket = await openSmall(kernel, 'soft0', {
      mode,
      queue: 3,
      receive: [
        { protocol: 'udp' },
        { ...from(5), to: 'drop' },
        { ...from(6), to: 'stack' },
        { ...from(7), to: { queue: 2 } },
      ],
    });
    const seen = { socket: new Set<number>(), other: new Set<number>() };
    let packets = 0;
    for (let i = 0; i < 500; i++) {
      packets += drain(socket, (offset) => seen.socket.add(flowOf(socket.bytes, offset)), 2);
      packets += drain(other, (offset) => seen.other.add(flowOf(other.bytes, offset)), 2);
    }
    assert.deepEqual([...seen.other].sort(), [1, 7]);
    assert.equal(seen.socket.size, 60, 'all but those of the exceptions');
    assert.equal(packets, 620);
    assert.equal((await kernel.stackStatistics('soft0')).packets, 10);
    assert.equal((await socket.statistics()).drops.rule, 10);
    assert.equal((await other.statistics()).drops.rule ?? 0, 0);
    assert.equal((await kernel.deviceStatistics('soft0')).rx_rule_drops, 10);
    await assert.rejects(socket.steer([{ ...from(7), to: { queue: 4 } }]), refused('NO_QUEUE', /0 to 3/));
    await assert.rejects(
      openSmall(kernel, 'soft0', { mode: 'xdp-copy', queue: 0, receive: [{ ...from(7), to: { queue: 2 } }] }),
      refused('RULES_UNSUPPORTED', /receive\[0\]\.to.*queue 2/),
    );
  });

  test(`${mode}: buckets divide flows between queues, both directions of each to one`, async () => {
    await using kernel = softKernel();
    await kernel.addNic({ name: 'soft0', queues: 4, wire: { ...generator, count: 640, packetsPerSecond: 1e6 } });
    const sockets = [];
    for (const index of [0, 1, 2, 3]) {
      sockets.push(
        await openSmall(kernel, 'soft0', { mode, queue: index, receive: [{ bucket: [index % 2, 2] }] }).catch(
          (error) => error,
        ),
      );
    }
    // The last queue that packets are spread to cannot be taken away.
    assert.equal(sockets[3].code, 'QUEUE_SHARED');
    const [even, odd] = sockets as PacketSocket[];
    const flows = [new Set<number>(), new Set<number>()];
    let packets = 0;
    for (let i = 0; i < 500; i++) {
      packets += drain(even!, (offset) => flows[0]!.add(flowOf(even!.bytes, offset)), 2);
      packets += drain(odd!, (offset) => flows[1]!.add(flowOf(odd!.bytes, offset)), 2);
    }
    assert.equal(packets, 640);
    assert.equal(flows[0]!.size + flows[1]!.size, 64);
    assert.ok(flows[0]!.size > 16 && flows[1]!.size > 16, 'about half of them each');
    for (const socket of sockets.slice(0, 3)) await socket.close();
  });

  test(`${mode}: rules on a device whose only queue brings everything would show packets of others`, async () => {
    await using kernel = softKernel();
    await kernel.addNic({ name: 'soft0', wire: { ...generator, count: 100 } });
    const receive = [{ protocol: 'udp', port: 53 }] as const;
    await assert.rejects(openSmall(kernel, 'soft0', { mode, receive }), refused('QUEUE_SHARED', /soft0.*queue 0/));
    await kernel.addNic({ name: 'soft2', queues: 2 });
    await using _zero = await openSmall(kernel, 'soft2', { mode, receive, queue: 0 });
    await assert.rejects(openSmall(kernel, 'soft2', { mode, receive, queue: 1 }), refused('QUEUE_SHARED'));
    kernel.run(100);
    assert.equal((await kernel.stackStatistics('soft0')).packets, 100, 'the refused socket has changed nothing');
  });

  test(`${mode}: a device without flow director, or with a full one, refuses rules and keeps working as before`, async () => {
    await using kernel = softKernel();
    await kernel.addNic({ name: 'none', queues: 2, rules: 0 });
    await kernel.addNic({ name: 'full', queues: 2, rules: 2, wire: { ...generator, count: 1000 } });
    const rules = [1, 2, 3].map((flow) => ({ protocol: 'udp', source: flowAddress(flow) }) as const);
    await assert.rejects(openSmall(kernel, 'none', { mode, queue: 0, receive: rules }), refused('RULES_UNSUPPORTED'));
    await assert.rejects(openSmall(kernel, 'full', { mode, queue: 0, receive: rules }), refused('FLOW_TABLE_FULL'));
    kernel.run(100);
    const statistics = await kernel.deviceStatistics('full');
    assert.ok(
      statistics.rx_queue_0_packets! > 0 && statistics.rx_queue_1_packets! > 0,
      'RSS still spreads to both queues',
    );
    await using socket = await openSmall(kernel, 'full', { mode, queue: 0, receive: rules.slice(0, 2) });
    assert.equal(socket.mode.got, mode, 'what the refused attempt had added is gone');
  });

  test(`${mode}: a refused change of rules changes nothing`, async () => {
    await using kernel = softKernel();
    await kernel.addNic({
      name: 'soft0',
      queues: 2,
      rules: 3,
      wire: { ...generator, count: 2000, packetsPerSecond: 1e6 },
    });
    const rule = (flow: number) => ({ protocol: 'udp', source: flowAddress(flow) }) as const;
    await using ruled = await openSmall(kernel, 'soft0', { mode, queue: 1, receive: [rule(5)] });
    await assert.rejects(ruled.steer([rule(1), rule(2), rule(3)]), refused('FLOW_TABLE_FULL'));
    await using all = await openSmall(kernel, 'soft0', { mode, queue: 0 });
    await assert.rejects(all.steer([rule(9)]), refused('QUEUE_SHARED'), 'nobody else takes what is not steered');
    const flows = { ruled: new Set<number>(), all: new Set<number>() };
    for (let i = 0; i < 100; i++) {
      drain(ruled, (offset) => flows.ruled.add(flowOf(ruled.bytes, offset)), 2);
      drain(all, (offset) => flows.all.add(flowOf(all.bytes, offset)), 2);
    }
    assert.deepEqual([...flows.ruled], [5]);
    assert.equal(flows.all.size, 63);
  });

  test(`${mode}: flows move between sockets while traffic runs; none comes to the wrong one (Q4)`, async () => {
    await using kernel = softKernel();
    await kernel.addNic({ name: 'soft0', queues: 3, wire: { ...generator, flows: 16, packetsPerSecond: 5e6 } });
    const rules = (flows: readonly number[]) =>
      flows.map((flow) => ({ protocol: 'udp', source: flowAddress(flow) }) as const);
    const owners = [
      [0, 1, 2, 3],
      [8, 9],
    ];
    await using one = await openSmall(kernel, 'soft0', { mode, queue: 1, receive: rules(owners[0]!) });
    await using two = await openSmall(kernel, 'soft0', { mode, queue: 2, receive: rules(owners[1]!) });
    const sockets = [one, two];
    let moved = 0;
    for (let round = 0; round < 60; round++) {
      if (round % 5 === 4) {
        const from = moved++ % 2;
        const flow = owners[from]!.pop();
        if (flow !== undefined) owners[1 - from]!.unshift(flow);
        for (const i of [from, 1 - from]) {
          if (owners[i]!.length > 0) await sockets[i]!.steer(rules(owners[i]!));
        }
        // What the device had received before is still the former owner's.
        for (const socket of sockets) drain(socket, undefined, 5);
      }
      sockets.forEach((socket, i) => {
        drain(socket, (offset) => assert.ok(owners[i]!.includes(flowOf(socket.bytes, offset)), `round ${round}`), 3);
      });
    }
    const { rx_packets } = await kernel.deviceStatistics('soft0');
    assert.ok(rx_packets! > 500);
  });

  test(`${mode}: a sender leaves the receiving of its queue alone`, async () => {
    await using kernel = softKernel();
    await kernel.addNic({ name: 'soft0', wire: { ...generator, count: 100 } });
    await using sender = await openSmall(kernel, 'soft0', { mode, receive: 'none' });
    assert.equal(sendAll(sender, [udpPacket(), udpPacket()]), 2);
    kernel.run(50);
    assert.equal((await kernel.stackStatistics('soft0')).packets, 100);
    assert.equal((await kernel.deviceStatistics('soft0')).tx_packets, 2);
    await assert.rejects(sender.steer('all'), { code: 'WRONG_STATE' });
  });

  test(`${mode}: when the socket is closed, its queue and its flows are ordinary again`, async () => {
    await using kernel = softKernel();
    await kernel.addNic({ name: 'soft0', queues: 2, wire: { ...generator, count: 3000, packetsPerSecond: 1e6 } });
    const receive = [{ protocol: 'udp', source: flowAddress(7) }] as const;
    const all = await openSmall(kernel, 'soft0', { mode, queue: 0 });
    const ruled = await openSmall(kernel, 'soft0', { mode, queue: 1, receive });
    assert.ok(drain(all, undefined, 300) + drain(ruled) > 0);
    await all.close();
    await ruled.close();
    const before = (await kernel.stackStatistics('soft0')).packets;
    const { rx_packets: received } = await kernel.deviceStatistics('soft0');
    kernel.run(5000);
    const { rx_packets, rx_queue_0_packets, rx_queue_1_packets } = await kernel.deviceStatistics('soft0');
    assert.equal((await kernel.stackStatistics('soft0')).packets - before, rx_packets! - received!);
    assert.equal(rx_packets, 3000);
    assert.ok(rx_queue_0_packets! > 0 && rx_queue_1_packets! > 0);
  });

  test(`${mode}: closing in the middle of traffic returns every frame to the shared buffer`, async () => {
    await using kernel = softKernel();
    await kernel.addNic({ name: 'soft0', queues: 2, wire: generator });
    const buffer = PacketBuffer.create({ arena: kernel.arena, frames: 512 });
    for (let round = 0; round < 10; round++) {
      const sockets = await Promise.all([0, 1].map((queue) => openSmall(kernel, 'soft0', { mode, queue, buffer })));
      for (const socket of sockets) drain(socket, undefined, round);
      for (const socket of sockets)
        sendAll(
          socket,
          Array.from({ length: 40 }, () => udpPacket()),
        );
      const held = new PacketBatch(16);
      sockets[0]!.receive(held);
      kernel.run(round);
      sockets[0]!.release(held);
      for (const socket of sockets) await socket.close();
      assert.ok(poolIsWhole(buffer), `round ${round}`);
    }
    buffer.close();
  });

  test(`${mode}: a socket that never returns frames starves itself only`, async () => {
    await using kernel = softKernel();
    // Two queues, impatient wire: what the greedy one cannot take is lost on its queue.
    await kernel.addNic({ name: 'soft0', queues: 2, wire: { ...generator, packetsPerSecond: 1e6, count: 4000 } });
    await using greedy = await openSmall(kernel, 'soft0', { mode, queue: 0 });
    await using good = await openSmall(kernel, 'soft0', { mode, queue: 1 });
    const batches = Array.from({ length: 32 }, () => new PacketBatch(8));
    let packets = 0;
    for (let i = 0; i < 2500; i++) {
      const batch = batches[i];
      if (batch !== undefined) greedy.receive(batch);
      packets += drain(good, undefined, 2);
    }
    const { rx_queue_1_packets, rx_queue_1_drops, rx_queue_0_drops } = await kernel.deviceStatistics('soft0');
    assert.equal(packets, rx_queue_1_packets);
    assert.equal(rx_queue_1_drops, 0);
    assert.ok(rx_queue_0_drops! > 0);
    assert.ok((await greedy.statistics()).drops['nic-no-descriptor']! > 0);
    assert.equal((await good.statistics()).drops['nic-no-descriptor'], 0);
    for (const batch of batches) greedy.release(batch);
  });

  test(`${mode}: link down is told per packet where the ring can tell, and frames come back either way (I9)`, async () => {
    await using kernel = softKernel();
    await kernel.addNic({ name: 'soft0' });
    await using socket = await openSmall(kernel, 'soft0', { mode, outcomes: true });
    await kernel.setLink('soft0', false);
    assert.equal(sendAll(socket, [udpPacket(), udpPacket()]), 2);
    kernel.run(5);
    const batch = new PacketBatch(8);
    assert.equal(socket.completions(batch), 2);
    assert.deepEqual([...batch.outcome.subarray(0, 2)], mode === 'v4-zc' ? [100, 100] : [-1, -1]);
    socket.release(batch);
    const { drops, kernelSent } = await socket.statistics();
    assert.deepEqual([drops['transmit-error'], kernelSent], [2, 0]);
  });
}

test('the ladder says why each better rung was refused, with what to do about it (S4)', async () => {
  await using kernel = softKernel();
  await kernel.addNic({ name: 'soft0', queues: 2, mtu: 9000 });
  await using jumbo = await openSmall(kernel, 'soft0', { queue: 0, buffer: { frames: 64 } });
  assert.equal(jumbo.mode.got, 'v3');
  assert.deepEqual(
    jumbo.mode.refused.map(({ mode, code }) => [mode, code]),
    [
      ['xdp-zc', 'FRAME_TOO_SMALL'],
      ['xdp-copy', 'FRAME_TOO_SMALL'],
      ['xdp-generic', 'MODE_UNSUPPORTED'],
    ],
  );
  assert.match(jumbo.mode.refused[0]!.why, /9022 bytes/);
  assert.match(jumbo.mode.refused[0]!.remedy!, /larger frames/);
  await using anywhere = await openSmall(kernel, 'soft0');
  assert.equal(anywhere.mode.got, 'v3');
  assert.deepEqual(
    anywhere.mode.refused.map(({ mode, code }) => [mode, code]),
    [
      ['xdp-zc', 'NO_QUEUE'],
      ['xdp-copy', 'NO_QUEUE'],
      ['xdp-generic', 'MODE_UNSUPPORTED'],
    ],
  );
});

test('a queue that works for a socket in place gives an AF_XDP socket in copy mode nothing: it is told so', async () => {
  await using kernel = softKernel();
  await kernel.addNic({ name: 'soft0', queues: 2, wire: { ...generator, packetsPerSecond: 1e6 } });
  await using owner = await openSmall(kernel, 'soft0', { queue: 0 });
  assert.equal(owner.mode.got, 'xdp-zc');
  await assert.rejects(openSmall(kernel, 'soft0', { queue: 0, mode: 'xdp-copy' }), refused('QUEUE_BUSY'));
  await using second = await openSmall(kernel, 'soft0', { queue: 0 });
  assert.equal(second.mode.got, 'v3');
  assert.deepEqual(
    second.mode.refused.map(({ code }) => code),
    ['QUEUE_BUSY', 'QUEUE_BUSY', 'MODE_UNSUPPORTED'],
  );
  await using sender = await openSmall(kernel, 'soft0', { queue: 0, mode: 'xdp-copy', receive: 'none' });
  assert.equal(sendAll(sender, [udpPacket()]), 1, 'sending beside it is no problem');
  // The other way round: a queue whose packets an AF_XDP socket takes in copy mode is not taken from under it.
  await using copier = await openSmall(kernel, 'soft0', { queue: 1, mode: 'xdp-copy' });
  await assert.rejects(openSmall(kernel, 'soft0', { queue: 1, mode: 'xdp-zc' }), refused('QUEUE_BUSY'));
  assert.ok(drain(copier, undefined, 200) > 0);
});

test('thousands of sockets with a queue and a rule each; afterwards their queues hold no memory', async () => {
  await using kernel = softKernel(2 ** 29);
  await kernel.addNic({
    name: 'soft0',
    queues: 4096,
    ring: 64,
    wire: { kind: 'generator', packets: 4096, flows: 4096, count: 8192, packetsPerSecond: 1e6 },
  });
  const buffer = PacketBuffer.create({ arena: kernel.arena, frames: 65536, sendFrames: 0 });
  const free = kernel.arena.freeBytes;
  const sockets: PacketSocket[] = [];
  for (let queue = 0; queue < 4096; queue++) {
    if (queue === 63) continue; // the last queue that unsteered packets reach cannot leave
    const receive = [{ protocol: 'udp', source: flowAddress(queue) }] as const;
    sockets.push(await openSmall(kernel, 'soft0', { mode: 'v4-zc', queue, receive, buffer, ring: 8 }));
  }
  kernel.run(9000);
  const wrong = sockets.filter((socket) => {
    const flows = new Set<number>();
    const count = drain(socket, (offset) => flows.add(flowOf(socket.bytes, offset)), 3);
    return count !== 2 || flows.size !== 1 || !flows.has(socket.queue!);
  });
  assert.equal(wrong.length, 0);
  for (const socket of sockets) await socket.close();
  assert.ok(poolIsWhole(buffer));
  // Copy mode still has pages to work with.
  await using copier = await openSmall(kernel, 'soft0', { mode: 'v4' });
  assert.equal(
    sendAll(
      copier,
      Array.from({ length: 200 }, (_, number) => udpPacket({ number })),
    ),
    200,
  );
  kernel.run(50);
  assert.equal((await kernel.deviceStatistics('soft0')).tx_packets, 200);
  assert.ok(free - kernel.arena.freeBytes < 2 ** 27, `${free - kernel.arena.freeBytes} bytes are missing`);
});

test('numbered packets through zero-copy at both ends of a cable arrive whole, in order, once', async () => {
  await using kernel = softKernel();
  await kernel.addNic({ name: 'a', wire: { kind: 'patch', cable: 'c', pause: true } });
  await kernel.addNic({ name: 'b', wire: { kind: 'patch', cable: 'c', pause: true } });
  for (const [from, to] of [
    ['v4-zc', 'xdp-zc'],
    ['xdp-zc', 'v4-zc'],
  ] as const) {
    await using sender = await openSmall(kernel, 'a', { mode: from });
    await using receiver = await openSmall(kernel, 'b', { mode: to });
    const numbers: number[] = [];
    for (let round = 0; round < 20; round++) {
      sendAll(
        sender,
        Array.from({ length: 30 }, (_, i) => udpPacket({ number: round * 30 + i, length: 60 + i * 40 })),
      );
      drain(receiver, (offset) => numbers.push(numberOf(receiver.bytes, offset)), 5);
    }
    drain(receiver, (offset) => numbers.push(numberOf(receiver.bytes, offset)));
    assert.deepEqual(numbers, [...Array(600).keys()]);
  }
});
