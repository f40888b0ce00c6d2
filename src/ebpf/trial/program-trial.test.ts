import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Arena } from '../../arena/arena.js';
import { PACKET_DATA, PACKET_LIMIT, XDP_PASS, XDP_REDIRECT, XDP_TX } from '../execution.js';
import { assemble } from '../text/assemble.js';
import { measureProgram } from './measure.js';
import { PacketPlaces, TRIAL_HEADROOM } from './packet-places.js';
import { ProgramTrial } from './program-trial.js';

const ORIGIN = { ingressInterface: 5, queue: 3 };

function trialOf(text: string, longest = 64): ProgramTrial {
  const object = assemble(text);
  return new ProgramTrial(object, object.programs[0]!, longest, ORIGIN);
}

test('each packet begins anew, and comes back as the program has left it', () => {
  const trial = trialOf('r2 = *(u32 *)(r1 +0)\nr0 = *(u8 *)(r2 +0)\n*(u8 *)(r2 +0) = 3\nexit\n');
  const packet = Uint8Array.from([2, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7]);
  for (let i = 0; i < 2; i++) {
    const outcome = trial.run(packet, false);
    assert.equal(outcome.verdict, XDP_PASS);
    assert.deepEqual(outcome.packet, Uint8Array.from([3, ...packet.subarray(1)]));
    assert.equal(outcome.executed, 4);
    assert.equal(outcome.trace, undefined);
  }
  assert.equal(packet[0], 2, 'the packet given is not written to');
});

test('programs see where packets came from, and can grow them as in Linux', () => {
  const trial = trialOf(`
    r6 = r1
    r2 = -${TRIAL_HEADROOM}
    call bpf_xdp_adjust_head#44
    if r0 != 0 goto failed
    r0 = *(u32 *)(r6 +12)
    r0 <<= 8
    r1 = *(u32 *)(r6 +16)
    r0 |= r1
  failed:
    exit`);
  const { verdict, packet } = trial.run(new Uint8Array(60), false);
  assert.equal(verdict, 0x503);
  assert.equal(packet.length, 60 + TRIAL_HEADROOM);
});

test('maps keep what one packet left for the next, and redirections say where', () => {
  const trial = trialOf(`
    .map counts array key 4 value 8 entries 1
    r1 = map[counts][0]+0
    r2 = 1
    r2 = atomic64_fetch_add((u64 *)(r1 +0), r2)
    r1 = r2
    r2 = 0
    call bpf_redirect#23
    exit`);
  for (const target of [0, 1, 2]) {
    const { verdict, redirect } = trial.run(new Uint8Array(60), false);
    assert.deepEqual([verdict, redirect], [XDP_REDIRECT, { map: undefined, target }]);
  }
  assert.deepEqual([...trial.maps[0]!.lookup(new Uint8Array(4))!], [3, 0, 0, 0, 0, 0, 0, 0]);
});

test('pointers in a trace have names', () => {
  const trial = trialOf(`
    .map counts array key 4 value 12 entries 4
    r2 = *(u32 *)(r1 +0)
    r2 += -3
    r3 = r1
    r4 = r10
    r4 += -8
    r5 = map[counts][0]+4
    r5 += 32
    r0 = 0x7fffffffff ll
    r0 = 0
    exit`);
  const { trace } = trial.run(new Uint8Array(60), true);
  const names = trace!.map(
    ({ written: [first] }) => first && trial.landmarks.nameOf(first.value, trial.landmarks.firstFrame),
  );
  assert.deepEqual(names, [
    'packet+0',
    'packet-3',
    'ctx+0',
    'fp+0',
    'fp-8',
    'counts[0]+4',
    'counts[2]+4',
    undefined,
    undefined,
    undefined,
  ]);
});

test('places take as many packets as fit, and go on where they ended', () => {
  const arena = Arena.create(2 ** 20);
  const packets = [100, 1000, 20, 3500, 64].map((length, index) => new Uint8Array(length).fill(index + 1));
  const places = new PacketPlaces(arena, ORIGIN, 3, 4096);
  const taken: number[][] = [];
  for (let at = 0; at < packets.length; ) {
    const count = places.fill(packets, at);
    for (let i = 0; i < count; i++) assert.deepEqual(places.packet(i), packets[at + i]);
    for (let i = 1; i < count; i++) assert.ok(places.word(i, PACKET_DATA) > places.word(i - 1, PACKET_LIMIT));
    taken.push([at, count]);
    at += count;
  }
  assert.deepEqual(taken, [
    [0, 3],
    [3, 1],
    [4, 1],
  ]);
});

test('a program is measured on packets of all lengths, more than fit at once', () => {
  const object = assemble('r0 = 3\nexit\n');
  const packets = Array.from({ length: 700 }, (_, index) => new Uint8Array(index % 2 === 0 ? 60_000 : 60));
  assert.ok(measureProgram(object, object.programs[0]!, packets, ORIGIN, 0.01) > 0);
  assert.equal(new ProgramTrial(object, object.programs[0]!, 60_000, ORIGIN).run(packets[0]!, false).verdict, XDP_TX);
});
