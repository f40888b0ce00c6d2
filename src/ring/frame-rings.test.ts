import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FRAME_VERSIONS, RingPair, type RingPairOptions } from '../../test/support/ring-pair.js';
import { CONTINUES, PacketArray } from '../packet-array/packet-array.js';
import { PacketBuffer } from '../packet-buffer/packet-buffer.js';
import { NEED_WAKEUP } from './frame-rings.js';
import { OUTCOME_SENT, OUTCOME_UNKNOWN, PACKET_CONTINUES, PacketBatch } from './packet-batch.js';

const ENETDOWN = 100;

/** A ring pair with a device behind it. */
class Socket extends RingPair {
  readonly receiving = new PacketArray(1024);
  readonly sending = new PacketArray(1024);

  constructor(options: RingPairOptions) {
    super(options);
    this.user.replenish();
  }

  /** The device receives packets of these sizes, one frame each; their first word is their number. */
  arrive(sizes: readonly number[], first = 1): void {
    const { receiving: array } = this;
    this.kernel.receive!.populate(array, 1024);
    sizes.forEach((size, i) => {
      const at = (array.current + i) & array.mask;
      this.arena.i32[array.address[at]! >> 2] = first + i;
      array.length[at] = size;
      array.flags[at] = 0;
    });
    assert.ok(array.outstanding >= sizes.length, 'no frames to receive into');
    array.advance(sizes.length);
    this.kernel.receive!.flush(array, array.done);
  }

  /** The device sends all that is posted; returns the first word of each frame. */
  transmit(error = 0): number[] {
    const { sending: array } = this;
    const numbers: number[] = [];
    const count = this.kernel.transmit!.populate(array, 1024);
    for (let i = 0; i < count; i++) {
      const at = array.current & array.mask;
      numbers.push(this.arena.i32[array.address[at]! >> 2]!);
      array.flags[at]! |= error;
      array.advance(1);
    }
    this.kernel.transmit!.flush(array, array.done);
    return numbers;
  }

  /** Frames to send, numbered, 60 bytes each. */
  allocated(count: number, first = 1): PacketBatch {
    const batch = new PacketBatch(Math.max(count, 1));
    assert.equal(this.user.allocate(batch, count), count);
    for (let i = 0; i < count; i++) {
      this.arena.i32[batch.offset[i]! >> 2] = first + i;
      batch.size[i] = 60;
    }
    return batch;
  }

  finish(): void {
    this.user.close();
    assert.ok(this.poolIsWhole(), 'frames are missing, or there twice');
  }
}

function received(socket: Socket, capacity = 64): PacketBatch {
  const batch = new PacketBatch(capacity);
  socket.user.receive(batch);
  return batch;
}

function numbers(socket: RingPair, batch: PacketBatch): number[] {
  return [...batch.offset.subarray(0, batch.length)].map((offset) => socket.arena.i32[offset >> 2]!);
}

/** Calls of Atomics.store while `run` runs. */
function countStores(run: () => void): number {
  const { store } = Atomics;
  let stores = 0;
  Atomics.store = ((...args: Parameters<typeof store>) => {
    stores++;
    return store(...args);
  }) as typeof store;
  try {
    run();
  } finally {
    Atomics.store = store;
  }
  return stores;
}

for (const version of FRAME_VERSIONS) {
  test(`${version}: received packets start behind the headroom and carry their size`, () => {
    const socket = new Socket({ version, buffer: { frames: 64, headroom: 64 } });
    socket.arrive([60, 1500, 61]);
    const batch = received(socket);
    assert.deepEqual(numbers(socket, batch), [1, 2, 3]);
    assert.deepEqual([...batch.size.subarray(0, 3)], [60, 1500, 61]);
    assert.ok([...batch.offset.subarray(0, 3)].every((offset) => (offset & 2047) === 256 + 64));
    assert.equal(batch.origin, socket.user);
    socket.user.release(batch);
    socket.finish();
  });

  test(`${version}: a batch takes what it has room for, and the rest next time`, () => {
    const socket = new Socket({ version });
    socket.arrive([60, 60, 60, 60, 60]);
    const batch = received(socket, 2);
    assert.deepEqual(numbers(socket, batch), [1, 2]);
    assert.deepEqual(numbers(socket, received(socket, 2)), [3, 4]);
    assert.equal(socket.user.readable(), true);
    assert.deepEqual(numbers(socket, received(socket, 2)), [5]);
    assert.equal(socket.user.readable(), false);
    assert.equal(socket.user.receive(batch), 0);
  });

  test(`${version}: what was sent is allocated again first, without a way through the pool`, () => {
    const socket = new Socket({ version });
    const batch = socket.allocated(4);
    const frames = [...batch.offset.subarray(0, 4)].sort();
    socket.user.send(batch);
    socket.transmit();
    const free = socket.buffer.free('send');
    const again = socket.allocated(6);
    assert.deepEqual([...again.offset.subarray(0, 4)].sort(), frames);
    assert.equal(socket.buffer.free('send'), free - 2);
    assert.equal(socket.user.counters.completed, 4);
    socket.user.release(again);
    socket.finish();
  });

  test(`${version}: frames that were forwarded go back to the receive ring, and are never allocated`, () => {
    const socket = new Socket({ version, buffer: { frames: 64 } });
    socket.arrive([60, 60, 60]);
    const batch = received(socket);
    const frames = new Set(batch.offset.subarray(0, 3));
    socket.user.send(batch);
    socket.transmit();
    const free = socket.buffer.free('receive');
    const allocated = socket.allocated(8);
    assert.ok([...allocated.offset.subarray(0, 8)].every((offset) => !frames.has(offset)));
    assert.equal(socket.buffer.free('receive'), free + 3);
    socket.user.release(allocated);
    socket.arrive([60, 60, 60]);
    socket.user.send(received(socket));
    socket.transmit();
    const before = socket.buffer.free('receive');
    socket.user.send(new PacketBatch());
    assert.equal(socket.buffer.free('receive'), before, 'they are posted at once');
    socket.finish();
  });

  test(`${version}: an empty ring is kicked only when its wake word asks for it, and looked at again`, () => {
    const socket = new Socket({ version });
    const wake = socket.maps.wakeReceive >> 2;
    const batch = new PacketBatch(8);
    assert.equal(socket.user.receive(batch), 0);
    assert.deepEqual(socket.kicks, []);
    socket.arena.i32[wake] = NEED_WAKEUP;
    socket.onKick = () => socket.arrive([60]);
    assert.equal(socket.user.receive(batch), 1);
    assert.deepEqual(socket.kicks, ['receive']);
    socket.arrive([60]);
    assert.equal(received(socket).length, 1);
    assert.deepEqual(socket.kicks, ['receive'], 'no kick when there is something');
    assert.equal(socket.user.counters.kicks, 1);
  });

  test(`${version}: sending kicks when the wake word asks for it (F1)`, () => {
    const socket = new Socket({ version });
    const wake = socket.maps.wakeTransmit >> 2;
    socket.user.send(socket.allocated(1));
    assert.deepEqual(socket.kicks, []);
    socket.arena.i32[wake] = NEED_WAKEUP;
    socket.user.send(socket.allocated(1));
    assert.deepEqual(socket.kicks, ['transmit']);
  });

  test(`${version}: 512 frames are handed back by one store (F3)`, () => {
    const socket = new Socket({ version, ring: 512, buffer: { frames: 2048 } });
    socket.arrive(Array(512).fill(60));
    const batch = received(socket, 512);
    assert.equal(batch.length, 512);
    if (version === 'xdp') socket.kernel.receive!.populate(socket.receiving, 512); // room in the fill ring
    assert.equal(
      countStores(() => socket.user.release(batch)),
      1,
    );
    assert.equal(batch.length, 0);
    assert.equal(socket.kernel.receive!.populate(socket.receiving, 1024), 512);
  });

  test(`${version}: frames may be held for any time and released in any order (I10)`, () => {
    const socket = new Socket({ version, ring: 16, buffer: { frames: 256 } });
    const held: PacketBatch[] = [];
    for (let i = 0; i < 20; i++) {
      socket.arrive([60, 60, 60, 60], i * 4);
      const batch = received(socket, 4);
      assert.deepEqual(
        numbers(socket, batch),
        [0, 1, 2, 3].map((n) => i * 4 + n),
      );
      const offsets = [...batch.offset];
      assert.equal(socket.user.hold(batch), 4);
      assert.deepEqual([[...batch.offset], batch.length], [offsets, 4], 'frames need not move');
      held.push(batch);
    }
    held.reverse().forEach((batch, i) => {
      assert.deepEqual(
        numbers(socket, batch),
        [0, 1, 2, 3].map((n) => (19 - i) * 4 + n),
        'the packets are still there',
      );
    });
    for (const batch of [held[7]!, held[3]!, held[12]!, ...held]) socket.user.release(batch);
    socket.finish();
  });

  test(`${version}: when frames leave by sending, the ring is filled up from the pool`, () => {
    const socket = new Socket({ version, ring: 16, buffer: { frames: 128, sendFrames: 32 } });
    for (let i = 0; i < 50; i++) {
      socket.arrive([60, 60, 60, 60]);
      assert.equal(socket.user.send(received(socket, 4)), 4);
      socket.transmit();
    }
    assert.equal(socket.user.counters.copied, 0);
    assert.equal(socket.user.counters.sent, 200);
    socket.finish();
  });

  test(`${version}: allocate gives room to write, and never what receiving needs`, () => {
    const socket = new Socket({ version, buffer: { frames: 64, sendFrames: 20 } });
    const receiveFree = socket.buffer.free('receive');
    const batch = new PacketBatch(64);
    assert.equal(socket.user.allocate(batch, 64), 20);
    assert.equal(batch.length, 20);
    assert.deepEqual([batch.size[0], batch.flags[0], batch.offset[0]! & 2047], [1792, 0, 256]);
    const none = new PacketBatch(4);
    assert.equal(socket.user.allocate(none, 4), 0);
    assert.deepEqual([none.length, none.origin], [0, null]);
    assert.equal(socket.buffer.free('receive'), receiveFree);
    socket.user.release(batch);
    socket.finish();
  });

  test(`${version}: allocate takes what the batch has room for, and nothing for nonsense`, () => {
    const socket = new Socket({ version });
    const free = socket.free;
    const batch = new PacketBatch(4);
    for (const count of [0, -1, Number.NEGATIVE_INFINITY]) {
      assert.equal(socket.user.allocate(batch, count), 0);
      assert.equal(batch.length, 0);
      assert.equal(socket.free, free);
    }
    assert.equal(socket.user.allocate(batch, 100), 4);
    socket.user.release(batch);
    assert.equal(socket.user.allocate(batch, 2.7), 2);
    assert.equal(batch.length, 2);
    socket.user.release(batch);
    socket.finish();
  });

  test(`${version}: frames to send that are released unsent are there to be allocated again, even when rings have room`, () => {
    const socket = new Socket({ version, ring: 16, buffer: { frames: 32, sendFrames: 16 } });
    for (let i = 0; i < 10; i++) {
      socket.arrive([60, 60, 60, 60]);
      const held = received(socket);
      const batch = socket.allocated(16);
      socket.user.release(batch);
      socket.user.release(held);
    }
    assert.equal(socket.buffer.free('send'), 16);
    socket.finish();
  });

  test(`${version}: frames come back from sending to be allocated again, as often as one likes`, () => {
    const socket = new Socket({ version, ring: 8, buffer: { frames: 32, sendFrames: 10 } });
    for (let i = 0; i < 30; i++) {
      const batch = socket.allocated(8, i * 8);
      assert.equal(socket.user.send(batch), 8);
      assert.deepEqual(
        socket.transmit(),
        [0, 1, 2, 3, 4, 5, 6, 7].map((n) => i * 8 + n),
      );
    }
    assert.equal(socket.kernel.counters.sent, 240);
    socket.finish();
  });

  test(`${version}: a full ring is a short count; the batch keeps the rest`, () => {
    const socket = new Socket({ version, ring: 8, buffer: { frames: 64 } });
    const batch = socket.allocated(12);
    assert.equal(socket.user.send(batch), 8);
    assert.deepEqual(numbers(socket, batch), [9, 10, 11, 12]);
    assert.equal(socket.user.writable(), false);
    assert.equal(socket.user.send(batch), 0);
    assert.equal(batch.length, 4);
    assert.equal(batch.origin, socket.user);
    assert.deepEqual(socket.transmit(), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert.equal(socket.user.writable(), true);
    assert.equal(socket.user.send(batch), 4);
    assert.deepEqual([batch.length, batch.origin], [0, null]);
    assert.deepEqual(socket.transmit(), [9, 10, 11, 12]);
    socket.finish();
  });

  test(`${version}: packets of several frames are posted whole or not at all`, () => {
    const socket = new Socket({ version, ring: 8, segments: true });
    const batch = socket.allocated(12);
    for (const i of [0, 1, 6, 7, 8]) batch.flags[i] = PACKET_CONTINUES; // 3 frames, 3 of one, 4, 2 of one
    assert.equal(socket.user.send(batch), 6);
    assert.deepEqual(numbers(socket, batch), [7, 8, 9, 10, 11, 12]);
    assert.deepEqual([...batch.flags.subarray(0, 6)], [1, 1, 1, 0, 0, 0]);
    socket.transmit();
    assert.equal(socket.user.send(batch), 6);
    assert.deepEqual(socket.transmit(), [7, 8, 9, 10, 11, 12]);
  });

  test(`${version}: outcomes are told when they are asked for, and the frames are the program's (I9)`, () => {
    const socket = new Socket({ version, outcomes: true, ring: 8 });
    socket.user.send(socket.allocated(3, 10));
    const batch = new PacketBatch(8);
    assert.equal(socket.user.completions(batch), 0);
    socket.transmit();
    socket.user.send(socket.allocated(2, 13));
    socket.transmit(ENETDOWN);
    const free = socket.free;
    assert.equal(socket.user.completions(batch), 5);
    assert.deepEqual(numbers(socket, batch), [10, 11, 12, 13, 14]);
    const expected =
      version === 'v4'
        ? [OUTCOME_SENT, OUTCOME_SENT, OUTCOME_SENT, ENETDOWN, ENETDOWN]
        : Array(5).fill(OUTCOME_UNKNOWN);
    assert.deepEqual([...batch.outcome.subarray(0, 5)], expected);
    assert.equal(socket.user.counters.completed, 5);
    assert.equal(socket.user.counters.failed, version === 'v4' ? 2 : 0);
    assert.deepEqual([socket.kernel.counters.sent, socket.kernel.counters.transmitError], [3, 2]);
    assert.equal(socket.free, free, 'they are not in the pool');
    socket.user.release(batch);
    assert.equal(socket.user.completions(batch), 0);
    socket.finish();
  });

  test(`${version}: what failed can be sent again`, () => {
    const socket = new Socket({ version, outcomes: true });
    socket.user.send(socket.allocated(2));
    socket.transmit(ENETDOWN);
    const batch = new PacketBatch(8);
    socket.user.completions(batch);
    batch.size.fill(60, 0, 2);
    assert.equal(socket.user.send(batch), 2);
    assert.deepEqual(socket.transmit(), [1, 2]);
    socket.finish();
  });

  test(`${version}: packets of another buffer are copied, counted, and their frames go back where they came from`, () => {
    const from = new Socket({ version, buffer: { frames: 64 } });
    const to = new Socket({ version, arena: from.arena, buffer: { frames: 64, headroom: 64 } });
    assert.equal(to.user.moves(from.user), false);
    from.arrive([60, 1400, 61]);
    const batch = received(from);
    for (let i = 0; i < 1400; i++) from.arena.u8[batch.offset[1]! + i] = i;
    assert.equal(batch.movable(to.user), false);
    assert.equal(to.user.send(batch), 3);
    assert.equal(batch.length, 0);
    assert.equal(to.user.counters.copied, 3);
    assert.equal(to.kernel.transmit!.populate(to.sending, 8), 3);
    const [, second] = to.sending.address;
    assert.ok(to.buffer.contains(second!));
    assert.ok(from.arena.u8.subarray(second, second! + 1400).every((byte, i) => byte === (i & 0xff)));
    assert.deepEqual([...to.sending.length.subarray(0, 3)], [60, 1400, 61]);
    to.sending.advance(3);
    to.kernel.transmit!.flush(to.sending, 3);
    from.finish();
    to.finish();
  });

  test(`${version}: copying waits for free frames, and loses nothing meanwhile`, () => {
    const from = new Socket({ version, buffer: { frames: 64 } });
    const to = new Socket({ version, arena: from.arena, buffer: { frames: 32, sendFrames: 5 } });
    from.arrive(Array(12).fill(60));
    const batch = received(from);
    const sent: number[] = [];
    for (let i = 0; i < 5 && batch.length > 0; i++) {
      to.user.send(batch);
      sent.push(...to.transmit());
    }
    assert.deepEqual(sent, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    from.finish();
    to.finish();
  });

  test(`${version}: a packet buffer attached twice is one buffer: frames move`, () => {
    const from = new Socket({ version, buffer: { frames: 128 } });
    const buffer = PacketBuffer.attach(from.buffer.share(), from.arena);
    const to = new Socket({ version, buffer });
    assert.equal(to.user.moves(from.user), true);
    from.arrive([60, 60]);
    const batch = received(from);
    assert.equal(batch.movable(to.user), true);
    const offsets = [...batch.offset.subarray(0, 2)];
    assert.equal(to.user.send(batch), 2);
    assert.equal(to.kernel.transmit!.populate(to.sending, 8), 2);
    assert.deepEqual([...to.sending.address.subarray(0, 2)], offsets);
    assert.equal(to.user.counters.copied, 0);
    to.user.close();
    from.user.close();
    assert.ok(from.poolIsWhole());
  });

  test(`${version}: what can never be sent is counted, given back and skipped; the rest is sent`, () => {
    const socket = new Socket({ version, buffer: { frames: 64 }, segments: true });
    socket.user.largestPacket = 1514;
    const frame = (batch: PacketBatch, i: number) => batch.offset[i]! & socket.buffer.frameMask;
    const wrong: [string, (batch: PacketBatch) => unknown][] = [
      ['longer than the interface takes', (batch) => batch.size.fill(1515, 1, 2)],
      ['of no bytes', (batch) => batch.size.fill(0, 1, 2)],
      ['of fewer than no bytes', (batch) => batch.size.fill(-5, 1, 2)],
      ['ends in the next frame', (batch) => batch.offset.fill(frame(batch, 1) + 2048 - 59, 1, 2)],
      [
        'longer than the interface takes, over its frames',
        (batch) => {
          batch.size.fill(800, 1, 3);
          batch.flags[1] = PACKET_CONTINUES;
        },
      ],
    ];
    wrong.forEach(([what, spoil], round) => {
      const batch = socket.allocated(4);
      spoil(batch);
      const parts = batch.flags[1] === PACKET_CONTINUES ? 2 : 1;
      const before = socket.user.counters.unsendable;
      assert.equal(socket.user.send(batch), 4, what);
      assert.equal(batch.length, 0);
      assert.deepEqual(socket.transmit(), parts === 2 ? [1, 4] : [1, 3, 4], what);
      assert.equal(socket.user.counters.unsendable - before, 1, what);
      assert.equal(socket.kernel.counters.invalidDescriptor, 0, `${what}: the kernel never sees it (${round})`);
    });
    socket.finish();
  });

  test(`${version}: a frame of nobody is refused and goes nowhere`, () => {
    const socket = new Socket({ version });
    for (const offset of [0, socket.buffer.base - 2048, 2 ** 31 - 2048, -2048]) {
      const batch = socket.allocated(2);
      const own = batch.offset[0]!;
      batch.offset[0] = offset;
      batch.size[0] = 3000;
      assert.equal(socket.user.send(batch), 2);
      assert.deepEqual(socket.transmit(), [2]);
      const back = new PacketBatch(1);
      back.offset[0] = own;
      back.length = 1;
      socket.user.release(back);
    }
    assert.equal(socket.user.counters.unsendable, 4);
    socket.finish();
  });

  test(`${version}: more frames than a packet can have are refused, 18 are not`, () => {
    const socket = new Socket({ version, ring: 32, segments: true });
    for (const [parts, sent] of [
      [18, 18],
      [19, 0],
    ] as const) {
      const batch = socket.allocated(parts);
      batch.size.fill(10);
      batch.flags.fill(PACKET_CONTINUES, 0, parts - 1);
      socket.user.send(batch);
      assert.equal(batch.length, 0);
      assert.equal(socket.transmit().length, sent);
    }
    assert.equal(socket.user.counters.unsendable, 1);
    socket.finish();
  });

  test(`${version}: a packet of more frames than the ring has is refused, not waited for`, () => {
    const socket = new Socket({ version, ring: 8, segments: true });
    const batch = socket.allocated(10);
    batch.size.fill(10);
    batch.flags.fill(PACKET_CONTINUES, 0, 8);
    assert.equal(socket.user.send(batch), 9);
    assert.equal(socket.user.counters.unsendable, 1);
    assert.equal(socket.user.send(batch), 1);
    assert.deepEqual(socket.transmit(), [10]);
    socket.finish();
  });

  test(`${version}: a packet of several frames is never split over two batches, unless it alone exceeds them`, () => {
    const socket = new Socket({ version, ring: 32, segments: true });
    const { receiving: array } = socket;
    socket.kernel.receive!.populate(array, 32);
    const parts = [1, 3, 3, 1, 6, 1];
    let at = 0;
    for (const count of parts) {
      for (let i = 0; i < count; i++, at++) {
        array.length[at] = 100;
        array.flags[at] = i < count - 1 ? CONTINUES : 0;
      }
    }
    array.advance(at);
    socket.kernel.receive!.flush(array, at);
    const lengths: number[] = [];
    for (let batch = received(socket, 5); batch.length > 0; batch = received(socket, 5)) {
      lengths.push(batch.length);
      socket.user.release(batch);
    }
    assert.deepEqual(lengths, [4, 4, 5, 2]);
    assert.deepEqual([socket.user.counters.received, socket.user.counters.receivedFrames], [parts.length, at]);
    socket.finish();
  });

  test(`${version}: nor do completions split one, whatever the kernel has handed back so far`, () => {
    const socket = new Socket({ version, ring: 32, outcomes: true, segments: true });
    const parts = [1, 3, 3, 1, 6, 1];
    const posted = socket.allocated(15);
    let at = 0;
    for (const count of parts) {
      for (let i = 0; i < count; i++, at++) posted.flags[at] = i < count - 1 ? PACKET_CONTINUES : 0;
    }
    const flags = [...posted.flags];
    assert.equal(socket.user.send(posted), 15);
    assert.deepEqual([socket.user.counters.sent, socket.user.counters.sentFrames], [parts.length, 15]);
    const { sending: array } = socket;
    socket.kernel.transmit!.populate(array, 32);
    const batch = new PacketBatch(5);
    const lengths: number[] = [];
    const seen: number[] = [];
    // One by one, so that the kernel is in the middle of a packet most of the time.
    for (let i = 0; i < 15; i++) {
      array.advance(1);
      socket.kernel.transmit!.flush(array, 1);
      if (socket.user.completions(batch) === 0) continue;
      lengths.push(batch.length);
      seen.push(...batch.flags.subarray(0, batch.length));
      socket.user.release(batch);
    }
    while (socket.user.completions(batch) > 0) {
      lengths.push(batch.length);
      seen.push(...batch.flags.subarray(0, batch.length));
      socket.user.release(batch);
    }
    assert.deepEqual(lengths, [1, 3, 3, 1, 5, 1, 1], 'the packet of six alone exceeds the batch');
    assert.deepEqual(seen, flags);
    assert.equal(socket.user.counters.completed, 15);
    socket.finish();
  });

  test(`${version}: a packet of several frames counts once, sent, copied and refused`, () => {
    const from = new Socket({ version, segments: true });
    const socket = new Socket({ version, arena: from.arena, segments: true });
    const batch = from.allocated(4);
    batch.flags.set([PACKET_CONTINUES, 0, PACKET_CONTINUES, 0]);
    assert.equal(socket.user.send(batch), 4);
    const { sent, sentFrames, copied } = socket.user.counters;
    assert.deepEqual({ sent, sentFrames, copied }, { sent: 2, sentFrames: 4, copied: 2 });
  });

  test(`${version}: the pool is whole after close, wherever the frames were`, () => {
    const socket = new Socket({ version, ring: 16, buffer: { frames: 128 }, segments: true });
    socket.arrive([60, 60, 60]); // in the RX ring
    socket.kernel.receive!.populate(socket.receiving, 5); // with the device
    socket.user.send(socket.allocated(5)); // in the TX ring
    socket.kernel.transmit!.populate(socket.sending, 2); // with the device
    socket.sending.advance(1);
    socket.kernel.transmit!.flush(socket.sending, 1); // on its way back
    socket.finish();
    const free = socket.arena.freeBytes;
    socket.user.close();
    assert.ok(socket.poolIsWhole());
    assert.equal(socket.arena.freeBytes, free, 'closing twice is closing once');
  });

  test(`${version}: a batch may outlive its rings, and even its buffer: nothing is posted in memory that is gone`, () => {
    for (const bufferToo of [false, true]) {
      const from = new Socket({ version });
      const to = new Socket({ version, arena: from.arena, buffer: { frames: 64 } });
      from.arrive([60, 60, 60]);
      const [held, sent] = [received(from, 2), received(from, 1)];
      from.user.close();
      if (bufferToo) from.buffer.close();
      from.arena.free(from.region);
      const hog = from.arena.allocate(from.arena.freeBytes >> 1);
      from.arena.u8.fill(0x5a, hog.offset, hog.offset + hog.bytes);
      from.arena.u8.fill(0x5a, from.region.offset, from.region.offset + from.region.bytes);
      from.user.release(held);
      assert.equal(held.length, 0);
      to.user.send(sent);
      assert.equal(to.user.counters.copied, 1);
      assert.ok(bufferToo || from.poolIsWhole());
      for (const { offset, bytes } of [hog, from.region]) {
        assert.equal(
          from.arena.u8.subarray(offset, offset + bytes).findIndex((byte) => byte !== 0x5a),
          -1,
        );
      }
    }
  });

  test(`${version}: of a packet that is cut off by the batch, no frame is lost at close`, () => {
    const socket = new Socket({ version, segments: true });
    const { receiving: array } = socket;
    socket.kernel.receive!.populate(array, 16);
    for (let at = 0; at < 4; at++) {
      array.length[at] = 100;
      array.flags[at] = at % 2 === 0 ? CONTINUES : 0;
    }
    array.advance(4);
    socket.kernel.receive!.flush(array, 4);
    const batch = received(socket, 3);
    assert.equal(batch.length, 2);
    socket.user.release(batch);
    socket.finish();
  });

  test(`${version}: a sender without receive ring, and a receiver without transmit ring`, () => {
    const sender = new RingPair({ version, receive: 0, fill: 0 });
    sender.user.replenish();
    const batch = new PacketBatch(4);
    assert.equal(sender.user.receive(batch), 0);
    assert.equal(sender.user.readable(), false);
    assert.equal(sender.user.allocate(batch, 4), 4);
    batch.size.fill(60);
    assert.equal(sender.user.send(batch), 4);
    sender.user.close();
    assert.ok(sender.poolIsWhole());

    const receiver = new RingPair({ version, transmit: 0, completion: 0 });
    receiver.user.replenish();
    receiver.user.allocate(batch, 4);
    batch.size.fill(60);
    assert.equal(receiver.user.send(batch), 0);
    assert.equal(receiver.user.writable(), false);
    receiver.user.release(batch);
    receiver.user.close();
    assert.ok(receiver.poolIsWhole());
  });
}
