import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Struct } from './struct.js';
import { XdpStatistics } from './xdp-statistics.js';

/** struct xdp_statistics */
const raw = (dropped = 0, invalidReceive = 0, invalidTransmit = 0, ringFull = 0, fillEmpty = 0): Struct =>
  new Struct(48).u64(0, dropped).u64(8, invalidReceive).u64(16, invalidTransmit).u64(24, ringFull).u64(32, fillEmpty);

test('every drop has its place', () => {
  const statistics = new XdpStatistics();
  statistics.read(raw(10, 1, 2, 30, 7));
  assert.deepEqual(statistics.take(4).drops, {
    'receive-ring-full': 30,
    'invalid-descriptor': 3,
    'transmit-error': 4,
    'too-long': 3, // 10 that had no frame or did not fit one, 7 of them without
    'fill-ring-empty': 7,
  });
  statistics.bound(true);
  assert.deepEqual(statistics.take(0).drops, { 'receive-ring-full': 30, 'invalid-descriptor': 3, 'too-long': 10 });
  assert.deepEqual(new XdpStatistics().take(0), { received: 0, sent: 0, drops: {} });
});

test('received and sent follow the indices over their wrap-around', () => {
  const words = new Int32Array(new SharedArrayBuffer(64));
  words[1] = -10; // RX producer
  words[2] = -3; // TX consumer
  words[3] = 0x7ffffffe; // completion producer
  const statistics = new XdpStatistics();
  statistics.observe(words, 4, { consumer: 8, completed: 12 });
  statistics.read(raw());
  assert.deepEqual(statistics.take(0), { received: 0, sent: 0, drops: {} });
  words[1] = 20;
  words[2] = 5;
  words[3] = (0x7ffffffe + 6) | 0;
  statistics.read(raw());
  assert.deepEqual(statistics.take(0), { received: 30, sent: 6, drops: {} }); // two of eight are still on their way
  words[1] = 19;
  statistics.read(raw());
  assert.equal(statistics.take(0).received, 30 + 2 ** 32 - 1);
});

test('invalid and refused packets were not sent, whether they were completed or not', () => {
  for (const completed of [7, 10]) {
    const words = new Int32Array(new SharedArrayBuffer(64));
    const statistics = new XdpStatistics();
    statistics.observe(words, undefined, { consumer: 8, completed: 12 });
    words[2] = 10;
    words[3] = completed;
    statistics.read(raw(0, 0, 3));
    assert.equal(statistics.take(2).sent, 5);
  }
});
