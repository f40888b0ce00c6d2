import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readUint16, readUint32, writeUint16, writeUint32 } from './big-endian.js';
import { addToChecksum, finishChecksum, internetChecksum, updateChecksum16, updateChecksum32 } from './checksum.js';
import { randomBytes, seeded } from './test-support.js';

/** RFC 1071 section 1 word for word, in integers of any size. */
function byTheBook(bytes: Uint8Array): number {
  let sum = 0n;
  for (let at = 0; at < bytes.length; at += 2) sum += BigInt(bytes[at]! * 256 + (bytes[at + 1] ?? 0));
  while (sum > 0xffffn) sum = (sum & 0xffffn) + (sum >> 16n);
  return Number(~sum & 0xffffn);
}

test('the example of RFC 1071 section 3', () => {
  const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
  assert.equal(internetChecksum(bytes, 0, bytes.length), ~0xddf2 & 0xffff);
});

test('any bytes, at any place, of any length', () => {
  const random = seeded(1);
  for (let round = 0; round < 500; round++) {
    const bytes = randomBytes(random, random(200));
    const around = new Uint8Array(bytes.length + 20).fill(0xff);
    around.set(bytes, 7);
    assert.equal(internetChecksum(around, 7, bytes.length), byTheBook(bytes));
  }
});

test('the longest packet with the largest words does not overflow', () => {
  const bytes = new Uint8Array(65535).fill(0xff);
  assert.equal(internetChecksum(bytes, 0, bytes.length), byTheBook(bytes));
});

test('pieces sum up to the whole', () => {
  const random = seeded(2);
  for (let round = 0; round < 200; round++) {
    const bytes = randomBytes(random, 1 + random(100));
    const cut = random(bytes.length) & ~1;
    const sum = addToChecksum(addToChecksum(0, bytes, 0, cut), bytes, cut, bytes.length - cut);
    assert.equal(finishChecksum(sum), byTheBook(bytes));
  }
});

test('an update gives what computing anew gives (RFC 1624)', () => {
  const random = seeded(3);
  for (let round = 0; round < 2000; round++) {
    const bytes = randomBytes(random, 20);
    // Zeros and ones at their extremes are where ones' complement has two zeros.
    if (round % 3 === 0) bytes.fill(round % 2 === 0 ? 0 : 0xff, 2 + random(8));
    bytes[0] = 0x45;
    const before = internetChecksum(bytes, 0, 20);
    const at = 2 * (1 + random(8));
    const old16 = readUint16(bytes, at);
    const old32 = readUint32(bytes, at);
    writeUint16(bytes, at, random(3) === 0 ? 0xffff : random(0x10000));
    assert.equal(updateChecksum16(before, old16, readUint16(bytes, at)), internetChecksum(bytes, 0, 20));
    writeUint32(bytes, at, random(2 ** 32));
    assert.equal(updateChecksum32(before, old32, readUint32(bytes, at)), internetChecksum(bytes, 0, 20));
    assert.equal(updateChecksum32(before, old32 | 0, readUint32(bytes, at) | 0), internetChecksum(bytes, 0, 20));
  }
});

test('the example of RFC 1624 section 4', () => {
  assert.equal(updateChecksum16(0xdd2f, 0x5555, 0x3285), 0x0000);
});
