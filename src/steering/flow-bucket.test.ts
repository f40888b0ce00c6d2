import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomPacket } from '../../test/support/header-packets.js';
import { udpPacket } from '../../test/support/packets.js';
import { Random } from '../../test/support/random.js';
import { createFlowKey, FLOW_DESTINATION, FLOW_PORTS, FLOW_SOURCE, parseFlowKey } from '../packet/flow-key.js';
import { flowBucket } from './flow-bucket.js';

const bucketOf = (packet: Uint8Array): number => {
  const key = createFlowKey();
  parseFlowKey(packet, 0, packet.length, key);
  return flowBucket(key);
};

test('both directions of a connection are in one bucket', () => {
  const random = new Random(1);
  for (let i = 0; i < 2000; i++) {
    const packet = randomPacket(random);
    const key = createFlowKey();
    parseFlowKey(packet, 0, packet.length, key);
    const back = key.slice();
    back.copyWithin(FLOW_SOURCE, FLOW_DESTINATION, FLOW_DESTINATION + 4);
    back.set(key.subarray(FLOW_SOURCE, FLOW_SOURCE + 4), FLOW_DESTINATION);
    back[FLOW_PORTS] = (key[FLOW_PORTS]! << 16) | (key[FLOW_PORTS]! >>> 16);
    assert.equal(flowBucket(back), flowBucket(key));
  }
});

test('flows that differ in little spread evenly', () => {
  const kinds: ((i: number) => Parameters<typeof udpPacket>[0])[] = [
    (i) => ({ sourcePort: 1024 + i }),
    (i) => ({ source: `10.0.${i >> 8}.${i & 255}` }),
    (i) => ({ source: `10.0.${i >> 8}.${i & 255}`, destination: `10.1.${i >> 8}.${i & 255}` }),
    (i) => ({ source: `10.${i >> 8}.${i & 255}.1`, sourcePort: 2 * i }),
  ];
  for (const flow of kinds) {
    const counts = new Int32Array(16);
    for (let i = 0; i < 4096; i++) counts[bucketOf(udpPacket(flow(i))) & 15]!++;
    for (const count of counts) assert.ok(count > 128 && count < 512, `${flow}: ${counts}`);
  }
});

test('fragments of a packet are in one bucket, and what is not IP is in the first', () => {
  const first = udpPacket({ sourcePort: 1, destinationPort: 2 });
  first[20] = 0x20; // more fragments
  const later = udpPacket({ sourcePort: 3, destinationPort: 4 });
  later[21] = 1; // not at the beginning
  assert.equal(bucketOf(first), bucketOf(later));
  assert.equal(bucketOf(Uint8Array.of(...new Array(12).fill(1), 8, 6, 0, 0)), 0);
});
