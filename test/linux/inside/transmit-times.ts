import assert from 'node:assert/strict';
import { release } from 'node:os';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Arena } from '../../../src/arena/arena.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { PacketBuffer } from '../../../src/packet-buffer/packet-buffer.js';
import { OUTCOME_UNKNOWN, PacketBatch } from '../../../src/ring/packet-batch.js';
import { requestLaunchTime } from '../../../src/ring/xdp/transmit-metadata.js';
import { type OpenSocketOptions, openSocket } from '../../../src/socket/open-socket.js';
import type { PacketSocket } from '../../../src/socket/packet-socket.js';
import { VethPair } from '../../support/veth-pair.js';

const pair = VethPair.inherited();
after(() => pair.close());
const dump = fileURLToPath(new URL('../../support/programs/dump.js', import.meta.url));
const { interface: name } = pair.near;
const arena = Arena.create(2 ** 25);
const kernel = new LinuxKernel({ arena });
const open = (options: Partial<OpenSocketOptions> = {}): Promise<PacketSocket> =>
  openSocket({
    ...({ kernel, interface: name, mode: 'xdp-copy', receive: 'none', ring: 64, buffer: { frames: 256 } } as const),
    ...{ transmitTimestamps: true, outcomes: true, ...options },
  });

/** Sends what is in the batch, and collects what comes back: for each packet (by its first byte) the nanoseconds since 1970. */
async function sendAll(socket: PacketSocket, batch: PacketBatch): Promise<Map<number, number>> {
  const count = batch.length;
  assert.equal(socket.send(batch), count);
  const times = new Map<number, number>();
  for (let looks = 0; times.size < count && looks < 500; looks++) {
    if (socket.completions(batch) === 0) await socket.wait({ timeoutMilliseconds: 5 });
    for (let i = 0; i < batch.length; i++) {
      assert.equal(batch.outcome[i], OUTCOME_UNKNOWN);
      times.set(socket.bytes[batch.offset[i]!]!, batch.seconds[i]! * 1e9 + batch.nanoseconds[i]!);
    }
    socket.release(batch);
  }
  assert.equal(times.size, count);
  return times;
}

function fill(socket: PacketSocket, batch: PacketBatch, count: number): void {
  assert.equal(socket.allocate(batch, count), count);
  for (let i = 0; i < count; i++) {
    socket.bytes.fill(0xee, batch.offset[i]!, batch.offset[i]! + 60);
    socket.bytes[batch.offset[i]!] = i * 2;
    batch.size[i] = 60;
  }
}

const [major = 0, minor = 0] = release().split('.').map(Number);
/** Launch times came with Linux 6.14. */
const known = major > 6 || (major === 6 && minor >= 14);

/** TAI is up to some 40 seconds ahead of UTC, where the machine knows by how much. */
const MOST_AHEAD = 60e9;

for (const mode of ['xdp-copy', 'xdp-generic'] as const) {
  test(`${mode}: the kernel tells when it was done with a packet, and only of packets that asked`, async () => {
    await using socket = await open({ mode });
    assert.equal(socket.transmitTimestamps, 'kernel');
    const batch = new PacketBatch(16);
    let last = 0;
    // More rounds than frames for sending have room for: frames are used again, with and without the question.
    for (let round = 0; round < 20; round++) {
      fill(socket, batch, 16);
      for (let i = round % 2; i < 16; i += 2) assert.equal(socket.requestTimestamp(batch, i), true);
      const before = Date.now() * 1e6;
      const times = await sendAll(socket, batch);
      for (let i = 0; i < 16; i++) {
        const time = times.get(i * 2)!;
        if (i % 2 !== round % 2) assert.equal(time, 0);
        else {
          assert.ok(time > before - 1e9 && time < before + MOST_AHEAD, `${time} is not about ${before}`);
          assert.ok(time >= last, 'later packets are sent later');
          last = time;
        }
      }
    }
    assert.deepEqual((await socket.statistics()).drops, {});
  });
}

test('a checksum and the time may be asked for together', async () => {
  const far = pair.start(pair.far, dump, pair.far.interface, 'xdp-copy', 2);
  await far.line('ready');
  await using socket = await open({ transmitChecksums: true });
  const batch = new PacketBatch(2);
  fill(socket, batch, 2);
  assert.equal(socket.requestChecksum(batch, 0, 20, 0), true);
  for (const i of [0, 1]) assert.equal(socket.requestTimestamp(batch, i), true);
  const times = await sendAll(socket, batch);
  assert.ok(times.get(0)! > 0 && times.get(2)! > 0);
  const [first, second] = (await far.result).stdout.trim().split('\n').slice(1);
  assert.equal(second, `02${'ee'.repeat(59)}`);
  assert.notEqual(first, `00${'ee'.repeat(59)}`);
  assert.equal(first!.length, second!.length);
});

test('a socket that was opened without asks for nothing', async () => {
  await using socket = await open({ transmitTimestamps: false });
  assert.equal(socket.transmitTimestamps, undefined);
  const batch = new PacketBatch(1);
  fill(socket, batch, 1);
  assert.equal(socket.requestTimestamp(batch, 0), false);
  assert.equal(socket.requestLaunchTime(batch, 0, 1, 0), false);
  assert.equal(batch.flags[0], 0);
  assert.deepEqual([...(await sendAll(socket, batch)).values()], [0]);
});

test('one buffer is registered with and without a place for questions, on two devices', async () => {
  const buffer = PacketBuffer.create({ arena, frames: 256 });
  const first = await open({ buffer });
  const elsewhere = await open({ buffer, interface: 'lo', mode: 'xdp-generic', transmitTimestamps: false });
  await elsewhere.close();
  await first.close();
  buffer.close();
});

test('what cannot be had is refused, with what helps', async () => {
  await assert.rejects(open({ outcomes: false }), { code: 'INVALID_OPTION', remedy: /outcomes: true/ });
  await assert.rejects(open({ launchTimes: 1 as never }), { code: 'INVALID_OPTION', message: /launchTimes: 1/ });
  for (const mode of ['xdp-copy', 'xdp-generic'] as const) {
    await assert.rejects(open({ mode, launchTimes: true }), {
      ...{ code: 'MODE_UNSUPPORTED', message: /launchTimes on tp4near: the driver veth has no launch times/ },
      remedy: /igc/,
    });
  }
  for (const mode of ['v3', 'v2'] as const) {
    await assert.rejects(open({ mode }), { code: 'MODE_UNSUPPORTED', message: /does not tell when packets were sent/ });
    await assert.rejects(open({ mode, transmitTimestamps: false, launchTimes: true }), {
      ...{ code: 'MODE_UNSUPPORTED', message: /has no launch times in mode/ },
    });
  }
  // In zero-copy only the driver could tell.
  const socket = await kernel.xdpSocket();
  const buffer = PacketBuffer.create({ arena, frames: 64 });
  await socket.registerMemory(buffer);
  await socket.createRings({ receive: 0, transmit: 64 });
  await socket.map();
  await socket.transmitMetadata({ checksums: false, timestamps: true, launchTimes: false });
  await assert.rejects(socket.bind({ interface: name, mode: 'xdp-zc', receive: 'none', segments: false }), {
    ...{ code: 'MODE_UNSUPPORTED', message: /veth does not tell/ },
    remedy: /xdp-copy/,
  });
  await socket.close();
  buffer.close();
});

// No device of a test machine holds packets back: what is tried here is that the kernel knows the request. Without it the packet would
// stay behind, and that is why sockets ask first what the driver can do.
test('the kernel takes a launch time, and gives it to the driver', {
  skip: known ? false : 'needs Linux 6.14',
}, async () => {
  const far = pair.start(pair.far, dump, pair.far.interface, 'xdp-copy', 3);
  await far.line('ready');
  await using socket = await open();
  const batch = new PacketBatch(3);
  fill(socket, batch, 3);
  for (const i of [0, 1]) assert.equal(requestLaunchTime(socket.buffer, batch, i, 1, 0), true);
  assert.equal(socket.requestTimestamp(batch, 1), true);
  const times = await sendAll(socket, batch);
  assert.deepEqual([times.get(0), times.get(4)], [0, 0]);
  assert.ok(times.get(2)! > 0);
  const arrived = (await far.result).stdout.trim().split('\n').slice(1);
  assert.deepEqual(
    arrived,
    ['00', '02', '04'].map((first) => `${first}${'ee'.repeat(59)}`),
  );
  assert.deepEqual((await socket.statistics()).drops, {});
});
