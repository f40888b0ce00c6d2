import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Arena } from '../arena/arena.js';
import { adoptLinuxBuffer, createLinuxBuffer } from './linux-buffer.js';

const skip = process.platform === 'linux' ? false : 'needs Linux';

test('wrong options of a buffer are refused by name, on every system', async () => {
  const arena = Arena.create(2 ** 23);
  const free = arena.freeBytes;
  const wrong: [object, RegExp][] = [
    [{ shared: 'yes' }, /shared: yes is not true or false/],
    [{ shared: null }, /shared: null is not true or false/],
    [{ pages: '2m' }, /pages: 2m is not one of /],
    [{ pages: true }, /pages: true is not one of /],
  ];
  for (const [options, message] of wrong) {
    const creating = createLinuxBuffer({ arena, frames: 64, ...options } as never);
    await assert.rejects(creating, { name: 'PacketError', code: 'INVALID_OPTION', message }, String(message));
  }
  assert.equal(arena.freeBytes, free);
});

test('two arenas share frames and pool', { skip }, async () => {
  const [mine, theirs] = [Arena.create(2 ** 23), Arena.create(2 ** 23)];
  theirs.allocate(12345); // so that the buffer lies elsewhere there
  const free = [mine.freeBytes, theirs.freeBytes];
  const buffer = await createLinuxBuffer({ arena: mine, frames: 64, sendFrames: 16, headroom: 64, shared: true });
  const other = await adoptLinuxBuffer(buffer.descriptor!, { arena: theirs });
  const { frames, frameSize, headroom, sendFrames, pages } = other;
  assert.deepEqual([frames, frameSize, headroom, sendFrames, pages], [64, 2048, 64, 16, '4k']);
  assert.notEqual(other.base, buffer.base);
  const taken = new Int32Array(64);
  assert.equal(buffer.pool.take(taken, 0, 10, 'receive'), 10);
  assert.equal(other.free('receive'), 38);
  assert.equal(other.pool.take(taken, 10, 38, 'receive'), 38);
  const places = [...taken.subarray(0, 10)].map((at) => at - buffer.base);
  places.push(...[...taken.subarray(10, 48)].map((at) => at - other.base));
  assert.equal(new Set(places).size, 48, 'no frame twice');
  mine.u8.fill(7, taken[0]!, taken[0]! + 2048);
  assert.equal(theirs.u8[places[0]! + other.base + 2047], 7);
  // The other one is gone without giving back what it held.
  other.close();
  assert.equal(theirs.u8[places[0]! + other.base], 0, 'a stale offset reads zeros');
  assert.equal(buffer.free('receive'), 0);
  buffer.retain();
  assert.throws(() => buffer.reset(), { code: 'BUFFER_IN_USE' });
  buffer.drop();
  buffer.reset();
  assert.deepEqual([buffer.free('receive'), buffer.free('send')], [48, 16]);
  buffer.close();
  assert.throws(() => buffer.reset(), { code: 'WRONG_STATE' });
  assert.deepEqual([mine.freeBytes, theirs.freeBytes], free);
});

test('whatever another process writes, frames stay within the buffer', { skip }, async () => {
  const [mine, theirs] = [Arena.create(2 ** 23), Arena.create(2 ** 23)];
  const buffer = await createLinuxBuffer({ arena: mine, frames: 64, shared: true });
  const other = await adoptLinuxBuffer(buffer.descriptor!, { arena: theirs });
  const pool = (other.base + 64 * 2048) >> 2;
  const taken = new Int32Array(64);
  for (const value of [-1, 1, 2 ** 30, 64 * 2048, 0x7fffffff]) {
    theirs.i32.fill(value, pool + 4, pool + 4 + 64); // what both stacks hold
    theirs.i32[pool + 1] = 32;
    assert.equal(buffer.pool.take(taken, 0, 32, 'receive'), 0);
    theirs.i32[pool + 1] = value; // the count
    const count = buffer.pool.take(taken, 0, 64, 'receive');
    for (let i = 0; i < count; i++) assert.ok(buffer.contains(taken[i]!));
    taken.fill(buffer.base);
    theirs.i32[pool + 1] = value;
    buffer.pool.give(taken, 0, 64); // one frame again and again: no more than the stack holds
    assert.ok(buffer.free('receive') <= 32);
  }
  other.close();
  buffer.close();
});

test('only a shared packet buffer is adopted', { skip }, async () => {
  const arena = Arena.create(2 ** 23);
  const free = arena.freeBytes;
  const file = openSync('/dev/zero', 'r');
  for (const descriptor of [file, 999_999, -1]) {
    await assert.rejects(adoptLinuxBuffer(descriptor, { arena }), { code: 'INVALID_OPTION' });
  }
  closeSync(file);
  const buffer = await createLinuxBuffer({ arena, frames: 64, shared: true });
  const theirs = Arena.create(2 ** 23);
  const end = (buffer.base + Math.ceil((64 * 2048 + 64 * 6 + 16) / 4096) * 4096) >> 2;
  for (const [word, value] of [
    [0, 0],
    [1, 4],
    [1, 2 ** 20],
    [2, 1000],
    [3, 5000],
    [4, 65],
  ] as const) {
    const kept = arena.i32[end + word]!;
    arena.i32[end + word] = value;
    await assert.rejects(adoptLinuxBuffer(buffer.descriptor!, { arena: theirs }), { code: 'INVALID_OPTION' });
    arena.i32[end + word] = kept;
  }
  (await adoptLinuxBuffer(buffer.descriptor!, { arena: theirs })).close();
  buffer.close();
  assert.equal(arena.freeBytes, free);
});

test('the pages that were got are told', { skip }, async () => {
  const arena = Arena.create(2 ** 25);
  const free = arena.freeBytes;
  const ordinary = await createLinuxBuffer({ arena, frames: 64 });
  assert.equal(ordinary.pages, '4k');
  ordinary.close();
  const merged = await createLinuxBuffer({ arena, frames: 2048, pages: 'transparent-huge' });
  const enabled = readFileSync('/sys/kernel/mm/transparent_hugepage/enabled', 'utf8');
  // Where they are enabled the kernel may still be out of them.
  if (enabled.includes('[never]')) assert.equal(merged.pages, '4k');
  else assert.match(merged.pages, /^(transparent-huge|4k)$/);
  merged.close();
  await assert.rejects(createLinuxBuffer({ arena, pages: '1g' as never }), { code: 'INVALID_OPTION', message: /1g/ });
  const available = Number(/^HugePages_Free: +(\d+)$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1] ?? 0);
  for (const shared of [false, true]) {
    const opening = createLinuxBuffer({ arena, frames: 2048, pages: 'huge', shared });
    if (available >= 4) {
      const huge = await opening;
      assert.equal(huge.pages, 'huge');
      if (shared) {
        const theirs = Arena.create(2 ** 25);
        const other = await adoptLinuxBuffer(huge.descriptor!, { arena: theirs });
        assert.equal(other.pages, 'huge');
        other.close();
      }
      huge.close();
    } else {
      await assert.rejects(opening, { code: 'MODE_UNSUPPORTED', errno: 12, remedy: /vm\.nr_hugepages=3/ });
    }
  }
  assert.equal(arena.freeBytes, free);
});
