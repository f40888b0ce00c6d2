import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomBytes, seeded } from '../packet/test-support.js';
import { openCapture } from './open-capture.js';
import { fromHex, hex, PcapngBuilder, type ReadPacket, readFile } from './test-support.js';

const DATA = Uint8Array.of(1, 2, 3, 4, 5);
const SECOND = 1_000_000n;

test('a file, byte for byte', () => {
  const reader = openCapture(
    fromHex(`0a0d0d0a 1c000000 4d3c2b1a 0100 0000 ffffffffffffffff 1c000000
      01000000 20000000 0100 0000 00000400 0900 0100 09000000 00000000 20000000
      06000000 2c000000 00000000 626f1716 fc79c414 05000000 3c000000 0102030405000000 00000000 2c000000`),
  );
  assert.equal(reader.next(), true);
  assert.equal(reader.format, 'pcapng');
  assert.deepEqual(
    { ...reader.packet },
    {
      ...{ offset: 28 + 32 + 28, length: 5, originalLength: 60 },
      ...{ seconds: 1_591_863_460, nanoseconds: 344_658_428, timestamped: true, interface: 0, linkType: 1 },
    },
  );
  assert.equal(reader.interfaces.length, 1);
  assert.equal(reader.interfaces[0]!.snapLength, 262144);
  assert.equal(reader.next(), false);
  assert.equal(reader.ended, true);
});

for (const bigEndian of [false, true]) {
  const order = bigEndian ? 'big-endian' : 'little-endian';

  test(`${order}: enhanced, obsolete and simple packets, cut by the snap length or not`, () => {
    const file = new PcapngBuilder().section(bigEndian).interface(113, 4).interface(1);
    file
      .enhanced(1, 5n * SECOND, DATA, 1500)
      .obsolete(0, 6n * SECOND + 7n, DATA, 99)
      .simple(DATA)
      .simple(DATA.subarray(0, 3), 70);
    const packet = { timestamped: true, nanoseconds: 0, interface: 1, linkType: 1 };
    assert.deepEqual(readFile(file.bytes), {
      packets: [
        { ...packet, data: '0102030405', originalLength: 1500, seconds: 5 },
        {
          ...packet,
          data: '0102030405',
          originalLength: 99,
          seconds: 6,
          nanoseconds: 7000,
          interface: 0,
          linkType: 113,
        },
        { ...packet, data: '01020304', originalLength: 5, seconds: 0, timestamped: false, interface: 0, linkType: 113 },
        {
          ...packet,
          data: '01020300',
          originalLength: 70,
          seconds: 0,
          timestamped: false,
          interface: 0,
          linkType: 113,
        },
      ],
      error: undefined,
    });
  });

  test(`${order}: units and offsets of time belong to an interface`, () => {
    const file = new PcapngBuilder().section(bigEndian);
    const minusTen = bigEndian ? [255, 255, 255, 255, 255, 255, 255, 246] : [246, 255, 255, 255, 255, 255, 255, 255];
    const comment = file.option(
      1,
      [...'three'].map((letter) => letter.charCodeAt(0)),
    );
    file.interface(1, 0, [...comment, ...file.option(9, [9]), ...file.option(14, minusTen), ...file.option(0, [])]);
    file.interface(1, 0, file.option(9, [0x82]));
    // Behind the end of options nothing counts.
    file.interface(1, 0, [...file.option(0, []), ...file.option(9, [0])]);
    for (const from of [0, 1, 2]) file.enhanced(from, 11_500_000_003n, DATA);
    const times = readFile(file.bytes).packets.map(({ seconds, nanoseconds }) => [seconds, nanoseconds]);
    assert.deepEqual(times, [
      [1, 500_000_003],
      [2_875_000_000, 750_000_000],
      [11500, 3000],
    ]);
  });

  test(`${order}: blocks of other kinds are stepped over`, () => {
    const file = new PcapngBuilder().section(bigEndian, [1, 2, 3, 4]).interface();
    file.block(4, [0, 0, 0, 0]).block(5, new Array(60).fill(1)).block(0x0bad, [1, 2, 3, 4]).block(0xffffffff, []);
    file.enhanced(0, 0n, DATA, 5, file.option(2, [1, 0, 0, 0])).block(10, []);
    assert.equal(readFile(file.bytes).packets.length, 1);
  });
}

test('sections of different byte orders, each with its own interfaces', () => {
  const file = new PcapngBuilder();
  file.section(false).interface(1).interface(101).enhanced(1, SECOND, DATA);
  file
    .section(true)
    .interface(113)
    .enhanced(0, 2n * SECOND, DATA);
  file.section(false).interface(276).simple(DATA);
  const reader = openCapture(file.bytes);
  const seen: number[][] = [];
  while (reader.next()) seen.push([reader.packet.interface, reader.packet.linkType, reader.packet.seconds]);
  assert.deepEqual(seen, [
    [1, 101, 1],
    [2, 113, 2],
    [3, 276, 0],
  ]);
  assert.deepEqual(
    reader.interfaces.map(({ linkType }) => linkType),
    [1, 101, 113, 276],
  );
});

test('damage is told by block and byte, after the packets before it', () => {
  const start = (): PcapngBuilder => new PcapngBuilder().section(false).interface().enhanced(0, 0n, DATA);
  const at = start().bytes.length;
  const damaged: [Uint8Array, string][] = [
    [
      start().enhanced(1, 0n, DATA).bytes,
      `block 4 names interface 1, but its section has described 1 (byte ${at + 8} of the file)`,
    ],
    [
      start().section(true).simple(DATA).bytes,
      `block 5 names interface 0, but its section has described 0 (byte ${at + 36} of the file)`,
    ],
    [start().block(6, [0, 0, 0, 0]).bytes, `block 4 has 16 bytes, too few for a packet (byte ${at} of the file)`],
    [start().block(3, []).bytes, `block 4 has 12 bytes, too few for a simple packet (byte ${at} of the file)`],
    [
      start().block(1, [0, 0, 0, 0]).bytes,
      `block 4 has 16 bytes, too few for an interface description (byte ${at} of the file)`,
    ],
    [
      start().block(0x0a0d0d0a, [0x4d, 0x3c, 0x2b, 0x1a]).bytes,
      `block 4 has 16 bytes, too few for a section header (byte ${at} of the file)`,
    ],
    [
      start().block(0x0a0d0d0a, [1, 2, 3, 4]).bytes,
      `block 4 is a section header without a byte-order magic number (0x4030201) (byte ${at + 8} of the file)`,
    ],
    [
      start().interface(1, 0, [9, 0, 2, 0, 6, 6, 0, 0]).bytes,
      `block 4 has a timestamp resolution of 2 bytes instead of 1 (byte ${at + 16} of the file)`,
    ],
    [
      start().interface(1, 0, [14, 0, 4, 0, 6, 6, 0, 0]).bytes,
      `block 4 has a timestamp offset of 4 bytes instead of 8 (byte ${at + 16} of the file)`,
    ],
    [
      start().interface(1, 0, [2, 0, 5, 0, 6, 6, 0, 0]).bytes,
      `block 4 has an option (2) that goes beyond it (byte ${at + 16} of the file)`,
    ],
  ];
  const head = start().bytes;
  const raw = (text: string): Uint8Array => fromHex(hex(head) + text);
  damaged.push(
    [raw('05000000 08000000'), `block 4 has an impossible length of 8 bytes (byte ${at} of the file)`],
    [raw('05000000 0e000000'), `block 4 has an impossible length of 14 bytes (byte ${at} of the file)`],
    [raw('06000000 fcffffff'), `block 4 claims 4294967292 bytes, more than 134217728 (byte ${at} of the file)`],
    [
      raw('05000000 0c000000 10000000'),
      `block 4 begins with a length of 12 bytes, but ends with one of 16 (byte ${at + 8} of the file)`,
    ],
    [
      raw('03000000 10000000 00000000 14000000'),
      `block 4 begins with a length of 16 bytes, but ends with one of 20 (byte ${at} of the file)`,
    ],
    [raw('05000000 fcffffff 00'), `the file ends within block 4 (byte ${at + 9} of the file)`],
    [raw('06000000 2c000000 00'), `the file ends within block 4 (byte ${at + 9} of the file)`],
    [raw('060000'), `the file ends within block 4 (byte ${at + 3} of the file)`],
  );
  for (const [bytes, message] of damaged) {
    const { packets, error } = readFile(bytes);
    assert.equal(packets.length, 1, message);
    assert.equal(error?.code, 'CAPTURE_CORRUPT');
    assert.equal(error?.message, `pcapng: ${message}`);
  }
});

test('a packet that claims more data than its block holds', () => {
  const bytes = new PcapngBuilder().section(false).interface().enhanced(0, 0n, DATA).bytes;
  bytes[28 + 20 + 20] = 9;
  const error = readFile(bytes).error;
  assert.equal(
    error?.message,
    'pcapng: block 3 has room for 8 bytes of packet data, but claims 9 (byte 68 of the file)',
  );
});

test('sections of another version are refused', () => {
  const bytes = new PcapngBuilder().section(false).bytes;
  bytes[12] = 2;
  assert.equal(readFile(bytes).error?.code, 'CAPTURE_UNSUPPORTED');
});

test('any packets in any mixture of blocks are read as they were written', () => {
  const random = seeded(41);
  for (let round = 0; round < 100; round++) {
    const file = new PcapngBuilder();
    const expected: ReadPacket[] = [];
    let first = 0;
    let linkTypes: number[] = [];
    for (let section = 1 + random(3); section > 0; section--) {
      file.section(random(2) === 0);
      first += linkTypes.length;
      linkTypes = [];
      for (let i = 1 + random(3); i > 0; i--) {
        linkTypes.push(random(300));
        file.interface(linkTypes.at(-1), 0, random(2) === 0 ? [] : file.option(9, [6]));
      }
      for (let i = random(20); i > 0; i--) {
        const data = randomBytes(random, random(60));
        const from = random(linkTypes.length);
        const originalLength = data.length + random(2) * random(2000);
        const seconds = random(2 ** 31);
        const microseconds = random(1e6);
        const ticks = BigInt(seconds) * SECOND + BigInt(microseconds);
        const packet = { data: hex(data), originalLength, seconds, nanoseconds: microseconds * 1000 };
        const known = { timestamped: true, interface: first + from, linkType: linkTypes[from]! };
        switch (random(4)) {
          case 0:
            file.enhanced(from, ticks, data, originalLength, random(2) === 0 ? [] : file.option(2, [1, 2, 3, 4]));
            expected.push({ ...packet, ...known });
            break;
          case 1:
            file.obsolete(from, ticks, data, originalLength);
            expected.push({ ...packet, ...known });
            break;
          case 2:
            file.simple(data);
            expected.push({
              ...{ ...packet, originalLength: data.length, seconds: 0, nanoseconds: 0 },
              ...{ timestamped: false, interface: first, linkType: linkTypes[0]! },
            });
            break;
          default:
            file.block(7 + random(1000), [...data.subarray(0, data.length & ~3)]);
        }
      }
    }
    assert.deepEqual(readFile(file.bytes), { packets: expected, error: undefined });
  }
});
