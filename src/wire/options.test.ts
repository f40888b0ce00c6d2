import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readFile } from '../capture-file/test-support.js';
import { seeded } from '../packet/test-support.js';
import { Cables } from './cables.js';
import { buildWire, closeWire, type WireOptions, wireStatistics } from './options.js';
import { pcapOf, randomPackets, receive, Sender, smallArena } from './test-support.js';

const arena = smallArena();
const sender = new Sender(arena);
const FRAME = '00'.repeat(60);
const capture = pcapOf([{ data: FRAME, time: 0 }]);

test('every kind of wire is built from plain data, and gives everything back', () => {
  const kinds: WireOptions[] = [
    { kind: 'none' },
    { kind: 'generator' },
    { kind: 'replay', capture },
    { kind: 'patch', cable: 'a' },
    { kind: 'record' },
    { kind: 'record', wire: { kind: 'patch', cable: 'a' }, bytes: 8192 },
    { kind: 'fault', wire: { kind: 'generator', packetsPerSecond: 1000 }, drop: 0.5, reorder: 0.1 },
    {
      kind: 'fault',
      wire: { kind: 'record', wire: { kind: 'replay', capture } },
      flap: { upNanoseconds: 1, downNanoseconds: 1 },
    },
  ];
  const free = arena.freeBytes;
  for (const options of kinds) {
    const posted = structuredClone(options);
    const wire = buildWire(arena, posted);
    wire.source.offer(64, 0);
    sender.send(wire.sink, [FRAME]);
    closeWire(wire);
    assert.equal(arena.freeBytes, free, options.kind);
  }
});

test('wrong options are named, and leave nothing behind', () => {
  const fault = { kind: 'fault', wire: { kind: 'generator' } };
  let deep: object = { kind: 'none' };
  for (let i = 0; i < 8; i++) deep = { kind: 'record', wire: deep };
  const wrong: [unknown, string][] = [
    [undefined, 'wire: undefined is not the options of a wire'],
    ['generator', 'wire: generator is not the options of a wire'],
    [
      { kind: 'carrier pigeon' },
      'wire.kind: carrier pigeon is not one of none, generator, replay, patch, record, fault',
    ],
    [{ kind: 'fault' }, 'wire: undefined is not the options of a wire'],
    [{ ...fault, drop: 1.5 }, 'drop: 1.5 is not a number from 0 to 1'],
    [{ ...fault, corrupt: -0.1 }, 'corrupt: -0.1 is not a number from 0 to 1'],
    [{ ...fault, truncate: Number.NaN }, 'truncate: NaN is not a number from 0 to 1'],
    [{ ...fault, duplicate: '1' }, 'duplicate: 1 is not a number from 0 to 1'],
    [{ ...fault, reorder: 2 }, 'reorder: 2 is not a number from 0 to 1'],
    [{ ...fault, seed: -1 }, 'seed: -1 is not a whole number from 0 to 2147483647'],
    [{ ...fault, direction: 'up' }, 'direction: up is not one of receive, transmit, both'],
    [{ ...fault, flap: {} }, 'flap.upNanoseconds: undefined is not a number from 1 to 1000000000000'],
    [{ ...fault, flap: null }, 'flap: null is not an object with options'],
    [{ ...fault, flap: { up: 1 } }, 'flap: there is no option up (did you mean upNanoseconds?)'],
    [{ kind: 'replay', capture: new Uint8Array(), asEthernet: 'yes' }, 'asEthernet: yes is not true or false'],
    [
      { ...fault, flap: { upNanoseconds: 5, downNanoseconds: 0 } },
      'flap.downNanoseconds: 0 is not a number from 1 to 1000000000000',
    ],
    [
      { kind: 'record', bytes: 1, wire: { kind: 'generator' } },
      'bytes: 1 is not a whole number from 4096 to 1073741824',
    ],
    [{ kind: 'record', wire: { kind: 'generator', size: 1 } }, 'size: 1 is not a whole number from 64 to 16000'],
    [deep, 'wire: more than 8 wires around each other'],
  ];
  const free = arena.freeBytes;
  for (const [options, message] of wrong) {
    assert.throws(() => buildWire(arena, options as WireOptions), { code: 'INVALID_OPTION', message });
    assert.equal(arena.freeBytes, free, message);
  }
});

test('a wire that does not fit the arena gives back what it had, and its end of the cable', () => {
  const cables = new Cables();
  const patch: WireOptions = { kind: 'patch', cable: 'p', bytes: 4096 };
  const other = buildWire(arena, patch, { cables });
  const hog = arena.allocate(arena.freeBytes - 4096 * 16);
  const free = arena.freeBytes;
  const options: WireOptions = { kind: 'fault', wire: patch, drop: 0.1 };
  for (let i = 0; i < 3; i++) {
    assert.throws(() => buildWire(arena, options, { cables }), { code: 'ARENA_EXHAUSTED' });
    assert.equal(arena.freeBytes, free);
  }
  arena.free(hog);
  const wire = buildWire(arena, options, { cables });
  assert.ok(wire.source.up && other.source.up);
  closeWire(wire);
  closeWire(other);
});

test('what passes a cable with faults on it can be recorded in front of them and behind them', () => {
  const cables = new Cables();
  const patch: WireOptions = { kind: 'patch', cable: 'p' };
  const faults: WireOptions = { kind: 'fault', wire: patch, direction: 'transmit', drop: 0.4, duplicate: 0.4, seed: 9 };
  const a = buildWire(arena, { kind: 'record', wire: faults }, { cables, epochMilliseconds: 5000 });
  const b = buildWire(arena, patch, { cables });
  const packets = randomPackets(seeded(111), 200, 200);
  const arrived: string[] = [];
  for (let i = 0; i < packets.length; i += 20) {
    sender.send(a.sink, packets.slice(i, i + 20), i);
    arrived.push(...receive(arena, b.source, i, 64));
  }
  const recorded = readFile(a.recorder!.take()).packets;
  assert.deepEqual(
    recorded.map((packet) => packet.data),
    packets,
  );
  assert.ok(recorded.every((packet) => packet.seconds === 5));
  const statistics = wireStatistics(a);
  const dropped = statistics.wire_tx_fault_dropped!;
  const duplicated = statistics.wire_tx_fault_duplicated!;
  assert.ok(dropped > 50 && duplicated > 20);
  assert.equal(arrived.length, 200 - dropped + duplicated);
  assert.equal(statistics.wire_tx_packets, 200);
  assert.equal(statistics.wire_tx_recorded, 200);
  assert.equal(statistics.wire_tx_lost, dropped);
  assert.deepEqual(wireStatistics(b), {
    wire_rx_packets: arrived.length,
    wire_rx_lost: 0,
    wire_tx_packets: 0,
    wire_tx_lost: 0,
  });
  closeWire(a);
  closeWire(b);
});

test('losses of wrapped wires count, and equal counts of nested ones add up', () => {
  const cables = new Cables();
  const patch: WireOptions = { kind: 'patch', cable: 'p', bytes: 4096 };
  const faults = { kind: 'fault', direction: 'transmit', drop: 0.5 } as const;
  const a = buildWire(arena, { ...faults, seed: 2, wire: { ...faults, seed: 3, wire: patch } }, { cables });
  const b = buildWire(arena, patch, { cables });
  for (let i = 0; i < 20; i++) sender.send(a.sink, new Array(50).fill(FRAME));
  const arrived = receive(arena, b.source, 0).length;
  assert.equal(arrived, 64);
  const { wire_tx_packets, wire_tx_lost, wire_tx_fault_dropped } = wireStatistics(a);
  assert.equal(wire_tx_packets, 1000);
  assert.equal(wire_tx_lost, 1000 - arrived);
  assert.ok(wire_tx_fault_dropped! > 650 && wire_tx_fault_dropped! < 850);
  closeWire(a);
  closeWire(b);
});
