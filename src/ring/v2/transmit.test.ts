import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { OUTCOME_SENT, PACKET_CONTINUES, PacketBatch } from '../packet-batch.js';
import type { SocketRings } from '../socket-rings.js';
import { numberOf, packetOf, RingPair, random, SLOT_VERSIONS } from './ring-pair.test-support.js';

/** Writes packets with these numbers into the batch's slots or frames. */
function write(pair: RingPair, batch: PacketBatch, numbers: readonly number[], bytes = 64): void {
  numbers.forEach((number, i) => {
    pair.arena.u8.set(packetOf(number, bytes), batch.offset[i]!);
    batch.size[i] = bytes;
  });
}

/** Allocates and writes packets with these numbers; all of them must be had. */
function allocated(pair: RingPair, ...numbers: number[]): PacketBatch {
  const batch = new PacketBatch(numbers.length);
  assert.equal(pair.user.allocate(batch, numbers.length), numbers.length);
  write(pair, batch, numbers);
  return batch;
}

/** A batch of some of the entries of another. */
function some(pair: RingPair, of: PacketBatch, ...entries: number[]): PacketBatch {
  const batch = new PacketBatch(8);
  for (const entry of entries) {
    batch.offset[batch.length] = of.offset[entry]!;
    batch.size[batch.length] = of.size[entry]!;
    batch.flags[batch.length++] = 0;
  }
  batch.origin = pair.user;
  return batch;
}

const numbers = (packets: readonly Uint8Array[]): number[] => packets.map(numberOf);

for (const version of SLOT_VERSIONS) {
  describe(`sending with ${version}`, () => {
    const dataOffset = version === 'v2' ? 32 : 48;

    test('allocated slots are posted where they are, in the layout of Linux', () => {
      const pair = new RingPair({ version });
      const batch = new PacketBatch(8);
      assert.equal(pair.user.allocate(batch, 3), 3);
      const { base, entryBytes } = pair.maps.transmit!;
      assert.deepEqual(
        [...batch.offset.slice(0, 3)],
        [0, 1, 2].map((slot) => base + slot * entryBytes + dataOffset),
      );
      assert.deepEqual([...batch.size.slice(0, 3)], [1, 1, 1].fill(entryBytes - dataOffset));
      write(pair, batch, [1, 2, 3], 100);
      assert.equal(pair.user.send(batch), 3);
      assert.equal(batch.length, 0);
      const header = base + entryBytes;
      assert.equal(pair.word(header + (version === 'v2' ? 0 : 20)), 1, 'tp_status: SEND_REQUEST');
      assert.equal(pair.word(header + (version === 'v2' ? 4 : 16)), 100, 'tp_len');
      if (version === 'v3') assert.equal(pair.word(header), 0, 'tp_next_offset');
      assert.equal(pair.kernel.transmitPosted(), true);
      assert.deepEqual(pair.transmit(), [packetOf(1, 100), packetOf(2, 100), packetOf(3, 100)]);
      assert.equal(pair.kernel.transmitPosted(), false);
      assert.equal(pair.word(header + (version === 'v2' ? 0 : 20)), 0, 'AVAILABLE');
      assert.equal(pair.user.counters.copied, 0);
      assert.equal(pair.user.counters.sent, 3);
      assert.equal(pair.kernel.counters.sent, 3);
    });

    test('goes on over many laps, with allocations and kernels of any speed; every packet once and in order', () => {
      const pair = new RingPair({ version });
      const next = random(3);
      const batch = new PacketBatch(8);
      let made = 0;
      let expected = 0;
      for (let round = 0; round < 3000; round++) {
        if (batch.length === 0 && pair.user.allocate(batch, 1 + Math.floor(next() * 8)) > 0) {
          write(
            pair,
            batch,
            Array.from({ length: batch.length }, () => made++),
            60 + Math.floor(next() * 1400),
          );
        }
        if (next() < 0.7) pair.user.send(batch);
        for (const packet of pair.transmit(Math.floor(next() * 4))) assert.equal(numberOf(packet), expected++);
      }
      pair.user.send(batch);
      for (const packet of pair.transmit()) assert.equal(numberOf(packet), expected++);
      assert.equal(expected, made);
      assert.ok(made > 1000);
      assert.equal(pair.user.counters.copied, 0);
    });

    test('a full ring takes nothing until the kernel has sent something', () => {
      const pair = new RingPair({ version });
      const batch = allocated(pair, 0, 1, 2, 3, 4, 5, 6, 7);
      assert.equal(pair.user.allocate(new PacketBatch(4), 4), 0);
      assert.equal(pair.user.send(batch), 8);
      assert.equal(pair.user.writable(), false);
      assert.equal(pair.user.allocate(new PacketBatch(4), 4), 0);
      pair.transmit(3);
      assert.equal(pair.user.writable(), true);
      assert.equal(pair.user.allocate(new PacketBatch(8), 8), 3);
    });

    test('fewer may be sent than were allocated; the rest can be sent later or released', () => {
      const pair = new RingPair({ version });
      const batch = allocated(pair, 0, 1, 2, 3, 4);
      pair.user.send(some(pair, batch, 0, 1));
      assert.deepEqual(numbers(pair.transmit()), [0, 1]);
      pair.user.send(some(pair, batch, 2));
      pair.user.release(some(pair, batch, 3, 4));
      assert.deepEqual(numbers(pair.transmit()), [2]);
      for (let lap = 0; lap < 5; lap++) {
        pair.user.send(allocated(pair, 10, 11, 12, 13, 14));
        assert.deepEqual(numbers(pair.transmit()), [10, 11, 12, 13, 14]);
      }
    });

    test('slots sent out of order go out as soon as the ones before them are sent or released', () => {
      const pair = new RingPair({ version });
      const batch = allocated(pair, 0, 1, 2, 3, 4, 5);
      assert.equal(pair.user.send(some(pair, batch, 3, 1)), 2);
      assert.deepEqual(pair.transmit(), [], 'the kernel goes by the ring, and slot 0 is held');
      pair.user.send(some(pair, batch, 0));
      assert.deepEqual(numbers(pair.transmit()), [0, 1]);
      pair.user.release(some(pair, batch, 2));
      assert.deepEqual(numbers(pair.transmit()), [3], 'moved into the hole');
      pair.user.release(some(pair, batch, 4));
      pair.user.send(some(pair, batch, 5));
      assert.deepEqual(numbers(pair.transmit()), [5]);
      pair.user.send(allocated(pair, 20, 21, 22, 23, 24, 25, 26, 27));
      assert.deepEqual(numbers(pair.transmit()), [20, 21, 22, 23, 24, 25, 26, 27], 'no slot was lost');
    });

    test('releasing what stood in the way wakes the kernel', () => {
      const pair = new RingPair({ version });
      pair.arena.i32[pair.maps.wakeTransmit >> 2] = 1;
      const batch = allocated(pair, 0, 1);
      pair.user.send(some(pair, batch, 1));
      pair.kicks.length = 0;
      pair.user.release(some(pair, batch, 0));
      assert.deepEqual(pair.kicks, ['transmit']);
      assert.deepEqual(numbers(pair.transmit()), [1]);
    });

    test('random allocating, sending, releasing and copying never loses a slot or a packet', () => {
      const pair = new RingPair({ version, receive: 16, frames: 64 });
      const next = random(11);
      const held: { offset: number; number: number }[] = [];
      const batch = new PacketBatch(8);
      const sent = new Set<number>();
      const seen = new Set<number>();
      let made = 0;
      for (let round = 0; round < 5000; round++) {
        const what = next();
        if (what < 0.3) {
          const count = pair.user.allocate(batch, 1 + Math.floor(next() * 4));
          for (let i = 0; i < count; i++) {
            pair.arena.u8.set(packetOf(made), batch.offset[i]!);
            held.push({ offset: batch.offset[i]!, number: made++ });
          }
        } else if (what < 0.5 && held.length > 0) {
          const [one] = held.splice(Math.floor(next() * held.length), 1);
          batch.offset[0] = one!.offset;
          batch.length = 1;
          pair.user.release(batch);
        } else if (what < 0.8 && held.length > 0) {
          const some = held.splice(Math.floor(next() * held.length), 3);
          some.forEach(({ offset, number }, i) => {
            assert.equal(numberOf(pair.arena.u8.subarray(offset, offset + 64)), number, 'what is held stays');
            batch.offset[i] = offset;
            batch.size[i] = 64;
            batch.flags[i] = 0;
          });
          batch.length = some.length;
          const count = pair.user.send(batch);
          some.forEach((one, i) => {
            if (i < count) sent.add(one.number);
            else held.push(one);
          });
        } else {
          pair.deliver([packetOf(made)]);
          pair.retire();
          if (pair.user.receive(batch) > 0) {
            const all = Array.from({ length: batch.length }, (_, i) => numberOf(pair.bytes(batch, i)));
            made++;
            const count = pair.user.send(batch);
            for (const number of all.slice(0, count)) sent.add(number);
            pair.user.release(batch);
          }
        }
        batch.length = 0;
        for (const packet of pair.transmit(Math.floor(next() * 3))) {
          const number = numberOf(packet);
          assert.deepEqual(packet, packetOf(number));
          assert.ok(sent.has(number) && !seen.has(number), `packet ${number} comes once`);
          seen.add(number);
        }
      }
      for (const { offset } of held) {
        batch.offset[0] = offset;
        batch.length = 1;
        pair.user.release(batch);
      }
      for (const packet of pair.transmit()) seen.add(numberOf(packet));
      assert.deepEqual(seen, sent);
      assert.ok(sent.size > 1500);
      pair.user.send(allocated(pair, 0, 1, 2, 3, 4, 5, 6, 7));
      assert.equal(pair.transmit().length, 8);
      assert.equal(pair.user.counters.invalid, 0);
    });

    test('what was received is copied into the ring and its place given back', () => {
      const pair = new RingPair({ version });
      const batch = new PacketBatch(4);
      for (let lap = 0; lap < 20; lap++) {
        pair.deliver([packetOf(lap, 700), packetOf(lap + 100, 1400)]);
        pair.retire();
        assert.equal(pair.user.receive(batch), 2);
        assert.equal(batch.movable(pair.user), false);
        assert.equal(pair.user.send(batch), 2);
        assert.deepEqual(pair.transmit(), [packetOf(lap, 700), packetOf(lap + 100, 1400)]);
      }
      assert.equal(pair.user.counters.copied, 40);
      assert.equal(pair.kernel.counters.receiveRingFull, 0);
    });

    test('packets of another socket are copied and given back there, also when they have several parts', () => {
      const pair = new RingPair({ version });
      const frames = pair.buffer;
      const batch = new PacketBatch(4);
      frames.pool.take(batch.offset, 0, 3, 'send');
      const before = frames.free('send');
      write(pair, batch, [1, 2, 3], 60);
      batch.flags.set([PACKET_CONTINUES, 0, 0]);
      batch.length = 3;
      const released: number[] = [];
      const other: Pick<SocketRings, 'release'> = {
        release(given) {
          released.push(...given.offset.slice(0, given.length));
          given.length = 0;
        },
      };
      batch.origin = other as SocketRings;
      const expected = [...batch.offset.slice(0, 3)];
      assert.equal(pair.user.send(batch), 3);
      assert.deepEqual(released, expected);
      assert.deepEqual(pair.transmit(), [new Uint8Array([...packetOf(1, 60), ...packetOf(2, 60)]), packetOf(3, 60)]);
      const { copied, sent, sentFrames } = pair.user.counters;
      assert.deepEqual({ copied, sent, sentFrames }, { copied: 2, sent: 2, sentFrames: 2 });
      assert.equal(frames.free('send'), before, 'none of our business');
    });

    test('frames of its own buffer go back to it after the copy', () => {
      const pair = new RingPair({ version });
      const batch = new PacketBatch(4);
      pair.buffer.pool.take(batch.offset, 0, 4, 'send');
      write(pair, batch, [1, 2, 3, 4]);
      batch.length = 4;
      assert.equal(pair.user.send(batch), 4);
      assert.deepEqual(numbers(pair.transmit()), [1, 2, 3, 4]);
      assert.equal(pair.buffer.free('send'), 8);
    });

    test('what can never be sent is skipped, counted and given back', () => {
      const pair = new RingPair({ version });
      const batch = allocated(pair, 0, 1, 2, 3, 4, 5);
      batch.size[1] = 13; // shorter than an Ethernet header
      batch.size[2] = 1515; // longer than the interface takes
      batch.offset[3] = batch.offset[3]! - 1; // in the header
      batch.size[4] = -5;
      assert.equal(pair.user.send(batch), 6);
      assert.deepEqual(numbers(pair.transmit()), [0, 5]);
      assert.equal(pair.user.counters.unsendable, 4);
      assert.equal(pair.user.counters.sent, 2);
      const frames = new PacketBatch(4);
      pair.buffer.pool.take(frames.offset, 0, 2, 'send');
      frames.size.set([1515, 64]);
      frames.offset[2] = -64; // outside the arena
      frames.size[2] = 64;
      frames.length = 3;
      assert.equal(pair.user.send(frames), 3);
      assert.equal(pair.user.counters.unsendable, 6);
      assert.equal(pair.buffer.free('send'), 8);
      assert.equal(pair.transmit().length, 1);
      pair.user.send(allocated(pair, 0, 1, 2, 3, 4, 5, 6, 7));
      assert.equal(pair.transmit().length, 8, 'no slot was lost');
    });

    test('a packet may start later in its slot than where allocate said', () => {
      const pair = new RingPair({ version });
      const batch = allocated(pair, 0, 1);
      for (const i of [0, 1]) {
        batch.offset[i] = batch.offset[i]! + 3 + i;
        pair.arena.u8.set(packetOf(8 + i, 90), batch.offset[i]!);
        batch.size[i] = 90;
      }
      assert.equal(pair.user.send(batch), 2);
      assert.deepEqual(pair.transmit(), [packetOf(8, 90), packetOf(9, 90)]);
    });

    test('a slot sent twice is sent once', () => {
      const pair = new RingPair({ version });
      const batch = allocated(pair, 0, 1);
      const again = some(pair, batch, 0, 1);
      pair.user.send(batch);
      assert.equal(pair.user.send(again), 2);
      assert.equal(pair.user.counters.unsendable, 2);
      assert.equal(pair.transmit().length, 2);
    });

    test('every send kicks once while the kernel asks for it', () => {
      const pair = new RingPair({ version });
      pair.arena.i32[pair.maps.wakeTransmit >> 2] = 1;
      pair.user.send(allocated(pair, 0, 1, 2));
      pair.arena.i32[pair.maps.wakeTransmit >> 2] = 0;
      pair.user.send(allocated(pair, 3));
      assert.deepEqual(pair.kicks, ['transmit']);
      const { sendCalls, kicks } = pair.user.counters;
      assert.deepEqual({ sendCalls, kicks }, { sendCalls: 2, kicks: 1 });
    });

    test('outcomes: every slot comes back with what became of it, to be sent again or released', () => {
      const pair = new RingPair({ version, outcomes: true });
      const back = new PacketBatch(8);
      pair.user.send(allocated(pair, 0, 1, 2, 3));
      assert.equal(pair.user.completions(back), 0);
      pair.transmit(3, (packet) => (numberOf(packet) === 1 ? 100 : 0));
      assert.equal(pair.user.completions(back), 3);
      assert.deepEqual([...back.outcome.slice(0, 3)], [OUTCOME_SENT, 22, OUTCOME_SENT]);
      assert.deepEqual([...back.size.slice(0, 3)], [64, 64, 64]);
      assert.equal(numberOf(pair.bytes(back, 1)), 1);
      assert.equal(pair.kernel.counters.transmitError, 1);
      const { completed, failed } = pair.user.counters;
      assert.deepEqual({ completed, failed }, { completed: 3, failed: 1 });
      const again = some(pair, back, 1);
      pair.user.release(some(pair, back, 0, 2));
      assert.equal(pair.user.send(again), 1);
      assert.deepEqual(numbers(pair.transmit()), [3, 1]);
      assert.equal(pair.user.completions(back), 2);
      pair.user.release(back);
      for (let lap = 0; lap < 3; lap++) {
        pair.user.send(allocated(pair, 0, 1, 2, 3, 4, 5, 6, 7));
        assert.equal(pair.transmit().length, 8);
        assert.equal(pair.user.completions(back), 8);
        pair.user.release(back);
      }
    });

    test('outcomes: a slot kept by the application ends the free part of the ring, and may be sent where it is', () => {
      const pair = new RingPair({ version, outcomes: true });
      const back = new PacketBatch(8);
      pair.user.send(allocated(pair, 0, 1, 2));
      pair.transmit();
      pair.user.completions(back);
      pair.user.release(some(pair, back, 0, 2));
      const rest = new PacketBatch(8);
      assert.equal(pair.user.allocate(rest, 8), 6, 'slots 3 to 7 and 0');
      write(pair, rest, [3, 4, 5, 6, 7, 8]);
      pair.user.send(rest);
      assert.equal(pair.user.send(some(pair, back, 1)), 1, 'its turn');
      assert.deepEqual(numbers(pair.transmit()), [3, 4, 5, 6, 7, 8, 1]);
      assert.equal(pair.user.counters.copied, 0);
    });

    test('invalid slots go back as WRONG_FORMAT, and the kernel goes on', () => {
      const pair = new RingPair({ version });
      const { base, entryBytes } = pair.maps.transmit!;
      const [status, length] = version === 'v2' ? [0, 4] : [20, 16];
      const lengths = [64, 13, 1515, -1, 0x7fffffff, 64];
      lengths.forEach((bytes, slot) => {
        pair.arena.i32[(base + slot * entryBytes + length) >> 2] = bytes;
        pair.arena.i32[(base + slot * entryBytes + status) >> 2] = 1;
      });
      assert.equal(pair.transmit().length, 2);
      assert.equal(pair.kernel.counters.invalidDescriptor, 4);
      assert.deepEqual(
        lengths.map((_, slot) => pair.word(base + slot * entryBytes + status)),
        [0, 4, 4, 4, 4, 0],
      );
    });

    test('Linux may leave time stamp bits in the status of a slot that was sent', () => {
      const pair = new RingPair({ version });
      const status = pair.maps.transmit!.base + (version === 'v2' ? 0 : 20);
      pair.user.send(allocated(pair, 0, 1, 2, 3, 4, 5, 6, 7));
      pair.arena.i32[status >> 2] = 0x8000_0000 | 0;
      assert.equal(pair.user.allocate(new PacketBatch(8), 8), 1);
    });
  });
}
