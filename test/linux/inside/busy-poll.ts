import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Arena } from '../../../src/arena/arena.js';
import type { BusyPollRequest } from '../../../src/kernel/contract.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { PacketBatch } from '../../../src/ring/packet-batch.js';
import { openSocket } from '../../../src/socket/open-socket.js';
import { SoftKernel } from '../../../src/soft-kernel/soft-kernel.js';
import { VethPair } from '../../support/veth-pair.js';

const pair = VethPair.inherited();
after(() => pair.close());
const program = (name: string): string => fileURLToPath(new URL(`../../support/programs/${name}.js`, import.meta.url));
const { interface: name } = pair.near;
const kernel = new LinuxKernel({ arena: Arena.create(2 ** 25) });
const open = (busyPoll: BusyPollRequest, receive: 'all' | 'none' = 'all') =>
  openSocket({ kernel, interface: name, mode: 'xdp-copy', receive, ring: 256, buffer: { frames: 1024 }, busyPoll });

test('what was granted is told', async () => {
  const plain = await open({ microseconds: 20 });
  assert.deepEqual(plain.busyPoll, { microseconds: 20, budget: undefined, prefer: false });
  await plain.close();
  const full = await open({ microseconds: 50, budget: 32, prefer: true });
  assert.deepEqual(full.busyPoll, { microseconds: 50, budget: 32, prefer: true });
  await full.close();
});

for (const strategy of ['busy', 'event', 'hybrid'] as const) {
  test(`packets arrive with busy polling, waiting by ${strategy}`, async () => {
    const socket = await open({ microseconds: 20, budget: 64, prefer: true });
    const sender = pair.start(pair.far, program('txpush'), pair.far.interface, 'xdp-copy', 100, 60);
    const batch = new PacketBatch(64);
    let received = 0;
    for (let turns = 0; received < 100 && turns < 1000; turns++) {
      received += socket.receive(batch);
      socket.release(batch);
      // Briefly, so that the sender is heard to end, too: busy waiting blocks the event loop.
      if (received < 100) await socket.wait({ strategy, timeoutMilliseconds: 20 });
    }
    assert.equal(received, 100);
    const { systemCalls, kernelReceived } = await socket.statistics();
    assert.equal(kernelReceived, 100);
    assert.ok(systemCalls > 0, 'no poll of the device was asked for');
    await sender.result;
    await socket.close();
  });
}

test('requests that make no sense', async () => {
  for (const [request, message] of [
    [{ microseconds: 0 }, /busyPoll\.microseconds: 0/],
    [{ microseconds: 1.5 }, /1\.5/],
    [{ microseconds: 20, budget: 65536 }, /busyPoll\.budget: 65536/],
    [{ microseconds: 20, prefer: 'yes' }, /busyPoll\.prefer: yes/],
    [null, /busyPoll: null/],
  ] as const) {
    await assert.rejects(open(request as never), { code: 'INVALID_OPTION', message });
  }
});

test('without CAP_NET_ADMIN the kernel refuses, and says why', async () => {
  const far = fileURLToPath(new URL('../../support/programs/open-busy-poll.js', import.meta.url));
  const { stdout, stderr, status } = await pair.startCommand(
    pair.near,
    ...(['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin', process.execPath, far, name] as const),
  ).result;
  assert.equal(status, 0, stderr);
  const error = JSON.parse(stdout) as Record<string, unknown>;
  assert.equal(error.code, 'NO_PRIVILEGE');
  assert.equal(error.errno, 1);
  assert.equal(error.syscall, 'setsockopt SO_PREFER_BUSY_POLL');
  assert.match(String(error.remedy), /CAP_NET_ADMIN/);
});

test('a kernel that cannot poll its devices so refuses', async () => {
  const soft = new SoftKernel();
  await soft.addNic({ name: 'soft0' });
  const opening = { kernel: soft, interface: 'soft0', receive: 'all', busyPoll: { microseconds: 20 } } as const;
  await assert.rejects(openSocket({ ...opening, mode: 'xdp-copy' }), {
    code: 'MODE_UNSUPPORTED',
    message: /busyPoll: the soft kernel/,
  });
  await assert.rejects(openSocket(opening), { code: 'MODE_REFUSED', message: /busyPoll/ });
  await soft.close();
});
