import assert from 'node:assert/strict';
import { test } from 'node:test';
import { numberOf, udpPacket } from '../../test/support/packets.js';
import { poolIsWhole } from '../../test/support/pool.js';
import { PacketBatch } from '../ring/packet-batch.js';
import { openSocket } from '../socket/open-socket.js';
import type { PacketSocket } from '../socket/packet-socket.js';
import { SoftKernel } from './soft-kernel.js';

const MILLISECOND = 1e6;

/** Two NICs on a cable or a veth pair, and a sender with every request there is. */
async function setUp(mode: 'xdp-copy' | 'xdp-zc', device: 'nic' | 'veth') {
  const kernel = new SoftKernel();
  if (device === 'veth') await kernel.addVeth({ names: ['near', 'far'] });
  else for (const name of ['near', 'far']) await kernel.addNic({ name, wire: { kind: 'patch', cable: 'between' } });
  const options = { transmitTimestamps: true, launchTimes: true, transmitChecksums: true, outcomes: true } as const;
  const socket = await openSocket({ kernel, interface: 'near', mode, receive: 'none', ...options });
  const far = await openSocket({ kernel, interface: 'far', mode: 'xdp-copy', receive: 'all' });
  return { kernel, socket, far };
}

function arrived(far: PacketSocket): number[] {
  const batch = new PacketBatch(64);
  const numbers: number[] = [];
  while (far.receive(batch) > 0) {
    for (let i = 0; i < batch.length; i++) numbers.push(numberOf(far.bytes, batch.offset[i]!));
    far.release(batch);
  }
  return numbers;
}

/** Nanoseconds of the kernel's clock as seconds since 1970 and nanoseconds. */
function since1970(kernel: SoftKernel, nanoseconds: number): [seconds: number, nanoseconds: number] {
  const total = BigInt(Math.round(kernel.clock.epochMilliseconds * 1e6)) + BigInt(Math.round(nanoseconds));
  return [Number(total / 1_000_000_000n), Number(total % 1_000_000_000n)];
}

/** Sends numbered packets, each with the launch time that `when` gives for it, in nanoseconds of the kernel's clock, or without one. */
function sendAt(kernel: SoftKernel, socket: PacketSocket, when: readonly (number | undefined)[]): void {
  const batch = new PacketBatch(when.length);
  assert.equal(socket.allocate(batch), when.length);
  for (const [i, time] of when.entries()) {
    batch.size[i] = 60;
    socket.bytes.set(udpPacket({ number: i }), batch.offset[i]!);
    assert.ok(socket.requestTimestamp(batch, i));
    if (time !== undefined) assert.ok(socket.requestLaunchTime(batch, i, ...since1970(kernel, time)));
  }
  assert.equal(socket.send(batch), when.length);
}

for (const mode of ['xdp-copy', 'xdp-zc'] as const) {
  for (const device of ['nic', 'veth'] as const) {
    const where = `${mode}, ${device}`;
    test(`no packet leaves before its launch time, later ones wait behind it, and all know when they left (${where})`, async () => {
      const { kernel, socket, far } = await setUp(mode, device);
      const start = kernel.now;
      const due = [
        undefined,
        start + 3 * MILLISECOND,
        undefined,
        start + MILLISECOND,
        start + 6 * MILLISECOND,
      ] as const;
      sendAt(kernel, socket, due);
      const times = new Map<number, number>();
      for (let step = 0; step < 20_000 && times.size < due.length; step++) {
        kernel.run(1);
        for (const number of arrived(far)) times.set(number, kernel.now);
      }
      assert.deepEqual([...times.keys()], [0, 1, 2, 3, 4], 'in the order in which they were sent');
      assert.ok(times.get(0)! < start + 3 * MILLISECOND, 'what was sent before does not wait');
      for (const [number, time] of due.entries()) {
        if (time !== undefined) assert.ok(times.get(number)! >= time, `packet ${number} is early`);
      }
      assert.ok(times.get(2)! >= due[1], 'what was sent behind it waits');
      const done = new PacketBatch(8);
      let told = 0;
      for (let step = 0; step < 100 && told < due.length; step++) {
        kernel.run(1);
        const count = socket.completions(done);
        for (let i = 0; i < count; i++) {
          const sent =
            (done.seconds[i]! - since1970(kernel, 0)[0]) * 1e9 + done.nanoseconds[i]! - since1970(kernel, 0)[1];
          const time = due[told + i] ?? start;
          assert.ok(sent >= time - 1000 && sent <= kernel.now + 1000, `packet ${told + i} left at ${sent}`);
        }
        told += count;
        socket.release(done);
      }
      assert.equal(told, due.length);
      await far.close();
      await socket.close();
      await kernel.close();
    });

    test(`a packet that is due in a hundred years holds nothing but its own socket, until that is closed (${where})`, async () => {
      const { kernel, socket, far } = await setUp(mode, device);
      sendAt(kernel, socket, [kernel.now + 3e18, undefined]);
      kernel.run(100);
      assert.deepEqual(arrived(far), []);
      await using other = await openSocket({ kernel, interface: 'far', mode: 'v2', receive: 'none' });
      assert.equal(other.interface, 'far');
      const { buffer } = socket;
      await socket.close();
      assert.ok(poolIsWhole(buffer));
      kernel.run(100);
      assert.deepEqual(arrived(far), []);
      await far.close();
      await other.close();
      await kernel.close();
    });
  }
}
