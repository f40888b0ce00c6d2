import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Arena } from '../../../src/arena/arena.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { PacketBuffer } from '../../../src/packet-buffer/packet-buffer.js';
import { PacketBatch } from '../../../src/ring/packet-batch.js';
import { type OpenSocketOptions, openSocket } from '../../../src/socket/open-socket.js';
import { SoftKernel } from '../../../src/soft-kernel/soft-kernel.js';
import { checksumPackets, TRANSPORT, writeUnfinished } from '../../support/unfinished-checksums.js';
import { VethPair } from '../../support/veth-pair.js';

const pair = VethPair.inherited();
after(() => pair.close());
const dump = fileURLToPath(new URL('../../support/programs/dump.js', import.meta.url));
const { interface: name } = pair.near;
const arena = Arena.create(2 ** 25);
const kernel = new LinuxKernel({ arena });
const open = (options: Partial<OpenSocketOptions> = {}) =>
  openSocket({
    ...({ kernel, interface: name, mode: 'xdp-copy', receive: 'none', ring: 64, buffer: { frames: 256 } } as const),
    ...{ transmitChecksums: true, ...options },
  });

for (const mode of ['xdp-copy', 'xdp-generic'] as const) {
  test(`checksums are filled in, byte for byte (${mode})`, async () => {
    const socket = await open({ mode });
    const far = pair.start(pair.far, dump, pair.far.interface, 'xdp-copy', checksumPackets.length);
    await far.line('ready');
    const batch = new PacketBatch(checksumPackets.length);
    assert.equal(socket.allocate(batch), checksumPackets.length);
    for (const [i, { field }] of checksumPackets.entries()) {
      writeUnfinished(socket.bytes, batch, i, i);
      assert.equal(socket.requestChecksum(batch, i, TRANSPORT, field), true);
    }
    assert.equal(socket.send(batch), checksumPackets.length);
    const { stdout } = await far.result;
    assert.deepEqual(
      stdout.trim().split('\n').slice(1),
      checksumPackets.map(({ bytes }) => Buffer.from(bytes).toString('hex')),
    );
    const { kernelSent, drops } = await socket.statistics();
    assert.deepEqual([kernelSent, drops], [checksumPackets.length, {}]);
    await socket.close();
  });
}

test('packets that ask for nothing stay as they are, also behind ones that did', async () => {
  const buffer = PacketBuffer.create({ arena, frames: 8, sendFrames: 8 }); // few, so that frames are used again
  const socket = await open({ buffer });
  const far = pair.start(pair.far, dump, pair.far.interface, 'xdp-copy', 16);
  await far.line('ready');
  const batch = new PacketBatch(8);
  for (const asked of [true, false]) {
    assert.ok(await socket.wait({ for: 'send', timeoutMilliseconds: 1000 }));
    for (let i = 0; i < 100 && socket.allocate(batch) < 8; i++) {
      socket.release(batch);
      await socket.wait({ for: 'receive', timeoutMilliseconds: 5 });
    }
    for (let i = 0; i < 8; i++) {
      socket.bytes.fill(0xee, batch.offset[i]!, batch.offset[i]! + 60);
      batch.size[i] = 60;
      if (asked) assert.equal(socket.requestChecksum(batch, i, 20, 0), true);
    }
    assert.equal(socket.send(batch), 8);
  }
  const lines = (await far.result).stdout.trim().split('\n').slice(1);
  assert.equal(lines.filter((line) => line === 'ee'.repeat(60)).length, 8);
  assert.equal(new Set(lines.slice(0, 8)).size, 1);
  assert.notEqual(lines[0], 'ee'.repeat(60));
  await socket.close();
  buffer.close();
});

test('requests without room, outside the packet, or on a socket opened without are not made', async () => {
  const socket = await open();
  const batch = new PacketBatch(1);
  socket.allocate(batch);
  batch.size[0] = 60;
  assert.equal(socket.requestChecksum(batch, 0, 34, 25), false);
  assert.equal(socket.requestChecksum(batch, 0, -1, 6), false);
  const at = batch.offset[0]!;
  for (const offset of [(at & ~2047) + 20, at + 1, 0, socket.buffer.base - 4]) {
    batch.offset[0] = offset;
    assert.equal(socket.requestChecksum(batch, 0, 34, 6), false);
  }
  batch.offset[0] = at;
  assert.equal(batch.flags[0], 0);
  socket.release(batch);
  await socket.close();
  const plain = await open({ transmitChecksums: false });
  plain.allocate(batch);
  batch.size[0] = 60;
  assert.equal(plain.requestChecksum(batch, 0, 34, 6), false);
  batch.flags[0] = 4; // nor does the kernel see a flag that somebody set by hand
  assert.equal(plain.send(batch), 1);
  assert.ok(await plain.wait({ for: 'send' }));
  for (let i = 0; i < 100 && (await plain.statistics()).kernelSent < 1; i++)
    await plain.wait({ timeoutMilliseconds: 5 });
  assert.deepEqual((await plain.statistics()).drops, {});
  await plain.close();
});

test('where neither driver nor kernel does it, it is refused', async () => {
  const socket = await kernel.xdpSocket();
  const buffer = PacketBuffer.create({ arena, frames: 64 });
  await socket.registerMemory(buffer);
  await socket.createRings({ receive: 0, transmit: 64 });
  await socket.map();
  await socket.transmitMetadata({ checksums: true, timestamps: false, launchTimes: false });
  await assert.rejects(socket.bind({ interface: name, mode: 'xdp-zc', receive: 'none', segments: false }), {
    code: 'MODE_UNSUPPORTED',
    message: /veth fills in no checksums/,
    remedy: /xdp-copy/,
  });
  await socket.close();
  const soft = new SoftKernel();
  await soft.addNic({ name: 'soft0' });
  await assert.rejects(open({ kernel: soft, interface: 'soft0', mode: 'v4' }), {
    code: 'MODE_UNSUPPORTED',
    message: /soft kernel/,
  });
  await soft.close();
});
