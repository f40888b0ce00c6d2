import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../test/support/random.js';
import { RingPair, type RingPairOptions } from '../../../test/support/ring-pair.js';
import { CONTINUES, PacketArray } from '../../packet-array/packet-array.js';
import { PACKET_CONTINUES, PacketBatch } from '../packet-batch.js';

const EINVAL = 22;
const ENETDOWN = 100;
const OWNED = 1 << 31;

function pairOf(options: Partial<RingPairOptions> = {}): RingPair {
  return new RingPair({ version: 'v4', ring: 8, ...options });
}

/** The four words of a descriptor. */
function descriptor(pair: RingPair, ring: 'receive' | 'transmit', index: number): number[] {
  const at = (pair.maps[ring]!.base >> 2) + index * 4;
  return [...pair.arena.i32.subarray(at, at + 4)];
}

function write(pair: RingPair, ring: 'receive' | 'transmit', index: number, words: readonly number[]): void {
  pair.arena.i32.set(words, (pair.maps[ring]!.base >> 2) + index * 4);
}

/** Word 2: offset, error, flags. */
function word(offset: number, { error = 0, continues = false, kernels = true } = {}): number {
  return offset | (error << 16) | (continues ? 1 << 24 : 0) | (kernels ? OWNED : 0);
}

test('the memory layout is the RFC’s: 16 bytes; frame index, length, offset, error and flags', () => {
  const pair = pairOf({ buffer: { frames: 64, headroom: 64 } });
  assert.equal(pair.maps.receive!.entryBytes, 16);
  const batch = new PacketBatch(3);
  pair.user.allocate(batch, 3);
  batch.size.set([60, 1514, 61]);
  batch.offset[0]! -= 20;
  batch.flags[1] = PACKET_CONTINUES;
  const frames = [...batch.offset].map((offset) => Math.floor((offset - pair.buffer.base) / 2048));
  pair.user.send(batch);
  const bytes = pair.arena.u8.subarray(pair.maps.transmit!.base, pair.maps.transmit!.base + 48);
  const view = new DataView(bytes.slice().buffer);
  [
    { length: 60, offset: 300, flags: 0x80 },
    { length: 1514, offset: 320, flags: 0x81 },
    { length: 61, offset: 320, flags: 0x80 },
  ].forEach(({ length, offset, flags }, i) => {
    assert.equal(view.getUint32(i * 16, true), frames[i]);
    assert.equal(view.getUint32(i * 16 + 4, true), length);
    assert.equal(view.getUint16(i * 16 + 8, true), offset);
    assert.equal(view.getUint8(i * 16 + 10), 0);
    assert.equal(view.getUint8(i * 16 + 11), flags);
  });
});

test('the kernel hands back in the same descriptor, with the flag cleared and the error beside it', () => {
  const pair = pairOf({ outcomes: true });
  const batch = new PacketBatch(2);
  pair.user.allocate(batch, 2);
  batch.size.fill(60);
  const [first] = batch.offset;
  pair.user.send(batch);
  const array = new PacketArray(8);
  pair.kernel.transmit!.populate(array, 8);
  array.flags[1] = ENETDOWN;
  array.advance(2);
  pair.kernel.transmit!.flush(array, 2);
  assert.deepEqual(descriptor(pair, 'transmit', 0).slice(0, 3), [(first! - pair.buffer.base) >> 11, 60, 256]);
  assert.equal(descriptor(pair, 'transmit', 1)[2], 256 | (ENETDOWN << 16));
});

test('rings written by others, one descriptor at a time with nothing in word 3, work as well', () => {
  const pair = pairOf();
  for (let i = 0; i < 3; i++) write(pair, 'transmit', i, [i, 60 + i, word(256), 0]);
  for (let i = 0; i < 4; i++) write(pair, 'receive', i, [10 + i, 0, OWNED, 0]);
  const array = new PacketArray(8);
  assert.equal(pair.kernel.transmit!.populate(array, 8), 3);
  assert.deepEqual([...array.length.subarray(0, 3)], [60, 61, 62]);
  write(pair, 'transmit', 3, [3, 63, word(256), 0]);
  assert.equal(pair.kernel.transmit!.populate(array, 8), 1);
  const empty = new PacketArray(8);
  assert.equal(pair.kernel.receive!.populate(empty, 8), 4);
  assert.deepEqual(
    [...empty.address.subarray(0, 4)],
    [10, 11, 12, 13].map((frame) => pair.buffer.base + frame * 2048 + 256),
  );
});

const { frames, frameSize } = { frames: 64, frameSize: 2048 };

test('to send, index, offset and length are checked; what is wrong goes back with EINVAL, the rest is sent (X3)', () => {
  const wrong: [string, number[]][] = [
    ['index one too high', [frames, 60, word(256), 0]],
    ['index -1', [-1, 60, word(256), 0]],
    ['index 2^31 - 1', [0x7fffffff, 60, word(256), 0]],
    ['no bytes', [1, 0, word(256), 0]],
    ['negative length', [1, -60, word(256), 0]],
    ['longer than the frame', [1, frameSize + 1, word(0), 0]],
    ['ends behind the frame', [1, frameSize - 255, word(256), 0]],
    ['offset behind the frame', [1, 1, word(frameSize), 0]],
    ['largest offset', [1, 1, word(0xffff), 0]],
    ['length that overflows', [1, 0x7fffffff, word(0xffff), 0]],
    ['longer than the interface', [1, 1515, word(256), 0]],
  ];
  for (const [what, words] of wrong) {
    const pair = pairOf({ buffer: { frames, frameSize } });
    pair.kernel.setLargestPacket(1514);
    write(pair, 'transmit', 0, [5, 60, word(256), 0]);
    write(pair, 'transmit', 1, words);
    write(pair, 'transmit', 2, [6, 1514, word(256), 0]);
    const array = new PacketArray(8);
    assert.equal(pair.kernel.transmit!.populate(array, 8), 2, what);
    assert.deepEqual(
      [...array.address.subarray(0, 2)],
      [5, 6].map((frame) => pair.buffer.base + frame * 2048 + 256),
      what,
    );
    assert.equal(pair.kernel.counters.invalidDescriptor, 1, what);
    // It is back at once, in the first descriptor that is free.
    const [index, length, state] = descriptor(pair, 'transmit', 0);
    assert.deepEqual([index, length], words.slice(0, 2), what);
    assert.equal((state! >> 16) & 0xff, EINVAL, what);
    assert.ok(state! >= 0, what);
    array.advance(2);
    pair.kernel.transmit!.flush(array, 2);
    assert.equal(descriptor(pair, 'transmit', 1)[0], 5);
    assert.equal(descriptor(pair, 'transmit', 2)[0], 6);
  }
});

test('what just fits is not refused', () => {
  const pair = pairOf({ buffer: { frames, frameSize } });
  write(pair, 'transmit', 0, [frames - 1, frameSize, word(0), 0]);
  write(pair, 'transmit', 1, [0, 1, word(frameSize - 1), 0]);
  const array = new PacketArray(8);
  assert.equal(pair.kernel.transmit!.populate(array, 8), 2);
  assert.equal(pair.kernel.counters.invalidDescriptor, 0);
});

test('to receive, only the index counts; a wrong one goes back, the frames around it are used (X3)', () => {
  for (const index of [frames, -1, 0x40000000]) {
    const pair = pairOf({ buffer: { frames, frameSize } });
    write(pair, 'receive', 0, [1, 12345, word(0xffff, { error: 7 }), 3]); // a batch of three; length and offset are anything
    write(pair, 'receive', 1, [index, 0, OWNED, 0]);
    write(pair, 'receive', 2, [2, -1, OWNED, 0]);
    const array = new PacketArray(8);
    assert.equal(pair.kernel.receive!.populate(array, 8), 2);
    assert.deepEqual(
      [...array.address.subarray(0, 2)],
      [1, 2].map((frame) => pair.buffer.base + frame * 2048 + 256),
    );
    assert.equal(pair.kernel.counters.invalidDescriptor, 1);
    const [back, , state] = descriptor(pair, 'receive', 0);
    assert.equal(back, index);
    assert.equal(state! >> 16, EINVAL);
  }
});

test('a packet with one bad frame goes back whole; one whose end is missing waits', () => {
  const pair = pairOf({ segments: true });
  const more = word(256, { continues: true });
  write(pair, 'transmit', 0, [0, 60, more, 0]);
  write(pair, 'transmit', 1, [99, 60, more, 0]); // no such frame
  write(pair, 'transmit', 2, [2, 60, word(256), 0]);
  write(pair, 'transmit', 3, [3, 60, more, 0]);
  write(pair, 'transmit', 4, [4, 60, more, 0]);
  const array = new PacketArray(8);
  assert.equal(pair.kernel.transmit!.populate(array, 8), 0);
  assert.equal(pair.kernel.counters.invalidDescriptor, 3);
  assert.deepEqual(
    [0, 1, 2].map((i) => [descriptor(pair, 'transmit', i)[0], (descriptor(pair, 'transmit', i)[2]! >> 16) & 0xff]),
    [
      [0, EINVAL],
      [99, EINVAL],
      [2, EINVAL],
    ],
  );
  write(pair, 'transmit', 5, [5, 60, word(256), 0]);
  assert.equal(pair.kernel.transmit!.populate(array, 8), 3);
  assert.deepEqual([...array.flags.subarray(0, 3)], [CONTINUES, CONTINUES, 0]);
});

test('a packet that the array or the limit has no room for stays whole in the ring', () => {
  const pair = pairOf({ segments: true });
  const more = word(256, { continues: true });
  [word(256), more, more, word(256)].forEach((state, i) => {
    write(pair, 'transmit', i, [i, 60, state, 0]);
  });
  const array = new PacketArray(8);
  assert.equal(pair.kernel.transmit!.populate(array, 3), 1);
  const small = new PacketArray(2);
  assert.equal(pair.kernel.transmit!.populate(small, 8), 0);
  assert.equal(pair.kernel.transmit!.posted(), true);
  assert.equal(pair.kernel.transmit!.populate(array, 3), 3);
});

test('a length over all frames of a packet that exceeds the interface is refused', () => {
  const pair = pairOf({ segments: true });
  pair.kernel.setLargestPacket(3000);
  const more = word(0, { continues: true });
  [
    [0, 1500, more, 0],
    [1, 1501, word(0), 0],
    [2, 1500, more, 0],
    [3, 1500, word(0), 0],
  ].forEach((words, i) => {
    write(pair, 'transmit', i, words);
  });
  const array = new PacketArray(8);
  assert.equal(pair.kernel.transmit!.populate(array, 8), 2);
  assert.equal(array.address[0], pair.buffer.base + 2 * 2048);
});

test('lying counts in word 3: at most one ring full is looked at, and only valid frames pass', () => {
  for (const count of [-1, 0x7fffffff, -0x80000000, 100, 9]) {
    const pair = pairOf({ buffer: { frames, frameSize } });
    write(pair, 'receive', 0, [1, 0, OWNED, count]); // the others of the ring are zeros: frame 0, the user's
    const array = new PacketArray(64);
    const populated = pair.kernel.receive!.populate(array, 64);
    assert.ok(populated >= 1 && populated <= 8, `${count}: ${populated}`);
    for (let i = 0; i < populated; i++) assert.ok(pair.buffer.contains(array.address[i]!));
    // Sending looks at every flag anyway.
    write(pair, 'transmit', 0, [1, 60, word(256), count]);
    const sending = new PacketArray(64);
    assert.equal(pair.kernel.transmit!.populate(sending, 64), 1, `${count}`);
  }
});

test('the kernel keeps what it has read: a descriptor changed afterwards changes nothing', () => {
  const pair = pairOf();
  write(pair, 'transmit', 0, [1, 60, word(256), 0]);
  const array = new PacketArray(8);
  pair.kernel.transmit!.populate(array, 8);
  write(pair, 'transmit', 0, [50, 2000, word(7), 0]);
  assert.deepEqual([array.address[0], array.length[0]], [pair.buffer.base + 2048 + 256, 60]);
  assert.equal(pair.kernel.transmit!.populate(array, 8), 0, 'its flag set again is not another packet');
  array.advance(1);
  pair.kernel.transmit!.flush(array, 1);
  assert.deepEqual(descriptor(pair, 'transmit', 0).slice(0, 3), [1, 60, 256]);
});

test('posted says whether the kernel has something to take over', () => {
  const pair = pairOf();
  assert.deepEqual([pair.kernel.transmitPosted(), pair.kernel.receivePosted()], [false, false]);
  pair.user.replenish();
  assert.deepEqual([pair.kernel.transmitPosted(), pair.kernel.receivePosted()], [false, true]);
  const array = new PacketArray(8);
  pair.kernel.receive!.populate(array, 8);
  assert.equal(pair.kernel.receivePosted(), false);
});

test('a descriptor that came back invalid is counted, and never shows as a packet', () => {
  const pair = pairOf();
  pair.user.replenish();
  write(pair, 'receive', 2, [-7, 0, OWNED, 0]); // somebody spoilt it
  const array = new PacketArray(8);
  assert.equal(pair.kernel.receive!.populate(array, 8), 7);
  array.length.fill(60);
  array.flags.fill(0);
  array.advance(7);
  pair.kernel.receive!.flush(array, 7);
  const batch = new PacketBatch(16);
  assert.equal(pair.user.receive(batch), 7);
  assert.ok([...batch.offset.subarray(0, 7)].every((offset) => pair.buffer.contains(offset)));
  assert.equal(pair.user.counters.invalid, 1);
});

test('random words in the rings: the kernel never throws, never hangs, and lets only frames of the buffer pass', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = new Random(seed);
    const pair = pairOf({ ring: 16, segments: true, firstIndex: random.pick([0, 0x7ffffff8, -5]) });
    pair.kernel.setLargestPacket(4000);
    const { base, frames: count, frameSize: size } = pair.buffer;
    const end = base + count * size;
    const receiving = new PacketArray(32);
    const sending = new PacketArray(32);
    for (let step = 0; step < 300; step++) {
      const ring = random.pick(['receive', 'transmit'] as const);
      const wild = random.oneIn(3);
      write(pair, ring, random.below(16), [
        wild ? random.word() | 0 : random.below(70),
        wild ? random.word() | 0 : random.below(2100),
        wild ? random.word() | 0 : word(random.below(2100), { continues: random.oneIn(3) }),
        random.pick([0, 1, 3, 16, random.word() | 0]),
      ]);
      const end0 = sending.end;
      pair.kernel.receive!.populate(receiving, random.below(40));
      const added = pair.kernel.transmit!.populate(sending, random.below(40));
      for (let i = 0; i < added; i++) {
        const at = (end0 + i) & 31;
        const address = sending.address[at]!;
        const length = sending.length[at]!;
        assert.ok(address >= base && length > 0 && address + length <= end, `seed ${seed}`);
        assert.equal((address - base) >> 11, (address + length - 1 - base) >> 11, `one frame only, seed ${seed}`);
        assert.equal(sending.flags[at]! & ~CONTINUES, 0);
      }
      if (added > 0) assert.equal(sending.flags[(sending.end - 1) & 31]! & CONTINUES, 0, 'whole packets only');
      for (let i = receiving.current; i !== receiving.end; i = (i + 1) | 0) {
        const address = receiving.address[i & 31]!;
        assert.ok(address >= base && address + pair.kernel.receive!.room <= end, `seed ${seed}`);
        receiving.length[i & 31] = 60;
        receiving.flags[i & 31] = 0;
      }
      for (const [array, sink] of [
        [receiving, pair.kernel.receive!],
        [sending, pair.kernel.transmit!],
      ] as const) {
        array.advance(random.below(array.outstanding + 1));
        sink.flush(array, array.done);
      }
    }
  }
});
