import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Arena } from '../arena/arena.js';
import { CONTINUES, PacketArray } from '../packet-array/packet-array.js';
import { PagePool } from './page-pool.js';
import { type FrameOwner, TransmitQueue } from './transmit-queue.js';

/** An owner that writes down what it is told. */
class Owner implements FrameOwner {
  readonly told: [entries: number, error: number][] = [];
  flushes = 0;

  sentBack(entries: number, error: number): void {
    this.told.push([entries, error]);
  }

  flushSent(): void {
    this.flushes++;
  }
}

function queueOf(entries = 8): { pool: PagePool; queue: TransmitQueue } {
  const pool = new PagePool(Arena.create(2 ** 23));
  return { pool, queue: new TransmitQueue(pool, entries) };
}

test('first in, first out; owners are told when their packets are sent, frames go back to the pool', () => {
  const { pool, queue } = queueOf();
  const [a, b] = [new Owner(), new Owner()];
  const frames = [1, 2, 3].map(() => pool.take());
  queue.push(frames[0]! + 256, 60, 0, a, 1);
  queue.push(frames[1]! + 256, 61, 0, b, 2);
  queue.push(frames[2]! + 256, 62, 0, a, 3);
  assert.equal(queue.room, 5);
  const array = new PacketArray(8);
  assert.equal(queue.populate(array, 2), 2);
  assert.deepEqual([...array.address.subarray(0, 2)], [frames[0]! + 256, frames[1]! + 256]);
  assert.deepEqual([...array.length.subarray(0, 2)], [60, 61]);
  assert.equal(queue.populate(array, 8), 1);
  assert.equal(queue.populate(array, 8), 0);
  array.flags[1] = 100;
  array.advance(2);
  queue.flush(array, 2);
  assert.deepEqual([a.told, b.told, a.flushes, b.flushes], [[[1, 0]], [[2, 100]], 1, 1]);
  assert.equal(pool.outstanding, 1);
  array.advance(1);
  queue.flush(array, 1);
  assert.deepEqual(a.told, [
    [1, 0],
    [3, 0],
  ]);
  assert.equal(pool.outstanding, 0);
  assert.equal(queue.room, 8);
});

test('packets of several frames are handed over whole; the last frame names the owner', () => {
  const { pool, queue } = queueOf();
  const owner = new Owner();
  queue.push(pool.take() + 256, 60, 0, owner, 1);
  queue.push(pool.take() + 256, 1792, CONTINUES, undefined, 0);
  queue.push(pool.take() + 256, 100, 0, owner, 5);
  const array = new PacketArray(8);
  assert.equal(queue.populate(array, 2), 1);
  assert.equal(queue.populate(array, 2), 2);
  array.advance(3);
  queue.flush(array, 3);
  assert.deepEqual(owner.told, [
    [1, 0],
    [5, 0],
  ]);
});

test('a queue that is taken down tells its owners, with an error', () => {
  const { pool, queue } = queueOf();
  const owner = new Owner();
  for (let i = 0; i < 3; i++) queue.push(pool.take() + 256, 60, 0, owner, 1);
  const array = new PacketArray(8);
  queue.populate(array, 8);
  queue.reclaim(array);
  assert.deepEqual(
    owner.told.map(([, error]) => error > 0),
    [true, true, true],
  );
  assert.deepEqual([owner.flushes, pool.outstanding, queue.room], [1, 0, 8]);
});

test('an owner that has closed is told nothing more, and its frames come back all the same', () => {
  const { pool, queue } = queueOf();
  const owner = new Owner();
  for (let i = 0; i < 3; i++) queue.push(pool.take() + 256, 60, 0, owner, 1);
  const array = new PacketArray(8);
  queue.populate(array, 2);
  queue.disown(owner);
  queue.populate(array, 8);
  array.advance(3);
  queue.flush(array, 3);
  assert.deepEqual([owner.told.length, owner.flushes, pool.outstanding], [0, 0, 0]);
});

test('around and around: the queue never mixes up owners', () => {
  const { pool, queue } = queueOf(4);
  const owners = [new Owner(), new Owner(), new Owner()];
  const array = new PacketArray(4);
  for (let i = 0; i < 100; i++) {
    queue.push(pool.take() + 256, 60, 0, owners[i % 3]!, i);
    queue.populate(array, 4);
    array.advance(1);
    queue.flush(array, 1);
    assert.deepEqual(owners[i % 3]!.told.at(-1), [i, 0]);
  }
  assert.equal(pool.outstanding, 0);
});
