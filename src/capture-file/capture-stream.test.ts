import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PacketError } from '../errors.js';
import { type Random, randomBytes, seeded } from '../packet/test-support.js';
import { CaptureStream } from './open-capture.js';
import { PcapWriter } from './pcap-writer.js';
import { ChunkList, copyPacket, PcapngBuilder, type ReadPacket, type ReadResult, readFile } from './test-support.js';

function pcapFile(random: Random): Uint8Array {
  const sink = new ChunkList();
  const writer = new PcapWriter(sink);
  for (let i = 0; i < 20; i++) writer.write(randomBytes(random, random(200)), 0, random(100), i, i);
  writer.flush();
  return sink.bytes;
}

function pcapngFile(random: Random): Uint8Array {
  const file = new PcapngBuilder()
    .section(random(2) === 0)
    .interface()
    .interface(113);
  for (let i = 0; i < 20; i++) {
    file.enhanced(random(2), BigInt(i), randomBytes(random, random(200)));
    file.block(99, [...randomBytes(random, 4 * random(200))]);
    if (random(5) === 0)
      file
        .section(random(2) === 0)
        .interface()
        .interface();
  }
  return file.bytes;
}

/** Reads a file in pieces of random sizes, some of them empty; pieces are overwritten when the next one is pushed. */
function readInPieces(bytes: Uint8Array, random: Random, longest: number): ReadResult {
  const stream = new CaptureStream();
  const packets: ReadPacket[] = [];
  let piece = new Uint8Array(0);
  try {
    for (let at = 0; at < bytes.length; ) {
      const next = bytes.slice(at, at + random(longest + 1));
      at += next.length;
      stream.push(next);
      piece.fill(0xee);
      piece = next;
      if (random(4) === 0) continue;
      while (stream.next()) packets.push(copyPacket(stream));
      assert.equal(stream.ended, false);
    }
    stream.end();
    while (stream.next()) packets.push(copyPacket(stream));
    assert.equal(stream.ended, true);
    return { packets, error: undefined };
  } catch (error) {
    if (error instanceof PacketError) return { packets, error };
    throw error;
  }
}

test('a file in pieces of any sizes gives what the whole file gives, damaged or not', () => {
  const random = seeded(51);
  for (let round = 0; round < 150; round++) {
    const bytes = round % 2 === 0 ? pcapFile(random) : pcapngFile(random);
    const whole = readFile(bytes);
    assert.equal(whole.error, undefined);
    const longest = [1, 7, 100, 3000][random(4)]!;
    assert.deepEqual(readInPieces(bytes, random, longest), whole);
    const cut = bytes.slice(0, random(bytes.length));
    assertSame(readInPieces(cut, random, longest), readFile(cut));
    const broken = bytes.slice();
    broken[random(broken.length)] = random(256);
    assertSame(readInPieces(broken, random, longest), readFile(broken));
  }
});

function assertSame(pieces: ReadResult, whole: ReadResult): void {
  assert.deepEqual(pieces.packets, whole.packets);
  assert.equal(pieces.error?.message, whole.error?.message);
}

test('memory stays flat over a long file and over a block that is stepped over', () => {
  const sink = new ChunkList();
  const writer = new PcapWriter(sink, { chunkBytes: 4096 });
  const data = new Uint8Array(1500);
  for (let i = 0; i < 50; i++) writer.write(data, 0, data.length, i, 0);
  writer.flush();
  const stream = new CaptureStream();
  let packets = 0;
  let largest = 0;
  const feed = (bytes: Uint8Array, pieceBytes: number): void => {
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      stream.push(bytes.subarray(at, at + pieceBytes));
      if (stream.bytes !== bytes && stream.bytes.buffer !== bytes.buffer)
        largest = Math.max(largest, stream.bytes.byteLength);
      while (stream.next()) packets++;
    }
  };
  const whole = sink.bytes;
  feed(whole, 1000);
  for (let round = 1; round < 40; round++) feed(whole.subarray(24), 1000);
  assert.equal(packets, 2000);
  assert.ok(largest <= 8192, `${largest} bytes held`);

  const long = new CaptureStream();
  const head = new PcapngBuilder().section(false).interface();
  long.push(head.bytes);
  long.push(Uint8Array.of(5, 0, 0, 0, ...head.u32(12 + (64 << 20))));
  const piece = new Uint8Array(1 << 20);
  for (let i = 0; i < 64; i++) {
    assert.equal(long.next(), false);
    long.push(piece);
    assert.ok(long.bytes === piece || long.bytes.byteLength < 100);
  }
  long.push(Uint8Array.from(head.u32(12 + (64 << 20))));
  long.end();
  assert.equal(long.next(), false);
  assert.equal(long.ended, true);
});

test('before anything is known, there are no packets, no interfaces and no format', () => {
  const stream = new CaptureStream();
  assert.equal(stream.next(), false);
  assert.equal(stream.open(), false);
  assert.deepEqual([stream.format, stream.interfaces, stream.ended], [undefined, [], false]);
  stream.end();
  assert.throws(() => stream.next(), { code: 'CAPTURE_CORRUPT' });
  assert.throws(() => stream.push(new Uint8Array(1)), { code: 'WRONG_STATE' });
});
