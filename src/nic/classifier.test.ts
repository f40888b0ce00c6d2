import assert from 'node:assert/strict';
import { test } from 'node:test';
import { udpPacket } from '../../test/support/packets.js';
import { Random } from '../../test/support/random.js';
import { Arena } from '../arena/arena.js';
import { createFlowKey, parseFlowKey } from '../packet/flow-key.js';
import { Classifier, type ClassifierOptions, MOST_SPREAD_QUEUES } from './classifier.js';
import { Rss } from './rss.js';

const arena = Arena.create(2 ** 22);
const memory = arena.allocate(2 ** 20).offset;

function classifier(options: Partial<ClassifierOptions> = {}): Classifier {
  return new Classifier(arena, { queues: 4, rules: 100, ...options });
}

/** Lays packets out; returns the arena offset of their list. */
function listOf(packets: readonly Uint8Array[]): number {
  let at = memory + packets.length * 8;
  packets.forEach((packet, i) => {
    arena.u8.set(packet, at);
    arena.i32.set([at, packet.length], (memory >> 2) + i * 2);
    at += packet.length;
  });
  return memory;
}

function flow(n: number): Uint8Array {
  return udpPacket({ source: `10.1.${n >> 8}.${n & 255}`, sourcePort: 5000 + n });
}

/** The queue of each packet, by runs. */
function queues(of: Classifier, packets: readonly Uint8Array[]): { queues: number[]; hashes: number[]; runs: number } {
  const list = listOf(packets);
  const result: number[] = [];
  const hashes: number[] = [];
  let runs = 0;
  while (result.length < packets.length) {
    const run = of.run(list + result.length * 8, packets.length - result.length);
    assert.ok(run >= 1);
    for (let i = 0; i < run; i++) {
      if (of.hashes !== 0) hashes.push(arena.i32[(of.hashes >> 2) + i]!);
      result.push(of.queue);
    }
    runs++;
  }
  return { queues: result, hashes, runs };
}

test('with one queue and no rules, nobody needs to look at packets', () => {
  const one = classifier({ queues: 1 });
  assert.equal(one.simple, true);
  assert.equal(one.queue, 0);
  const handle = one.add({ protocol: 'udp' }, 0);
  assert.equal(one.simple, false);
  one.remove(handle);
  assert.equal(one.simple, true);
  assert.equal(classifier({ queues: 2 }).simple, false);
});

test('RSS: a flow stays on its queue, flows are spread, and the hash is told for each packet', () => {
  const spread = classifier();
  const packets = Array.from({ length: 200 }, (_, i) => flow(i % 100));
  const { queues: found, hashes } = queues(spread, packets);
  assert.deepEqual(found.slice(0, 100), found.slice(100));
  assert.deepEqual(new Set(found), new Set([0, 1, 2, 3]));
  const rss = new Rss({ queues: 4 });
  const key = createFlowKey();
  packets.forEach((packet, i) => {
    parseFlowKey(packet, 0, packet.length, key);
    assert.equal(hashes[i], rss.hash(key) | 0);
    assert.equal(found[i], rss.queueOf(rss.hash(key)));
  });
});

test('packets that follow each other for one queue are one run', () => {
  const spread = classifier();
  const packets = [1, 1, 1, 1, 1].flatMap((_, i) => Array<Uint8Array>(20).fill(flow(i)));
  const { queues: found, runs } = queues(spread, packets);
  const changes = found.filter((queue, i) => i > 0 && queue !== found[i - 1]).length;
  assert.equal(runs, changes + 1);
});

test('a run never goes beyond its bound, however long the list', () => {
  const spread = classifier({ queues: 2 });
  const packets = Array<Uint8Array>(3000).fill(flow(1));
  assert.equal(queues(spread, packets).queues.length, 3000);
  assert.equal(queues(spread, packets).hashes.length, 3000);
});

test('rules come before RSS, the more specific ones before others; they go as they came', () => {
  const spread = classifier({ queues: 8 });
  const dns = udpPacket({ destinationPort: 53 });
  const [ordinary] = queues(spread, [dns]).queues;
  const broad = spread.add({ protocol: 'udp' }, 6);
  assert.deepEqual(queues(spread, [dns, flow(1)]).queues, [6, 6]);
  const narrow = spread.add({ protocol: 'udp', destinationPort: 53 }, 7);
  assert.deepEqual(queues(spread, [dns, flow(1), dns]).queues, [7, 6, 7]);
  spread.remove(broad);
  assert.deepEqual(queues(spread, [dns]).queues, [7]);
  spread.remove(narrow);
  assert.deepEqual(queues(spread, [dns]).queues, [ordinary]);
});

test('more rules than the device holds are refused; a device may hold none', () => {
  const small = classifier({ rules: 2 });
  small.add({ port: 1, protocol: 'udp' }, 0); // two tuples: either end
  assert.throws(() => small.add({ vlan: 1 }, 0), { code: 'FLOW_TABLE_FULL' });
  const none = classifier({ rules: 0 });
  assert.throws(() => none.add({ vlan: 1 }, 0), { name: 'PacketError', code: 'RULES_UNSUPPORTED' });
  assert.equal(queues(none, [flow(1)]).queues.length, 1);
});

test('a queue can leave RSS and come back, but not the last one', () => {
  const spread = classifier();
  const packets = Array.from({ length: 100 }, (_, i) => flow(i));
  assert.equal(spread.setSpread(2, false), true);
  assert.deepEqual([...spread.spread()], [0, 1, 3]);
  assert.ok(!queues(spread, packets).queues.includes(2));
  for (const queue of [0, 1]) spread.setSpread(queue, false);
  assert.equal(spread.setSpread(3, false), false);
  assert.deepEqual(new Set(queues(spread, packets).queues), new Set([3]));
  for (const queue of [2, 0, 1, 1]) assert.equal(spread.setSpread(queue, true), true);
  assert.deepEqual([...spread.spread()], [0, 1, 2, 3]);
});

test('with thousands of queues RSS uses the first of them, rules reach all', () => {
  const many = classifier({ queues: 4096, rules: 8192 });
  assert.equal(many.spread().length, MOST_SPREAD_QUEUES);
  for (let queue = 64; queue < 4096; queue++) {
    many.add({ protocol: 'udp', source: `10.1.${queue >> 8}.${queue & 255}` }, queue);
  }
  const numbers = [64, 100, 1000, 4095, 3];
  const found = queues(many, numbers.map(flow)).queues;
  assert.deepEqual(found.slice(0, 4), [64, 100, 1000, 4095]);
  assert.ok(found[4]! < MOST_SPREAD_QUEUES);
});

test('what is not IP, cut off or random goes to some queue of RSS', () => {
  const spread = classifier();
  const random = new Random(4);
  const packets = Array.from({ length: 300 }, () => {
    const packet = random.oneIn(2)
      ? new Uint8Array(random.between(1, 80))
      : flow(random.below(50)).slice(0, random.between(1, 60));
    if (random.oneIn(2)) random.fill(packet, Math.min(12, packet.length), packet.length);
    return packet;
  });
  assert.ok(queues(spread, packets).queues.every((queue) => queue >= 0 && queue < 4));
  assert.deepEqual(queues(spread, [new Uint8Array(60)]).hashes, [0]);
});
