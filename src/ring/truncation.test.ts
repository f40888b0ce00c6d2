import assert from 'node:assert/strict';
import { test } from 'node:test';
import { numberOf, udpPacket } from '../../test/support/packets.js';
import { openSmall, sendAll, softKernel } from '../../test/support/soft.js';
import { PACKET_TRUNCATED, PacketBatch } from './packet-batch.js';

const LENGTHS = [9000, 100, 1500, 4000, 60];

/** What V2 and V3 have room for: a slot less its headers, a block less its descriptor and headers. */
const ROOM = [
  { mode: 'v2', options: { ringFrameSize: 2048 }, most: 1982 },
  { mode: 'v2', options: { ringFrameSize: 256 }, most: 190 },
  { mode: 'v3', options: { blockSize: 4096, ringFrameSize: 2048 }, most: 3966 },
] as const;

for (const { mode, options, most, held } of ROOM.flatMap((room) => [false, true].map((held) => ({ ...room, held })))) {
  const story = `a packet that is cut says so, how long it was, and is counted${held ? ', also when it is held' : ''}`;
  test(`${mode} ${JSON.stringify(options)}: ${story}`, async () => {
    await using kernel = softKernel();
    const wire = { kind: 'patch', cable: 'jumbo' } as const;
    for (const name of ['near', 'far']) await kernel.addNic({ name, mtu: 9000, wire });
    await using sender = await openSmall(kernel, 'far', {
      mode: 'v4',
      receive: 'none',
      buffer: { frames: 64, frameSize: 16384 },
    });
    await using socket = await openSmall(kernel, 'near', { mode, ...options, buffer: { frames: 64, frameSize: 8192 } });
    const packets = LENGTHS.map((length, number) => udpPacket({ length, number }));
    assert.equal(sendAll(sender, packets), packets.length);
    const batch = new PacketBatch(8);
    const seen: { number: number; size: number; flags: number; originalSize: number }[] = [];
    while (seen.length < packets.length && (await socket.wait({ timeoutMilliseconds: 100 }))) {
      socket.receive(batch);
      if (held) assert.equal(socket.hold(batch), batch.length);
      for (let i = 0; i < batch.length; i++) {
        const flags = batch.flags[i]!;
        const size = batch.size[i]!;
        const originalSize = flags === PACKET_TRUNCATED ? batch.originalSize[i]! : size;
        seen.push({ number: numberOf(socket.bytes, batch.offset[i]!), size, flags, originalSize });
      }
      socket.release(batch);
    }
    const expected = LENGTHS.map((length, number) => ({
      number,
      size: Math.min(length, most),
      flags: length > most ? PACKET_TRUNCATED : 0,
      originalSize: length,
    }));
    assert.deepEqual(seen, expected);
    const { truncated, received } = await socket.statistics();
    assert.equal(received, LENGTHS.length);
    assert.equal(truncated, LENGTHS.filter((length) => length > most).length);
  });
}

test('a VLAN tag counts in the original size', async () => {
  await using kernel = softKernel();
  const wire = { kind: 'patch', cable: 'vlan' } as const;
  for (const name of ['near', 'far']) await kernel.addNic({ name, wire });
  await using sender = await openSmall(kernel, 'far', { mode: 'v4', receive: 'none' });
  await using socket = await openSmall(kernel, 'near', { mode: 'v2', ringFrameSize: 256 });
  const packet = udpPacket({ length: 1000 });
  packet.copyWithin(16, 12, 996);
  packet.set([0x81, 0, 0, 5], 12);
  assert.equal(sendAll(sender, [packet]), 1);
  for await (const { data, size, originalSize } of socket) {
    assert.deepEqual([size, originalSize], [190, 1000]);
    assert.deepEqual(data, packet.subarray(0, 190));
    break;
  }
});

for (const mode of ['v2', 'v4', 'v4-zc', 'xdp-copy', 'xdp-zc'] as const) {
  test(`what is left of a cut packet can be sent on in ${mode}`, async () => {
    await using kernel = softKernel();
    const wire = { kind: 'patch', cable: 'jumbo' } as const;
    for (const name of ['near', 'far']) await kernel.addNic({ name, wire });
    await using sender = await openSmall(kernel, 'far', { mode: 'v4', receive: 'none' });
    await using socket = await openSmall(kernel, 'near', { mode: 'v2', ringFrameSize: 256 });
    await using out = await openSmall(kernel, 'near', { mode, receive: 'none' });
    await using back = await openSmall(kernel, 'far', { mode: 'v3' });
    sendAll(sender, [udpPacket({ length: 1000, number: 77 })]);
    const batch = new PacketBatch(8);
    assert.ok(await socket.wait({ timeoutMilliseconds: 100 }));
    assert.equal(socket.receive(batch), 1);
    assert.equal(out.send(batch), 1);
    assert.ok(await back.wait({ timeoutMilliseconds: 100 }));
    assert.equal(back.receive(batch), 1);
    assert.deepEqual([batch.size[0], batch.flags[0], numberOf(back.bytes, batch.offset[0]!)], [190, 0, 77]);
    back.release(batch);
  });
}
