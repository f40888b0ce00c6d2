import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../test/support/random.js';
import { Arena } from '../arena/arena.js';
import { PacketArray } from '../packet-array/packet-array.js';
import { PAGE_FRAME_BYTES, PagePool } from './page-pool.js';

test('nothing is taken from the arena before a frame is wanted', () => {
  const arena = Arena.create(2 ** 24);
  const free = arena.freeBytes;
  const pool = new PagePool(arena);
  assert.equal(arena.freeBytes, free);
  assert.ok(pool.take() > 0);
  assert.ok(arena.freeBytes < free);
  pool.close();
  assert.equal(arena.freeBytes, free);
});

test('every frame is had once, aligned, and any address in it brings it back', () => {
  const pool = new PagePool(Arena.create(2 ** 24), 2048);
  const random = new Random(1);
  for (let round = 0; round < 3; round++) {
    const frames = Array.from({ length: 2048 }, () => pool.take());
    assert.equal(new Set(frames).size, 2048);
    assert.ok(frames.every((frame) => frame > 0 && frame % PAGE_FRAME_BYTES === 0));
    assert.equal(pool.outstanding, 2048);
    assert.equal(pool.take(), 0, 'the limit');
    for (const frame of random.shuffle(frames)) pool.give(frame + random.below(PAGE_FRAME_BYTES));
    assert.equal(pool.outstanding, 0);
  }
});

test('an exhausted arena is no frame, not an error; what can be had is told beforehand', () => {
  const arena = Arena.create(2 ** 22); // 4 MiB: room for one growth
  const pool = new PagePool(arena, 65536);
  assert.equal(pool.reserve(5000), 1024);
  for (let i = 0; i < 1024; i++) assert.ok(pool.take() > 0);
  assert.equal(pool.reserve(1), 0);
  assert.equal(pool.take(), 0);
  assert.equal(pool.take(), 0);
  assert.equal(pool.outstanding, 1024);
});

test('reserve promises no more than the limit', () => {
  const pool = new PagePool(Arena.create(2 ** 24), 1024);
  assert.equal(pool.reserve(10) >= 10, true);
  assert.equal(pool.reserve(2000), 1024);
});

test('an array is populated as far as frames and room reach, and reclaimed', () => {
  const pool = new PagePool(Arena.create(2 ** 24), 1024);
  const array = new PacketArray(2048);
  assert.equal(pool.populate(array, 100), 100);
  assert.equal(array.address[0]! % PAGE_FRAME_BYTES, 256);
  assert.equal(pool.populate(array, 5000), 924);
  assert.equal(pool.populate(array, 1), 0);
  assert.equal(pool.populate(array, -5), 0);
  pool.reclaim(array, (array.start + 24) | 0);
  assert.equal(pool.outstanding, 1000);
  pool.reclaim(array, array.end);
  assert.equal(pool.outstanding, 0);
});
