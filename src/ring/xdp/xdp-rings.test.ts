import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../test/support/random.js';
import { RingPair, type RingPairOptions } from '../../../test/support/ring-pair.js';
import type { SocketMaps } from '../../kernel/contract.js';
import { CONTINUES, PacketArray } from '../../packet-array/packet-array.js';
import { PACKET_CONTINUES, PacketBatch } from '../packet-batch.js';

const XDP_PKT_CONTD = 1;
type RingName = 'receive' | 'transmit' | 'fill' | 'completion';

function pairOf(options: Partial<RingPairOptions> = {}): RingPair {
  return new RingPair({ version: 'xdp', ring: 8, ...options });
}

function map(pair: RingPair, ring: RingName) {
  return (pair.maps as Required<SocketMaps>)[ring];
}

function producer(pair: RingPair, ring: RingName): number {
  return pair.arena.i32[map(pair, ring).producer! >> 2]!;
}

function consumer(pair: RingPair, ring: RingName): number {
  return pair.arena.i32[map(pair, ring).consumer! >> 2]!;
}

function setProducer(pair: RingPair, ring: RingName, value: number): void {
  pair.arena.i32[map(pair, ring).producer! >> 2] = value;
}

function setConsumer(pair: RingPair, ring: RingName, value: number): void {
  pair.arena.i32[map(pair, ring).consumer! >> 2] = value;
}

/** Writes the words of one entry. */
function write(pair: RingPair, ring: RingName, index: number, words: readonly number[]): void {
  const { base, entryBytes } = map(pair, ring);
  pair.arena.i32.set(words, (base + index * entryBytes) >> 2);
}

function read(pair: RingPair, ring: RingName, index: number): number[] {
  const { base, entryBytes } = map(pair, ring);
  return [...pair.arena.i32.subarray((base + index * entryBytes) >> 2, (base + (index + 1) * entryBytes) >> 2)];
}

/** A TX descriptor. */
function packet(address: number, length: number, { high = 0, options = 0 } = {}): number[] {
  return [address, high, length, options];
}

function post(pair: RingPair, ...descriptors: number[][]): void {
  const at = producer(pair, 'transmit');
  descriptors.forEach((words, i) => {
    write(pair, 'transmit', (at + i) & 7, words);
  });
  setProducer(pair, 'transmit', (at + descriptors.length) | 0);
}

test('the memory layout is Linux’s: 8-byte addresses in fill and completion ring, 16-byte descriptors in RX and TX', () => {
  const pair = pairOf();
  assert.deepEqual(
    (['receive', 'transmit', 'fill', 'completion'] as const).map((ring) => map(pair, ring).entryBytes),
    [16, 16, 8, 8],
  );
  const lines = (['receive', 'transmit', 'fill', 'completion'] as const).flatMap((ring) => [
    map(pair, ring).producer! >> 6,
    map(pair, ring).consumer! >> 6,
  ]);
  assert.equal(new Set(lines).size, 8, 'each index has a cache line of its own');
  const batch = new PacketBatch(2);
  pair.user.allocate(batch, 2);
  batch.size.set([60, 1514]);
  batch.flags[0] = PACKET_CONTINUES;
  const offsets = [...batch.offset].map((offset) => offset - pair.buffer.base);
  pair.user.send(batch);
  const { base } = map(pair, 'transmit');
  const view = new DataView(pair.arena.memory.buffer, base, 32);
  [
    [60, XDP_PKT_CONTD],
    [1514, 0],
  ].forEach(([length, options], i) => {
    assert.equal(view.getBigUint64(i * 16, true), BigInt(offsets[i]!));
    assert.equal(view.getUint32(i * 16 + 8, true), length);
    assert.equal(view.getUint32(i * 16 + 12, true), options);
  });
  assert.equal(producer(pair, 'transmit'), 2);
});

test('frames to send are checked; a wrong one never reaches the device, is counted, and its neighbours are sent (X3)', () => {
  const { frames, frameSize } = { frames: 64, frameSize: 2048 };
  const wrong: [string, number[]][] = [
    ['address behind the buffer', packet(frames * frameSize, 60)],
    ['address with high bits', packet(2048, 60, { high: 1 })],
    ['negative address', packet(-2048, 60)],
    ['largest address', packet(-1, 60, { high: -1 })],
    ['no bytes', packet(2048, 0)],
    ['negative length', packet(2048, -1)],
    ['length that overflows', packet(2048 + 256, 0x7fffffff)],
    ['into the next frame', packet(2048 + 256, 2048 - 255)],
    ['unknown options', packet(2048, 60, { options: 2 })],
    ['continued, without segments', packet(2048, 60, { options: XDP_PKT_CONTD })],
    ['longer than the interface', packet(2048, 1515)],
  ];
  for (const [what, words] of wrong) {
    const pair = pairOf({ buffer: { frames, frameSize } });
    pair.kernel.setLargestPacket(1514);
    post(pair, packet(4096, 60), words, packet(8192, 1514));
    const array = new PacketArray(8);
    assert.equal(pair.kernel.transmit!.populate(array, 8), 2, what);
    assert.deepEqual([...array.address.subarray(0, 2)], [pair.buffer.base + 4096, pair.buffer.base + 8192], what);
    assert.equal(pair.kernel.counters.invalidDescriptor, 1, what);
    assert.equal(consumer(pair, 'transmit'), 3, what);
    array.advance(2);
    pair.kernel.transmit!.flush(array, 2);
    const completed = new Set(
      Array.from({ length: producer(pair, 'completion') }, (_, i) => read(pair, 'completion', i)[0]),
    );
    assert.ok(completed.has(4096) && completed.has(8192), what);
  }
});

test('what just fits is not refused', () => {
  const pair = pairOf({ buffer: { frames: 64 } });
  post(pair, packet(63 * 2048, 2048), packet(64 * 2048 - 1, 1), packet(0, 1));
  const array = new PacketArray(8);
  assert.equal(pair.kernel.transmit!.populate(array, 8), 3);
  assert.equal(pair.kernel.counters.invalidDescriptor, 0);
});

test('a completed address that names no frame of the buffer never enters the pool', () => {
  const pair = pairOf();
  const free = pair.free;
  [
    [64 * 2048, 0],
    [-1, -1],
    [5, 0x7fffffff],
  ].forEach((words, i) => {
    write(pair, 'completion', i, words);
  });
  write(pair, 'completion', 3, [-2048, -1]);
  setProducer(pair, 'completion', 4);
  const batch = new PacketBatch(1);
  pair.user.allocate(batch, 1);
  batch.size[0] = 60;
  pair.user.send(batch); // reaps
  assert.ok(pair.free <= free, 'nothing has come in');
  assert.ok(pair.user.counters.invalid >= 3);
});

test('a packet with one bad frame is dropped whole; one whose end is missing waits', () => {
  const pair = pairOf({ segments: true });
  const more = { options: XDP_PKT_CONTD };
  post(
    pair,
    packet(0, 60, more),
    packet(-1, 60, more),
    packet(4096, 60),
    packet(6144, 60, more),
    packet(8192, 60, more),
  );
  const array = new PacketArray(8);
  assert.equal(pair.kernel.transmit!.populate(array, 8), 0);
  assert.equal(pair.kernel.counters.invalidDescriptor, 3);
  assert.equal(consumer(pair, 'transmit'), 3);
  post(pair, packet(10240, 60));
  assert.equal(pair.kernel.transmit!.populate(array, 8), 3);
  assert.deepEqual([...array.flags.subarray(0, 3)], [CONTINUES, CONTINUES, 0]);
});

test('empty frames: any address in a frame names it; a wrong one is counted and skipped', () => {
  const pair = pairOf();
  [
    [2048 + 700, 0],
    [64 * 2048, 0],
    [4096, 1],
    [-1, -1],
    [6144, 0],
  ].forEach((words, i) => {
    write(pair, 'fill', i, words);
  });
  setProducer(pair, 'fill', 5);
  const array = new PacketArray(8);
  assert.equal(pair.kernel.receive!.populate(array, 8), 2);
  assert.deepEqual(
    [...array.address.subarray(0, 2)],
    [2048, 6144].map((at) => pair.buffer.base + at + 256),
  );
  assert.equal(pair.kernel.counters.invalidDescriptor, 3);
  assert.equal(consumer(pair, 'fill'), 5);
});

test('indices that make no sense post nothing and make no room, until they make sense again', () => {
  for (const start of [0, 0x7ffffffe, -3]) {
    const pair = pairOf({ firstIndex: start });
    const array = new PacketArray(16);
    for (const distance of [-1, -8, 9, 100, 0x7fffffff, -0x80000000]) {
      setProducer(pair, 'fill', (start + distance) | 0);
      setProducer(pair, 'transmit', (start + distance) | 0);
      assert.equal(pair.kernel.receive!.populate(array, 16), 0, `fill ${distance}`);
      assert.equal(pair.kernel.transmit!.populate(array, 16), 0, `TX ${distance}`);
      assert.deepEqual([pair.kernel.receivePosted(), pair.kernel.transmitPosted()], [false, false]);
    }
    setProducer(pair, 'transmit', start);
    setProducer(pair, 'fill', start);
    pair.user.replenish();
    assert.equal(pair.kernel.receive!.populate(array, 16), 8);
    // The RX consumer has gone mad: no room, the packets are dropped and counted.
    setConsumer(pair, 'receive', (start + 5) | 0);
    array.length.fill(60);
    array.flags.fill(0);
    array.advance(8);
    pair.kernel.receive!.flush(array, 8);
    assert.equal(pair.kernel.counters.receiveRingFull, 8);
    assert.equal(producer(pair, 'receive'), start | 0);
    // And completions that nobody could have taken make no room to send.
    setConsumer(pair, 'completion', (start + 1) | 0);
    post(pair, packet(0, 60));
    assert.equal(pair.kernel.transmit!.populate(array, 16), 0);
  }
});

test('a full RX ring: packets are dropped whole and counted, their frames are used again', () => {
  const pair = pairOf({ ring: 64, receive: 8, fill: 64, segments: true, buffer: { frames: 256 } });
  pair.user.replenish();
  const array = new PacketArray(64);
  assert.equal(pair.kernel.receive!.populate(array, 64), 64);
  array.length.fill(60);
  array.flags.fill(0);
  for (const i of [6, 7, 8]) array.flags[i] = CONTINUES; // a packet of four frames does not fit any more
  array.advance(20);
  pair.kernel.receive!.flush(array, 20);
  assert.deepEqual([pair.kernel.counters.received, pair.kernel.counters.receiveRingFull], [6, 11]);
  assert.equal(array.done, 0);
  assert.equal(pair.kernel.receivePosted(), true);
  const before = consumer(pair, 'fill');
  assert.equal(pair.kernel.receive!.populate(array, 14), 14);
  assert.equal(consumer(pair, 'fill'), before, 'no new frames were needed');
  const batch = new PacketBatch(16);
  assert.equal(pair.user.receive(batch), 6);
});

test('frames of dropped packets are all used again, however many more the device had than the fill ring has entries', () => {
  const pair = pairOf({ ring: 8, buffer: { frames: 128 } });
  const array = new PacketArray(64);
  const frames = new Set<number>();
  // Other libraries keep the fill ring itself full.
  for (let i = 0; i < 32; i++) {
    write(pair, 'fill', i & 7, [i * 2048, 0]);
    setProducer(pair, 'fill', i + 1);
    pair.kernel.receive!.populate(array, 64);
  }
  assert.equal(array.outstanding, 32);
  for (let i = 0; i < 32; i++) frames.add(array.address[i]!);
  array.length.fill(60);
  array.flags.fill(0);
  array.advance(32);
  pair.kernel.receive!.flush(array, 32);
  assert.deepEqual([pair.kernel.counters.received, pair.kernel.counters.receiveRingFull], [8, 24]);
  assert.equal(pair.kernel.receive!.populate(array, 64), 24);
  for (let i = array.current; i !== array.end; i++) assert.ok(frames.has(array.address[i & 63]!));
});

test('completions have their place reserved: what is taken can always be completed', () => {
  const pair = pairOf({ ring: 8, completion: 8, transmit: 8 });
  const array = new PacketArray(64);
  const pass = (): number => {
    post(pair, ...Array.from({ length: 8 }, (_, i) => packet(i * 2048, 60)));
    return pair.kernel.transmit!.populate(array, 64);
  };
  assert.equal(pass(), 8);
  assert.equal(pass(), 0, 'eight are on their way, and eight places there are');
  array.advance(8);
  pair.kernel.transmit!.flush(array, 3);
  assert.equal(pair.kernel.transmit!.populate(array, 64), 0, 'completed, but not taken yet');
  setConsumer(pair, 'completion', 2);
  assert.equal(pair.kernel.transmit!.populate(array, 64), 2);
});

test('random words in the rings: the kernel never throws, never hangs, and lets only frames of the buffer pass', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = new Random(seed);
    const firstIndex = random.pick([0, 0x7ffffff8, -5]);
    const pair = pairOf({ ring: 16, segments: random.oneIn(2), firstIndex });
    const { base, frames, frameSize } = pair.buffer;
    const end = base + frames * frameSize;
    pair.kernel.setLargestPacket(4000);
    const receiving = new PacketArray(32);
    const sending = new PacketArray(32);
    const index = (): number => (random.oneIn(4) ? random.word() : firstIndex + random.below(40)) | 0;
    for (let step = 0; step < 300; step++) {
      for (const ring of ['receive', 'transmit', 'fill', 'completion'] as const) {
        if (random.oneIn(2))
          setProducer(pair, ring, ring === 'fill' || ring === 'transmit' ? index() : random.word() | 0);
        if (random.oneIn(2)) setConsumer(pair, ring, index());
        const address = random.oneIn(3) ? random.word() | 0 : random.below(frames * frameSize + 4096);
        write(pair, ring, random.below(16), [
          address,
          random.oneIn(4) ? random.word() | 0 : 0,
          ...(map(pair, ring).entryBytes === 16
            ? [
                random.oneIn(4) ? random.word() | 0 : random.below(2100),
                random.oneIn(4) ? random.word() | 0 : random.below(2),
              ]
            : []),
        ]);
      }
      const first = sending.end;
      pair.kernel.receive!.populate(receiving, random.below(40));
      const added = pair.kernel.transmit!.populate(sending, random.below(40));
      assert.ok(added >= 0 && sending.room >= 0 && receiving.room >= 0);
      for (let i = 0; i < added; i++) {
        const at = (first + i) & 31;
        const address = sending.address[at]!;
        const length = sending.length[at]!;
        assert.ok(address >= base && length > 0 && address + length <= end, `seed ${seed}`);
        assert.equal((address - base) >> 11, (address + length - 1 - base) >> 11, `one frame only, seed ${seed}`);
      }
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
        assert.equal(array.done, 0, 'flush takes all it is given');
      }
    }
  }
});
