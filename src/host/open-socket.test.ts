import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Arena } from '../arena/arena.js';
import { PcapWriter } from '../capture-file/pcap-writer.js';
import { PacketError } from '../errors.js';
import { writeUdpPacket } from '../packet/build-packet.js';
import { PacketBuffer } from '../packet-buffer/packet-buffer.js';
import { PacketBatch } from '../ring/packet-batch.js';
import type { PacketSocket } from '../socket/packet-socket.js';
import { SoftKernel } from '../soft-kernel/soft-kernel.js';
import { openSocket } from './open-socket.js';

const folder = mkdtempSync(join(tmpdir(), 'tp4-'));
after(() => rmSync(folder, { recursive: true }));

/** Sizes of everything that arrives. */
async function receiveAll(socket: PacketSocket): Promise<number[]> {
  const batch = new PacketBatch(64);
  const sizes: number[] = [];
  while (await socket.wait({ timeoutMilliseconds: 10 })) {
    socket.receive(batch);
    sizes.push(...batch.size.subarray(0, batch.length));
    socket.release(batch);
  }
  return sizes;
}

test('a soft interface gets a kernel of its own, and closing gives all memory back', async () => {
  const before = Arena.default().freeBytes;
  {
    await using socket = await openSocket({ interface: 'soft:generator,size=100,count=200', receive: 'all' });
    assert.equal(socket.mode.got, 'xdp-zc');
    assert.deepEqual(await receiveAll(socket), new Array(200).fill(96));
    await socket.close();
    await socket.close(); // twice does no harm
  }
  assert.equal(Arena.default().freeBytes, before);
});

test('a packet buffer that is given decides the arena', async () => {
  const arena = Arena.create(2 ** 27);
  const buffer = PacketBuffer.create({ arena, frames: 4096 });
  const socket = await openSocket({ interface: 'soft:generator,count=10', receive: 'all', buffer });
  assert.equal(socket.bytes, arena.u8);
  assert.equal((await receiveAll(socket)).length, 10);
  await socket.close();
  buffer.close();
});

test('a kernel that is given is used, and stays open', async () => {
  const kernel = new SoftKernel({ arena: Arena.create(2 ** 27) });
  await kernel.addNic({ name: 'soft0' });
  const socket = await openSocket({ kernel, interface: 'soft0', receive: 'all' });
  await socket.close();
  assert.equal((await kernel.interfaces()).length, 1);
  await assert.rejects(openSocket({ kernel, interface: 'soft:generator', receive: 'all' }), { code: 'NO_INTERFACE' });
  await kernel.close();
});

test('captures are read, also compressed ones', async () => {
  const file = join(folder, 'one, two.pcap');
  const chunks: Uint8Array[] = [];
  const writer = new PcapWriter({ write: (chunk) => void chunks.push(chunk) });
  for (const length of [60, 200, 1000]) {
    const packet = new Uint8Array(length);
    const addresses = {
      sourceMac: '02:00:00:00:00:01',
      destinationMac: '02:00:00:00:00:02',
      source: '192.0.2.1',
      destination: '192.0.2.2',
    };
    writeUdpPacket(packet, 0, { length, ...addresses, sourcePort: 1, destinationPort: 9 });
    writer.write(packet, 0, length, 1, length);
  }
  writer.flush();
  const bytes = Buffer.concat(chunks);
  writeFileSync(file, bytes);
  writeFileSync(`${file}.gz`, gzipSync(bytes));
  for (const name of [file, `${file}.gz`]) {
    await using socket = await openSocket({ interface: `soft:pcap=${name},pace=max,loop=2`, receive: 'all' });
    assert.deepEqual(await receiveAll(socket), [60, 200, 1000, 60, 200, 1000]);
  }
});

test('files that are missing or damaged are typed errors, and nothing stays open', async () => {
  const before = Arena.default().freeBytes;
  const open = (file: string) => openSocket({ interface: `soft:pcap=${file}`, receive: 'all' });
  await assert.rejects(open('/not/there'), (error: PacketError) => {
    assert.equal(error.code, 'SYSTEM_CALL');
    assert.match(error.message, /\/not\/there cannot be read: ENOENT/);
    assert.equal(error.errno, 2);
    return true;
  });
  const damaged = join(folder, 'damaged.pcap.gz');
  writeFileSync(damaged, gzipSync(Buffer.alloc(1000)).subarray(0, 20));
  await assert.rejects(open(damaged), { code: 'CAPTURE_CORRUPT' });
  const other = join(folder, 'other.txt');
  writeFileSync(other, 'not a capture file');
  await assert.rejects(open(other), { code: 'CAPTURE_UNSUPPORTED' });
  assert.equal(Arena.default().freeBytes, before);
});

test('options that soft devices do not have are refused by name, and nothing stays open', async () => {
  const before = Arena.default().freeBytes;
  const soft = { interface: 'soft:none', receive: 'all' } as const;
  const napi = { deferHardIrqs: 2, groFlushTimeoutNanoseconds: 200_000 };
  await assert.rejects(openSocket({ ...soft, napi }), { code: 'INVALID_OPTION', message: /napi: soft devices/ });
  const fanout = { group: 1, type: 'hash' } as const;
  await assert.rejects(openSocket({ ...soft, mode: 'v3', fanout }), {
    code: 'MODE_UNSUPPORTED',
    message: /fanout: the soft kernel/,
  });
  const busyPoll = { microseconds: 50 };
  await assert.rejects(openSocket({ ...soft, mode: 'xdp-copy', busyPoll }), {
    code: 'MODE_UNSUPPORTED',
    message: /busyPoll: the soft kernel/,
  });
  assert.equal(Arena.default().freeBytes, before);
});

test('a refused mode leaves nothing open', async () => {
  const before = Arena.default().freeBytes;
  await assert.rejects(openSocket({ interface: 'soft:none', receive: 'all', mode: 'xdp-generic' }), {
    code: 'MODE_UNSUPPORTED',
  });
  await assert.rejects(openSocket({ interface: 'soft:nonsense', receive: 'all' }), PacketError);
  assert.equal(Arena.default().freeBytes, before);
});
