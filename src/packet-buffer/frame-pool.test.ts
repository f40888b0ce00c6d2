import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { Random } from '../../test/support/random.js';
import { Arena, type ArenaShare } from '../arena/arena.js';
import { PacketBuffer, type PacketBufferShare } from './packet-buffer.js';

interface Job {
  readonly arena: ArenaShare;
  readonly buffer: PacketBufferShare;
  /** Arena byte offset of one word per frame: how many threads hold it. The word behind them counts the threads that are there. */
  readonly holders: number;
  readonly seed: number;
}

const THREADS = 3;

/** What each thread does: takes and gives frames at random, and sees to it that nobody else has them meanwhile. */
function takeAndGive({ buffer: share, holders, seed }: Job, arena: Arena): number {
  const buffer = PacketBuffer.attach(share, arena);
  const random = new Random(seed);
  const held: number[] = [];
  const frames = new Int32Array(64);
  let twice = 0;
  const count = (frame: number, by: number): number =>
    Atomics.add(arena.i32, (holders >> 2) + (frame - buffer.base) / buffer.frameSize, by) + by;
  // All start at once.
  const present = (holders >> 2) + buffer.frames;
  Atomics.add(arena.i32, present, 1);
  Atomics.notify(arena.i32, present);
  for (let seen = 1; seen < THREADS; seen = Atomics.load(arena.i32, present)) {
    Atomics.wait(arena.i32, present, seen, 5000);
  }
  for (let step = 0; step < 20_000; step++) {
    if (random.oneIn(2)) {
      const taken = buffer.pool.take(frames, 0, random.between(1, 32), random.pick(['receive', 'send'] as const));
      for (let i = 0; i < taken; i++) {
        if (count(frames[i]!, 1) !== 1) twice++;
        held.push(frames[i]!);
      }
    } else {
      const given = Math.min(held.length, random.between(1, 32));
      for (let i = 0; i < given; i++) {
        const [frame] = held.splice(random.below(held.length), 1);
        count(frame!, -1);
        frames[i] = frame!;
      }
      buffer.pool.give(frames, 0, given);
    }
  }
  for (const frame of held) count(frame, -1);
  buffer.pool.give(Int32Array.from(held), 0, held.length);
  return twice;
}

if (isMainThread) {
  tests();
} else {
  const job = workerData as Job;
  process.exit(takeAndGive(job, Arena.adopt(job.arena)) === 0 ? 0 : 1);
}

function tests(): void {
  const create = (frames: number, sendFrames: number): PacketBuffer =>
    PacketBuffer.create({ arena: Arena.create(2 ** 24), frames, sendFrames });

  const takeAll = ({ pool, frames }: PacketBuffer, purpose: 'receive' | 'send'): number[] => {
    const into = new Int32Array(frames);
    return [...into.subarray(0, pool.take(into, 0, frames, purpose))];
  };

  test('every frame is in the pool once, under its purpose', () => {
    const buffer = create(100, 30);
    const receive = takeAll(buffer, 'receive');
    const send = takeAll(buffer, 'send');
    assert.equal(receive.length, 70);
    assert.equal(send.length, 30);
    const all = [...receive, ...send].sort((a, b) => a - b);
    assert.deepEqual(
      all,
      Array.from({ length: 100 }, (_, i) => buffer.base + i * 2048),
    );
  });

  test('what one purpose has used up, the other does not lend', () => {
    const buffer = create(16, 8);
    assert.equal(takeAll(buffer, 'send').length, 8);
    assert.equal(buffer.free('send'), 0);
    assert.equal(buffer.free('receive'), 8);
    assert.equal(buffer.pool.take(new Int32Array(1), 0, 1, 'send'), 0);
  });

  test('frames return to their own purpose, whoever gives them and in whatever order', () => {
    const buffer = create(64, 24);
    const all = new Random(5).shuffle([...takeAll(buffer, 'receive'), ...takeAll(buffer, 'send')]);
    buffer.pool.give(Int32Array.from([0, ...all]), 1, all.length);
    assert.equal(buffer.free('receive'), 40);
    assert.equal(buffer.free('send'), 24);
    assert.equal(new Set([...takeAll(buffer, 'receive'), ...takeAll(buffer, 'send')]).size, 64);
  });

  test('take writes from the index it is given, and only as many as there are', () => {
    const buffer = create(16, 4);
    const into = new Int32Array(10).fill(-1);
    assert.equal(buffer.pool.take(into, 3, 6, 'send'), 4);
    assert.deepEqual([into[0], into[2], into[7]], [-1, -1, -1]);
    assert.ok(into.subarray(3, 7).every((frame) => buffer.contains(frame)));
    assert.equal(buffer.pool.take(into, 0, 0, 'receive'), 0);
    assert.equal(buffer.free('receive'), 12);
  });

  test('a buffer may be all for receiving or all for sending', () => {
    assert.equal(takeAll(create(8, 0), 'receive').length, 8);
    assert.equal(takeAll(create(8, 0), 'send').length, 0);
    assert.equal(takeAll(create(8, 8), 'send').length, 8);
  });

  test('marks differ from each other and from "none"', () => {
    const { pool } = create(8, 4);
    const marks = new Set(Array.from({ length: 1000 }, () => pool.newMark()));
    assert.equal(marks.size, 1000);
    assert.ok(!marks.has(0));
  });

  test('two threads and a third take and give at once: no frame is lost, none is had twice', async () => {
    const arena = Arena.create(2 ** 23);
    const buffer = PacketBuffer.create({ arena, frames: 512, sendFrames: 200 });
    const holders = arena.allocate(513 * 4).offset;
    const job = (seed: number): Job => ({ arena: arena.share(65536), buffer: buffer.share(), holders, seed });
    const workers = [21, 22].map((seed) => new Worker(new URL(import.meta.url), { workerData: job(seed) }));
    const ended = workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve)));
    assert.equal(takeAndGive(job(23), arena), 0);
    assert.deepEqual(await Promise.all(ended), [0, 0]);
    assert.equal(new Set([...takeAll(buffer, 'receive'), ...takeAll(buffer, 'send')]).size, 512);
  });

  test('a lock that a terminated thread has left behind is broken after a second', () => {
    const arena = Arena.create(2 ** 20);
    const buffer = PacketBuffer.create({ arena, frames: 8 });
    const lock = (buffer.base + 8 * buffer.frameSize) >> 2; // the pool's first word
    Atomics.store(arena.i32, lock, 1);
    const since = performance.now();
    assert.equal(takeAll(buffer, 'receive').length, 4);
    assert.ok(performance.now() - since > 900);
    const again = performance.now();
    assert.equal(takeAll(buffer, 'send').length, 4);
    assert.ok(performance.now() - again < 500, 'it is broken once and for all');
  });
}
