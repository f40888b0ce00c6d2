import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checksumPackets, TRANSPORT, writeUnfinished } from '../../test/support/unfinished-checksums.js';
import { PacketBatch } from '../ring/packet-batch.js';
import { openSocket } from '../socket/open-socket.js';
import { SoftKernel } from './soft-kernel.js';

for (const mode of ['xdp-copy', 'xdp-zc'] as const) {
  test(`checksums are filled in, byte for byte, and what makes no sense is dropped and counted (${mode})`, async () => {
    const kernel = new SoftKernel();
    await kernel.addVeth({ names: ['near', 'far'] });
    const socket = await openSocket({ kernel, interface: 'near', mode, receive: 'none', transmitChecksums: true });
    const far = await openSocket({ kernel, interface: 'far', mode: 'xdp-copy', receive: 'all' });
    const batch = new PacketBatch(checksumPackets.length);
    socket.allocate(batch);
    for (const [i, { field }] of checksumPackets.entries()) {
      writeUnfinished(socket.bytes, batch, i, i);
      assert.equal(socket.requestChecksum(batch, i, TRANSPORT, field), true);
    }
    assert.equal(socket.send(batch), checksumPackets.length);
    // Requests that were changed behind the library's back: flags, start and field.
    const words = new DataView(socket.bytes.buffer, socket.bytes.byteOffset);
    const bad = [
      [1, 34 | (6 << 16)],
      [1 << 31, 0],
      [2, 34 | (25 << 16)],
      [2, 0xffffffff],
      [2, 59],
    ] as const;
    const wrong = new PacketBatch(bad.length);
    socket.allocate(wrong);
    for (const [i, [flags, places]] of bad.entries()) {
      wrong.size[i] = 60;
      assert.equal(socket.requestChecksum(wrong, i, TRANSPORT, 6), true);
      words.setUint32(wrong.offset[i]! - 24, flags, true);
      words.setUint32(wrong.offset[i]! - 16, places, true);
    }
    assert.equal(socket.send(wrong), bad.length);
    kernel.run(50);
    const got: Uint8Array[] = [];
    while (far.receive(batch) > 0) {
      for (let i = 0; i < batch.length; i++) {
        got.push(far.bytes.slice(batch.offset[i]!, batch.offset[i]! + batch.size[i]!));
      }
      far.release(batch);
    }
    assert.deepEqual(
      got.map((bytes) => Buffer.from(bytes).toString('hex')),
      checksumPackets.map(({ bytes }) => Buffer.from(bytes).toString('hex')),
    );
    assert.equal((await socket.statistics()).drops['invalid-descriptor'], bad.length);
    await kernel.close();
  });
}

test('what the soft kernel has not is refused', async () => {
  const kernel = new SoftKernel();
  await kernel.addVeth({ names: ['near', 'far'] });
  const open = (more: object) => openSocket({ kernel, interface: 'near', mode: 'xdp-copy', receive: 'none', ...more });
  for (const more of [
    { mode: 'v4', transmitTimestamps: true, outcomes: true },
    { mode: 'v4-zc', launchTimes: true },
    { mode: 'v4', transmitChecksums: true },
  ]) {
    await assert.rejects(open(more), { code: 'MODE_UNSUPPORTED' });
  }
  await kernel.close();
});
