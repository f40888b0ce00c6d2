import assert from 'node:assert/strict';
import { release } from 'node:os';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { PacketBatch } from '../../../src/ring/packet-batch.js';
import { type OpenSocketOptions, openSocket } from '../../../src/socket/open-socket.js';
import type { PacketSocket } from '../../../src/socket/packet-socket.js';
import { readNumberedFrame } from '../../support/frames.js';
import { receiveNumbered, sendNumbered } from '../../support/numbered-traffic.js';
import { VethPair } from '../../support/veth-pair.js';
import { openXdp } from '../../support/xdp-session.js';

const pair = VethPair.inherited();
after(() => pair.close());
const program = (name: string): string => fileURLToPath(new URL(`../../support/programs/${name}.js`, import.meta.url));
const kernel = new LinuxKernel();
const { interface: name } = pair.near;

const open = (options: Partial<OpenSocketOptions>): Promise<PacketSocket> =>
  openSocket({
    kernel,
    interface: name,
    mode: 'xdp-copy',
    receive: 'all',
    ring: 2048,
    buffer: { frames: 8192 },
    ...options,
  });

/** What a program of test/support/programs says at its end. */
interface Report {
  readonly received: number;
  readonly good: number;
  readonly inOrder: number;
  readonly sent: number;
  readonly kernelSent: number;
  readonly free: number;
  readonly frames: number;
}

function report({ stdout, stderr }: { stdout: string; stderr: string }): Report {
  assert.equal(stderr, '');
  return JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as Report;
}

for (const mode of ['xdp-copy', 'xdp-generic'] as const) {
  for (const size of [60, 1514]) {
    test(`${mode}: receives packets of ${size} bytes, whole and in order`, async () => {
      const socket = await open({ mode });
      assert.deepEqual(socket.mode, { got: mode, refused: [], exclusive: true });
      assert.equal(socket.queue, 0);
      assert.equal(socket.largestPacket, 1514);
      const sender = pair.start(pair.far, program('txpush'), pair.far.interface, mode, 1500, size);
      await receiveNumbered(socket, 1500, size);
      const { kernelReceived, kernelSent, drops } = await socket.statistics();
      assert.deepEqual([kernelReceived, kernelSent, drops], [1500, 0, {}]);
      await socket.close();
      assert.equal(socket.buffer.free('receive') + socket.buffer.free('send'), socket.buffer.frames);
      const { free, frames, ...sent } = report(await sender.result);
      assert.equal(sent.kernelSent, 1500);
      assert.equal(free, frames);
    });

    test(`${mode}: sends packets of ${size} bytes, whole and in order`, async () => {
      const receiver = pair.start(pair.far, program('rxdrop'), pair.far.interface, mode, 1500, size);
      await receiver.line('ready');
      const socket = await open({ mode, receive: 'none' });
      await sendNumbered(socket, 1500, size);
      const { kernelReceived, kernelSent, drops } = await socket.statistics();
      assert.deepEqual([kernelReceived, kernelSent, drops], [0, 1500, {}]);
      await socket.close();
      assert.equal(socket.buffer.free('receive') + socket.buffer.free('send'), socket.buffer.frames);
      const { received, good, inOrder } = report(await receiver.result);
      assert.deepEqual([received, good, inOrder], [1500, 1500, 1500]);
    });
  }
}

test('the best mode of a veth pair is native copy, and why not zero-copy is said', async () => {
  const socket = await openSocket({ kernel, interface: name, receive: 'all' });
  assert.equal(socket.mode.got, 'xdp-copy');
  assert.deepEqual(
    socket.mode.refused.map(({ mode, code }) => [mode, code]),
    [['xdp-zc', 'NO_DRIVER_ZEROCOPY']],
  );
  await socket.close();
});

/** Packets that the pair has handed to the near end's XDP program. Beyond its own queue of 256 veth drops, and counts, ahead of it. */
function offeredPackets(): number {
  const counters = pair.run(pair.near, 'ethtool', '-S', name);
  return Number(/rx_queue_0_xdp_packets: (\d+)/.exec(counters)?.[1]);
}

test('packets offered are packets received and dropped, by place, at a rate that overruns the receiver', async () => {
  const count = 400_000;
  const offeredBefore = offeredPackets();
  const socket = await open({ ring: 64, buffer: { frames: 256 } });
  const sender = pair.start(pair.far, program('live-frames'), pair.far.interface, count, 60);
  let done = false;
  const ended = sender.result.finally(() => {
    done = true;
  });
  const batch = new PacketBatch(64);
  let received = 0;
  let offered = 0;
  for (let quiet = 0; quiet < 3; ) {
    if (socket.receive(batch) > 0) {
      received += batch.length;
      socket.release(batch);
    } else if (!(await socket.wait({ timeoutMilliseconds: 20 })) && done) {
      // The kernel may still have packets of the pair's queue to look at.
      const now = offeredPackets() - offeredBefore;
      quiet = now === offered ? quiet + 1 : 0;
      offered = now;
    }
  }
  assert.equal(report(await ended).sent, count);
  const { kernelReceived, drops } = await socket.statistics();
  await socket.close();
  assert.equal(kernelReceived, received);
  const lost = Object.values(drops).reduce((sum, packets) => sum + packets, 0);
  assert.ok(received > 0 && lost > 0 && offered <= count, `${received} received, ${lost} lost, ${offered} offered`);
  assert.equal(received + lost, offered);
  assert.deepEqual(
    Object.keys(drops).filter((place) => place !== 'fill-ring-empty' && place !== 'receive-ring-full'),
    [],
  );
});

test('received packets are sent back without a copy', async () => {
  const socket = await open({});
  const receiver = pair.start(pair.far, program('ping'), pair.far.interface, 500, 60);
  const batch = new PacketBatch(64);
  let returned = 0;
  while (returned < 500) {
    if (socket.receive(batch) === 0) {
      assert.ok(await socket.wait({ timeoutMilliseconds: 5000 }), `${returned} came`);
      continue;
    }
    assert.ok(socket.movable(batch));
    while (batch.length > 0) returned += socket.send(batch);
  }
  const { copied } = await socket.statistics();
  const { received, good } = report(await receiver.result);
  assert.deepEqual([received, good, copied], [500, 500, 0]);
  await socket.close();
  assert.equal(socket.buffer.free('receive') + socket.buffer.free('send'), socket.buffer.frames);
});

test('packets can be iterated over, until the signal is aborted', async () => {
  const socket = await open({});
  const sender = pair.start(pair.far, program('txpush'), pair.far.interface, 'xdp-copy', 100, 60);
  const controller = new AbortController();
  let next = 0;
  for await (const { data } of socket.packets({ signal: controller.signal })) {
    assert.equal(readNumberedFrame(data, 0, data.length, 60), next++);
    if (next === 100) setTimeout(() => controller.abort(), 10);
  }
  assert.equal(next, 100);
  await sender.result;
  await socket.close();
});

test("'none' leaves packets to the stack, and steering changes it while traffic may run", async () => {
  const session = await openXdp({ interface: name, mode: 'xdp-copy', receive: 'none' });
  const attached = (): boolean => /prog\/xdp/.test(pair.run(pair.near, 'ip', 'link', 'show', name));
  const send = (): Promise<unknown> =>
    pair.start(pair.far, program('txpush'), pair.far.interface, 'xdp-copy', 10, 60).result;
  const batch = new PacketBatch(64);
  assert.equal(attached(), false);
  await send();
  assert.equal(session.rings.receive(batch), 0);
  await session.socket.steer('all');
  assert.equal(attached(), true);
  await send();
  assert.equal(session.rings.receive(batch), 10);
  session.rings.release(batch);
  await session.socket.steer('none');
  assert.equal(attached(), false);
  await send();
  assert.equal(session.rings.receive(batch), 0);
  await session.close();
});

test('a descriptor that names no frame is counted, and harms nobody', async () => {
  const session = await openXdp({
    interface: name,
    mode: 'xdp-copy',
    receive: 'none',
    entries: 64,
    frames: 256,
  });
  const { socket, rings, buffer } = session;
  const batch = new PacketBatch(1);
  assert.equal(rings.allocate(batch, 1), 1);
  batch.size[0] = 60;
  const past = buffer.base + buffer.frames * buffer.frameSize;
  // Past the user side's own check, as a hostile program would.
  const { offset } = batch;
  const post = rings as unknown as { postTransmit(batch: PacketBatch, count: number): void };
  const good = offset[0]!;
  offset[0] = past;
  post.postTransmit(batch, 1);
  offset[0] = good;
  assert.equal(rings.send(batch), 1);
  await socket.wait(() => !socket.sending(), { timeoutMilliseconds: 200 }); // older kernels never complete the bad one
  const { sent, drops } = await socket.statistics();
  assert.equal(sent, 1);
  assert.deepEqual(drops, { 'invalid-descriptor': 1 });
  await session.close();
});

const [major = 0, minor = 0] = release().split('.').map(Number);
const segments = major > 6 || (major === 6 && minor >= 6);

test('packets of several frames arrive whole', { skip: segments ? false : 'needs Linux 6.6' }, async () => {
  pair.run(pair.far, 'ip', 'link', 'set', pair.far.interface, 'mtu', '5000');
  pair.run(pair.near, 'ip', 'link', 'set', pair.near.interface, 'mtu', '5000');
  const session = await openXdp({ interface: name, mode: 'xdp-copy', receive: 'all', segments: true });
  try {
    // The far end sends it as one packet of three frames.
    const sender = pair.start(pair.far, program('send-segments'), pair.far.interface, 4000);
    const batch = new PacketBatch(64);
    assert.ok(
      await session.socket.wait(() => session.rings.readable(), { timeoutMilliseconds: 5000 }),
      (await sender.result).stderr,
    );
    assert.equal(session.rings.receive(batch), 3);
    const { u8 } = session.buffer.arena;
    const whole = new Uint8Array(batch.size[0]! + batch.size[1]! + batch.size[2]!);
    for (let i = 0, at = 0; i < 3; at += batch.size[i]!, i++)
      whole.set(u8.subarray(batch.offset[i]!, batch.offset[i]! + batch.size[i]!), at);
    assert.deepEqual([...batch.flags.subarray(0, 3)], [1, 1, 0]);
    assert.equal(readNumberedFrame(whole, 0, whole.length, 4000), 7);
    session.rings.release(batch);
  } finally {
    await session.close();
    pair.run(pair.near, 'ip', 'link', 'set', pair.near.interface, 'mtu', '1500');
    pair.run(pair.far, 'ip', 'link', 'set', pair.far.interface, 'mtu', '1500');
  }
});
