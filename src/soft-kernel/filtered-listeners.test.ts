import assert from 'node:assert/strict';
import { test } from 'node:test';
import { numberOf, udpPacket } from '../../test/support/packets.js';
import { drain, openSmall, sendAll, softKernel } from '../../test/support/soft.js';
import type { Receive } from '../steering/rules.js';

const PORTS = [53, 54, 55, 53];
const packets = PORTS.map((destinationPort, number) =>
  udpPacket({ destinationPort, number, length: 60 + 40 * number }),
);

for (const mode of ['v2', 'v4', 'xdp-copy'] as const) {
  test(`${mode}: sockets receive what their filter expressions accept`, async () => {
    const kernel = softKernel();
    await kernel.addVeth({ names: ['near', 'far'] });
    const sender = await openSmall(kernel, 'far', { mode: 'v4', receive: 'none' });
    const socket = await openSmall(kernel, 'near', { mode, receive: { filter: 'udp port 53' } });
    const numbers = (): number[] => {
      assert.equal(sendAll(sender, packets), packets.length);
      const seen: number[] = [];
      drain(socket, (offset) => seen.push(numberOf(socket.bytes, offset)));
      return seen;
    };
    assert.deepEqual(numbers(), [0, 3]);
    for (const [receive, wanted] of [
      [{ filter: 'udp dst port 54 or less 60' }, [0, 1]],
      [{ filter: 'tcp' }, []],
      [[{ port: 55 }], [2]],
      [{ filter: 'ip[2:2] > 100 and not port 55' }, [3]],
      ['none', []],
      ['all', [0, 1, 2, 3]],
    ] as const satisfies readonly (readonly [Receive, readonly number[]])[]) {
      await socket.steer(receive);
      assert.deepEqual(numbers(), wanted, JSON.stringify(receive));
    }
    await assert.rejects(socket.steer({ filter: 'udp port' }), { code: 'FILTER_SYNTAX' });
    assert.deepEqual(numbers(), [0, 1, 2, 3]);
    await kernel.close();
  });
}

test('an AF_XDP socket takes what its filter accepts, others share the rest', async () => {
  const kernel = softKernel();
  await kernel.addVeth({ names: ['near', 'far'] });
  const sender = await openSmall(kernel, 'far', { mode: 'v4', receive: 'none' });
  const taker = await openSmall(kernel, 'near', { mode: 'xdp-copy', receive: { filter: 'port 53' } });
  const taps = await Promise.all(
    ['port 54 or port 53', 'udp', 'greater 140'].map((filter) =>
      openSmall(kernel, 'near', { mode: 'v2', receive: { filter } }),
    ),
  );
  sendAll(sender, packets);
  assert.deepEqual(
    [taker, ...taps].map((socket) => drain(socket)),
    [2, 1, 2, 1],
  );
  await kernel.close();
});

test('in zero-copy the device picks packets, and takes rules only', async () => {
  const kernel = softKernel();
  await kernel.addNic({ name: 'nic0', queues: 2 });
  const receive = { filter: 'udp port 53' };
  await assert.rejects(openSmall(kernel, 'nic0', { mode: 'v4-zc', queue: 1, receive }), { code: 'RULES_UNSUPPORTED' });
  const socket = await openSmall(kernel, 'nic0', { mode: ['v4-zc', 'v4'], queue: 1, receive });
  assert.equal(socket.mode.got, 'v4');
  await kernel.close();
});
