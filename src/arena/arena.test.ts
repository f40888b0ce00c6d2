import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../test/support/random.js';
import { PacketError } from '../errors.js';
import { Arena, PAGE_BYTES, type Region } from './arena.js';

const MEBIBYTE = 2 ** 20;

function refused(code: string, text: RegExp) {
  return (error: unknown) => error instanceof PacketError && error.code === code && text.test(error.message);
}

test('sizes are checked and rounded up to 64 KiB', () => {
  for (const bytes of [0, MEBIBYTE - 1, 2 ** 31 + 1, 1.5 * MEBIBYTE + 0.5, Number.NaN]) {
    assert.throws(() => Arena.create(bytes), refused('INVALID_OPTION', /arena bytes.*1048576 to 2147483648/));
  }
  assert.equal(Arena.create(MEBIBYTE + 1).u8.length, MEBIBYTE + 65536);
});

test('an arena of 2 GiB keeps every offset a small integer, and commits only what is touched', () => {
  const arena = Arena.create(2 ** 31);
  const last = arena.allocate(arena.freeBytes);
  assert.equal(last.offset + last.bytes, 2 ** 31);
  assert.equal(last.offset | 0, last.offset);
  arena.u8[2 ** 31 - 1] = 7;
  assert.equal(arena.i32[2 ** 29 - 1], 7 << 24);
});

test('the three views show the same memory', () => {
  const arena = Arena.create(MEBIBYTE);
  const { offset } = arena.allocate(1);
  arena.i32[offset >> 2] = 0x04030201;
  assert.deepEqual([...arena.u8.subarray(offset, offset + 4)], [1, 2, 3, 4]);
  assert.equal(arena.u16[(offset >> 1) + 1], 0x0403);
  assert.ok(arena.memory.buffer instanceof SharedArrayBuffer);
});

test('regions are whole pages, page-aligned, apart from each other, and never at offset 0', () => {
  const arena = Arena.create(MEBIBYTE);
  const first = arena.allocate(1);
  const second = arena.allocate(PAGE_BYTES + 1);
  assert.deepEqual([first.bytes, second.bytes], [PAGE_BYTES, 2 * PAGE_BYTES]);
  assert.equal(first.offset % PAGE_BYTES, 0);
  assert.equal(second.offset % PAGE_BYTES, 0);
  assert.ok(first.offset > 0);
  assert.ok(second.offset >= first.offset + first.bytes);
});

test('an alignment is kept, and what it skips stays free', () => {
  const arena = Arena.create(MEBIBYTE);
  const free = arena.freeBytes;
  const region = arena.allocate(PAGE_BYTES, 65536);
  assert.equal(region.offset % 65536, 0);
  assert.equal(arena.freeBytes, free - PAGE_BYTES);
  const small = arena.allocate(PAGE_BYTES);
  assert.ok(small.offset < region.offset, 'the gap before the aligned region is used');
});

test('exhaustion is a typed error that says what is left, and changes nothing', () => {
  const arena = Arena.create(MEBIBYTE);
  const free = arena.freeBytes;
  assert.throws(
    () => arena.allocate(2 * MEBIBYTE),
    (error: unknown) =>
      refused('ARENA_EXHAUSTED', new RegExp(`2097152 bytes left.*${free} bytes are free`))(error) &&
      /larger arena/.test((error as PacketError).remedy ?? ''),
  );
  assert.equal(arena.freeBytes, free);
  assert.doesNotThrow(() => arena.allocate(free));
});

test('freed neighbours become one: after any order of freeing the whole arena can be had in one piece', () => {
  const random = new Random(1);
  for (let round = 0; round < 50; round++) {
    const arena = Arena.create(MEBIBYTE);
    const free = arena.freeBytes;
    const regions: Region[] = [];
    for (let left = arena.freeBytes; left > 0; left = arena.freeBytes) {
      regions.push(arena.allocate(Math.min(left, random.between(1, 20) * PAGE_BYTES)));
    }
    for (const region of random.shuffle(regions)) arena.free(region);
    assert.equal(arena.allocate(free).bytes, free);
  }
});

test('random allocating and freeing: regions never overlap and no byte is lost', () => {
  const random = new Random(2);
  const arena = Arena.create(4 * MEBIBYTE);
  const total = arena.freeBytes;
  const pages = new Uint8Array((4 * MEBIBYTE) / PAGE_BYTES);
  const held: Region[] = [];
  const mark = ({ offset, bytes }: Region, value: number): void => {
    for (let page = offset / PAGE_BYTES; page < (offset + bytes) / PAGE_BYTES; page++) {
      assert.notEqual(pages[page], value, `page ${page} twice`);
      pages[page] = value;
    }
  };
  for (let step = 0; step < 5000; step++) {
    if (held.length > 0 && random.oneIn(2)) {
      const [region] = held.splice(random.below(held.length), 1);
      mark(region!, 0);
      arena.free(region!);
    } else {
      const bytes = random.between(1, 100_000);
      const alignment = PAGE_BYTES << random.below(5);
      try {
        const region = arena.allocate(bytes, alignment);
        assert.equal(region.offset % alignment, 0);
        mark(region, 1);
        held.push(region);
      } catch (error) {
        assert.ok(refused('ARENA_EXHAUSTED', /no region/)(error));
      }
    }
    assert.equal(arena.freeBytes + held.reduce((sum, { bytes }) => sum + bytes, 0), total);
  }
});

test('clear writes zeros over the region and nothing else', () => {
  const arena = Arena.create(MEBIBYTE);
  const [a, b, c] = [arena.allocate(1), arena.allocate(1), arena.allocate(1)] as const;
  arena.u8.fill(0xee, a.offset, c.offset + c.bytes);
  arena.clear(b);
  assert.equal(arena.u8[a.offset + a.bytes - 1], 0xee);
  assert.ok(arena.u8.subarray(b.offset, b.offset + b.bytes).every((byte) => byte === 0));
  assert.equal(arena.u8[c.offset], 0xee);
});

test('a shared part is allocated by one side only; both see the same bytes', () => {
  const arena = Arena.create(MEBIBYTE);
  const free = arena.freeBytes;
  const share = arena.share(10 * PAGE_BYTES);
  const other = Arena.adopt(structuredClone(share));
  assert.equal(Arena.default(), other);
  assert.equal(other.freeBytes, 10 * PAGE_BYTES);
  const { offset } = other.allocate(3 * PAGE_BYTES);
  assert.ok(offset >= share.region.offset && offset < share.region.offset + share.region.bytes);
  assert.throws(() => other.allocate(8 * PAGE_BYTES), refused('ARENA_EXHAUSTED', /no region/));
  other.u8[offset] = 42;
  assert.equal(arena.u8[offset], 42);
  arena.free(share.region);
  assert.equal(arena.freeBytes, free);
});
