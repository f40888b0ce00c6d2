import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../test/support/random.js';
import { Arena } from '../arena.js';

const arena = Arena.create(2 ** 22);
const { u8, i32, routines } = arena;
const lists = arena.allocate(2 ** 16).offset;
const ring = arena.allocate(2 ** 12).offset;
const from = arena.allocate(2 ** 20).offset;
const to = arena.allocate(2 ** 20).offset;
const RESULT = arena.allocate(64).offset;

const END = 2;
const DONE = 1;

function words(at: number, values: readonly number[]): void {
  i32.set(values, at >> 2);
}

function result(): { used: number; packets: number; bytes: number } {
  const [used, packets, bytes] = i32.subarray(RESULT >> 2);
  return { used: used!, packets: packets!, bytes: bytes! };
}

function descriptor(index: number): number[] {
  return [...i32.subarray((ring >> 2) + index * 4, (ring >> 2) + index * 4 + 4)];
}

new Random(7).fill(u8, from, from + 2 ** 20);

test('copyPackets: every length from 0 to 300 and some large ones, at every alignment, and not a byte beside them', () => {
  const random = new Random(3);
  const lengths = [...Array(301).keys(), 511, 512, 1500, 2048, 9000, 65535];
  for (const length of lengths) {
    const source = from + random.below(64);
    const destination = to + 64 + random.below(64);
    u8.fill(0xaa, destination - 32, destination + length + 32);
    words(lists, [source, destination, length]);
    routines.copyPackets(lists, 1);
    assert.deepEqual(
      Buffer.compare(u8.subarray(destination, destination + length), u8.subarray(source, source + length)),
      0,
      `${length} bytes`,
    );
    for (let i = 1; i <= 32; i++) {
      assert.equal(u8[destination - i], 0xaa, `${length} bytes, ${i} before`);
      assert.equal(u8[destination + length + i - 1], 0xaa, `${length} bytes, ${i} behind`);
    }
  }
});

test('copyPackets copies all packets of a list, and none for a count of 0', () => {
  const count = 300;
  const list: number[] = [];
  for (let i = 0; i < count; i++) list.push(from + i * 100, to + i * 400, i);
  words(lists, list);
  u8.fill(0, to, to + count * 400);
  routines.copyPackets(lists, 0);
  assert.equal(u8[to + 400], 0);
  routines.copyPackets(lists, count);
  for (let i = 0; i < count; i++) {
    assert.equal(
      Buffer.compare(u8.subarray(to + i * 400, to + i * 400 + i), u8.subarray(from + i * 100, from + i * 100 + i)),
      0,
    );
    assert.equal(u8[to + i * 400 + i], 0);
  }
});

const MASK = 7;
const ROOM = 100;

/** Eight receive descriptors, each with a frame of its own. */
function postReceive(): void {
  u8.fill(0, to, to + 8 * 256);
  for (let i = 0; i < 8; i++) words(ring + i * 16, [to + i * 256, 0, 0, 0]);
}

function receive(
  lengths: readonly number[],
  head: number,
  tail: number,
  { longest = 1000, hashes = false } = {},
): void {
  words(
    lists,
    lengths.flatMap((length, i) => [from + i * 1024, length]),
  );
  words(
    lists + 4096,
    lengths.map((_, i) => 1000 + i),
  );
  routines.receiveDma(ring, MASK, head, tail, ROOM, lists, lengths.length, hashes ? lists + 4096 : 0, longest, RESULT);
}

function inFrame(frame: number, source: number, length: number): void {
  assert.equal(
    Buffer.compare(u8.subarray(to + frame * 256, to + frame * 256 + length), u8.subarray(source, source + length)),
    0,
  );
  assert.equal(u8[to + frame * 256 + length], 0, 'nothing is written behind the packet');
}

test('receiveDma writes packets into frames, and length, hash and status into the descriptors', () => {
  postReceive();
  receive([60, 100, 1], 0, 8, { hashes: true });
  assert.deepEqual(result(), { used: 3, packets: 3, bytes: 161 });
  [60, 100, 1].forEach((length, i) => {
    inFrame(i, from + i * 1024, length);
    const [hash, , , status] = descriptor(i);
    assert.equal(hash, 1000 + i);
    assert.equal(status, (length << 8) | DONE | END);
  });
  assert.equal(descriptor(3)[3], 0);
});

test('receiveDma spreads long packets over several descriptors, around the end of the ring and of the index', () => {
  postReceive();
  const head = 0xffffffff - 1; // the ring index passes 2^32 after two descriptors
  receive([250, 200], head | 0, (head + 8) | 0);
  assert.deepEqual(result(), { used: 5, packets: 2, bytes: 450 });
  const parts = [
    [6, 0, 100, false],
    [7, 100, 100, false],
    [0, 200, 50, true],
    [1, 1024, 100, false],
    [2, 1124, 100, true],
  ] as const;
  for (const [index, at, length, last] of parts) {
    inFrame(index, from + at, length);
    assert.equal(descriptor(index)[3], (length << 8) | DONE | (last ? END : 0));
  }
});

test('receiveDma stops before a packet for which descriptors do not suffice: whole or not at all', () => {
  postReceive();
  receive([60, 250], 0, 3);
  assert.deepEqual(result(), { used: 1, packets: 1, bytes: 60 });
  assert.equal(descriptor(1)[3], 0);
  receive([60], 3, 3);
  assert.deepEqual(result(), { used: 0, packets: 0, bytes: 0 });
});

test('receiveDma stops before a packet that is too long for the device', () => {
  postReceive();
  receive([60, 501, 60], 0, 8, { longest: 500 });
  assert.deepEqual(result(), { used: 1, packets: 1, bytes: 60 });
  receive([500], 1, 8, { longest: 500 });
  assert.deepEqual(result(), { used: 5, packets: 1, bytes: 500 });
});

const FIFO_BYTES = 512;

function transmit(
  descriptors: readonly (readonly [offset: number, length: number, last?: boolean])[],
  head: number,
  capacity = 64,
): void {
  descriptors.forEach(([offset, length, last = true], i) => {
    words(ring + (((head + i) & MASK) << 4), [from + offset, length, last ? END : 0, 0]);
  });
  u8.fill(0, to, to + 2 * FIFO_BYTES);
  routines.transmitDma(ring, MASK, head, (head + descriptors.length) | 0, to, FIFO_BYTES, lists, capacity, RESULT);
}

/** Entry `i` of the list that transmitDma has made. */
function listed(i: number): [address: number, length: number] {
  return [i32[(lists >> 2) + i * 2]!, i32[(lists >> 2) + i * 2 + 1]!];
}

function isAt(address: number, source: number, length: number): boolean {
  return Buffer.compare(u8.subarray(address, address + length), u8.subarray(source, source + length)) === 0;
}

test('transmitDma reads packets into the FIFO, each on a cache line of its own, lists them and writes the descriptors back', () => {
  transmit(
    [
      [0, 60],
      [100, 65],
      [300, 1],
    ],
    6,
  );
  assert.deepEqual(result(), { used: 3, packets: 3, bytes: 126 });
  for (const [i, offset, length] of [
    [0, 0, 60],
    [1, 100, 65],
    [2, 300, 1],
  ] as const) {
    const [address, bytes] = listed(i);
    assert.equal(bytes, length);
    assert.equal(address % 64, 0);
    assert.ok(isAt(address, from + offset, length));
    assert.equal(descriptor((6 + i) & MASK)[3], DONE);
  }
});

test('transmitDma joins the descriptors of one packet', () => {
  transmit(
    [
      [0, 60, false],
      [500, 30, false],
      [900, 7],
      [50, 10],
    ],
    0,
  );
  assert.deepEqual(result(), { used: 4, packets: 2, bytes: 107 });
  const [address, length] = listed(0);
  assert.equal(length, 97);
  assert.ok(isAt(address, from, 60) && isAt(address + 60, from + 500, 30) && isAt(address + 90, from + 900, 7));
  assert.ok(isAt(listed(1)[0], from + 50, 10));
});

test('transmitDma takes whole packets only: one whose end is not posted stays', () => {
  transmit(
    [
      [0, 60],
      [100, 60, false],
      [200, 60, false],
    ],
    0,
  );
  assert.deepEqual(result(), { used: 1, packets: 1, bytes: 60 });
  assert.equal(descriptor(1)[3], 0);
});

test('transmitDma stops when the FIFO or the list is full, and never writes behind the FIFO', () => {
  transmit(
    [
      [0, 200],
      [200, 200],
      [400, 60],
      [500, 60],
    ],
    0,
  );
  // 200 + 200 take 256 each; the third would end behind byte 512.
  assert.deepEqual(result(), { used: 2, packets: 2, bytes: 400 });
  assert.equal(u8[to + FIFO_BYTES], 0);
  transmit([[0, FIFO_BYTES]], 0);
  assert.deepEqual(result(), { used: 1, packets: 1, bytes: FIFO_BYTES });
  transmit([[0, FIFO_BYTES + 1]], 0);
  assert.deepEqual(result(), { used: 0, packets: 0, bytes: 0 });
  transmit(
    [
      [0, 10],
      [0, 10],
      [0, 10],
    ],
    0,
    2,
  );
  assert.deepEqual(result(), { used: 2, packets: 2, bytes: 20 });
});

test('random rings: what DMA writes out is what went in, whatever the lengths', () => {
  const random = new Random(11);
  for (let round = 0; round < 2000; round++) {
    postReceive();
    const head = random.word() | 0;
    const descriptors = random.between(0, 8);
    const lengths = Array.from({ length: random.between(1, 8) }, () => random.between(1, 350));
    receive(lengths, head, (head + descriptors) | 0);
    const { used, packets } = result();
    let expectedUsed = 0;
    let expectedPackets = 0;
    for (const length of lengths) {
      const needs = Math.ceil(length / ROOM);
      if (expectedUsed + needs > descriptors) break;
      for (let part = 0; part < needs; part++) {
        const frame = (head + expectedUsed + part) & MASK;
        inFrame(frame, from + expectedPackets * 1024 + part * ROOM, Math.min(ROOM, length - part * ROOM));
      }
      expectedUsed += needs;
      expectedPackets++;
    }
    assert.deepEqual([used, packets], [expectedUsed, expectedPackets], `round ${round}, seed 11`);
  }
});
