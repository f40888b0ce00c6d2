import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../packet/test-support.js';
import { Cables } from './cables.js';
import type { PatchEnd, PatchOptions } from './patch.js';
import { randomPackets, readList, receive, Sender, smallArena } from './test-support.js';

const arena = smallArena(2 ** 24);
const sender = new Sender(arena);

function join(options: Partial<PatchOptions> = {}): [PatchEnd, PatchEnd] {
  const cables = new Cables();
  const whole: PatchOptions = { kind: 'patch', cable: 'a', ...options };
  return [cables.plug(arena, whole), cables.plug(arena, { kind: 'patch', cable: 'a' })];
}

function close(end: PatchEnd): void {
  end.source.close();
  end.sink.close();
}

/** Bytes that a packet occupies on the cable. */
const stored = (packet: string) => Math.ceil(packet.length / 2 / 64) * 64;

test('what one end sends arrives at the other, both ways, and nothing is lost below the capacity', () => {
  const random = seeded(81);
  for (let round = 0; round < 10; round++) {
    const capacity = 4096 + 64 * random(1000);
    const ends = join({ bytes: capacity });
    const waiting: string[][] = [[], []];
    const used = [0, 0];
    const lost = [0, 0];
    for (let step = 0; step < 200; step++) {
      const from = random(2);
      const longest = [60, 300, 1514, 9000][random(4)]!;
      if (random(2) === 0) {
        const packets = randomPackets(random, random(80), longest);
        sender.send(ends[from]!.sink, packets, step);
        // A packet is lost if and only if its lines do not fit; later ones may.
        for (const packet of packets) {
          if (used[from]! + stored(packet) > capacity) {
            lost[from]!++;
            continue;
          }
          waiting[from]!.push(packet);
          used[from]! += stored(packet);
        }
        assert.equal(ends[from]!.sink.counters.lost, lost[from]);
      } else {
        const got = receive(arena, ends[1 - from]!.source, step, 1 + random(64), (offered) => random(offered + 1));
        assert.deepEqual(got, waiting[from]!.splice(0, got.length));
        for (const packet of got) used[from]! -= stored(packet);
      }
    }
    for (const from of [0, 1] as const) {
      const { source } = ends[from === 0 ? 1 : 0];
      const got: string[] = [];
      for (let more = 1; more > 0; ) {
        const some = receive(arena, source, 200);
        got.push(...some);
        more = some.length;
      }
      assert.deepEqual(got, waiting[from]);
      assert.equal(source.nextArrival(0), Number.POSITIVE_INFINITY);
      const { packets } = ends[from].sink.counters;
      assert.equal(source.counters.packets, packets - lost[from]!);
    }
    ends.forEach(close);
  }
});

test('what is offered stays as it is while more is sent', () => {
  const random = seeded(82);
  const [a, b] = join({ bytes: 8192 });
  for (let step = 0; step < 500; step++) {
    sender.send(a.sink, randomPackets(random, random(20), 500));
    const offered = b.source.offer(64, step);
    const before = readList(arena, b.source.list, offered);
    sender.send(a.sink, randomPackets(random, random(20), 500));
    assert.deepEqual(readList(arena, b.source.list, offered), before);
    b.source.take(random(offered + 1));
  }
  close(a);
  close(b);
});

test('the store is used to its last line, also behind a wrap', () => {
  const ends = join({ bytes: 4096 });
  const lines = Array.from({ length: 64 }, (_, i) => i.toString(16).padStart(2, '0').repeat(60));
  for (let round = 0; round < 200; round++) {
    sender.send(ends[0].sink, lines);
    assert.deepEqual(receive(arena, ends[1].source, 0, 1 + (round % 64)), lines.slice(0, 1 + (round % 64)));
    const rest = 64 - 1 - (round % 64);
    let got = 0;
    while (got < rest) got += receive(arena, ends[1].source, 0).length;
    assert.equal(got, rest);
  }
  assert.equal(ends[0].sink.counters.lost, 0);
  sender.send(ends[0].sink, [...lines, lines[0]!]);
  assert.equal(ends[0].sink.counters.lost, 1);
  ends.forEach(close);
});

test('a packet longer than any device sends is lost, not cut', () => {
  const ends = join();
  sender.send(ends[0].sink, ['ab'.repeat(16385), 'cd'.repeat(16384)]);
  assert.deepEqual(receive(arena, ends[1].source, 0), ['cd'.repeat(16384)]);
  assert.equal(ends[0].sink.counters.lost, 1);
  ends.forEach(close);
});

test('latency', () => {
  const [a, b] = join({ latencyNanoseconds: 5000 });
  sender.send(a.sink, ['11'.repeat(60)], 1000);
  sender.send(a.sink, ['22'.repeat(60), '33'.repeat(60)], 2000);
  assert.equal(b.source.nextArrival(1000), 6000);
  assert.deepEqual(receive(arena, b.source, 5999), []);
  assert.deepEqual(receive(arena, b.source, 6000), ['11'.repeat(60)]);
  assert.equal(b.source.nextArrival(6000), 7000);
  assert.deepEqual(receive(arena, b.source, 9000), ['22'.repeat(60), '33'.repeat(60)]);
  close(a);
  close(b);
});

test('the link is up while both ends are plugged in', () => {
  const free = arena.freeBytes;
  const cables = new Cables();
  const options: PatchOptions = { kind: 'patch', cable: 'x' };
  const a = cables.plug(arena, options);
  assert.equal(a.source.up, false);
  sender.send(a.sink, ['00'.repeat(60)]);
  assert.deepEqual({ ...a.sink.counters }, { packets: 1, bytes: 0, lost: 1 });
  const b = cables.plug(arena, options);
  assert.ok(a.source.up && b.source.up);
  const message = 'cable: both ends of x are plugged in';
  assert.throws(() => cables.plug(arena, options), { code: 'INVALID_OPTION', message });

  // What is on its way to an end is lost when that end is pulled out; what it has sent before still arrives.
  sender.send(a.sink, ['11'.repeat(60), '22'.repeat(60)]);
  sender.send(b.sink, ['33'.repeat(60)]);
  close(b);
  assert.equal(a.source.up, false);
  assert.equal(a.sink.counters.lost, 3);
  assert.deepEqual(receive(arena, a.source, 0), ['33'.repeat(60)]);

  // The end can be plugged in again, and only that one is free.
  const c = cables.plug(arena, options);
  assert.ok(a.source.up);
  assert.throws(() => cables.plug(arena, options), { code: 'INVALID_OPTION' });
  sender.send(a.sink, ['44'.repeat(60)]);
  assert.deepEqual(receive(arena, c.source, 0), ['44'.repeat(60)]);

  close(a);
  close(c);
  close(c);
  assert.equal(arena.freeBytes, free);
  // The name is free again, for another kind of cable.
  const ends = [cables.plug(arena, { ...options, bytes: 8192 }), cables.plug(arena, { ...options, bytes: 8192 })];
  ends.forEach(close);
  assert.equal(arena.freeBytes, free);
});

test('with pause frames packets wait for the device, without they do not', () => {
  for (const pause of [false, true]) {
    const ends = join({ pause });
    assert.equal(ends[0].source.patient, pause);
    assert.equal(ends[1].source.patient, pause);
    // With the link down, packets that wait come at no time; others are lost at theirs.
    sender.send(ends[0].sink, ['00'.repeat(60)], 500);
    close(ends[0]);
    assert.equal(ends[1].source.nextArrival(0), pause ? Number.POSITIVE_INFINITY : 500);
    close(ends[1]);
  }
});

test('wrong options are named, and so are contradictions between the ends', () => {
  const wrong: [object, string][] = [
    [{ cable: '' }, 'cable: "" is not a name of 1 to 64 characters'],
    [{ cable: undefined }, 'cable: undefined is not a name of 1 to 64 characters'],
    [{ bytes: 100 }, 'bytes: 100 is not a whole number from 4096 to 268435456'],
    [{ latencyNanoseconds: -1 }, 'latencyNanoseconds: -1 is not a number from 0 to 10000000000'],
    [{ pause: 1 }, 'pause: 1 is not true or false'],
  ];
  for (const [options, message] of wrong) assert.throws(() => join(options), { code: 'INVALID_OPTION', message });

  const cables = new Cables();
  const first = cables.plug(arena, { kind: 'patch', cable: 'c', bytes: 8192, latencyNanoseconds: 10 });
  const contradictions: [object, string][] = [
    [{ bytes: 4096 }, 'bytes: the other end of cable c has 8192'],
    [{ latencyNanoseconds: 0 }, 'latencyNanoseconds: the other end of cable c has 10'],
    [{ pause: true }, 'pause: the other end of cable c has false'],
  ];
  for (const [options, message] of contradictions) {
    assert.throws(() => cables.plug(arena, { kind: 'patch', cable: 'c', ...options }), {
      code: 'INVALID_OPTION',
      message,
    });
  }
  const second = cables.plug(arena, { kind: 'patch', cable: 'c', bytes: 8192, latencyNanoseconds: 10, pause: false });
  assert.ok(first.source.up);
  close(first);
  close(second);
});
