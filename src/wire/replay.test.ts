import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readFile as readCaptureFile } from '../capture-file/test-support.js';
import { randomBytes, seeded } from '../packet/test-support.js';
import { Replay, type ReplayOptions } from './replay.js';
import { pcapOf, type Recorded, randomPackets, receive, smallArena, toHex } from './test-support.js';

const arena = smallArena(2 ** 24);
const START = 1_600_000_000_000_000_000;

function replay(capture: Uint8Array, options: Omit<ReplayOptions, 'kind' | 'capture'> = {}): Replay {
  return new Replay(arena, { kind: 'replay', capture, ...options });
}

/** Takes everything that ever comes, jumping to the next arrival; packets with their times. */
function play(source: Replay, limit = 1e5): { packets: string[]; times: number[] } {
  const packets: string[] = [];
  const times: number[] = [];
  let now = 1000;
  while (packets.length < limit) {
    const next = source.nextArrival(now);
    if (next === Number.POSITIVE_INFINITY) break;
    now = Math.max(now, next);
    const got = receive(arena, source, now, 64);
    packets.push(...got);
    for (const _ of got) times.push(now - 1000);
  }
  return { packets, times };
}

function recorded(packets: readonly string[], times: readonly number[]): Recorded[] {
  return packets.map((data, i) => ({ data, time: START + times[i]! }));
}

test('a replay is the bytes of the capture in their order, however much is asked for and taken', () => {
  const random = seeded(51);
  for (let round = 0; round < 30; round++) {
    const packets = randomPackets(random, 1 + random(200));
    const rounds = 1 + random(3);
    const source = replay(
      pcapOf(
        recorded(
          packets,
          packets.map(() => 0),
        ),
      ),
      { pace: 'max', loop: rounds },
    );
    assert.equal(source.patient, true);
    const got: string[] = [];
    while (source.nextArrival(0) === 0) {
      got.push(...receive(arena, source, 0, 1 + random(80), (offered) => random(offered + 1)));
    }
    assert.deepEqual(got, Array.from({ length: rounds }, () => packets).flat());
    assert.equal(source.counters.packets, got.length);
    assert.equal(
      source.counters.bytes,
      got.reduce((sum, packet) => sum + packet.length / 2, 0),
    );
    assert.deepEqual(receive(arena, source, 0), []);
    source.close();
  }
});

test('at the recorded pace, packets come as far apart as they were', () => {
  const random = seeded(52);
  const packets = randomPackets(random, 300, 100);
  let at = 0;
  const times = packets.map(() => (at += random(4) === 0 ? 0 : 1024 * random(5000)));
  const relative = times.map((time) => time - times[0]!);
  const source = replay(pcapOf(recorded(packets, times)));
  assert.equal(source.patient, false);
  assert.deepEqual(play(source), { packets, times: relative });
  source.close();
  const faster = replay(pcapOf(recorded(packets, times)), { speed: 4, pace: 'recorded' });
  assert.deepEqual(
    play(faster).times,
    relative.map((time) => time / 4),
  );
  faster.close();
});

test('rounds follow each other an average gap apart', () => {
  const packets = randomPackets(seeded(53), 3, 60);
  const source = replay(pcapOf(recorded(packets, [0, 1024, 4096])), { loop: true });
  assert.deepEqual(play(source, 9).times, [0, 1024, 4096, 6144, 7168, 10240, 12288, 13312, 16384]);
  source.close();
  const single = replay(pcapOf(recorded(packets.slice(0, 1), [0])), { loop: 3 });
  assert.deepEqual(play(single).times, [0, 1000, 2000]);
  single.close();
});

test('at a steady rate, times in the file do not matter', () => {
  const packets = randomPackets(seeded(54), 5, 60);
  const source = replay(pcapOf(recorded(packets, [9e9, 1, 2, 3, 4])), { packetsPerSecond: 1e6, loop: 2 });
  const { times } = play(source);
  assert.deepEqual(times, [0, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000]);
  source.close();
});

test('a late device gets all that has come due', () => {
  const packets = randomPackets(seeded(55), 100, 60);
  const source = replay(
    pcapOf(
      recorded(
        packets,
        packets.map((_, i) => i * 1024),
      ),
    ),
  );
  assert.equal(receive(arena, source, 0).length, 1);
  assert.equal(receive(arena, source, 30 * 1024).length, 30);
  assert.equal(receive(arena, source, 30 * 1024).length, 0);
  assert.equal(receive(arena, source, 1e6).length, 64);
  assert.equal(receive(arena, source, 1e6).length, 5);
  source.close();
});

test('times that fall, and clocks that were set, do not stop a replay', () => {
  const random = seeded(56);
  const packets = randomPackets(random, 6, 60);
  const play6 = (times: number[]) => {
    const source = replay(pcapOf(recorded(packets, times)));
    const result = play(source).times;
    source.close();
    return result;
  };
  // Written in another order: due with the latest before them.
  assert.deepEqual(play6([0, 4096, 2048, 8192, 7168, 9216]), [0, 4096, 4096, 8192, 8192, 9216]);
  // Set back by an hour: goes on from there.
  const hour = 3600 * 1e9;
  assert.deepEqual(
    play6([0, 4096, 4096 - hour, 8192 - hour, 8192 - hour, 9216 - hour]),
    [0, 4096, 4096, 8192, 8192, 9216],
  );
  // One wild time costs a day, no more.
  const day = 24 * hour;
  assert.deepEqual(play6([0, 1024, 5e17, 2048, 3072, 4096]), [0, 1024, 1024 + day, 1024 + day, 2048 + day, 3072 + day]);
});

test('random times: they never fall, and the replay comes to its end', () => {
  const random = seeded(57);
  for (let round = 0; round < 50; round++) {
    const packets = randomPackets(random, 20, 60);
    const times = packets.map(() => random(2) * random(2 ** 31) * random(2 ** 31) - START);
    const source = replay(pcapOf(packets.map((data, i) => ({ data, time: START + times[i]! }))));
    const got = play(source);
    assert.deepEqual(got.packets, packets);
    assert.deepEqual(
      got.times,
      [...got.times].sort((a, b) => a - b),
    );
    assert.ok(got.times.at(-1)! < Number.MAX_SAFE_INTEGER);
    source.close();
  }
});

test('a damaged file is replayed up to the damage, which is told', () => {
  const random = seeded(58);
  const packets = randomPackets(random, 10);
  const file = pcapOf(
    recorded(
      packets,
      packets.map(() => 0),
    ),
  );
  let readable = 0;
  for (let cut = file.length; cut >= 0; cut -= 1 + random(200)) {
    const part = file.slice(0, cut);
    const expected = readCaptureFile(part);
    if (expected.packets.length === 0) {
      assert.throws(() => replay(part), { code: cut < 24 || expected.error ? 'CAPTURE_CORRUPT' : 'INVALID_OPTION' });
      continue;
    }
    const source = replay(part, { pace: 'max' });
    assert.deepEqual(source.damage, expected.error);
    assert.deepEqual(
      play(source).packets,
      expected.packets.map((packet) => packet.data),
    );
    source.close();
    readable++;
  }
  assert.ok(readable > 5);
});

test('no file, however broken, does anything but be replayed or refused; nothing stays in the arena', () => {
  const random = seeded(59);
  const before = arena.freeBytes;
  const packets = randomPackets(random, 10, 200);
  const file = pcapOf(
    recorded(
      packets,
      packets.map((_, i) => i * 1e6),
    ),
  );
  for (let round = 0; round < 500; round++) {
    const broken = file.slice(0, random(8) === 0 ? random(file.length) : file.length);
    for (let i = random(6); i > 0; i--) broken[random(2) ? random(broken.length) : random(60)] = random(256);
    try {
      const source = replay(broken, { asEthernet: random(2) === 0, loop: 2 });
      const { packets } = play(source);
      assert.ok(packets.length <= 20);
      source.close();
    } catch (error) {
      const { code } = error as { code?: string };
      assert.ok(['CAPTURE_CORRUPT', 'CAPTURE_UNSUPPORTED', 'INVALID_OPTION'].includes(code!), String(error));
    }
    assert.equal(arena.freeBytes, before);
  }
});

test('what is too short for Ethernet is left out, what was cut is sent as it is; both are counted', () => {
  const [a, b, c] = randomPackets(seeded(60), 3, 100) as [string, string, string];
  const source = replay(
    pcapOf([
      { data: a, time: START },
      { data: '0102', time: START },
      { data: b, time: START, originalLength: 1500 },
      { data: '', time: START, originalLength: 60 },
      { data: c, time: START },
    ]),
  );
  assert.deepEqual(play(source).packets, [a, b, c]);
  assert.deepEqual(source.details, { capture_too_short: 2, capture_cut: 1 });
  source.close();
});

test('other link types are refused, or get an Ethernet header', () => {
  const ipv4 = toHex(Uint8Array.of(0x45, ...randomBytes(seeded(61), 39)));
  const ipv6 = toHex(Uint8Array.of(0x60, ...randomBytes(seeded(62), 59)));
  const made = '020000000002020000000001';
  const cases: [number, string, string | undefined][] = [
    [101, ipv4, `${made}0800${ipv4}`],
    [101, ipv6, `${made}86dd${ipv6}`],
    [113, `0000000100060a0b0c0d0e0f00000806${ipv4}`, `0200000000020a0b0c0d0e0f0806${ipv4}`],
    [113, `00000304000000000000000000000800${ipv4}`, `${made}0800${ipv4}`],
    [276, `86dd0000000000020001000${'6'}0a0b0c0d0e0f0000${ipv6}`, `0200000000020a0b0c0d0e0f86dd${ipv6}`],
    [105, ipv4, undefined],
  ];
  for (const [linkType, data, expected] of cases) {
    const file = pcapOf([{ data, time: START }], linkType);
    assert.throws(() => replay(file), { code: 'CAPTURE_UNSUPPORTED' });
    if (expected === undefined) {
      assert.throws(() => replay(file, { asEthernet: true }), { code: 'CAPTURE_UNSUPPORTED' });
      continue;
    }
    const source = replay(file, { asEthernet: true });
    assert.deepEqual(play(source).packets, [expected]);
    source.close();
  }
  // Cut within what would be replaced.
  const short = pcapOf(
    [
      { data: '00000001', time: START },
      { data: cases[2]![1], time: START },
    ],
    113,
  );
  const source = replay(short, { asEthernet: true });
  assert.equal(play(source).packets.length, 1);
  assert.equal(source.details.capture_too_short, 1);
  source.close();
});

test('wrong options are named', () => {
  const capture = pcapOf([{ data: '00'.repeat(60), time: START }]);
  const wrong: [object, string][] = [
    [{ capture: 'x.pcap' }, 'capture: string is not the bytes of a file (a Uint8Array)'],
    [{ pace: 'slow' }, 'pace: slow is not one of recorded, max'],
    [{ loop: 0 }, 'loop: 0 is not a whole number from 1 to 9007199254740991'],
    [{ speed: 0 }, 'speed: 0 is not a number from 0.000001 to 1000000'],
    [{ speed: 2, pace: 'max' }, 'speed: 2 is for the recorded pace only, not with pace max or packetsPerSecond'],
    [{ packetsPerSecond: 2e9 }, 'packetsPerSecond: 2000000000 is not a number above 0 and at most 1e9'],
    [{ packetsPerSecond: 5, pace: 'max' }, 'pace: max contradicts packetsPerSecond'],
    [{ capture: pcapOf([]) }, 'capture: the file holds no packet that could be replayed'],
  ];
  for (const [options, message] of wrong) {
    assert.throws(() => replay(capture, options), { code: 'INVALID_OPTION', message });
  }
});

// Captures of many programs that are not part of the project: a folder of them may be named, or lie beside the project.
const FOLDER = process.env.TP4_CAPTURES ?? join('..', 'shared', 'data', 'captures');
const files = existsSync(FOLDER) ? readdirSync(FOLDER).filter((name) => /\.pcap(ng)?$/.test(name)) : [];

test('files of other programs are replayed as they are', { skip: files.length === 0 && 'no capture files' }, () => {
  let replayed = 0;
  for (const name of files) {
    const bytes = new Uint8Array(readFileSync(join(FOLDER, name)));
    const expected = readCaptureFile(bytes).packets;
    if (expected.length === 0 || expected.some((packet) => packet.linkType !== 1)) {
      const code = expected.length === 0 ? 'INVALID_OPTION' : 'CAPTURE_UNSUPPORTED';
      assert.throws(() => replay(bytes), { code }, name);
      continue;
    }
    const source = replay(bytes);
    const whole = expected.filter((packet) => packet.data.length >= 28);
    assert.deepEqual(
      play(source).packets,
      whole.map((packet) => packet.data),
      name,
    );
    source.close();
    replayed++;
  }
  assert.ok(replayed > 0);
});
