import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../test/support/random.js';
import { COMPLETED, CONTINUES, ERROR_MASK, type FrameSink, type FrameSource, PacketArray } from './packet-array.js';

/** A source of numbered frames. */
class Numbers implements FrameSource {
  next = 1;

  populate(array: PacketArray, limit: number): number {
    const count = Math.min(limit, array.room);
    for (let i = 0; i < count; i++) array.add(this.next, 10 * this.next++, 0, 0);
    return count;
  }
}

/** A sink that remembers, and may take less than it is offered. */
class Memory implements FrameSink {
  readonly got: number[] = [];
  readonly errors: number[] = [];

  flush(array: PacketArray, count: number): void {
    assert.ok(count <= array.done);
    for (let i = 0; i < count; i++) {
      const at = array.start & array.mask;
      this.got.push(array.address[at]!);
      this.errors.push(array.flags[at]! & ERROR_MASK);
      array.start = (array.start + 1) | 0;
    }
  }
}

test('sizes are powers of two from 2 to 65536', () => {
  for (const size of [0, 1, 3, 131072]) assert.throws(() => new PacketArray(size), { code: 'INVALID_OPTION' });
  assert.equal(new PacketArray(2).room, 2);
});

test('an entry goes from populated over outstanding to done and out', () => {
  const array = new PacketArray(8);
  const source = new Numbers();
  const sink = new Memory();
  assert.equal(source.populate(array, 5), 5);
  assert.deepEqual([array.done, array.outstanding, array.room], [0, 5, 3]);
  array.advance(3);
  assert.deepEqual([array.done, array.outstanding, array.room], [3, 2, 3]);
  sink.flush(array, 2);
  assert.deepEqual([array.done, array.outstanding, array.room], [1, 2, 5]);
  assert.equal(source.populate(array, 100), 5, 'never more than the room');
  assert.deepEqual([array.done, array.outstanding, array.room], [1, 7, 0]);
  array.advance(7);
  sink.flush(array, array.done);
  assert.deepEqual(sink.got, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

test('add keeps address, length, flags and cookie of each entry', () => {
  const array = new PacketArray(4);
  array.add(4096, 60, CONTINUES, 7);
  array.add(8192, 61, 0, -1);
  assert.deepEqual([array.address[0], array.length[0], array.flags[0], array.cookie[0]], [4096, 60, CONTINUES, 7]);
  assert.deepEqual([array.address[1], array.length[1], array.flags[1], array.cookie[1]], [8192, 61, 0, -1]);
});

test('completion out of order: an entry can be flushed when all before it are completed, with its own error', () => {
  const array = new PacketArray(8);
  const source = new Numbers();
  const sink = new Memory();
  source.populate(array, 4);
  const first = array.current;
  array.complete(first + 2, 0);
  assert.equal(array.done, 0);
  array.complete(first, 5);
  assert.equal(array.done, 1);
  array.complete(first + 1, 0);
  assert.equal(array.done, 3);
  array.complete(first + 3, 100);
  sink.flush(array, array.done);
  assert.deepEqual(sink.got, [1, 2, 3, 4]);
  assert.deepEqual(sink.errors, [5, 0, 0, 100]);
});

test('an entry that is used again starts anew: no error or completion of its predecessor sticks', () => {
  const array = new PacketArray(2);
  const source = new Numbers();
  const sink = new Memory();
  for (let round = 0; round < 4; round++) {
    source.populate(array, 2);
    array.complete((array.current + 1) | 0, 9);
    assert.equal(array.done, 0);
    array.complete(array.current, 0);
    assert.equal(array.done, 2);
    sink.flush(array, 2);
  }
  assert.deepEqual(sink.errors, [0, 9, 0, 9, 0, 9, 0, 9]);
  assert.equal(array.flags[0]! & COMPLETED, COMPLETED);
});

test('reset forgets everything', () => {
  const array = new PacketArray(4);
  new Numbers().populate(array, 3);
  array.advance(1);
  array.reset();
  assert.deepEqual([array.done, array.outstanding, array.room], [0, 0, 4]);
});

test('random operations over the wrap-around at 2^32: order and number of frames hold', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new Random(seed);
    const array = new PacketArray(16);
    array.start = array.current = array.end = (0x7fffffff - random.below(200)) | 0;
    if (seed % 2 === 0) array.start = array.current = array.end = -random.below(200) | 0;
    const source = new Numbers();
    const sink = new Memory();
    const open: number[] = []; // free-running indices not completed yet
    for (let step = 0; step < 500; step++) {
      switch (random.below(3)) {
        case 0: {
          const end = array.end;
          const added = source.populate(array, random.below(17));
          for (let i = 0; i < added; i++) open.push((end + i) | 0);
          break;
        }
        case 1:
          for (let n = random.below(8); n > 0 && open.length > 0; n--) {
            array.complete(open.splice(random.below(open.length), 1)[0]!, 0);
          }
          break;
        default:
          sink.flush(array, random.below(array.done + 1));
      }
      assert.equal(array.done + array.outstanding + array.room, 16);
      assert.ok(array.done >= 0 && array.outstanding >= open.length && array.room >= 0);
    }
    while (open.length > 0) array.complete(open.pop()!, 0);
    sink.flush(array, array.done);
    assert.deepEqual(
      sink.got,
      Array.from({ length: source.next - 1 }, (_, i) => i + 1),
      `seed ${seed}`,
    );
  }
});
