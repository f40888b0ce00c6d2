import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Arena } from '../../../src/arena/arena.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { writeTcpPacket, writeUdpPacket } from '../../../src/packet/build-packet.js';
import { addToChecksum, finishChecksum } from '../../../src/packet/checksum.js';
import { PacketBuffer } from '../../../src/packet-buffer/packet-buffer.js';
import { PacketBatch } from '../../../src/ring/packet-batch.js';
import { type OpenSocketOptions, openSocket } from '../../../src/socket/open-socket.js';
import { SoftKernel } from '../../../src/soft-kernel/soft-kernel.js';
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

const addresses = {
  ...{ destinationMac: '02:00:00:00:00:0b', sourceMac: '02:00:00:00:00:0a', sourcePort: 1234, destinationPort: 5678 },
  ...{ source: '10.0.0.1', destination: '10.0.0.2', payload: { seed: 7 } },
} as const;
/** Bytes of Ethernet and IPv4 headers. */
const TRANSPORT = 34;

/** Whole packets with right checksums, some of odd length; where the checksum is, from the transport header; its protocol. */
const packets = [60, 61, 777, 1514].flatMap((length) =>
  (['udp', 'tcp'] as const).map((protocol) => {
    const bytes = new Uint8Array(length);
    const write = protocol === 'udp' ? writeUdpPacket : writeTcpPacket;
    write(bytes, 0, { ...addresses, length });
    return protocol === 'udp' ? { bytes, field: 6, number: 17 } : { bytes, field: 16, number: 6 };
  }),
);

/** The sum of the pseudo header, not complemented, as the kernel wants to find it in the field. */
function pseudoHeaderSum(packet: Uint8Array, protocol: number): number {
  const length = packet[16]! * 256 + packet[17]! - 20;
  return ~finishChecksum(addToChecksum(protocol + length, packet, 26, 8)) & 0xffff;
}

for (const mode of ['xdp-copy', 'xdp-generic'] as const) {
  test(`checksums are filled in, byte for byte (${mode})`, async () => {
    const socket = await open({ mode });
    const far = pair.start(pair.far, dump, pair.far.interface, 'xdp-copy', packets.length);
    await far.line('ready');
    const batch = new PacketBatch(packets.length);
    assert.equal(socket.allocate(batch), packets.length);
    for (const [i, { bytes, field, number }] of packets.entries()) {
      const at = batch.offset[i]!;
      const sum = pseudoHeaderSum(bytes, number);
      socket.bytes.set(bytes, at);
      socket.bytes[at + TRANSPORT + field] = sum >> 8;
      socket.bytes[at + TRANSPORT + field + 1] = sum & 0xff;
      batch.size[i] = bytes.length;
      assert.equal(socket.requestChecksum(batch, i, TRANSPORT, field), true);
    }
    assert.equal(socket.send(batch), packets.length);
    const { stdout } = await far.result;
    assert.deepEqual(
      stdout.trim().split('\n').slice(1),
      packets.map(({ bytes }) => Buffer.from(bytes).toString('hex')),
    );
    const { kernelSent, drops } = await socket.statistics();
    assert.deepEqual([kernelSent, drops], [packets.length, {}]);
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
  await assert.rejects(open({ kernel: soft, interface: 'soft0' }), {
    code: 'MODE_UNSUPPORTED',
    message: /soft kernel/,
  });
  await soft.close();
});
