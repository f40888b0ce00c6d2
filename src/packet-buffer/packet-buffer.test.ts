import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Arena } from '../arena/arena.js';
import { PacketError } from '../errors.js';
import { PacketBuffer, type PacketBufferOptions } from './packet-buffer.js';

const MEBIBYTE = 2 ** 20;

function create(options: PacketBufferOptions = {}): PacketBuffer {
  return PacketBuffer.create({ arena: Arena.create(64 * MEBIBYTE), ...options });
}

test('without options: 4096 frames of 2048 bytes, half of them for sending', () => {
  const buffer = create();
  assert.deepEqual(
    [buffer.frames, buffer.frameSize, buffer.headroom, buffer.sendFrames, buffer.dataOffset, buffer.room],
    [4096, 2048, 0, 2048, 256, 1792],
  );
  assert.equal(buffer.free('receive'), 2048);
  assert.equal(buffer.free('send'), 2048);
});

test('frames are aligned to their size, so that a mask leads from a byte to its frame', () => {
  for (const frameSize of [2048, 4096, 8192, 65536]) {
    const arena = Arena.create(64 * MEBIBYTE);
    arena.allocate(4096);
    const buffer = PacketBuffer.create({ arena, frameSize, frames: 16 });
    assert.equal(buffer.base % frameSize, 0);
    const third = buffer.base + 3 * frameSize;
    assert.equal((third + frameSize - 1) & buffer.frameMask, third);
  }
});

test('user headroom is rounded up to 64 and lies behind the 256 bytes of the kernel', () => {
  for (const [headroom, rounded] of [
    [0, 0],
    [1, 64],
    [64, 64],
    [65, 128],
  ] as const) {
    const buffer = create({ headroom });
    assert.equal(buffer.headroom, rounded);
    assert.equal(buffer.dataOffset, 256 + rounded);
    assert.equal(buffer.room, 2048 - 256 - rounded);
  }
});

test('wrong options are named, with value and range', () => {
  const wrong: [PacketBufferOptions, RegExp][] = [
    [{ frames: 7 }, /^frames: 7 is not a whole number from 8 to 1048576$/],
    [{ frames: 2 ** 20 + 1 }, /^frames: 1048577 is not a whole number from 8 to 1048576$/],
    [{ frames: 10.5 }, /^frames: 10.5 is not a whole number/],
    [{ frames: '64' as unknown as number }, /^frames: 64 is not a whole number/],
    [{ frameSize: 1024 }, /^frameSize: 1024 is not a whole number from 2048 to 65536$/],
    [{ frameSize: 3000 }, /^frameSize: 3000 is not a power of two/],
    [{ headroom: -1 }, /^headroom: -1 is not a whole number from 0 to 1728$/],
    [{ headroom: 1729 }, /^headroom: 1729 is not a whole number from 0 to 1728$/],
    [{ frames: 64, sendFrames: 65 }, /^sendFrames: 65 is not a whole number from 0 to 64$/],
  ];
  for (const [options, text] of wrong) {
    assert.throws(
      () => create(options),
      (error: unknown) => error instanceof PacketError && error.code === 'INVALID_OPTION' && text.test(error.message),
      String(text),
    );
  }
});

test('a buffer that does not fit is refused, and takes nothing from the arena', () => {
  const arena = Arena.create(MEBIBYTE);
  const free = arena.freeBytes;
  for (const options of [{ frames: 4096 }, { frames: 2 ** 20, frameSize: 4096 }]) {
    assert.throws(() => PacketBuffer.create({ arena, ...options }), { name: 'PacketError', code: 'ARENA_EXHAUSTED' });
  }
  assert.equal(arena.freeBytes, free);
});

test('contains says whether an offset lies in a frame', () => {
  const buffer = create({ frames: 16 });
  assert.equal(buffer.contains(buffer.base - 1), false);
  assert.equal(buffer.contains(buffer.base), true);
  assert.equal(buffer.contains(buffer.base + 16 * 2048 - 1), true);
  assert.equal(buffer.contains(buffer.base + 16 * 2048), false);
});

test('close gives the memory back, once, and not while sockets are registered', () => {
  const arena = Arena.create(8 * MEBIBYTE);
  const free = arena.freeBytes;
  const buffer = PacketBuffer.create({ arena, frames: 64 });
  buffer.retain();
  buffer.retain();
  buffer.drop();
  assert.throws(
    () => buffer.close(),
    (error: unknown) =>
      error instanceof PacketError &&
      error.code === 'BUFFER_IN_USE' &&
      /1 socket/.test(error.message) &&
      /close/.test(error.remedy!),
  );
  buffer.drop();
  buffer.close();
  buffer.close();
  assert.equal(arena.freeBytes, free);
  assert.throws(() => buffer.retain(), { code: 'WRONG_STATE' });
  {
    using scoped = PacketBuffer.create({ arena, frames: 64 });
    assert.equal(scoped.frames, 64);
  }
  assert.equal(arena.freeBytes, free);
});

test('an attached buffer is the same frames and the same pool', () => {
  const arena = Arena.create(8 * MEBIBYTE);
  const buffer = PacketBuffer.create({ arena, frames: 64, headroom: 100, sendFrames: 10 });
  const other = PacketBuffer.attach(structuredClone(buffer.share()), arena);
  assert.deepEqual(
    [other.base, other.frames, other.frameSize, other.headroom, other.sendFrames, other.dataOffset, other.frameMask],
    [buffer.base, 64, 2048, 128, 10, 384, buffer.frameMask],
  );
  const taken = new Int32Array(4);
  assert.equal(other.pool.take(taken, 0, 4, 'send'), 4);
  assert.equal(buffer.free('send'), 6);
  const free = arena.freeBytes;
  other.close();
  assert.equal(arena.freeBytes, free, 'the memory is its maker’s');
});
