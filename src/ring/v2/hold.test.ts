import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RingPair as FrameRingPair } from '../../../test/support/ring-pair.js';
import { PacketArray } from '../../packet-array/packet-array.js';
import { PacketBatch } from '../packet-batch.js';
import { numberOf, packetOf, RingPair, random, SLOT_VERSIONS } from './ring-pair.test-support.js';

/** Receives exactly `count` packets. */
function receive(pair: RingPair, count: number): PacketBatch {
  const batch = new PacketBatch(count);
  assert.equal(pair.user.receive(batch), count);
  return batch;
}

/** The kernel receives some packets, and hands them over. */
function deliver(pair: RingPair, ...packets: Uint8Array[]): void {
  pair.deliver(packets);
  pair.retire();
}

/** Takes an entry out of a batch. */
function takeOut(batch: PacketBatch, index: number): PacketBatch {
  const one = new PacketBatch(1);
  const rest = new PacketBatch(batch.capacity);
  for (let i = 0; i < batch.length; i++) assert.ok((i === index ? one : rest).append(batch, i));
  batch.length = 0;
  for (let i = 0; i < rest.length; i++) assert.ok(batch.append(rest, i));
  return one;
}

function numbersOf(pair: RingPair, batch: PacketBatch): number[] {
  return Array.from({ length: batch.length }, (_, i) => numberOf(pair.bytes(batch, i)));
}

function framesIn(pair: RingPair, batch: PacketBatch): boolean[] {
  return Array.from({ length: batch.length }, (_, i) => pair.buffer.contains(batch.offset[i]!));
}

for (const version of SLOT_VERSIONS) {
  describe(`packets held in ${version}`, () => {
    test('do not stop the ring, however many laps go by; what is known of them stays', () => {
      const pair = new RingPair({ version, frames: 64 });
      const held = new PacketBatch(32);
      for (let round = 0; round < 100; round++) {
        pair.time = { seconds: 1_500_000_000 + round, nanoseconds: round };
        pair.deliver([packetOf(3 * round, 1300), packetOf(3 * round + 1, 1200), packetOf(3 * round + 2, 1000)]);
        pair.retire();
        const batch = receive(pair, 3);
        if (round % 4 === 0) held.append(takeOut(batch, 1), 0);
        assert.equal(pair.user.hold(held), held.length);
        pair.user.release(batch);
      }
      assert.equal(held.length, 25);
      assert.equal(held.origin, pair.user);
      for (let i = 0; i < 25; i++) {
        assert.deepEqual(pair.bytes(held, i), packetOf(12 * i + 1, 1200));
        assert.deepEqual([held.flags[i], held.seconds[i], held.nanoseconds[i]], [0, 1_500_000_000 + 4 * i, 4 * i]);
      }
      assert.equal(pair.kernel.counters.receiveRingFull, 0);
      assert.ok(pair.user.counters.copiedOut >= 25);
      pair.user.release(held);
      assert.equal(pair.buffer.free('receive'), 32);
      assert.equal(pair.user.counters.invalid, 0);
    });

    test('leave the ring once: holding again copies nothing', () => {
      const pair = new RingPair({ version });
      deliver(pair, packetOf(1, 1400), packetOf(2, 1400));
      const batch = receive(pair, 2);
      assert.deepEqual(framesIn(pair, batch), [false, false]);
      assert.equal(pair.user.hold(batch), 2);
      const offsets = [...batch.offset];
      assert.deepEqual(framesIn(pair, batch), [true, true]);
      assert.equal(pair.user.hold(batch), 2);
      assert.deepEqual([...batch.offset], offsets);
      assert.equal(pair.user.counters.copiedOut, 2);
      assert.equal(pair.user.hold(new PacketBatch()), 0);
    });

    test('stay in the ring when no frame is free, the last ones; they can be held when there are frames again', () => {
      const pair = new RingPair({ version, receive: version === 'v2' ? 32 : 8, frames: 8 });
      deliver(pair, ...[0, 1, 2, 3, 4, 5].map((i) => packetOf(i, 1300)));
      const batch = receive(pair, 6);
      assert.equal(pair.user.hold(batch), 4, 'as many as there are frames for receiving');
      assert.deepEqual(framesIn(pair, batch), [true, true, true, true, false, false]);
      assert.equal(pair.user.hold(batch), 4);
      assert.deepEqual(numbersOf(pair, batch), [0, 1, 2, 3, 4, 5]);
      pair.user.release(takeOut(batch, 2));
      assert.equal(pair.user.hold(batch), 4);
      assert.deepEqual(numbersOf(pair, batch), [0, 1, 3, 4, 5]);
      assert.deepEqual(framesIn(pair, batch), [true, true, true, true, false]);
      assert.equal(pair.buffer.free('send'), 4, 'sending keeps its frames');
      pair.user.release(batch);
      assert.equal(pair.buffer.free('receive'), 4);
      assert.equal(pair.user.counters.invalid, 0);
    });

    test('get the frames back that another socket of the buffer has sent', () => {
      const pair = new RingPair({ version, frames: 8 });
      let sent = 0;
      pair.buffer.addSender({
        reclaim: () => {
          const frames = taken.subarray(0, sent);
          sent = 0;
          pair.buffer.pool.give(frames, 0, frames.length);
          return frames.length;
        },
      });
      const taken = new Int32Array(4);
      sent = pair.buffer.pool.take(taken, 0, 4, 'receive');
      deliver(pair, packetOf(1, 1400));
      const batch = receive(pair, 1);
      assert.equal(pair.user.hold(batch), 1);
      assert.deepEqual(framesIn(pair, batch), [true]);
    });

    test('stay in the ring when they are longer than a frame; the others move', () => {
      const pair = new RingPair({ version, frameSize: 4096 });
      deliver(pair, packetOf(1, 100), packetOf(2, 3000), packetOf(3, 100));
      const batch = receive(pair, 3);
      const before = pair.user.counters.copiedOut;
      assert.equal(pair.user.hold(batch), 2);
      assert.deepEqual(framesIn(pair, batch), [true, false, true]);
      assert.deepEqual(pair.bytes(batch, 1), packetOf(2, 3000));
      assert.ok(pair.user.counters.copiedOut - before <= 2);
      pair.user.release(batch);
      assert.equal(pair.user.counters.invalid, 0);
    });

    test('are found where the program has moved them: headers stripped or put in front', () => {
      const pair = new RingPair({ version, frames: 64 });
      for (let i = 0; i < 100; i++) {
        const packet = packetOf(i, 1400);
        deliver(pair, packet, packetOf(i, 1400));
        const batch = receive(pair, 2);
        batch.offset[0] = batch.offset[0]! + 100;
        batch.size[0] = 1300;
        assert.equal(pair.user.hold(batch), 2);
        assert.deepEqual(pair.bytes(batch, 0), packet.slice(100));
        pair.user.release(batch);
      }
      assert.equal(pair.kernel.counters.receiveRingFull, 0);
      assert.equal(pair.user.counters.invalid, 0);
      assert.equal(pair.buffer.free('receive'), 32);
    });

    test('are sent like all others: copied into the ring of V2 or V3, moved by V4, and the frame comes back', () => {
      const pair = new RingPair({ version });
      const v4 = new FrameRingPair({ version: 'v4', receive: 0, buffer: pair.buffer });
      deliver(pair, packetOf(1, 1300), packetOf(2, 1400));
      const batch = receive(pair, 2);
      const other = takeOut(batch, 0);
      assert.equal(pair.user.hold(batch) + pair.user.hold(other), 2);
      const free = pair.buffer.free('receive');
      assert.equal(pair.user.send(other), 1);
      assert.deepEqual(pair.transmit(), [packetOf(1, 1300)]);
      assert.equal(pair.buffer.free('receive'), free + 1);
      const frame = batch.offset[0]!;
      assert.equal(v4.user.send(batch), 1);
      assert.equal(v4.user.counters.copied, 0);
      const sending = new PacketArray(4);
      assert.equal(v4.kernel.transmit!.populate(sending, 4), 1);
      assert.equal(sending.address[0], frame);
      sending.advance(1);
      v4.kernel.transmit!.flush(sending, 1);
      assert.equal(v4.user.reclaim(), 1);
      assert.equal(pair.buffer.free('receive'), free + 2);
    });

    test('through another socket go to the one that received them', () => {
      const pair = new RingPair({ version });
      const v4 = new FrameRingPair({ version: 'v4', receive: 0, buffer: pair.buffer });
      const other = new RingPair({ version });
      deliver(pair, packetOf(1, 1300), packetOf(2, 1400), packetOf(3, 700));
      const batch = receive(pair, 3);
      const [one, two] = [takeOut(batch, 0), takeOut(batch, 0)];
      assert.equal(v4.user.hold(one), 1);
      assert.equal(other.user.hold(two), 1);
      assert.deepEqual([...framesIn(pair, one), ...framesIn(pair, two)], [true, true]);
      assert.deepEqual([...numbersOf(pair, one), ...numbersOf(pair, two)], [1, 2]);
      assert.equal(other.user.counters.copiedOut, 0);
    });

    test('in slots for sending do not stop sending: written and kept for later, or back from the kernel to be sent again', () => {
      const pair = new RingPair({ version, outcomes: true });
      const kept = new PacketBatch(1);
      pair.user.allocate(kept, 1);
      pair.arena.u8.set(packetOf(1000), kept.offset[0]!);
      kept.size[0] = 64;
      assert.equal(pair.user.hold(kept), 1);
      const again = new PacketBatch(1);
      const batch = new PacketBatch(1);
      for (let i = 0; i < 50; i++) {
        assert.equal(pair.user.allocate(batch, 1), 1);
        pair.arena.u8.set(packetOf(i), batch.offset[0]!);
        batch.size[0] = 64;
        assert.equal(pair.user.send(batch), 1);
        assert.deepEqual(pair.transmit().map(numberOf), [i]);
        assert.equal(pair.user.completions(i === 7 ? again : batch), 1);
        if (i === 7) assert.equal(pair.user.hold(again), 1);
        else pair.user.release(batch);
      }
      assert.deepEqual([...framesIn(pair, kept), ...framesIn(pair, again)], [true, true]);
      assert.equal(pair.buffer.free('send'), 6);
      assert.equal(pair.buffer.free('receive'), 8, 'receiving keeps its frames');
      assert.equal(pair.user.send(kept) + pair.user.send(again), 2);
      assert.deepEqual(pair.transmit().map(numberOf), [1000, 7]);
      assert.equal(pair.buffer.free('send'), 8);
      assert.equal(pair.user.counters.invalid, 0);
    });

    test('that stood in the way of others ready to go let them go', () => {
      const pair = new RingPair({ version });
      pair.arena.i32[pair.maps.wakeTransmit >> 2] = 1;
      const batch = new PacketBatch(2);
      pair.user.allocate(batch, 2);
      for (let i = 0; i < 2; i++) pair.arena.u8.set(packetOf(i), batch.offset[i]!);
      batch.size.fill(64);
      const first = takeOut(batch, 0);
      pair.user.send(batch);
      assert.deepEqual(pair.transmit(), []);
      pair.kicks.length = 0;
      assert.equal(pair.user.hold(first), 1);
      assert.deepEqual(pair.kicks, ['transmit']);
      assert.deepEqual(pair.transmit(), [packetOf(1)]);
      assert.deepEqual(pair.bytes(first, 0), packetOf(0));
    });

    test('entries that are wrong do no harm', () => {
      const pair = new RingPair({ version });
      deliver(pair, packetOf(1, 1400), packetOf(2, 1400));
      const batch = receive(pair, 2);
      const { base, entries, entryBytes } = pair.maps.receive!;
      const end = base + entries * entryBytes;
      const wrong = new PacketBatch(16);
      const offsets = [-1, 0, base, end - 1, end - 64, 2 ** 31 - 1, -(2 ** 31), pair.maps.transmit!.base + 100];
      for (const size of [-1, 0, 64, 2048, 2 ** 31 - 1, -(2 ** 31)]) {
        wrong.offset.set(offsets);
        wrong.size.fill(size);
        wrong.length = offsets.length;
        pair.user.hold(wrong);
        for (const at of wrong.offset.subarray(0, wrong.length)) {
          if (!pair.buffer.contains(at)) continue;
          const back = new PacketBatch(1);
          back.offset[0] = at;
          back.length = 1;
          pair.user.release(back);
        }
      }
      assert.equal(pair.buffer.free('receive') + pair.buffer.free('send'), 16, 'no frame was lost');
      pair.user.release(batch);
      deliver(pair, packetOf(3));
      assert.equal(numberOf(pair.bytes(receive(pair, 1), 0)), 3);
    });

    test('are where they are after the close, if they lie in frames', () => {
      const pair = new RingPair({ version });
      deliver(pair, packetOf(1, 1400), packetOf(2, 1400));
      const batch = receive(pair, 2);
      const first = takeOut(batch, 0);
      pair.user.hold(first);
      pair.user.close();
      assert.equal(pair.user.hold(first), 1);
      assert.equal(pair.user.hold(batch), 0);
      assert.deepEqual(pair.bytes(first, 0), packetOf(1, 1400));
      pair.user.release(first);
      assert.equal(pair.buffer.free('receive'), 8);
    });

    test('at random, with others released, sent and received meanwhile: none is lost, changed or seen twice', () => {
      for (let seed = 1; seed <= 20; seed++) lives(version, random(seed));
    });
  });
}

interface Kept {
  readonly batch: PacketBatch;
  readonly number: number;
}

/** A program that keeps what it likes; what it keeps is held before long, as far as there are frames. */
function lives(version: 'v2' | 'v3', next: () => number): void {
  const pair = new RingPair({ version, receive: 8, frames: 2 * (8 + Math.floor(next() * 40)) });
  const most = pair.buffer.free('receive');
  const kept: Kept[] = [];
  const batch = new PacketBatch(1 + Math.floor(next() * 6));
  let made = 0;
  let expected = 0;
  const check = ({ batch: one, number }: Kept): void => {
    assert.deepEqual(pair.bytes(one, 0), packetOf(number, one.size[0]!), 'what is kept stays');
  };
  for (let round = 0; round < 600; round++) {
    for (let packets = Math.floor(next() * 4); packets > 0; packets--) {
      pair.deliver([packetOf(made++, 64 + Math.floor(next() * 1300))]);
    }
    if (next() < 0.5) pair.retire();
    pair.user.receive(batch);
    for (let i = 0; i < batch.length; i++) {
      const number = numberOf(pair.bytes(batch, i));
      assert.ok(number >= expected, 'in order, and once');
      expected = number + 1;
      const one = new PacketBatch(1);
      assert.ok(one.append(batch, i));
      if (next() < 0.7) {
        if (next() < 0.5) pair.user.release(one);
        else if (pair.user.send(one) === 0) pair.user.release(one);
      } else {
        kept.push({ batch: one, number });
      }
    }
    batch.length = 0;
    pair.transmit();
    const together = new PacketBatch(Math.max(1, kept.length));
    for (const { batch: one } of kept) assert.ok(together.append(one, 0));
    if (next() < 0.7) {
      const held = pair.user.hold(together);
      assert.equal(held, framesIn(pair, together).filter(Boolean).length);
      if (held < together.length) assert.equal(pair.buffer.free('receive'), 0);
      kept.forEach(({ batch: one }, i) => {
        one.offset[0] = together.offset[i]!;
      });
    }
    kept.forEach(check);
    while (kept.length > most - 4 || (kept.length > 0 && next() < 0.3)) {
      const [one] = kept.splice(Math.floor(next() * kept.length), 1);
      if (next() < 0.5 || pair.user.send(one!.batch) === 0) pair.user.release(one!.batch);
    }
  }
  for (const one of kept) pair.user.release(one.batch);
  pair.retire();
  while (pair.user.receive(batch) > 0) pair.user.release(batch);
  const { received, receiveRingFull } = pair.kernel.counters;
  assert.equal(received + receiveRingFull, made);
  assert.equal(pair.user.counters.received, received);
  assert.ok(received > made / 2, `${received} of ${made}`);
  assert.equal(pair.user.counters.invalid, 0);
  assert.equal(pair.buffer.free('receive'), most, 'every frame came back');
}
