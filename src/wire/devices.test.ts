import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Arena } from '../arena/arena.js';
import { readFile } from '../capture-file/test-support.js';
import { seeded } from '../packet/test-support.js';
import { PacketBuffer } from '../packet-buffer/packet-buffer.js';
import { PacketBatch } from '../ring/packet-batch.js';
import { openSocket } from '../socket/open-socket.js';
import type { PacketSocket } from '../socket/packet-socket.js';
import { SoftKernel } from '../soft-kernel/soft-kernel.js';
import type { WireOptions } from './options.js';
import { fromHex, pcapOf, randomPackets, toHex } from './test-support.js';

// Wires as devices use them: soft NICs on a soft kernel, with sockets.

/** A kernel with a device on each wire, and a socket on each device; `close` checks that nothing was kept. */
async function laboratory(wires: Record<string, WireOptions>) {
  const arena = Arena.create(2 ** 26);
  const free = arena.freeBytes;
  const kernel = new SoftKernel({ arena });
  const sockets: PacketSocket[] = [];
  const buffers: PacketBuffer[] = [];
  for (const [name, wire] of Object.entries(wires)) {
    await kernel.addNic({ name, wire });
    const buffer = PacketBuffer.create({ arena, frames: 1024 });
    buffers.push(buffer);
    sockets.push(await openSocket({ kernel, interface: name, mode: 'xdp-zc', receive: 'all', buffer, ring: 256 }));
  }
  return {
    kernel,
    sockets,
    async close() {
      for (const socket of sockets) await socket.close();
      for (const buffer of buffers) buffer.close();
      await kernel.close();
      assert.equal(arena.freeBytes, free);
    },
  };
}

const batch = new PacketBatch(64);

function send(socket: PacketSocket, packets: readonly string[]): number {
  socket.allocate(batch, packets.length);
  for (let i = 0; i < batch.length; i++) {
    const bytes = fromHex(packets[i]!);
    socket.bytes.set(bytes, batch.offset[i]!);
    batch.size[i] = bytes.length;
  }
  const sent = socket.send(batch);
  socket.release(batch);
  return sent;
}

function receive(socket: PacketSocket): string[] {
  const packets: string[] = [];
  while (socket.receive(batch) > 0) {
    for (let i = 0; i < batch.length; i++) {
      packets.push(toHex(socket.bytes.slice(batch.offset[i]!, batch.offset[i]! + batch.size[i]!)));
    }
    socket.release(batch);
  }
  return packets;
}

test('two devices on a cable: every packet arrives, both ways, and is recorded', async () => {
  const patch: WireOptions = { kind: 'patch', cable: 'c', latencyNanoseconds: 3000 };
  const { kernel, sockets, close } = await laboratory({ left: { kind: 'record', wire: patch }, right: patch });
  const [left, right] = sockets as [PacketSocket, PacketSocket];
  const packets = randomPackets(seeded(121), 500);
  const there: string[] = [];
  const back: string[] = [];
  for (let i = 0, j = 0; there.length < 500 || back.length < 500; ) {
    i += send(left, packets.slice(i, i + 30));
    j += send(right, packets.slice(j, j + 17));
    there.push(...receive(right));
    back.push(...receive(left));
    if (i === 500 && j === 500) await (there.length < 500 ? right : left).wait({ timeoutMilliseconds: 10 });
  }
  assert.deepEqual(there, packets);
  assert.deepEqual(back, packets);
  assert.deepEqual(
    readFile(await kernel.recording('left')).packets.map((packet) => packet.data),
    packets,
  );
  const { wire_tx_packets, wire_tx_lost, wire_rx_lost } = await kernel.deviceStatistics('left');
  assert.deepEqual(
    { wire_tx_packets, wire_tx_lost, wire_rx_lost },
    { wire_tx_packets: 500, wire_tx_lost: 0, wire_rx_lost: 0 },
  );
  await close();
});

test('a device whose cable ends nowhere is down', async () => {
  const { kernel, close } = await laboratory({ left: { kind: 'patch', cable: 'c' } });
  assert.equal((await kernel.interfaces())[0]!.up, false);
  await kernel.addNic({ name: 'right', wire: { kind: 'patch', cable: 'c' } });
  assert.ok((await kernel.interfaces()).every((device) => device.up));
  await assert.rejects(kernel.addNic({ name: 'third', wire: { kind: 'patch', cable: 'c' } }), {
    code: 'INVALID_OPTION',
  });
  await close();
});

test('a capture reaches a socket byte for byte, at its recorded pace on the virtual clock', async () => {
  const packets = randomPackets(seeded(122), 200);
  const capture = pcapOf(packets.map((data, i) => ({ data, time: i * 1e6 })));
  const { kernel, sockets, close } = await laboratory({ soft0: { kind: 'replay', capture } });
  const socket = sockets[0]!;
  const got: string[] = [];
  const begun = kernel.now;
  while (got.length < packets.length && (await socket.wait({ timeoutMilliseconds: 1000 })))
    got.push(...receive(socket));
  assert.deepEqual(got, packets);
  assert.ok(Math.abs(kernel.now - begun - 199e6) < 1e6, `${kernel.now - begun} ns`);
  await close();
});

test('a flapping link comes back by itself, for patient and for paced senders', async () => {
  for (const pace of [{}, { packetsPerSecond: 1e6 }]) {
    const wire: WireOptions = {
      kind: 'fault',
      flap: { upNanoseconds: 50_000, downNanoseconds: 30_000 },
      wire: { kind: 'generator', count: 2000, ...pace },
    };
    const { kernel, sockets, close } = await laboratory({ soft0: wire });
    const socket = sockets[0]!;
    const states = new Set<boolean>();
    let got = 0;
    for (let i = 0; i < 5000; i++) {
      got += receive(socket).length;
      states.add((await kernel.interfaces())[0]!.up);
      kernel.run(1);
    }
    const { wire_rx_packets, wire_rx_fault_link_down: lost, wire_rx_lost } = await kernel.deviceStatistics('soft0');
    assert.equal(wire_rx_packets, 2000);
    assert.equal(got + lost!, 2000);
    assert.equal(lost, wire_rx_lost);
    assert.equal(lost! > 0, 'packetsPerSecond' in pace);
    if ('packetsPerSecond' in pace) assert.ok(Math.abs(lost! - 750) < 60, `${lost} lost`);
    assert.equal(states.size, 'packetsPerSecond' in pace ? 2 : states.size);
    await close();
  }
});

test('a socket that waits is woken when a link that was down comes back', async () => {
  const wire: WireOptions = {
    kind: 'fault',
    flap: { upNanoseconds: 10_000, downNanoseconds: 5e6 },
    wire: { kind: 'generator', packets: 16 },
  };
  const { kernel, sockets, close } = await laboratory({ soft0: wire });
  const socket = sockets[0]!;
  for (let i = 0; i < 20; i++) {
    receive(socket);
    assert.equal(await socket.wait({ timeoutMilliseconds: 20 }), true);
  }
  assert.ok(Math.abs(kernel.now - 20 * 5.01e6) < 1e6, `${kernel.now} ns`);
  await close();
});

test('faults never reach a socket as anything but packets, and are all accounted for', async () => {
  const capture = pcapOf(randomPackets(seeded(123), 300).map((data) => ({ data, time: 0 })));
  const { kernel, sockets, close } = await laboratory({
    soft0: {
      kind: 'fault',
      seed: 4,
      drop: 0.2,
      corrupt: 0.2,
      truncate: 0.2,
      duplicate: 0.2,
      reorder: 0.2,
      wire: { kind: 'replay', capture, pace: 'max', loop: 5 },
    },
  });
  const socket = sockets[0]!;
  let got = 0;
  while (await socket.wait({ timeoutMilliseconds: 5 })) got += receive(socket).length;
  const statistics = await kernel.deviceStatistics('soft0');
  const expected = 1500 - statistics.wire_rx_fault_dropped! + statistics.wire_rx_fault_duplicated!;
  assert.equal(got, expected);
  assert.equal(statistics.rx_packets, expected);
  await close();
});
