import assert from 'node:assert/strict';
import { test } from 'node:test';
import { internetChecksum } from '../packet/checksum.js';
import { createFlowKey, parseFlowKey } from '../packet/flow-key.js';
import { Generator, type GeneratorOptions } from './generator.js';
import { receive, smallArena } from './test-support.js';

const arena = smallArena();

function generator(options: Omit<GeneratorOptions, 'kind'>): Generator {
  return new Generator(arena, { kind: 'generator', ...options });
}

test('sends its packets round and round, as fast as they are taken', () => {
  const source = generator({ packets: 100 });
  assert.equal(source.patient, true);
  const sent: string[] = [];
  for (let i = 0; i < 10; i++) sent.push(...receive(arena, source, 0, 64));
  assert.equal(new Set(sent).size, 100);
  for (let i = 100; i < sent.length; i++) assert.equal(sent[i], sent[i - 100]);
  assert.deepEqual({ ...source.counters }, { packets: sent.length, bytes: sent.length * 60, lost: 0 });
  source.close();
});

test('what is offered stays until it is taken', () => {
  const source = generator({ packets: 10, size: [64, 128] });
  const first = receive(arena, source, 0, 8, () => 3);
  const second = receive(arena, source, 0, 8, () => 0);
  const third = receive(arena, source, 0, 8);
  assert.deepEqual(second, []);
  assert.equal(first.length + third.length, 10);
  assert.equal(new Set([...first, ...third]).size, 10);
  assert.equal(source.counters.bytes, 5 * 60 + 5 * 124);
  source.close();
});

test('sizes count the FCS, flows and bursts are as asked for, checksums are right', () => {
  const source = generator({ packets: 60, size: [64, 512, 1518], flows: 5, burst: 3, port: 4000, pattern: 'random' });
  const { i32, u8 } = arena;
  assert.equal(source.offer(64, 0), 60);
  const key = createFlowKey();
  const flows: string[] = [];
  for (let i = 0; i < 60; i++) {
    const address = i32[(source.list >> 2) + 2 * i]!;
    const length = i32[(source.list >> 2) + 2 * i + 1]!;
    assert.equal(length, [60, 508, 1514][i % 3]);
    assert.equal(internetChecksum(u8, address + 14, 20), 0);
    parseFlowKey(u8, address, length, key);
    flows.push(Buffer.from(u8.slice(address + 26, address + 38)).toString('hex'));
    assert.equal((u8[address + 36]! << 8) | u8[address + 37]!, 4000);
  }
  assert.equal(new Set(flows).size, 5);
  assert.deepEqual(
    flows,
    flows.map((_, i) => flows[(Math.floor(i / 3) % 5) * 3]),
  );
  source.close();
});

test('paced, packet n is due n intervals after the first was asked for', () => {
  for (const packetsPerSecond of [1, 1e3, 333_333, 14_880_952, 1e9]) {
    const source = generator({ packets: 7, packetsPerSecond });
    const interval = 1e9 / packetsPerSecond;
    assert.equal(source.patient, false);
    const start = 12_345;
    assert.equal(source.nextArrival(start), start);
    let received = 0;
    for (let step = 0; step < 200; step++) {
      const now = start + step * 0.9 * interval;
      for (let more = 1; more > 0; received += more) more = receive(arena, source, now).length;
      const expected = Math.floor((now - start) / interval) + 1;
      assert.ok(Math.abs(received - expected) <= 1e-6, `${received} of ${expected} at ${packetsPerSecond}`);
      assert.ok(Math.abs(source.nextArrival(now) - (start + received * interval)) < 1e-3);
    }
    source.close();
  }
});

test('stops after a count', () => {
  const source = generator({ packets: 4, count: 10 });
  let sent = 0;
  for (let i = 0; i < 10; i++) sent += receive(arena, source, 0, 3).length;
  assert.equal(sent, 10);
  assert.equal(source.nextArrival(0), Number.POSITIVE_INFINITY);
  source.close();
});

test('wrong options are named, and leave nothing in the arena', () => {
  const wrong: [object, string][] = [
    [{ size: 63 }, 'size: 63 is not a whole number from 64 to 16000'],
    [{ size: [] }, 'size: the list of sizes is empty'],
    [{ packets: 0 }, 'packets: 0 is not a whole number from 1 to 1048576'],
    [{ packets: 10, flows: 11 }, 'flows: 11 is not a whole number from 1 to 10'],
    [{ packets: 10, burst: 0 }, 'burst: 0 is not a whole number from 1 to 10'],
    [{ port: 65536 }, 'port: 65536 is not a whole number from 0 to 65535'],
    [{ pattern: 'ones' }, 'pattern: ones is not one of count, zeros, random'],
    [{ count: -1 }, 'count: -1 is not a whole number from 0 to 9007199254740991'],
    [{ packetsPerSecond: 0 }, 'packetsPerSecond: 0 is not a number above 0 and at most 1e9'],
    [{ packetsPerSecond: '5' }, 'packetsPerSecond: 5 is not a number above 0 and at most 1e9'],
    [{ destinationMac: 'x' }, 'destinationMac: "x" is no Ethernet address, six bytes such as 02:00:00:00:00:01'],
  ];
  const before = arena.freeBytes;
  for (const [options, message] of wrong) {
    assert.throws(() => generator(options), { code: 'INVALID_OPTION', message });
    assert.equal(arena.freeBytes, before);
  }
});

test('more packets than the arena holds are refused', () => {
  assert.throws(() => generator({ packets: 10_000, size: 1518 }), { code: 'ARENA_EXHAUSTED' });
  assert.throws(() => generator({ packets: 2 ** 20, size: 16_000 }), { code: 'ARENA_EXHAUSTED' });
});
