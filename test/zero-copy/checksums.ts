import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { describeLinuxDevices } from '../../src/linux-kernel/describe-device.js';
import { PacketBatch } from '../../src/ring/packet-batch.js';
import { openSocket } from '../../src/socket/open-socket.js';
import type { PacketSocket } from '../../src/socket/packet-socket.js';
import { checksumPackets, TRANSPORT, writeUnfinished } from '../support/unfinished-checksums.js';
import { driver, FAR, kernel, NEAR, open } from './cards.js';

/** How long nothing must come before the packets are counted. */
const PATIENCE_MILLISECONDS = 2000;

const [report] = await describeLinuxDevices([NEAR]);
assert.ok(report!.xdp.known, 'the kernel says what the driver can do');
assert.deepEqual(report!.xdp.value.transmitMetadata, [], 'a driver that fills in checksums wants tests of that');

test(`${driver}: checksums in zero-copy are refused, as the kernel says that the driver has none`, async () => {
  await assert.rejects(open(NEAR, { mode: 'xdp-zc', transmitChecksums: true }), {
    code: 'MODE_UNSUPPORTED',
    message: new RegExp(`${driver} fills in no checksums`),
    remedy: driver === 'igb' ? /xdp-copy/ : /^open the socket without/,
  });
});

test(`${driver}: the ladder takes the next mode where the kernel computes them, and refuses them elsewhere`, async () => {
  const asking = open(NEAR, { transmitChecksums: true });
  if (driver === 'virtio_net') {
    await assert.rejects(asking, { code: 'MODE_REFUSED', message: /xdp-copy: .* computes none .* virtio_net/ });
  } else {
    await using near = await asking;
    assert.equal(near.mode.got, 'xdp-copy');
    // Hears all queues: the card spreads UDP over them.
    await using far = await openSocket({ kernel, interface: FAR, receive: 'all', mode: 'v2' });
    await checkFilledIn(near, far);
  }
  await using free = await open(NEAR);
  assert.equal(free.mode.got, 'xdp-zc');
});

/** Sends all packets with checksums to be filled in, and compares what the other end receives, in any order. */
async function checkFilledIn(near: PacketSocket, far: PacketSocket): Promise<void> {
  const batch = new PacketBatch(checksumPackets.length);
  assert.equal(near.allocate(batch), checksumPackets.length);
  for (const [i, { field }] of checksumPackets.entries()) {
    writeUnfinished(near.bytes, batch, i, i);
    assert.equal(near.requestChecksum(batch, i, TRANSPORT, field), true);
  }
  assert.equal(near.send(batch), checksumPackets.length);
  const received: string[] = [];
  while (received.length < checksumPackets.length && (await far.wait({ timeoutMilliseconds: PATIENCE_MILLISECONDS }))) {
    far.receive(batch);
    for (let i = 0; i < batch.length; i++) {
      const at = batch.offset[i]!;
      received.push(digest(far.bytes.subarray(at, at + batch.size[i]!)));
    }
    far.release(batch);
  }
  assert.deepEqual(received.sort(), checksumPackets.map(({ bytes }) => digest(bytes)).sort());
}

/** Tells packets apart in few words. */
function digest(bytes: Uint8Array): string {
  return `${bytes.length} bytes, ${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}`;
}
