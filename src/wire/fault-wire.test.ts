import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../packet/test-support.js';
import type { WireEnds } from './contract.js';
import type { FaultCounts } from './fault-injector.js';
import type { FaultOptions } from './fault-options.js';
import { addFaults } from './fault-wire.js';
import { Generator } from './generator.js';
import { Collector, randomPackets, receive, ScriptedSource, Sender, smallArena } from './test-support.js';

const arena = smallArena(2 ** 25);
const sender = new Sender(arena);
const NEVER = Number.POSITIVE_INFINITY;

type Faults = Omit<FaultOptions, 'kind' | 'wire'>;

/** A wire with faults between a scripted source and a collecting sink. */
function faulty(options: Faults, packets: readonly string[] = []) {
  const inner = { source: new ScriptedSource(arena, packets), sink: new Collector(arena) };
  const ends = addFaults(arena, { kind: 'fault', wire: { kind: 'none' }, ...options }, inner);
  return { inner, ...ends, received: ends.source.details as FaultCounts, sent: ends.sink.details as FaultCounts };
}

function close({ source, sink }: WireEnds): void {
  source.close();
  sink.close();
}

/** Receives everything in batches of random sizes, a millisecond apart, so that nothing is held back at the end. */
function receiveAll(wire: WireEnds, random: (limit: number) => number): string[] {
  const packets: string[] = [];
  for (let now = 0; ; now += 1e6) {
    const got = receive(arena, wire.source, now, 1 + random(64), (offered) =>
      random(3) === 0 ? random(offered + 1) : offered,
    );
    packets.push(...got);
    if (got.length === 0 && wire.source.nextArrival(now) === NEVER) return packets;
  }
}

/** Sends everything in batches of random sizes; ends when nothing is held back any more. */
function sendAll(wire: WireEnds, packets: readonly string[], random: (limit: number) => number): void {
  let now = 0;
  for (let i = 0; i < packets.length; now += 1e5) {
    const batch = packets.slice(i, i + 1 + random(64));
    sender.send(wire.sink, batch, now);
    wire.source.offer(64, now);
    i += batch.length;
  }
  wire.source.offer(64, now + 1e6);
}

/** Counts equal packets. */
function tally(packets: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const packet of packets) counts.set(packet, (counts.get(packet) ?? 0) + 1);
  return counts;
}

function randomFaults(random: (limit: number) => number): Faults {
  const chance = () => (random(3) === 0 ? 0 : random(1000) / 1500);
  return {
    seed: random(2 ** 31),
    drop: chance(),
    corrupt: chance(),
    truncate: chance(),
    duplicate: chance(),
    reorder: chance(),
  };
}

test('packets are conserved: in = out + dropped - duplicated, in both directions', () => {
  const random = seeded(91);
  for (let round = 0; round < 30; round++) {
    const packets = randomPackets(random, random(200), [60, 300, 1514, 9000][random(4)]);
    const wire = faulty(randomFaults(random), packets);
    const got = receiveAll(wire, random);
    const { received, sent, inner } = wire;
    assert.equal(packets.length, got.length + received.fault_dropped - received.fault_duplicated);
    assert.equal(inner.source.taken, packets.length);
    const { packets: counted, bytes, lost } = wire.source.counters;
    assert.deepEqual([counted - lost, lost], [got.length, received.fault_dropped]);
    assert.equal(
      bytes,
      got.reduce((sum, packet) => sum + packet.length / 2, 0),
    );

    sendAll(wire, packets, random);
    assert.equal(packets.length, inner.sink.packets.length + sent.fault_dropped - sent.fault_duplicated);
    assert.equal(wire.sink.counters.packets, packets.length);
    assert.equal(wire.sink.counters.lost, sent.fault_dropped);
    close(wire);
    assert.deepEqual([inner.source.closed, inner.sink.closed], [1, 1]);
  }
});

test('without reordering the n-th packet meets the same fate however packets are batched', () => {
  const random = seeded(92);
  const packets = randomPackets(random, 300, 300);
  for (let round = 0; round < 10; round++) {
    const faults = { ...randomFaults(random), reorder: 0 };
    const results = [1, 2, 3].map((seed) => {
      const wire = faulty(faults, packets);
      const got = receiveAll(wire, seeded(seed));
      sendAll(wire, packets, seeded(seed));
      close(wire);
      return { got, sent: wire.inner.sink.packets };
    });
    assert.deepEqual(results[1], results[0]);
    assert.deepEqual(results[2], results[0]);
    const other = faulty({ ...faults, seed: faults.seed! ^ 1, drop: 0.5 }, packets);
    assert.notDeepEqual(receiveAll(other, seeded(1)), results[0]!.got);
    close(other);
  }
});

test('with reordering, too, the same seed and batches give the same packets', () => {
  const packets = randomPackets(seeded(93), 300);
  const results = [1, 2].map(() => {
    const wire = faulty({ seed: 5, drop: 0.1, corrupt: 0.1, truncate: 0.1, duplicate: 0.1, reorder: 0.3 }, packets);
    const got = receiveAll(wire, seeded(7));
    close(wire);
    return got;
  });
  assert.deepEqual(results[0], results[1]);
});

test('the directions meet different fates, and can be chosen', () => {
  const packets = randomPackets(seeded(94), 400, 60);
  for (const direction of ['receive', 'transmit', 'both'] as const) {
    const wire = faulty({ drop: 0.5, direction }, packets);
    const got = receiveAll(wire, seeded(1));
    sendAll(wire, packets, seeded(1));
    const sent = wire.inner.sink.packets;
    assert.equal(got.length === 400, direction === 'transmit');
    assert.equal(sent.length === 400, direction === 'receive');
    assert.notDeepEqual(got, sent);
    close(wire);
  }
});

test('faults come as often as asked for', () => {
  const packets = randomPackets(seeded(95), 10_000, 30);
  for (const [fault, count] of [
    ['drop', 'fault_dropped'],
    ['corrupt', 'fault_corrupted'],
    ['truncate', 'fault_truncated'],
    ['duplicate', 'fault_duplicated'],
  ] as const) {
    for (const probability of [0, 0.01, 0.3, 1]) {
      const wire = faulty({ [fault]: probability, seed: 3 }, packets);
      receiveAll(wire, () => 63);
      // Packets of an Ethernet header only cannot be cut.
      const possible = fault === 'truncate' ? packets.filter((packet) => packet.length > 28).length : packets.length;
      const deviation = 4 * Math.sqrt(possible * probability * (1 - probability));
      assert.ok(
        Math.abs(wire.received[count]! - possible * probability) <= deviation,
        `${fault} ${wire.received[count]}`,
      );
      close(wire);
    }
  }
});

test('corruption flips one bit of a copy', () => {
  const packets = randomPackets(seeded(96), 300, 2000);
  const wire = faulty({ corrupt: 1 }, packets);
  // The scripted source checks that its own bytes stay as they are.
  const got = receiveAll(wire, seeded(1));
  const places = new Set<number>();
  got.forEach((packet, i) => {
    assert.equal(packet.length, packets[i]!.length);
    const flipped = BigInt(`0x${packet}`) ^ BigInt(`0x${packets[i]!}`);
    assert.ok(flipped !== 0n && (flipped & (flipped - 1n)) === 0n);
    places.add(flipped.toString(2).length);
  });
  assert.ok(places.size > 200);
  close(wire);
});

test('truncation leaves at least an Ethernet header', () => {
  const packets = randomPackets(seeded(97), 500, 64);
  const wire = faulty({ truncate: 1 }, packets);
  const got = receiveAll(wire, seeded(1));
  got.forEach((packet, i) => {
    assert.ok(packets[i]!.startsWith(packet));
    assert.ok(packet.length >= 28 && (packet.length < packets[i]!.length || packet.length === 28));
  });
  assert.ok(new Set(got.map((packet) => packet.length)).size > 30);
  close(wire);
});

test('duplicates follow at once', () => {
  const packets = randomPackets(seeded(98), 100);
  const wire = faulty({ duplicate: 1, reorder: 1 }, packets);
  assert.deepEqual(
    receiveAll(wire, seeded(1)),
    packets.flatMap((packet) => [packet, packet]),
  );
  close(wire);
});

test('a reordered packet is overtaken by 1 to 4 others, whatever the batches', () => {
  const packets = Array.from({ length: 2000 }, (_, i) => i.toString(16).padStart(64, '0'));
  for (const batch of [1, 2, 7, 64]) {
    const wire = faulty({ reorder: 0.1 }, packets);
    const received: string[] = [];
    for (let now = 0; received.length < packets.length; now += 1000) {
      received.push(...receive(arena, wire.source, now, batch));
    }
    for (let now = 0, i = 0; i < packets.length; i += batch, now += 1000) {
      sender.send(wire.sink, packets.slice(i, i + batch), now);
    }
    wire.source.offer(64, 1e9);
    for (const [got, { fault_reordered }] of [
      [received, wire.received],
      [wire.inner.sink.packets, wire.sent],
    ] as const) {
      assert.deepEqual(tally(got), tally(packets));
      const late = got.filter((packet, i) => Number.parseInt(packet, 16) < i);
      assert.equal(late.length, fault_reordered);
      assert.ok(late.length > 100 && late.length < 250, `${late.length}`);
      const displaced = got.map((packet, i) => i - Number.parseInt(packet, 16));
      assert.deepEqual([Math.min(...displaced), Math.max(...displaced)], [-1, 4]);
    }
    close(wire);
  }
});

test('a packet that nothing overtakes comes after a millisecond', () => {
  const packets = ['11'.repeat(60), '22'.repeat(60)];
  const wire = faulty({ reorder: 1 }, packets);
  wire.inner.source.released = 1;
  assert.deepEqual(receive(arena, wire.source, 0), []);
  assert.equal(wire.inner.source.taken, 1);
  assert.equal(wire.source.nextArrival(0), 1e6);
  assert.deepEqual(receive(arena, wire.source, 1e6 - 1), []);
  assert.deepEqual(receive(arena, wire.source, 1e6), packets.slice(0, 1));
  assert.equal(wire.received.fault_reordered, 0);
  assert.equal(wire.source.nextArrival(1e6), NEVER);
  // The sending end has no time of its own: it is the device's asking for packets that lets it know.
  sender.send(wire.sink, packets.slice(1), 2e6);
  assert.deepEqual(wire.inner.sink.packets, []);
  assert.equal(wire.source.nextArrival(2e6), 3e6);
  receive(arena, wire.source, 3e6);
  assert.deepEqual(wire.inner.sink.packets, packets.slice(1));
  close(wire);
});

test('what was offered stays the same until it is taken', () => {
  const random = seeded(99);
  const packets = randomPackets(random, 400);
  const wire = faulty({ drop: 0.2, corrupt: 0.3, truncate: 0.3, duplicate: 0.5, reorder: 0.3 }, packets);
  let waiting: string[] = [];
  for (let now = 0; wire.source.nextArrival(now) !== NEVER; now += 1000) {
    const limit = 1 + random(64);
    let offered: string[] = [];
    const taken = random(limit + 1);
    receive(arena, wire.source, now, limit, (count) => {
      offered = Array.from({ length: count }, (_, i) => {
        const pair = (wire.source.list >> 2) + 2 * i;
        return Buffer.from(arena.u8.slice(arena.i32[pair]!, arena.i32[pair]! + arena.i32[pair + 1]!)).toString('hex');
      });
      return Math.min(taken, count);
    });
    assert.deepEqual(offered.slice(0, waiting.length), waiting.slice(0, offered.length));
    waiting = [...offered, ...waiting.slice(offered.length)].slice(Math.min(taken, offered.length));
    // While something is pending, the device may also send.
    sender.send(wire.sink, randomPackets(random, 3), now);
  }
  close(wire);
});

test('a flapping link: patient senders wait, what others send is lost, and what is sent is lost', () => {
  for (const patient of [true, false]) {
    const packets = randomPackets(seeded(100), 400, 60);
    const wire = faulty({ flap: { upNanoseconds: 10_000, downNanoseconds: 5000 } }, packets);
    const { inner, source, sink, received, sent } = wire;
    inner.source.patient = patient;
    inner.source.released = 0;
    let arrived = 0;
    let taken = 0;
    let transmitted = 0;
    for (let now = 0; now < 300_000; now += 1000) {
      inner.source.released = Math.min(inner.source.released + 1, 400);
      // What a device does: it sends over a link that was up when it last heard, and asks for packets.
      if (source.up) {
        sender.send(sink, ['00'.repeat(60)], now);
        transmitted++;
      }
      const up = source.up;
      if (up || !source.patient) {
        const got = receive(arena, source, now);
        if (up) arrived += got.length;
        else assert.equal(got.length, 0);
      }
      taken = inner.source.taken;
      const isUp = now % 15_000 < 10_000;
      assert.equal(source.up, isUp);
      if (inner.source.released > taken && isUp) assert.ok(source.nextArrival(now) <= now);
      if (inner.source.released > taken && !isUp && patient) {
        assert.equal(source.nextArrival(now), Math.ceil(now / 15_000) * 15_000);
      }
    }
    assert.equal(arrived + received.fault_link_down, taken);
    assert.equal(received.fault_link_down > 0, !patient);
    assert.equal(source.counters.lost, received.fault_link_down);
    assert.equal(inner.sink.packets.length + sent.fault_link_down, transmitted);
    assert.equal(sink.counters.lost, sent.fault_link_down);
    // Once per period: the device had not heard yet.
    assert.equal(sent.fault_link_down, 20);
    close(wire);
  }
});

test('a link goes down while changed packets wait to be taken', () => {
  for (const patient of [true, false]) {
    const packets = randomPackets(seeded(101), 100, 60);
    const wire = faulty({ duplicate: 1, flap: { upNanoseconds: 1000, downNanoseconds: 1000 } }, packets);
    wire.inner.source.patient = patient;
    const first = receive(arena, wire.source, 0, 10);
    assert.deepEqual(receive(arena, wire.source, 1500, 10), []);
    assert.deepEqual(receive(arena, wire.source, 2000, 10), []);
    const second = receive(arena, wire.source, 2100, 64);
    const all = packets.flatMap((packet) => [packet, packet]);
    assert.deepEqual(first, all.slice(0, 10));
    if (patient) {
      assert.deepEqual(second, all.slice(10, 20));
    } else {
      // Ten duplicates were pending and ten packets came; both are gone.
      assert.equal(wire.received.fault_link_down, 20);
      assert.deepEqual(second.slice(0, 2), [packets[20], packets[20]]);
    }
    close(wire);
  }
});

test('a paced source behind faults keeps its times', () => {
  const generator = new Generator(arena, { kind: 'generator', packets: 16, packetsPerSecond: 1e6 });
  const inner = { source: generator, sink: new Collector(arena) };
  const wire = addFaults(arena, { kind: 'fault', wire: { kind: 'none' }, drop: 0.5 }, inner);
  assert.equal(wire.source.patient, false);
  let received = 0;
  for (let now = 0; now < 1e6; now += 500) received += receive(arena, wire.source, now).length;
  assert.equal(received + (wire.source.details as FaultCounts).fault_dropped, 1000);
  assert.equal(wire.source.nextArrival(1e6), 1e6);
  close(wire);
});
