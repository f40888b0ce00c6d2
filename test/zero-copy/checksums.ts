import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeLinuxDevices } from '../../src/linux-kernel/describe-device.js';
import { PacketBatch } from '../../src/ring/packet-batch.js';
import { checksumPackets, TRANSPORT, writeUnfinished } from '../support/unfinished-checksums.js';
import { driver, FAR, NEAR, open } from './cards.js';

/** How long nothing must come before the packets are counted. */
const PATIENCE_MILLISECONDS = 2000;

const [report] = await describeLinuxDevices([NEAR]);
assert.ok(report!.xdp.known, 'the kernel says what the driver can do');
const offered = report!.xdp.value.transmitMetadata.includes('checksum');

test(`${driver}: checksums in zero-copy are ${offered ? 'the card’s' : 'refused, as the kernel says, with what to do'}`, async () => {
  if (offered) {
    await checkFilledIn(['xdp-zc'], 'xdp-zc');
    return;
  }
  await assert.rejects(open(NEAR, { mode: 'xdp-zc', transmitChecksums: true }), {
    code: 'MODE_UNSUPPORTED',
    message: new RegExp(`${driver} fills in no checksums`),
    remedy: /xdp-copy/,
  });
});

test(`${driver}: the ladder takes the next mode, in which they are filled in, byte for byte`, async () => {
  await checkFilledIn('best', offered ? 'xdp-zc' : 'xdp-copy');
});

/** Sends all packets with checksums to be filled in, and compares what a zero-copy socket receives. */
async function checkFilledIn(mode: 'best' | ['xdp-zc'], got: 'xdp-zc' | 'xdp-copy'): Promise<void> {
  await using far = await open(FAR, { mode: 'xdp-zc' });
  await using near = await open(NEAR, { mode, transmitChecksums: true });
  assert.equal(near.mode.got, got);
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
      received.push(Buffer.from(far.bytes.subarray(at, at + batch.size[i]!)).toString('hex'));
    }
    far.release(batch);
  }
  assert.deepEqual(
    received,
    checksumPackets.map(({ bytes }) => Buffer.from(bytes).toString('hex')),
  );
}
