import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PacketStatistics } from './packet-statistics.js';
import { Struct } from './struct.js';

test('counts are summed up over readings, which start them anew; packets include drops', () => {
  const statistics = new PacketStatistics();
  assert.deepEqual(statistics.take(0), { received: 0, sent: 0, drops: {} });
  statistics.add(new Struct(8).u32(0, 10));
  statistics.add(new Struct(12).u32(0, 7).u32(4, 3));
  statistics.add(new Struct(8));
  assert.deepEqual(statistics.take(5), { received: 14, sent: 5, drops: { 'receive-ring-full': 3 } });
  statistics.add(new Struct(8).u32(0, 0xffffffff).u32(4, 1));
  assert.equal(statistics.take(0).received, 14 + 2 ** 32 - 2);
});
