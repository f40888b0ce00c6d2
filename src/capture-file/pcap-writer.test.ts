import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomBytes, seeded } from '../packet/test-support.js';
import { PcapWriter, type PcapWriterOptions } from './pcap-writer.js';
import { ChunkList, hex, type ReadPacket, readFile } from './test-support.js';

test('what is written is read again, in every byte order, resolution and chunk size', () => {
  const random = seeded(21);
  for (let round = 0; round < 120; round++) {
    const microseconds = random(2) === 0;
    const snapLength = random(3) === 0 ? 1 + random(200) : 262144;
    const options: PcapWriterOptions = {
      byteOrder: random(2) === 0 ? 'little' : 'big',
      resolution: microseconds ? 'microseconds' : 'nanoseconds',
      linkType: random(65536),
      snapLength,
      chunkBytes: 64 + random(1000),
    };
    const sink = new ChunkList();
    const writer = new PcapWriter(sink, options);
    const memory = randomBytes(random, 4000);
    const expected: ReadPacket[] = [];
    for (let i = random(30); i > 0; i--) {
      const length = random(3) === 0 ? random(1515) : random(100);
      const offset = random(memory.length - length);
      const seconds = random(2 ** 32);
      const nanoseconds = random(1e9);
      const originalLength = random(2) === 0 ? length : length + random(5000);
      writer.write(memory, offset, length, seconds, nanoseconds, originalLength);
      if (random(10) === 0) writer.flush();
      expected.push({
        data: hex(memory.subarray(offset, offset + Math.min(length, snapLength))),
        originalLength,
        seconds,
        nanoseconds: microseconds ? nanoseconds - (nanoseconds % 1000) : nanoseconds,
        timestamped: true,
        interface: 0,
        linkType: options.linkType!,
      });
    }
    writer.flush();
    assert.deepEqual(readFile(sink.bytes), { packets: expected, error: undefined });
    // Cut after any chunk, the file is a good one.
    for (let count = 1; count < sink.chunks.length; count++) {
      const part = new ChunkList();
      part.chunks.push(...sink.chunks.slice(0, count));
      const { packets, error } = readFile(part.bytes);
      assert.equal(error, undefined);
      assert.deepEqual(packets, expected.slice(0, packets.length));
    }
  }
});

test('chunks are of the size asked for, and belong to the one who gets them', () => {
  const sink = new ChunkList();
  const writer = new PcapWriter(sink, { chunkBytes: 1000 });
  const data = new Uint8Array(84).fill(1);
  for (let i = 0; i < 1000; i++) writer.write(data, 0, data.length, i, 0);
  writer.flush();
  writer.flush();
  assert.ok(sink.chunks.length <= 113);
  assert.ok(sink.chunks.every((chunk) => chunk.length > 0 && chunk.length <= 1000));
  assert.equal(new Set(sink.chunks.map((chunk) => chunk.buffer)).size, sink.chunks.length);
  writer.write(new Uint8Array(5000), 0, 5000, 0, 0);
  writer.flush();
  assert.equal(sink.chunks.at(-1)!.length, 5016);
});

test('packets in shared memory can be written', () => {
  const sink = new ChunkList();
  const writer = new PcapWriter(sink);
  const memory = new Uint8Array(new SharedArrayBuffer(300)).fill(9);
  writer.write(memory, 100, 200, 1, 2);
  writer.flush();
  assert.equal(readFile(sink.bytes).packets[0]!.data, '09'.repeat(200));
});

test('wrong options are named', () => {
  const wrong: [object, string][] = [
    [{ snapLength: 0 }, 'snapLength: 0 is not a whole number from 1 to 262144'],
    [{ linkType: 65536 }, 'linkType: 65536 is not a whole number from 0 to 65535'],
    [{ chunkBytes: 1 }, 'chunkBytes: 1 is not a whole number from 64 to 1073741824'],
    [{ resolution: 'seconds' }, 'resolution: seconds is not one of nanoseconds, microseconds'],
    [{ byteOrder: 'middle' }, 'byteOrder: middle is not one of little, big'],
  ];
  for (const [options, message] of wrong) {
    assert.throws(() => new PcapWriter(new ChunkList(), options), { code: 'INVALID_OPTION', message });
  }
});
