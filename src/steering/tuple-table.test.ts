import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createFlowKey,
  FLOW_DESTINATION,
  FLOW_KEY_WORDS,
  FLOW_PORTS,
  FLOW_SOURCE,
  type FlowKey,
} from '../packet/flow-key.js';
import { TupleTable } from './tuple-table.js';

/** xorshift, so that a failure can be repeated. */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

function maskOf(...words: readonly number[]): FlowKey {
  const mask = createFlowKey();
  for (const word of words) mask[word] = -1;
  return mask;
}

const NARROW = maskOf(FLOW_PORTS, FLOW_SOURCE, FLOW_DESTINATION);
const WIDE = createFlowKey().fill(-1);

test('property: finds what a map finds, narrow and wide, while values come and go', () => {
  for (const mask of [NARROW, WIDE, maskOf(FLOW_SOURCE + 3), maskOf(FLOW_DESTINATION + 1, FLOW_PORTS)]) {
    const random = seeded(17);
    const table = new TupleTable(mask, 3);
    const map = new Map<string, number>();
    for (let step = 0; step < 20_000; step++) {
      // Few different words, so that keys are met again, and neighbours in the table move.
      const key = createFlowKey().map(() => [0, 1, 1 << 31, 255, -1][random(5)]!);
      const masked = key.map((word, at) => word & mask[at]!);
      const name = String(masked);
      const at = table.find(key);
      assert.equal(at < 0 ? undefined : table.slots[at]! - 1, map.get(name), name);
      if (at < 0) {
        table.add(masked, step, step & 0xff);
        map.set(name, step);
        assert.equal(table.slots[table.find(key) + 1], step & 0xff);
      } else if (random(3) !== 0 || map.size > 200) {
        table.delete(at);
        map.delete(name);
        assert.equal(table.find(key), -1);
      }
      assert.equal(table.count, map.size);
    }
  }
});

test('values that an adversary would choose do not crowd together', () => {
  const sets: Record<string, [mask: FlowKey, value: (i: number) => FlowKey]> = {
    // What multiplication likes least: differences in upper bits only, of several words at a time.
    'upper bits of many words': [
      WIDE,
      (i) => createFlowKey().map((_, word) => (word < FLOW_KEY_WORDS - 4 ? ((i >> (2 * word)) & 3) << 30 : 0)),
    ],
    'sums that stay the same': [
      NARROW,
      (i) => {
        const key = createFlowKey();
        key[FLOW_SOURCE] = i << 8;
        key[FLOW_DESTINATION] = -(i << 8);
        return key;
      },
    ],
    'one after the other': [NARROW, (i) => createFlowKey().fill(i, FLOW_PORTS, FLOW_PORTS + 1)],
    'networks in order': [NARROW, (i) => createFlowKey().fill(i << 16, FLOW_SOURCE, FLOW_SOURCE + 1)],
  };
  for (const [name, [mask, value]] of Object.entries(sets)) {
    for (let seed = 0; seed < 8; seed++) {
      const table = new TupleTable(mask, seed);
      for (let i = 0; i < 16384; i++) if (table.find(value(i)) < 0) table.add(value(i), i, 0);
      assert.equal(table.count, 16384, name);
      const longest = table.longestProbe();
      assert.ok(longest <= 128, `${name}, seed ${seed}: ${longest} slots`);
    }
  }
});
