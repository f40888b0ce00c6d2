import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeWire } from '../../test/support/fake-wire.js';
import { numberOf, udpPacket } from '../../test/support/packets.js';
import { Random } from '../../test/support/random.js';
import { Arena } from '../arena/arena.js';
import { Classifier } from '../nic/classifier.js';
import { type InterruptModeration, SoftNic } from '../nic/soft-nic.js';
import { CONTINUES, ERROR_MASK, type PacketArray } from '../packet-array/packet-array.js';
import type { ArrayEnd } from './contract.js';
import { NicDriver } from './nic-driver.js';

const ENETDOWN = 100;
const FRAME = 2048;
const RING = 64;

/** An end with frames of its own, that remembers what came to it. */
class Frames implements ArrayEnd {
  readonly room = FRAME - 256;
  readonly frameBytes = FRAME;
  readonly free: number[] = [];
  /** Packets flushed, put together from their frames. */
  readonly packets: Buffer[] = [];
  readonly errors: number[] = [];
  reclaimed = 0;
  /** What `populate` gives: frames to receive into, or these to send. */
  readonly sending: { address: number; length: number; flags: number }[] = [];
  #parts: Uint8Array[] = [];

  constructor(
    readonly arena: Arena,
    count: number,
    readonly receives = true,
  ) {
    const { offset } = arena.allocate(count * FRAME);
    for (let i = count - 1; i >= 0; i--) this.free.push(offset + i * FRAME);
  }

  populate(array: PacketArray, limit: number): number {
    const wanted = Math.min(limit, array.room, this.receives ? this.free.length : this.sending.length);
    for (let i = 0; i < wanted; i++) {
      if (this.receives) {
        array.add(this.free.pop()! + 256, -1, -1, 0); // length and flags are the device's to say
      } else {
        const { address, length, flags } = this.sending.shift()!;
        array.add(address, length, flags, 0);
      }
    }
    return wanted;
  }

  flush(array: PacketArray, count: number): void {
    assert.ok(count <= array.done);
    for (let i = 0; i < count; i++) {
      const at = array.start & array.mask;
      const address = array.address[at]!;
      this.errors.push(array.flags[at]! & ERROR_MASK);
      this.#parts.push(this.arena.u8.slice(address, address + array.length[at]!));
      if ((array.flags[at]! & CONTINUES) === 0) {
        this.packets.push(Buffer.concat(this.#parts));
        this.#parts = [];
      }
      this.free.push(address & -FRAME);
      array.start = (array.start + 1) | 0;
    }
    assert.equal(this.#parts.length, 0, 'half a packet was flushed');
  }

  reclaim(array: PacketArray): void {
    for (; array.start !== array.end; array.start = (array.start + 1) | 0) {
      this.free.push(array.address[array.start & array.mask]! & -FRAME);
      this.reclaimed++;
    }
  }

  recycle(frames: Int32Array, count: number): void {
    for (let i = 0; i < count; i++) this.free.push(frames[i]! & -FRAME);
  }

  /** Puts a packet up for sending. */
  send(packet: Uint8Array, ...cuts: number[]): void {
    const ends = [...cuts, packet.length];
    let from = 0;
    ends.forEach((end, i) => {
      const address = this.free.pop()! + 256;
      this.arena.u8.set(packet.subarray(from, end), address);
      this.sending.push({ address, length: end - from, flags: i < ends.length - 1 ? CONTINUES : 0 });
      from = end;
    });
  }
}

interface Options {
  readonly queues?: number;
  readonly mtu?: number;
  readonly patient?: boolean;
  readonly moderation?: InterruptModeration;
}

class Bench {
  readonly arena = Arena.create(2 ** 27);
  readonly wire: FakeWire;
  readonly driver: NicDriver;
  readonly ordinary = new Map<number, { receive: Frames; transmit: Frames }>();
  now = 0;

  constructor({ queues = 2, mtu = 1500, patient = true, moderation = { packets: 1, nanoseconds: 0 } }: Options = {}) {
    const { arena } = this;
    this.wire = new FakeWire(arena, { patient });
    const classifier = new Classifier(arena, { queues, rules: 100 });
    const { source, sink } = this.wire;
    const nic = new SoftNic({
      arena,
      queues,
      ringEntries: RING,
      mtu,
      moderation,
      pause: true,
      source,
      sink,
      classifier,
    });
    const ends = (queue: number) => {
      const pair = { receive: new Frames(arena, 128), transmit: new Frames(arena, 128, false) };
      this.ordinary.set(queue, pair);
      return pair;
    };
    this.driver = new NicDriver(arena, nic, ends, { name: 'test0', mtu, mac: '02:00:00:00:00:02' });
  }

  run(steps = 1, budget = 64): void {
    for (let i = 0; i < steps; i++) {
      this.now += 1000;
      this.driver.advance(this.now, budget);
      this.driver.poll(budget);
    }
  }
}

const packets = (count: number, length = 60): Uint8Array[] =>
  Array.from({ length: count }, (_, number) => udpPacket({ number, length }));
const numbers = (end: Frames): number[] => end.packets.map((packet) => numberOf(packet));

test('received packets are flushed in order, whole, and their frames are used again', () => {
  const bench = new Bench({ queues: 1, mtu: 9000 });
  const end = bench.ordinary.get(0)!.receive;
  const sent: Uint8Array[] = [];
  for (let round = 0; round < 20; round++) {
    const batch = [...packets(10), ...packets(2, 1514), ...packets(1, 5000)];
    bench.wire.arrive(...batch);
    sent.push(...batch);
    bench.run(3);
  }
  assert.equal(end.packets.length, sent.length);
  end.packets.forEach((packet, i) => {
    assert.equal(Buffer.compare(packet, sent[i]!), 0, `packet ${i}`);
  });
  assert.equal(end.free.length, 128 - RING, 'the ring is full of frames again');
});

test('a packet of several frames is not cut by the budget', () => {
  const bench = new Bench({ queues: 1, mtu: 9000 });
  bench.wire.arrive(...packets(8, 5000));
  bench.run(20, 4);
  assert.equal(bench.ordinary.get(0)!.receive.packets.length, 8);
});

test('a queue with more than its budget stays on the poll list, and the others get their turn', () => {
  const bench = new Bench({ queues: 2 });
  for (const queue of [0, 1]) bench.driver.steer({ destinationPort: queue, protocol: 'udp' }, queue);
  bench.wire.arrive(
    ...Array.from({ length: 30 }, () => udpPacket({ destinationPort: 0 })),
    udpPacket({ destinationPort: 1 }),
  );
  bench.driver.advance(1000, 64);
  assert.ok(bench.driver.poll(4) > 0);
  const counts = (): number[] => [0, 1].map((queue) => bench.ordinary.get(queue)!.receive.packets.length);
  assert.deepEqual(counts(), [4, 1]);
  assert.equal(bench.driver.nextEvent(2000), 2000, 'there is more to do');
  for (let i = 0; i < 10; i++) bench.driver.poll(4);
  assert.deepEqual(counts(), [30, 1]);
});

test('packets that arrive while a queue is polled are not forgotten', () => {
  const bench = new Bench({ queues: 1 });
  let sent = 0;
  for (let step = 0; step < 200; step++) {
    const count = step % 7;
    bench.wire.arrive(...packets(count));
    sent += count;
    bench.now += 1000;
    bench.driver.advance(bench.now, 64);
    if (step % 3 === 0) bench.driver.poll(2);
  }
  bench.run(200, 64);
  assert.equal(bench.ordinary.get(0)!.receive.packets.length, sent);
  assert.equal(bench.wire.source.waiting, 0);
});

test('the ordinary queue sends what its end has, and gives it back', () => {
  const bench = new Bench();
  const end = bench.ordinary.get(bench.driver.ordinaryQueue)!.transmit;
  const sent = [...packets(20), ...packets(2, 1514)];
  for (const packet of sent) end.send(packet);
  end.send(sent[0]!, 20, 40);
  bench.driver.service(bench.driver.ordinaryQueue);
  bench.run(3);
  assert.deepEqual(bench.wire.sink.packets, [...sent, sent[0]]);
  assert.equal(end.free.length, 128);
  assert.ok(end.errors.every((error) => error === 0));
});

test('more to send than the hardware ring holds is sent as room comes', () => {
  const bench = new Bench();
  const end = bench.ordinary.get(bench.driver.ordinaryQueue)!.transmit;
  for (const packet of packets(120)) end.send(packet);
  bench.driver.service(bench.driver.ordinaryQueue);
  bench.run(10, 8);
  bench.driver.service(bench.driver.ordinaryQueue);
  bench.run(10);
  assert.deepEqual(
    bench.wire.sink.packets.map((packet) => numberOf(packet)),
    Array.from({ length: 120 }, (_, i) => i),
  );
});

test('with the link down, what is sent comes back with ENETDOWN (I9)', () => {
  const bench = new Bench();
  const end = bench.ordinary.get(bench.driver.ordinaryQueue)!.transmit;
  bench.driver.setLink(false);
  assert.equal(bench.driver.up, false);
  for (const packet of packets(3)) end.send(packet);
  bench.driver.service(bench.driver.ordinaryQueue);
  bench.run(2);
  assert.deepEqual(end.errors, [ENETDOWN, ENETDOWN, ENETDOWN]);
  assert.deepEqual(bench.wire.sink.packets, []);
  bench.driver.setLink(true);
  end.send(packets(1)[0]!);
  bench.driver.service(bench.driver.ordinaryQueue);
  bench.run(2);
  assert.equal(end.errors[3], 0, 'no error sticks to the entry');
});

test('other ends: packets go to them, in the same way, until the ordinary ones are back (F8)', () => {
  const bench = new Bench({ queues: 1 });
  const ordinary = bench.ordinary.get(0)!;
  const user = { receive: new Frames(bench.arena, 100), transmit: new Frames(bench.arena, 100, false) };
  bench.wire.arrive(...packets(2));
  bench.run();
  bench.driver.setEnds(0, user);
  bench.wire.arrive(...packets(3));
  user.transmit.send(packets(1)[0]!);
  bench.driver.service(0);
  bench.run();
  bench.driver.setEnds(0, undefined);
  bench.wire.arrive(...packets(4));
  bench.run();
  assert.deepEqual([ordinary.receive.packets.length, user.receive.packets.length], [6, 3]);
  assert.equal(bench.wire.sink.packets.length, 1);
  assert.equal(user.receive.free.length, 100, 'every frame is back');
  assert.equal(user.transmit.free.length, 100);
  assert.equal(ordinary.receive.free.length, 128 - RING);
});

test('when ends change, what the device has finished is delivered, and what it has not is taken back', () => {
  const bench = new Bench({ queues: 1 });
  const ordinary = bench.ordinary.get(0)!;
  const user = { receive: new Frames(bench.arena, 100), transmit: new Frames(bench.arena, 100, false) };
  bench.driver.setEnds(0, user);
  bench.wire.arrive(...packets(5));
  bench.driver.advance(1000, 64); // received by the device, not polled yet
  for (const packet of packets(7)) user.transmit.send(packet);
  bench.driver.service(0); // posted, not sent yet
  bench.driver.setEnds(0, undefined);
  assert.deepEqual(numbers(user.receive), [0, 1, 2, 3, 4]);
  assert.equal(user.transmit.reclaimed, 7);
  assert.equal(user.receive.free.length, 100);
  assert.equal(user.transmit.free.length, 100);
  bench.run(3);
  assert.deepEqual(bench.wire.sink.packets, [], 'nothing of a taken-down ring is sent');
  bench.wire.arrive(...packets(2));
  bench.run(2);
  assert.deepEqual(numbers(ordinary.receive), [0, 1]);
});

test('empty frames posted late are taken at the kick', () => {
  const bench = new Bench({ queues: 1, patient: false });
  const user = { receive: new Frames(bench.arena, 4), transmit: new Frames(bench.arena, 1, false) };
  bench.driver.setEnds(0, user);
  assert.equal(user.receive.free.length, 0, 'all were taken at once');
  bench.wire.arrive(...packets(4));
  bench.run();
  assert.equal(user.receive.packets.length, 4);
  user.receive.free.splice(0);
  user.receive.free.push(...new Frames(bench.arena, 3).free);
  bench.run();
  bench.driver.service(0);
  bench.wire.arrive(...packets(3));
  bench.run();
  assert.equal(user.receive.packets.length, 7);
});

test('queues are opened when something needs them, and not before', () => {
  const bench = new Bench({ queues: 4096 });
  assert.deepEqual(
    [...bench.ordinary.keys()].sort((a, b) => a - b),
    [...Array(64).keys(), 4096],
  );
  bench.driver.steer({ port: 5, protocol: 'udp' }, 1000);
  assert.ok(bench.ordinary.has(1000));
  bench.driver.service(2000);
  assert.ok(bench.ordinary.has(2000));
  assert.equal(bench.ordinary.size, 67);
});

test('an interrupt that is moderated comes in its time, also for what was sent', () => {
  const bench = new Bench({ queues: 1, moderation: { packets: 100, nanoseconds: 20_000 } });
  const end = bench.ordinary.get(bench.driver.ordinaryQueue)!.transmit;
  end.send(packets(1)[0]!);
  bench.wire.arrive(...packets(2));
  bench.driver.service(bench.driver.ordinaryQueue);
  bench.run(5);
  assert.equal(end.packets.length, 0);
  assert.equal(bench.driver.nextEvent(bench.now), 1000 + 20_000);
  bench.run(20);
  assert.equal(end.packets.length, 1);
  assert.equal(bench.ordinary.get(0)!.receive.packets.length, 2);
});

test('statistics are named as ethtool names them', () => {
  const bench = new Bench({ queues: 2, patient: false, mtu: 100 });
  bench.wire.arrive(...packets(2), udpPacket({ length: 200 }));
  bench.run();
  const statistics = bench.driver.statistics();
  assert.deepEqual(
    [
      statistics.rx_packets,
      statistics.rx_bytes,
      statistics.rx_oversize,
      statistics.tx_packets,
      statistics.rx_no_descriptor,
    ],
    [2, 120, 1, 0, 0],
  );
  assert.equal(statistics.rx_queue_0_packets! + statistics.rx_queue_1_packets!, 2);
});

test('random traffic while queues change ends: no frame is lost, and what is received is whole', () => {
  for (let seed = 1; seed <= 10; seed++) {
    const random = new Random(seed);
    const bench = new Bench({
      queues: 3,
      mtu: 9000,
      patient: random.oneIn(2),
      moderation: { packets: random.between(1, 8), nanoseconds: 5000 },
    });
    const users = [0, 1, 2].map(() => ({
      receive: new Frames(bench.arena, 90),
      transmit: new Frames(bench.arena, 90, false),
    }));
    const bound = [false, false, false];
    for (let step = 0; step < 400; step++) {
      const queue = random.below(3);
      if (random.oneIn(10)) {
        bound[queue] = !bound[queue];
        bench.driver.setEnds(queue, bound[queue] ? users[queue] : undefined);
      }
      if (random.oneIn(2)) {
        bench.wire.arrive(
          udpPacket({ sourcePort: random.below(60000), length: random.between(60, 6000), number: step }),
        );
      }
      if (bound[queue] && random.oneIn(3)) {
        users[queue]!.transmit.send(udpPacket({ length: 100, number: step }), 50);
        bench.driver.service(queue);
      }
      if (random.oneIn(30)) bench.driver.setLink(random.oneIn(2));
      bench.now += random.below(5000);
      bench.driver.advance(bench.now, random.between(1, 64));
      if (random.oneIn(2)) bench.driver.poll(random.between(1, 64));
    }
    for (const queue of [0, 1, 2]) bench.driver.setEnds(queue, undefined);
    for (const { receive, transmit } of users) {
      assert.equal(new Set(receive.free).size, 90, `seed ${seed}`);
      assert.equal(new Set(transmit.free).size, 90 - transmit.sending.length, `seed ${seed}`);
      for (const packet of receive.packets) {
        const number = numberOf(packet);
        for (let i = 46; i < packet.length; i++)
          assert.equal(packet[i], (number * 31 + (i - 42) * 7) & 255, `seed ${seed}`);
      }
    }
    bench.driver.close();
    for (const { receive } of bench.ordinary.values()) assert.equal(new Set(receive.free).size, 128, `seed ${seed}`);
  }
});
