import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeWire } from '../../test/support/fake-wire.js';
import { udpPacket } from '../../test/support/packets.js';
import { Arena, type Region } from '../arena/arena.js';
import { createFlowKey, parseFlowKey } from '../packet/flow-key.js';
import { Classifier } from './classifier.js';
import { END_OF_PACKET, HAS_HINTS, LENGTH_SHIFT, STATUS_DONE, STATUS_LINK_DOWN } from './descriptors.js';
import type { QueuePair } from './queue-pair.js';
import { Rss } from './rss.js';
import { type InterruptModeration, SoftNic } from './soft-nic.js';

const ROOM = 1792;
const RING = 64;

interface Options {
  readonly queues?: number;
  readonly mtu?: number;
  readonly patient?: boolean;
  readonly moderation?: InterruptModeration;
}

/** A device with a driver by hand. */
class Bench {
  readonly arena = Arena.create(2 ** 24);
  readonly wire: FakeWire;
  readonly classifier: Classifier;
  readonly nic: SoftNic;
  readonly frames: Region;
  now = 0;

  constructor({ queues = 1, mtu = 1500, patient = true, moderation = { packets: 1, nanoseconds: 0 } }: Options = {}) {
    const { arena } = this;
    this.wire = new FakeWire(arena, { patient });
    this.classifier = new Classifier(arena, { queues, rules: 1000 });
    this.nic = new SoftNic({
      arena,
      queues,
      ringEntries: RING,
      mtu,
      moderation,
      source: this.wire.source,
      sink: this.wire.sink,
      pause: true,
      classifier: this.classifier,
    });
    this.frames = arena.allocate(2 ** 21);
  }

  /** Posts `count` receive descriptors; descriptor i has frame i of the queue. */
  post(pair: QueuePair, count: number): void {
    pair.room = ROOM;
    for (let i = pair.receiveTail; i < pair.receiveTail + count; i++) {
      const at = (pair.receiveRing >> 2) + (i & pair.mask) * 4;
      this.arena.i32[at] = this.frame(pair, i);
      this.arena.i32[at + 3] = 0;
    }
    this.nic.postReceive(pair, pair.receiveTail + count);
  }

  frame(pair: QueuePair, index: number): number {
    return this.frames.offset + ((pair.index & 3) * RING + (index & pair.mask)) * 2048;
  }

  status(ring: number, index: number): number {
    return this.arena.i32[(ring >> 2) + (index & (RING - 1)) * 4 + 3]!;
  }

  packet(pair: QueuePair, index: number): Uint8Array {
    const length = this.status(pair.receiveRing, index) >>> LENGTH_SHIFT;
    const at = this.frame(pair, index);
    return this.arena.u8.slice(at, at + length);
  }

  /** Posts packets for sending, one descriptor a part. */
  send(pair: QueuePair, ...packets: readonly (readonly Uint8Array[])[]): void {
    let tail = pair.transmitTail;
    for (const parts of packets) {
      parts.forEach((part, i) => {
        const data = this.frame(pair, tail);
        this.arena.u8.set(part, data);
        const last = i === parts.length - 1 ? END_OF_PACKET : 0;
        this.arena.i32.set([data, part.length, last, 0], (pair.transmitRing >> 2) + (tail & pair.mask) * 4);
        tail++;
      });
    }
    this.nic.postTransmit(pair, tail);
  }

  advance(budget = 64, nanoseconds = 1000): number {
    this.now += nanoseconds;
    return this.nic.advance(this.now, budget);
  }
}

const packets = (count: number, length = 60): Uint8Array[] =>
  Array.from({ length: count }, (_, number) => udpPacket({ number, length }));

test('packets from the wire come into frames in order, and their descriptors are written back', () => {
  const bench = new Bench();
  const pair = bench.nic.open(0);
  bench.post(pair, 10);
  const sent = [...packets(3), ...packets(2, 1500)];
  bench.wire.arrive(...sent);
  assert.equal(bench.advance(), 5 + 0);
  sent.forEach((packet, i) => {
    assert.equal(bench.status(pair.receiveRing, i) & 0xff, STATUS_DONE | END_OF_PACKET);
    assert.deepEqual(bench.packet(pair, i), packet);
  });
  assert.equal(bench.status(pair.receiveRing, 5), 0);
  assert.deepEqual(
    [bench.nic.counters.received, bench.nic.counters.receivedBytes, pair.packetsReceived],
    [5, 3 * 60 + 2 * 1500, 5],
  );
});

test('one step moves no more than its budget each way', () => {
  const bench = new Bench();
  const pair = bench.nic.open(0);
  bench.post(pair, 64);
  bench.wire.arrive(...packets(40));
  bench.send(pair, ...packets(30).map((packet) => [packet]));
  bench.advance(8);
  assert.equal(bench.nic.counters.received, 8);
  assert.ok(bench.nic.counters.sent >= 8);
});

test('a patient sender waits for descriptors, and loses nothing', () => {
  const bench = new Bench();
  const pair = bench.nic.open(0);
  bench.wire.arrive(...packets(6));
  assert.equal(bench.advance(), 0);
  assert.equal(bench.nic.nextEvent(bench.now), Number.POSITIVE_INFINITY, 'only new descriptors help');
  bench.post(pair, 4);
  assert.equal(bench.nic.nextEvent(bench.now), bench.now);
  bench.advance();
  bench.advance();
  assert.equal(bench.nic.counters.received, 4);
  bench.post(pair, 4);
  bench.advance();
  assert.equal(bench.nic.counters.received, 6);
  assert.equal(bench.nic.counters.noDescriptor, 0);
  assert.deepEqual(bench.packet(pair, 5), packets(6)[5]);
});

test('an impatient sender does not wait: what finds no descriptor is lost, and counted for its queue', () => {
  const bench = new Bench({ patient: false });
  const pair = bench.nic.open(0);
  bench.post(pair, 2);
  bench.wire.arrive(...packets(6));
  bench.advance();
  assert.deepEqual([bench.nic.counters.received, bench.nic.counters.noDescriptor, pair.dropped], [2, 4, 4]);
  assert.equal(bench.wire.source.waiting, 0);
});

test('a packet longer than MTU, header and tags is dropped and counted, patient or not; its neighbours come through', () => {
  for (const patient of [true, false]) {
    const bench = new Bench({ patient, mtu: 1000 });
    const pair = bench.nic.open(0);
    bench.post(pair, 8);
    bench.wire.arrive(...packets(1), udpPacket({ length: 1023 }), udpPacket({ length: 1022 }));
    bench.advance();
    assert.deepEqual([bench.nic.counters.received, bench.nic.counters.oversize], [2, 1]);
    assert.equal(bench.packet(pair, 1).length, 1022);
  }
});

test('a long packet takes several descriptors (F9)', () => {
  const bench = new Bench({ mtu: 9000 });
  const pair = bench.nic.open(0);
  bench.post(pair, 8);
  const packet = udpPacket({ length: 4000 });
  bench.wire.arrive(packet);
  bench.advance();
  const lengths = [0, 1, 2].map((i) => bench.packet(pair, i).length);
  assert.deepEqual(lengths, [ROOM, ROOM, 4000 - 2 * ROOM]);
  assert.deepEqual(Buffer.concat([0, 1, 2].map((i) => bench.packet(pair, i))), Buffer.from(packet));
  assert.deepEqual(
    [0, 1, 2].map((i) => bench.status(pair.receiveRing, i) & END_OF_PACKET),
    [0, 0, END_OF_PACKET],
  );
});

test('what is posted is sent, in order, and read byte by byte', () => {
  const bench = new Bench({ mtu: 9000 });
  const pair = bench.nic.open(0);
  const sent = [...packets(50), ...packets(3, 1514)];
  bench.send(pair, ...sent.map((packet) => [packet]), [sent[0]!.slice(0, 20), sent[0]!.slice(20)]);
  for (let i = 0; i < 4; i++) bench.advance();
  assert.deepEqual(bench.wire.sink.packets, [...sent, sent[0]]);
  for (let i = 0; i < 55; i++) assert.equal(bench.status(pair.transmitRing, i), STATUS_DONE);
  assert.deepEqual([bench.nic.counters.sent, bench.nic.counters.sentBytes], [54, 51 * 60 + 3 * 1514]);
});

test('several queues send in turn; none waits for another to be empty', () => {
  const bench = new Bench({ queues: 4 });
  for (const queue of [0, 1, 2]) bench.send(bench.nic.open(queue), ...packets(40).map((packet) => [packet]));
  bench.advance(8);
  for (const queue of [0, 1, 2]) assert.ok(bench.nic.open(queue).packetsSent >= 8);
  assert.ok(bench.nic.open(0).packetsSent <= 64);
});

test('steering: each packet comes to its queue; one that nobody has opened loses it', () => {
  const bench = new Bench({ queues: 4, patient: false });
  for (const queue of [0, 1, 2, 3]) bench.classifier.add({ destinationPort: 100 + queue, protocol: 'udp' }, queue);
  const pairs = [0, 1, 2].map((queue) => bench.nic.open(queue));
  for (const pair of pairs) bench.post(pair, 20);
  for (let i = 0; i < 16; i++) bench.wire.arrive(udpPacket({ destinationPort: 100 + (i & 3), number: i }));
  bench.advance();
  assert.deepEqual(
    pairs.map((pair) => pair.packetsReceived),
    [4, 4, 4],
  );
  assert.equal(bench.nic.counters.noDescriptor, 4);
});

test('interrupts: one when something is written back, none while masked, one more when unmasked with something unseen', () => {
  const bench = new Bench();
  const pair = bench.nic.open(0);
  bench.post(pair, 20);
  bench.wire.arrive(...packets(2));
  bench.advance();
  assert.deepEqual(bench.nic.interrupts, [0]);
  bench.wire.arrive(...packets(2));
  bench.advance();
  assert.deepEqual(bench.nic.interrupts, [0], 'a queue is listed once');
  bench.nic.setMasked(pair, false);
  assert.deepEqual(bench.nic.interrupts, [0], 'unmasking does not repeat an interrupt that is pending');
  bench.nic.interrupts.length = 0;
  pair.pending = false;
  bench.nic.setMasked(pair, true);
  bench.wire.arrive(...packets(2));
  bench.advance();
  assert.deepEqual(bench.nic.interrupts, []);
  bench.nic.setMasked(pair, false);
  assert.deepEqual(bench.nic.interrupts, [0]);
  assert.equal(bench.nic.counters.interrupts, 2);
});

test('moderation: an interrupt after so many packets, or so long after the first', () => {
  const bench = new Bench({ moderation: { packets: 4, nanoseconds: 10_000 } });
  const pair = bench.nic.open(0);
  const seen = (): number => {
    const count = bench.nic.interrupts.length;
    bench.nic.interrupts.length = 0;
    pair.pending = false;
    return count;
  };
  bench.post(pair, 60);
  bench.wire.arrive(...packets(3));
  bench.advance();
  assert.equal(seen(), 0);
  assert.equal(bench.nic.nextEvent(bench.now), bench.now + 10_000);
  bench.wire.arrive(...packets(1));
  bench.advance();
  assert.equal(seen(), 1, 'the fourth packet');
  bench.wire.arrive(...packets(1));
  bench.advance();
  bench.advance(64, 5000);
  assert.equal(seen(), 0);
  bench.advance(64, 5000);
  assert.equal(seen(), 1, 'ten microseconds later');
  bench.advance(64, 50_000);
  assert.equal(seen(), 0, 'and no more');
});

test('link down: a patient sender waits, what others send is lost, and sending fails at once (I9)', () => {
  for (const patient of [true, false]) {
    const bench = new Bench({ patient });
    const pair = bench.nic.open(0);
    bench.post(pair, 20);
    bench.nic.up = false;
    assert.equal(bench.nic.up, false);
    bench.wire.arrive(...packets(3));
    bench.send(pair, [packets(1)[0]!], [packets(1)[0]!]);
    bench.advance();
    assert.equal(bench.nic.counters.received, 0);
    assert.equal(bench.wire.source.waiting, patient ? 3 : 0);
    assert.equal(bench.wire.source.counters.lost, patient ? 0 : 3);
    for (const i of [0, 1]) assert.equal(bench.status(pair.transmitRing, i), STATUS_DONE | STATUS_LINK_DOWN);
    assert.deepEqual(bench.wire.sink.packets, []);
    assert.equal(bench.nic.counters.sent, 0);
    bench.nic.up = true;
    bench.wire.arrive(...packets(1));
    bench.send(pair, [packets(1)[0]!]);
    bench.advance();
    assert.equal(bench.nic.counters.received, patient ? 4 : 1);
    assert.equal(bench.wire.sink.packets.length, 1);
  }
});

test('a wire that is down takes the link down', () => {
  const bench = new Bench();
  bench.wire.source.up = false;
  assert.equal(bench.nic.up, false);
});

test('a stuck queue neither receives nor sends, until it is let go', () => {
  const bench = new Bench({ queues: 2, patient: false });
  bench.classifier.add({ destinationPort: 1, protocol: 'udp' }, 1);
  const [zero, one] = [bench.nic.open(0), bench.nic.open(1)];
  bench.classifier.setSpread(1, false);
  bench.post(zero, 20);
  bench.post(one, 20);
  bench.nic.setStuck(1, true);
  bench.wire.arrive(udpPacket({ destinationPort: 1 }), udpPacket({ destinationPort: 2 }));
  bench.send(one, [packets(1)[0]!]);
  bench.advance();
  assert.deepEqual([zero.packetsReceived, one.packetsReceived, one.packetsSent, one.dropped], [1, 0, 0, 1]);
  bench.nic.setStuck(1, false);
  bench.wire.arrive(udpPacket({ destinationPort: 1 }));
  bench.advance();
  assert.deepEqual([one.packetsReceived, one.packetsSent], [1, 1]);
});

test('hardware indices wrap around at 2^32', () => {
  const bench = new Bench();
  const pair = bench.nic.open(0);
  pair.receiveHead = pair.receiveTail = pair.transmitHead = pair.transmitTail = 0x7fffffff - 3;
  for (let round = 0; round < 5; round++) {
    bench.post(pair, 8);
    pair.receiveTail |= 0;
    bench.wire.arrive(...packets(8));
    bench.send(pair, ...packets(8).map((packet) => [packet]));
    pair.transmitTail |= 0;
    bench.advance();
  }
  assert.deepEqual([pair.packetsReceived, pair.packetsSent], [40, 40]);
});

test('queues that do not exist are refused with their range', () => {
  const bench = new Bench({ queues: 4 });
  for (const queue of [-1, 5, Number.NaN]) {
    assert.throws(() => bench.nic.open(queue), { code: 'NO_QUEUE', message: /the interface has 4 \(0 to 3\)/ });
  }
});

test('a thousand idle queues take no memory until they are opened', () => {
  const free = (queues: number): number => {
    const bench = new Bench({ queues });
    return bench.arena.freeBytes;
  };
  assert.equal(free(4096), free(2));
});

test('close gives all memory back', () => {
  const bench = new Bench({ queues: 4 });
  const before = bench.arena.freeBytes;
  const nic = new SoftNic({
    arena: bench.arena,
    queues: 4,
    ringEntries: RING,
    mtu: 9000,
    moderation: { packets: 1, nanoseconds: 0 },
    source: bench.wire.source,
    sink: bench.wire.sink,
    pause: true,
    classifier: new Classifier(bench.arena, { queues: 4, rules: 1 }),
  });
  for (const queue of [0, 3, 4]) nic.open(queue);
  nic.close();
  assert.equal(bench.arena.freeBytes, before);
});

test('hints are written where they are wanted: hash, what it was made of, lower half of the time', () => {
  for (const queues of [1, 4]) {
    const bench = new Bench({ queues });
    const pair = bench.nic.open(0);
    if (queues > 1) for (const queue of [1, 2, 3]) bench.classifier.setSpread(queue, false);
    bench.post(pair, 12);
    bench.wire.arrive(...packets(1));
    bench.advance();
    bench.nic.setHints(true);
    bench.now = 5 * 2 ** 32;
    bench.wire.arrive(...packets(1, 1500), udpPacket({ destination: '10.0.0.3' }), new Uint8Array(60));
    bench.advance();
    bench.nic.setHints(false);
    bench.wire.arrive(...packets(1));
    bench.advance();
    const { i32 } = bench.arena;
    const word = (index: number, at: number) => i32[(pair.receiveRing >> 2) + index * 4 + at]!;
    const kinds = [0, 1, 2, 3].map((index) => word(index, 1));
    assert.deepEqual(kinds, [0, 41 | HAS_HINTS, 41 | HAS_HINTS, 0 | HAS_HINTS]);
    const key = createFlowKey();
    const rss = new Rss({ queues: 1 });
    for (const [index, destination] of ['10.0.0.2', '10.0.0.3'].entries()) {
      parseFlowKey(udpPacket({ destination }), 0, 60, key);
      assert.equal(word(index + 1, 0), rss.hash(key));
      assert.equal(word(index + 1, 2), 1000);
    }
    assert.equal(word(3, 0), 0);
    assert.deepEqual(bench.packet(pair, 1), packets(1, 1500)[0]);
  }
});
