import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameSet } from './frame-set.js';
import { CONTINUES, PacketArray } from './packet-array.js';

/** An array with packets of these part lengths, done. */
function arrayOf(packets: readonly (readonly number[])[], first = 0): PacketArray {
  const array = new PacketArray(16);
  array.start = array.current = array.end = first;
  for (const parts of packets) {
    parts.forEach((length, i) => {
      array.add(1000 + length, length, i < parts.length - 1 ? CONTINUES : 0, 0);
    });
  }
  array.advance(array.outstanding);
  return array;
}

function walk(array: PacketArray, start: number, limit: number): number[][] {
  const set = new FrameSet();
  const found: number[][] = [];
  for (let more = set.firstPacket(array, start, limit); more; more = set.nextPacket()) {
    found.push([set.frames, set.bytes]);
  }
  return found;
}

test('walking gives packet after packet, of one frame or several', () => {
  const array = arrayOf([[60], [100, 50, 7], [1500]]);
  assert.deepEqual(walk(array, array.start, array.current), [
    [1, 60],
    [3, 157],
    [1, 1500],
  ]);
});

test('walking works across the end of the array and of the index', () => {
  for (const first of [14, 0x7fffffff, -2]) {
    const array = arrayOf([[1, 2], [3], [4, 5, 6]], first | 0);
    assert.deepEqual(walk(array, array.start, array.current), [
      [2, 3],
      [1, 3],
      [3, 15],
    ]);
  }
});

test('half a packet is none', () => {
  const array = arrayOf([[60], [100, 50, 7]]);
  assert.deepEqual(walk(array, array.start, array.current - 1), [[1, 60]]);
  assert.deepEqual(walk(array, array.start, array.start), []);
  assert.equal(new FrameSet().nextPacket(), false);
});

test('the flushable region is what is done', () => {
  const array = arrayOf([[60], [100, 50]]);
  array.add(1, 1, 0, 0);
  const set = new FrameSet().flushable(array);
  assert.deepEqual([set.frames, set.bytes, set.start, set.end], [3, 210, array.start, array.current]);
});
