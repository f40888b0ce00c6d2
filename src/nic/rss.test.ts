import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PacketError } from '../errors.js';
import {
  createFlowKey,
  FLOW_DESTINATION,
  FLOW_FRAGMENT,
  FLOW_HAS_PORTS,
  FLOW_NETWORK,
  FLOW_PORTS,
  FLOW_SOURCE,
  FLOW_VERSION_SHIFT,
  type FlowKey,
} from '../packet/flow-key.js';
import { parseIpPrefix } from '../packet/ip-address.js';
import { MICROSOFT_RSS_KEY, RSS_KEY_BYTES, Rss, SYMMETRIC_RSS_KEY } from './rss.js';

function flow(source: string, sourcePort: number, destination: string, destinationPort: number): FlowKey {
  const from = parseIpPrefix(source)!;
  const key = createFlowKey();
  key[FLOW_NETWORK] = (from.version << FLOW_VERSION_SHIFT) | FLOW_HAS_PORTS | 6;
  key[FLOW_PORTS] = (sourcePort << 16) | destinationPort;
  key.set(from.words, FLOW_SOURCE);
  key.set(parseIpPrefix(destination)!.words, FLOW_DESTINATION);
  return key;
}

/** Microsoft, "Verifying the RSS Hash Calculation": source, destination, hash of the addresses, hash with TCP ports. */
const VECTORS = [
  ['66.9.149.187', 2794, '161.142.100.80', 1766, 0x323e8fc2, 0x51ccc178],
  ['199.92.111.2', 14230, '65.69.140.83', 4739, 0xd718262a, 0xc626b0ea],
  ['24.19.198.95', 12898, '12.22.207.184', 38024, 0xd2d0a5de, 0x5c2b394a],
  ['38.27.205.30', 48228, '209.142.163.6', 2217, 0x82989176, 0xafc7327f],
  ['153.39.163.191', 44251, '202.188.127.2', 1303, 0x5d1809c5, 0x10e828a2],
  ['3ffe:2501:200:1fff::7', 2794, '3ffe:2501:200:3::1', 1766, 0x2cc18cd5, 0x40207d3d],
  ['3ffe:501:8::260:97ff:fe40:efab', 14230, 'ff02::1', 4739, 0x0f0c461c, 0xdde51bbf],
  ['3ffe:1900:4545:3:200:f8ff:fe21:67cf', 44251, 'fe80::200:f8ff:fe21:67cf', 38024, 0x4b61e985, 0x02d1feef],
] as const;

test('the verification vectors that Microsoft publishes', () => {
  const withPorts = new Rss({ queues: 1 });
  const withoutPorts = new Rss({ queues: 1, ports: false });
  for (const [source, sourcePort, destination, destinationPort, addresses, ports] of VECTORS) {
    const key = flow(source, sourcePort, destination, destinationPort);
    assert.equal(withPorts.hash(key) >>> 0, ports, `${source} with ports`);
    assert.equal(withoutPorts.hash(key) >>> 0, addresses, `${source} without ports`);
    key[FLOW_NETWORK]! &= ~FLOW_HAS_PORTS;
    assert.equal(withPorts.hash(key) >>> 0, addresses, `${source}, a packet without ports`);
  }
});

test('all fragments of a packet have one hash', () => {
  const rss = new Rss({ queues: 4 });
  const first = flow('10.0.0.1', 1, '10.0.0.2', 2);
  first[FLOW_NETWORK]! |= FLOW_FRAGMENT;
  const later = first.slice();
  later[FLOW_NETWORK]! &= ~FLOW_HAS_PORTS;
  later[FLOW_PORTS] = 0;
  assert.equal(rss.hash(first), rss.hash(later));
});

test('with the symmetric key both directions have one hash', () => {
  const rss = new Rss({ queues: 4, key: SYMMETRIC_RSS_KEY });
  const plain = new Rss({ queues: 4 });
  for (const [source, sourcePort, destination, destinationPort] of VECTORS) {
    const there = flow(source, sourcePort, destination, destinationPort);
    const back = flow(destination, destinationPort, source, sourcePort);
    assert.equal(rss.hash(there), rss.hash(back));
    assert.notEqual(plain.hash(there), plain.hash(back));
  }
});

test('the table spreads flows over all queues, and what is not IP goes to the first entry', () => {
  const rss = new Rss({ queues: 4 });
  const packets = new Array<number>(4).fill(0);
  for (let port = 0; port < 4096; port++) packets[rss.queue(flow('10.0.0.1', port, '10.0.0.2', 53))]!++;
  for (const count of packets) assert.ok(count > 900 && count < 1150, `${packets}`);
  assert.equal(rss.queue(createFlowKey()), 0);
  assert.equal(rss.entries, 128);
});

test('queues can be taken out of the spread and put back', () => {
  const rss = new Rss({ queues: 4, entries: 8 });
  rss.spreadOver([1, 3]);
  assert.deepEqual([...rss.indirection], [1, 3, 1, 3, 1, 3, 1, 3]);
  assert.deepEqual(
    [0, 1, 2, 3].map((queue) => rss.reaches(queue)),
    [false, true, false, true],
  );
  rss.setIndirection([0, 0, 0, 0, 2, 2, 2, 2]);
  assert.equal(rss.queue(createFlowKey()), 0);
  assert.ok(rss.reaches(2) && !rss.reaches(1));
});

test('the key is the instance’s own', () => {
  const key = MICROSOFT_RSS_KEY.slice();
  const rss = new Rss({ queues: 1, key });
  key.fill(0);
  assert.deepEqual(rss.key, MICROSOFT_RSS_KEY);
  assert.equal(rss.key.length, RSS_KEY_BYTES);
});

test('wrong options are named', () => {
  const refused = (make: () => unknown, message: RegExp) =>
    assert.throws(
      make,
      (error) => error instanceof PacketError && error.code === 'INVALID_OPTION' && message.test(error.message),
    );
  refused(() => new Rss({ queues: 0 }), /RSS queues: 0 .* 1 to 65535/);
  refused(() => new Rss({ queues: 4, entries: 100 }), /RSS entries: 100 .* power of two/);
  refused(() => new Rss({ queues: 4, key: new Uint8Array(16) }), /RSS key: 16 bytes instead of 40/);
  const rss = new Rss({ queues: 2, entries: 4 });
  refused(() => rss.setIndirection([0, 1]), /RSS indirection: 2 entries instead of 4/);
  refused(() => rss.setIndirection([0, 1, -1, 0]), /RSS indirection\[2\]: -1/);
  refused(() => rss.spreadOver([]), /RSS queues: none/);
});
