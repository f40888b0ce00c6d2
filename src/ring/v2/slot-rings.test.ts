import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PacketBatch } from '../packet-batch.js';
import { numberOf, packetOf, RingPair, random, SLOT_VERSIONS } from './ring-pair.test-support.js';

const VLAN_PACKET = new Uint8Array([
  ...[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, 0x81, 0x00, 0x60, 0x2a, 0x08, 0x06],
  ...Array.from({ length: 46 }, (_, i) => i),
]);

for (const version of SLOT_VERSIONS) {
  describe(`receiving with ${version}`, () => {
    test('packets arrive byte for byte and in order, over many laps of the ring, in batches of any size', () => {
      const pair = new RingPair({ version });
      const next = random(1);
      const batches = [1, 3, 7].map((capacity) => new PacketBatch(capacity));
      let sent = 0;
      let received = 0;
      while (received < 1000) {
        const burst = Array.from({ length: 1 + Math.floor(next() * 6) }, () =>
          packetOf(sent++, 18 + Math.floor(next() * 1400)),
        );
        pair.deliver(burst);
        pair.retire();
        const expected = burst.values();
        const batch = batches[received % 3]!;
        while (pair.user.receive(batch) > 0) {
          for (let i = 0; i < batch.length; i++) {
            assert.deepEqual(pair.bytes(batch, i), expected.next().value);
            assert.equal(batch.seconds[i], pair.time.seconds);
            assert.equal(batch.nanoseconds[i], pair.time.nanoseconds);
            assert.equal(batch.flags[i], 0);
            received++;
          }
          pair.user.release(batch);
          assert.equal(batch.length, 0);
        }
        assert.equal(received, sent);
      }
      assert.equal(pair.user.counters.received, received);
      assert.equal(pair.kernel.counters.received, received);
      // V3 gives blocks with few packets back at once; else a batch that is released at once is never copied.
      const { copiedOut } = pair.user.counters;
      assert.ok(version === 'v2' ? copiedOut === 0 : copiedOut > 0 && copiedOut < received, `${copiedOut}`);
    });

    test('packets of several parts arrive as one', () => {
      const pair = new RingPair({ version });
      const whole = packetOf(5, 1400);
      pair.deliver([packetOf(1), [whole.slice(0, 700), whole.slice(700, 701), whole.slice(701)], packetOf(2)]);
      pair.retire();
      const batch = new PacketBatch(8);
      assert.equal(pair.user.receive(batch), 3);
      assert.deepEqual(pair.bytes(batch, 1), whole);
      assert.equal(numberOf(pair.bytes(batch, 2)), 2);
    });

    test('a VLAN tag stays in the packet, although the kernel takes it out', () => {
      const pair = new RingPair({ version });
      pair.deliver([VLAN_PACKET, packetOf(1)]);
      pair.retire();
      const batch = new PacketBatch(8);
      assert.equal(pair.user.receive(batch), 2);
      assert.deepEqual(pair.bytes(batch, 0), VLAN_PACKET);
      assert.deepEqual(pair.bytes(batch, 1), packetOf(1));
    });

    test('packets may be released in any order and at any time; none is lost, none comes twice', () => {
      const pair = new RingPair({ version, receive: version === 'v2' ? 64 : 8, frames: 64 });
      const next = random(7);
      const batch = new PacketBatch(5);
      const back = new PacketBatch(1);
      const held: { offset: number; size: number; number: number }[] = [];
      let sent = 0;
      let expected = 0;
      for (let round = 0; round < 3000; round++) {
        if (next() < 0.6) {
          pair.deliver([packetOf(sent++, 60 + Math.floor(next() * 600))]);
          if (next() < 0.3) pair.retire();
        }
        if (next() < 0.5 && pair.user.receive(batch) > 0) {
          for (let i = 0; i < batch.length; i++) {
            const number = numberOf(pair.bytes(batch, i));
            assert.ok(number >= expected, 'in order');
            expected = number + 1;
            held.push({ offset: batch.offset[i]!, size: batch.size[i]!, number });
          }
          batch.length = 0;
        }
        while (held.length > 20 || (held.length > 0 && next() < 0.4)) {
          const [one] = held.splice(Math.floor(next() * held.length), 1);
          assert.deepEqual(
            pair.bytes({ offset: Int32Array.of(one!.offset), size: Int32Array.of(one!.size) }, 0).length,
            one!.size,
          );
          assert.equal(
            numberOf(pair.arena.u8.subarray(one!.offset, one!.offset + one!.size)),
            one!.number,
            'a held packet stays',
          );
          back.offset[0] = one!.offset;
          back.length = 1;
          back.origin = pair.user;
          pair.user.release(back);
        }
      }
      pair.retire();
      while (pair.user.receive(batch) > 0) pair.user.release(batch);
      const { received, receiveRingFull } = pair.kernel.counters;
      assert.equal(received + receiveRingFull, sent);
      assert.equal(pair.user.counters.received, received);
      assert.equal(pair.user.counters.invalid, 0);
    });

    test('beyond half a ring held packets are copied out; without frames receive stops, and nothing is lost', () => {
      const pair = new RingPair({ version, receive: version === 'v2' ? 16 : 8, frames: 8 });
      const batch = new PacketBatch(64);
      const held: PacketBatch[] = [];
      let sent = 0;
      let received = 0;
      for (let round = 0; round < 40; round++) {
        pair.deliver([packetOf(sent, 1000), packetOf(sent + 1, 1000)]);
        sent += 2;
        pair.retire();
        const keep = new PacketBatch(4);
        received += pair.user.receive(keep);
        held.push(keep);
      }
      const { counters } = pair.user;
      assert.equal(counters.copiedOut, 4, 'as many as there are frames for receiving');
      assert.equal(pair.user.receive(batch), 0);
      assert.equal(pair.user.readable(), false);
      assert.ok(pair.kernel.counters.receiveRingFull > 0);
      let number = 0;
      for (const keep of held)
        for (let i = 0; i < keep.length; i++) assert.equal(numberOf(pair.bytes(keep, i)), number++);
      assert.equal(number, received);
      for (const keep of held.reverse()) pair.user.release(keep);
      assert.equal(pair.user.readable(), true);
      for (;;) {
        const count = pair.user.receive(batch);
        if (count === 0) break;
        received += count;
        pair.user.release(batch);
      }
      assert.equal(received + pair.kernel.counters.receiveRingFull, sent);
      assert.equal(pair.buffer.free('receive'), 4, 'every frame came back');
      assert.equal(counters.invalid, 0);
    });

    test('an application that holds one packet for long gets copies from then on, so that it does not stop the ring again', () => {
      const pair = new RingPair({ version });
      const batch = new PacketBatch(1);
      const keep = new PacketBatch(1);
      let sent = 0;
      const turn = (into: PacketBatch): void => {
        pair.deliver([packetOf(sent++, 1000)]);
        pair.retire();
        assert.equal(pair.user.receive(into), 1);
        assert.equal(numberOf(pair.bytes(into, 0)), sent - 1);
      };
      turn(keep);
      while (pair.user.counters.copiedOut === 0) {
        turn(batch);
        pair.user.release(batch);
      }
      pair.user.release(keep);
      turn(keep);
      for (let i = 0; i < 100; i++) {
        turn(batch);
        pair.user.release(batch);
      }
      assert.deepEqual(pair.bytes(keep, 0), packetOf(sent - 101, 1000));
      assert.equal(pair.kernel.counters.receiveRingFull, 0);
    });

    test('a full ring loses packets, counts them, and works on when there is room', () => {
      const pair = new RingPair({ version });
      const batch = new PacketBatch(256);
      for (let lap = 1; lap <= 5; lap++) {
        for (let i = 0; i < 60; i++) pair.deliver([packetOf(i, 1200)]);
        pair.retire();
        const count = pair.user.receive(batch);
        assert.ok(count > 0);
        for (let i = 0; i < count; i++) assert.equal(numberOf(pair.bytes(batch, i)), i, 'what came first is there');
        pair.user.release(batch);
        while (pair.user.receive(batch) > 0) pair.user.release(batch);
        const { received, receiveRingFull } = pair.kernel.counters;
        assert.equal(received + receiveRingFull, 60 * lap);
      }
    });

    test('what is released twice, or was never received, does no harm', () => {
      const pair = new RingPair({ version });
      const batch = new PacketBatch(8);
      pair.deliver([packetOf(1, 1400), packetOf(2, 1400)]);
      pair.retire();
      pair.user.receive(batch);
      const [first, second] = batch.offset;
      pair.user.release(batch);
      for (const offset of [first!, second!, pair.maps.receive!.base, pair.maps.transmit!.base + 32, 4096 * 3]) {
        batch.offset[0] = offset;
        batch.length = 1;
        pair.user.release(batch);
      }
      assert.equal(pair.user.counters.invalid, 4);
      pair.deliver([packetOf(3)]);
      pair.retire();
      assert.equal(pair.user.receive(batch), 1);
      assert.equal(numberOf(pair.bytes(batch, 0)), 3);
    });

    test('a packet may be moved within itself, to strip headers, and is released all the same', () => {
      const pair = new RingPair({ version, receive: 4 });
      const batch = new PacketBatch(1);
      for (let i = 0; i < 20; i++) {
        pair.deliver([packetOf(i, 1200)]);
        pair.retire();
        assert.equal(pair.user.receive(batch), 1);
        batch.offset[0] = batch.offset[0]! + 1199;
        pair.user.release(batch);
      }
      assert.equal(pair.user.counters.invalid, 0);
    });

    test('an empty ring is kicked once per receive, and only when the kernel asks for it', () => {
      const pair = new RingPair({ version });
      const batch = new PacketBatch(4);
      assert.equal(pair.user.receive(batch), 0);
      assert.deepEqual(pair.kicks, []);
      pair.arena.i32[pair.maps.wakeReceive >> 2] = 1;
      pair.onKick = () => {
        pair.deliver([packetOf(1)]);
        pair.retire();
      };
      assert.equal(pair.user.receive(batch), 1);
      assert.deepEqual(pair.kicks, ['receive']);
      pair.onKick = () => {};
      assert.equal(pair.user.receive(new PacketBatch(4)), 0);
      const { receiveCalls, kicks } = pair.user.counters;
      assert.deepEqual({ receiveCalls, kicks }, { receiveCalls: 3, kicks: 2 });
    });

    test('a socket with only one of the rings works', () => {
      const sender = new RingPair({ version, receive: 0 });
      const batch = new PacketBatch(4);
      sender.deliver([packetOf(1)]);
      sender.retire();
      assert.equal(sender.user.receive(batch), 0);
      assert.equal(sender.user.readable(), false);
      const receiver = new RingPair({ version, transmit: 0 });
      assert.equal(receiver.user.allocate(batch, 4), 0);
      assert.equal(receiver.user.writable(), false);
      assert.equal(receiver.kernel.transmitPosted(), false);
      receiver.deliver([packetOf(1)]);
      receiver.retire();
      assert.equal(receiver.user.receive(batch), 1);
      assert.equal(receiver.user.send(batch), 0);
      assert.equal(batch.length, 1, 'still the caller’s');
    });

    test('close gives its scratch memory back', () => {
      const pair = new RingPair({ version });
      const before = pair.arena.freeBytes;
      pair.user.close();
      pair.user.close();
      assert.equal(pair.arena.freeBytes, before + 4096);
    });
  });
}
