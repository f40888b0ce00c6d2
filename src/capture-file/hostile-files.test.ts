import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomBytes, seeded } from '../packet/test-support.js';
import { PcapWriter, type PcapWriterOptions } from './pcap-writer.js';
import { ChunkList, joinBytes, PcapngBuilder, type ReadResult, readFile } from './test-support.js';

const random = seeded(61);

function smallPcap(options: PcapWriterOptions): Uint8Array {
  const sink = new ChunkList();
  const writer = new PcapWriter(sink, options);
  for (const length of [0, 1, 14, 60, 33]) writer.write(randomBytes(random, length), 0, length, 1_700_000_000, length);
  writer.flush();
  return sink.bytes;
}

function smallPcapng(bigEndian: boolean): Uint8Array {
  const file = new PcapngBuilder().section(bigEndian);
  file.interface(1, 100, [...file.option(2, [101, 116, 104]), ...file.option(9, [9]), ...file.option(0, [])]);
  file.enhanced(0, 1_700_000_000_000_000_000n, randomBytes(random, 13), 50, file.option(2, [0, 0, 0, 1]));
  file
    .block(5, [...randomBytes(random, 24)])
    .obsolete(0, 7n, randomBytes(random, 6))
    .simple(randomBytes(random, 21));
  file.section(!bigEndian).interface(101, 0, file.option(14, [1, 2, 3, 4, 5, 6, 7, 8]));
  return file.enhanced(0, 3n, randomBytes(random, 9)).bytes;
}

const files: Record<string, Uint8Array> = {
  'pcap, little-endian': smallPcap({}),
  'pcap, big-endian': smallPcap({ byteOrder: 'big', resolution: 'microseconds' }),
  'pcapng, little-endian first': smallPcapng(false),
  'pcapng, big-endian first': smallPcapng(true),
};

/** Reads a file that lies amid other bytes through a view, and again with every access watched. */
function readGuarded(bytes: Uint8Array): ReadResult {
  const watched = new Proxy(bytes, {
    get(target, name) {
      if (typeof name === 'string' && /^\d+$/.test(name) && Number(name) >= target.length) {
        throw new Error(`read byte ${name} of ${target.length}`);
      }
      return Reflect.get(target, name, target) as unknown;
    },
    set() {
      throw new Error('wrote to the file');
    },
  });
  const result = readFile(watched);
  const amid = joinBytes([new Uint8Array(64).fill(1), bytes, new Uint8Array(64).fill(1)]);
  assert.deepEqual(readFile(amid.subarray(64, 64 + bytes.length)), result);
  return result;
}

for (const [name, bytes] of Object.entries(files)) {
  const whole = readFile(bytes);

  test(`${name}: cut at every byte, it gives the packets before the cut and says so`, () => {
    assert.equal(whole.error, undefined);
    let cleanEnds = 0;
    for (let length = 0; length < bytes.length; length++) {
      const { packets, error } = readGuarded(bytes.subarray(0, length));
      assert.deepEqual(packets, whole.packets.slice(0, packets.length));
      if (error === undefined) cleanEnds++;
      else {
        assert.equal(error.code, 'CAPTURE_CORRUPT');
        assert.match(error.message, /ends? within|is empty/);
      }
    }
    // Between packets or blocks a shorter file is a good one.
    assert.ok(cleanEnds >= 5 && cleanEnds <= 9);
  });

  test(`${name}: with any bits flipped, it gives packets or an error, inside the file, in bounded time`, () => {
    for (let round = 0; round < 1500; round++) {
      const damaged = bytes.slice();
      // Lengths and counts are small numbers, so their upper bytes are the ones that hurt.
      for (let flips = 1 + random(4); flips > 0; flips--)
        damaged[random(damaged.length)] = [0, 1, 0x7f, 0x80, 0xff, random(256)][random(6)]!;
      const { packets } = readGuarded(damaged);
      assert.ok(packets.length <= bytes.length / 12);
    }
  });
}

test('random bytes behind a good beginning', () => {
  for (let round = 0; round < 500; round++) {
    const bytes = Object.values(files)[random(4)]!;
    readGuarded(joinBytes([bytes.subarray(0, random(bytes.length)), randomBytes(random, random(200))]));
  }
});

test('a file of nothing but interfaces is given up at some point', () => {
  const block = new PcapngBuilder().interface().bytes;
  const parts = [new PcapngBuilder().section(false).bytes, ...new Array<Uint8Array>(65537).fill(block)];
  assert.equal(readFile(joinBytes(parts)).error?.code, 'CAPTURE_UNSUPPORTED');
});
