import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openCapture } from './open-capture.js';
import { fromHex, joinBytes, readFile } from './test-support.js';

// One file, written out: version 2.4, snap length 65535, Ethernet; a packet of 3 bytes (60 on the wire), one of none.
const LITTLE = `d4c3b2a1 0200 0400 00000000 00000000 ffff0000 01000000
  80000065 3f420f00 03000000 3c000000 aabbcc   81000065 00000000 00000000 00000000`;
const BIG = `a1b2c3d4 0002 0004 00000000 00000000 0000ffff 00000001
  65000080 000f423f 00000003 0000003c aabbcc   65000081 00000000 00000000 00000000`;
const BIG_NANO = BIG.replace('a1b2c3d4', 'a1b23c4d').replace('000f423f', '3b9ac9ff');
const LITTLE_NANO = LITTLE.replace('d4c3b2a1', '4d3cb2a1').replace('3f420f00', 'ffc99a3b');

const ZEROS = '00'.repeat(20);
const EXPECTED = { originalLength: 60, seconds: 0x65000080, timestamped: true, interface: 0, linkType: 1 };

for (const [name, text, nanoseconds] of [
  ['little-endian microseconds', LITTLE, 999_999_000],
  ['big-endian microseconds', BIG, 999_999_000],
  ['little-endian nanoseconds', LITTLE_NANO, 999_999_999],
  ['big-endian nanoseconds', BIG_NANO, 999_999_999],
] as const) {
  test(`a file with ${name}`, () => {
    const reader = openCapture(fromHex(text));
    assert.equal(reader.format, 'pcap');
    assert.deepEqual(reader.interfaces, [{ linkType: 1, snapLength: 65535 }]);
    assert.equal(reader.next(), true);
    assert.deepEqual({ ...reader.packet }, { ...EXPECTED, nanoseconds, offset: 40, length: 3 });
    assert.equal(reader.ended, false);
    assert.equal(reader.next(), true);
    assert.equal(reader.packet.length, 0);
    assert.equal(reader.packet.seconds, 0x65000081);
    assert.equal(reader.next(), false);
    assert.equal(reader.ended, true);
    assert.equal(reader.next(), false);
  });
}

test('a file without packets', () => {
  assert.deepEqual(readFile(fromHex(LITTLE).subarray(0, 24)), { packets: [], error: undefined });
});

test('seconds behind 2038, fractions of more than a second, lengths the wrong way round', () => {
  const record = 'ffffffff c0c62d00 04000000 01000000 01020304';
  const { packets } = readFile(fromHex(LITTLE.slice(0, LITTLE.indexOf('\n')) + record));
  assert.equal(packets[0]!.seconds, 0xffffffff + 3);
  assert.equal(packets[0]!.nanoseconds, 0);
  assert.equal(packets[0]!.originalLength, 4);
});

test('flags about the frame check sequence do not change the link type', () => {
  assert.equal(openCapture(fromHex(LITTLE.replace('01000000', '71000024'))).interfaces[0]!.linkType, 113);
});

test('what cannot be read is refused by name', () => {
  const refused: [string, string, RegExp][] = [
    [`34cdb2a1${ZEROS}`, 'CAPTURE_UNSUPPORTED', /"modified" pcap file/],
    [`a1b2cd34${ZEROS}`, 'CAPTURE_UNSUPPORTED', /"modified" pcap file/],
    [LITTLE.replace('0400', '0300'), 'CAPTURE_UNSUPPORTED', /version 2\.3; only version 2\.4/],
    [`1f8b0800${ZEROS}`, 'CAPTURE_UNSUPPORTED', /compressed with gzip/],
    ['28b52ffd', 'CAPTURE_UNSUPPORTED', /compressed with zstd/],
    [`7f454c46${ZEROS}`, 'CAPTURE_UNSUPPORTED', /begins with 0x7f454c46/],
    ['', 'CAPTURE_CORRUPT', /the file is empty/],
    ['d4c3b2', 'CAPTURE_CORRUPT', /ends within its header \(byte 3 of the file\)/],
    [LITTLE.slice(0, 40), 'CAPTURE_CORRUPT', /ends within its header \(byte 17 of the file\)/],
  ];
  for (const [text, code, message] of refused) {
    assert.throws(() => openCapture(fromHex(text)), { code, message });
  }
});

test('damage is told after all packets before it, and again when asked again', () => {
  const reader = openCapture(fromHex(`${LITTLE} 00000000 00000000 01000400 ffffffff 00`));
  assert.equal(reader.next(), true);
  assert.equal(reader.next(), true);
  const error = {
    code: 'CAPTURE_CORRUPT',
    message: 'pcap: packet 3 claims 262145 bytes, more than 262144 (byte 59 of the file)',
  };
  assert.throws(() => reader.next(), error);
  assert.throws(() => reader.next(), error);
  assert.equal(reader.ended, false);
});

test('a file that was cut off says where', () => {
  const whole = fromHex(LITTLE);
  assert.match(
    readFile(whole.subarray(0, 30)).error!.message,
    /ends within the header of packet 1 \(byte 24 of the file\)/,
  );
  const cut = readFile(whole.subarray(0, 42));
  assert.match(cut.error!.message, /ends within packet 1, after 2 of 3 bytes \(byte 24 of the file\)/);
  assert.match(
    readFile(whole.subarray(0, 58)).error!.message,
    /ends within the header of packet 2 \(byte 43 of the file\)/,
  );
});

test('long packets are read up to 256 KiB, or up to a larger snap length', () => {
  const data = new Uint8Array(300_000).fill(7);
  const record = (length: number): Uint8Array => {
    const header = fromHex('00000000 00000000 00000000 00000000');
    header.set([length & 255, (length >> 8) & 255, length >> 16], 8);
    return joinBytes([header, data.subarray(0, length)]);
  };
  const header = fromHex(LITTLE).subarray(0, 24);
  assert.equal(readFile(joinBytes([header, record(262144)])).packets[0]!.data.length, 2 * 262144);
  assert.equal(readFile(joinBytes([header, record(300_000)])).error!.code, 'CAPTURE_CORRUPT');
  const roomy = fromHex(LITTLE.replace('ffff0000', '00000800')).subarray(0, 24);
  assert.equal(readFile(joinBytes([roomy, record(300_000)])).packets[0]!.data.length, 600_000);
});
