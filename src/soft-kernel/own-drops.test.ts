import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { udpPacket } from '../../test/support/packets.js';
import { drain, openSmall, sendAll, softKernel } from '../../test/support/soft.js';
import type { Mode } from '../kernel/contract.js';
import type { PacketSocket } from '../socket/packet-socket.js';
import type { SoftKernel } from './soft-kernel.js';

const EXCLUSIVE: readonly Mode[] = ['v4-zc', 'xdp-zc', 'xdp-copy'];
const SHARED: readonly Mode[] = ['v4', 'v3', 'v2'];
const PACKETS = 1000;

async function dropsOf(socket: PacketSocket): Promise<Record<string, number>> {
  const { drops } = await socket.statistics();
  return Object.fromEntries(Object.entries(drops).filter(([, count]) => count > 0));
}

const sum = (drops: Readonly<Record<string, number>>): number => Object.values(drops).reduce((a, b) => a + b, 0);

/** What only the devices know to be lost, at both ends. */
async function deviceLosses(kernel: SoftKernel): Promise<number> {
  let lost = 0;
  for (const { name } of await kernel.interfaces()) {
    const counts = await kernel.deviceStatistics(name);
    for (const place of ['rx_no_descriptor', 'rx_oversize', 'wire_rx_lost', 'wire_tx_lost']) lost += counts[place] ?? 0;
  }
  return lost;
}

const DEVICES: Readonly<Record<string, (kernel: SoftKernel) => Promise<unknown>>> = {
  'a veth pair': (kernel) => kernel.addVeth({ names: ['near', 'far'] }),
  'two NICs on a cable': async (kernel) => {
    for (const name of ['near', 'far']) await kernel.addNic({ name, wire: { kind: 'patch', cable: 'between' } });
  },
};

describe('an application that does not take its packets in time', () => {
  for (const [devices, add] of Object.entries(DEVICES)) {
    for (const mode of [...EXCLUSIVE, ...SHARED]) {
      test(`${mode} on ${devices}: sent is received and lost, by place`, async () => {
        await using kernel = softKernel();
        await add(kernel);
        await using sender = await openSmall(kernel, 'far', { mode: 'v4', receive: 'none' });
        await using socket = await openSmall(kernel, 'near', { mode, blockSize: 4096 });
        const packets = Array.from({ length: PACKETS }, (_, number) => udpPacket({ number }));
        assert.equal(sendAll(sender, packets), PACKETS);
        kernel.run(200);
        const received = drain(socket, () => {}, 100);
        const drops = await dropsOf(socket);
        const own = EXCLUSIVE.includes(mode);
        assert.ok(sum(drops) > 0, 'the application was too slow');
        assert.equal(received + sum(drops) + (own ? 0 : await deviceLosses(kernel)), PACKETS, JSON.stringify(drops));
      });
    }
  }
});

describe('what the wire and the device lose', () => {
  const wire = {
    kind: 'fault',
    drop: 0.5,
    seed: 3,
    wire: { kind: 'generator', size: [64, 3000], packets: 1000, count: PACKETS },
  } as const;

  for (const mode of EXCLUSIVE) {
    test(`${mode}: is the socket's where it has the device to itself`, async () => {
      await using kernel = softKernel();
      await kernel.addNic({ name: 'soft0', wire });
      await using socket = await openSmall(kernel, 'soft0', { mode });
      const received = drain(socket, () => {}, 200);
      const drops = await dropsOf(socket);
      assert.deepEqual(Object.keys(drops).sort(), ['nic-oversize', 'wire']);
      assert.equal(received + sum(drops), PACKETS);
    });

    test(`${mode}: is nobody's where it has not, nor what was lost before or is lost after a change of rules`, async () => {
      await using kernel = softKernel();
      await kernel.addNic({ name: 'many', queues: 2, wire });
      await using one = await openSmall(kernel, 'many', { mode, queue: 0 });
      drain(one, () => {}, 200);
      assert.deepEqual(await dropsOf(one), {});
      await kernel.addNic({ name: 'soft0', wire });
      kernel.run(500);
      assert.ok((await kernel.deviceStatistics('soft0')).wire_rx_lost! > 0);
      await using late = await openSmall(kernel, 'soft0', { mode });
      assert.deepEqual(await dropsOf(late), {});
    });
  }

  for (const mode of SHARED) {
    test(`${mode}: is nobody's, because others would have got it, too`, async () => {
      await using kernel = softKernel();
      await kernel.addNic({ name: 'soft0', wire });
      await using socket = await openSmall(kernel, 'soft0', { mode });
      let received = drain(socket, () => {}, 200);
      // V3: the last block is handed over when its time is over.
      while (await socket.wait({ timeoutMilliseconds: 20 })) received += drain(socket);
      assert.deepEqual(await dropsOf(socket), {});
      assert.equal(received + (await deviceLosses(kernel)), PACKETS);
    });
  }

  test('rules end the claim, and what was counted stays', async () => {
    await using kernel = softKernel();
    await kernel.addNic({ name: 'soft0', wire: { ...wire, wire: { ...wire.wire, packetsPerSecond: 1e6 } } });
    await using socket = await openSmall(kernel, 'soft0', { mode: 'xdp-copy' });
    drain(socket, () => {}, 10);
    await socket.steer([{ protocol: 'udp', port: 9 }]);
    const before = await dropsOf(socket);
    assert.ok(before.wire! > 0 && before.wire! < 400);
    drain(socket, () => {}, 5000);
    assert.deepEqual(await dropsOf(socket), before);
  });
});
