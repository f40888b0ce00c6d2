import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PacketError } from '../errors.js';
import {
  createFlowKey,
  FLOW_DESTINATION,
  FLOW_HAS_PORTS,
  FLOW_LINK,
  FLOW_NETWORK,
  FLOW_PORTS,
  FLOW_SOURCE,
  FLOW_TAGGED,
  FLOW_VERSION_SHIFT,
  FLOW_VLAN_SHIFT,
  type FlowKey,
} from '../packet/flow-key.js';
import { parseIpPrefix } from '../packet/ip-address.js';
import { FlowTable } from './flow-table.js';
import type { FlowRule, Ports } from './rules.js';

/** A packet as a person would describe it. */
interface Packet {
  readonly etherType?: number;
  readonly vlan?: number;
  readonly protocol?: number;
  readonly source?: string;
  readonly destination?: string;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
}

function keyOf(packet: Packet): FlowKey {
  const key = createFlowKey();
  const version = packet.source === undefined ? 0 : parseIpPrefix(packet.source)!.version;
  key[FLOW_LINK] = packet.etherType ?? (version === 4 ? 0x0800 : version === 6 ? 0x86dd : 0);
  if (packet.vlan !== undefined) key[FLOW_LINK]! |= FLOW_TAGGED | (packet.vlan << FLOW_VLAN_SHIFT);
  if (version === 0) return key;
  key[FLOW_NETWORK] = (version << FLOW_VERSION_SHIFT) | packet.protocol!;
  key.set(parseIpPrefix(packet.source!)!.words, FLOW_SOURCE);
  key.set(parseIpPrefix(packet.destination!)!.words, FLOW_DESTINATION);
  if (packet.sourcePort !== undefined) {
    key[FLOW_NETWORK]! |= FLOW_HAS_PORTS;
    key[FLOW_PORTS] = (packet.sourcePort << 16) | packet.destinationPort!;
  }
  return key;
}

const udp = (source: string, sourcePort: number, destination: string, destinationPort: number): FlowKey =>
  keyOf({ protocol: 17, source, sourcePort, destination, destinationPort });

test('rules steer to targets; what no rule matches gives -1', () => {
  const table = new FlowTable();
  assert.equal(table.lookup(createFlowKey()), -1);
  table.add({ protocol: 'udp', port: 53 }, 3);
  table.add({ etherType: 'arp' }, 4);
  assert.equal(table.lookup(udp('10.0.0.1', 53, '10.0.0.2', 4000)), 3);
  assert.equal(table.lookup(udp('fe80::1', 4000, 'fe80::2', 53)), 3);
  assert.equal(table.lookup(udp('10.0.0.1', 54, '10.0.0.2', 4000)), -1);
  assert.equal(table.lookup(keyOf({ etherType: 0x0806 })), 4);
  assert.deepEqual([table.size, table.tuples, table.shapes], [2, 3, 3]);
});

test('protocol 0 does not match what is not IP, nor port 0 what has no ports', () => {
  const table = new FlowTable();
  table.add({ protocol: 0 }, 1);
  table.add({ port: [0, 1023] }, 2);
  assert.equal(table.lookup(keyOf({ etherType: 0x0806 })), -1);
  assert.equal(table.lookup(keyOf({ protocol: 1, source: '10.0.0.1', destination: '10.0.0.2' })), -1);
  assert.equal(table.lookup(keyOf({ protocol: 0, source: '10.0.0.1', destination: '10.0.0.2' })), 1);
});

test('the rule that compares most bits wins, between equals the oldest', () => {
  const table = new FlowTable();
  const key = udp('10.1.2.3', 1000, '10.0.0.2', 53);
  const expect = (target: number) => assert.equal(table.lookup(key), target);
  table.add({ source: '10.0.0.0/8' }, 1);
  expect(1);
  const narrow = table.add({ source: '10.1.0.0/16' }, 2);
  expect(2);
  const port = table.add({ port: 53 }, 3); // 16 bits as well, but younger
  expect(2);
  table.remove(narrow);
  expect(3);
  table.add({ source: '10.1.0.0/16' }, 4);
  expect(3);
  table.remove(port);
  expect(4);
  table.add({ source: '10.1.0.0/16' }, 5); // the same rule for another target
  expect(4);
});

test('lookupAll finds each target once, those with most bits first', () => {
  const table = new FlowTable();
  const key = udp('10.1.2.3', 53, '10.0.0.2', 53);
  const into = new Int32Array(8);
  const found = () => [...into.subarray(0, table.lookupAll(key, into))];
  assert.deepEqual(found(), []);
  table.add({ source: '10.0.0.0/8' }, 1);
  table.add({ port: 53 }, 2); // both tuples match
  table.add({ source: '10.1.2.3' }, 3);
  table.add({ source: '10.1.2.3' }, 1);
  table.add({ source: '10.9.9.9' }, 7);
  assert.deepEqual(found(), [3, 1, 2]);
  assert.deepEqual(found(), [3, 1, 2], 'a second call starts afresh');
  assert.equal(table.lookupAll(key, new Int32Array(2)), 2);
  assert.equal(table.lookupAll(key, new Int32Array(0)), 0);
});

test('rules can be listed, and removed once', () => {
  const table = new FlowTable();
  const rule = { protocol: 'udp', port: [1024, 65535] as [number, number] } satisfies FlowRule;
  const id = table.add(rule, 9);
  rule.port[0] = 0;
  assert.deepEqual(table.list(), [
    { id, rule: { protocol: 'udp', port: [1024, 65535] }, target: 9, tuples: 12, bits: 8 },
  ]);
  assert.equal(table.remove(id), true);
  assert.equal(table.remove(id), false);
  assert.deepEqual([table.size, table.tuples, table.shapes, table.list().length], [0, 0, 0, 0]);
  assert.notEqual(table.add(rule, 9), id, 'ids are not used again');
});

test('a full table refuses the whole rule', () => {
  const full = (table: FlowTable, rule: FlowRule, message: RegExp) =>
    assert.throws(
      () => table.add(rule, 1),
      (error) => error instanceof PacketError && error.code === 'FLOW_TABLE_FULL' && message.test(error.message),
    );
  const table = new FlowTable({ limit: 3 });
  const id = table.add({ port: 53 }, 1);
  full(table, { port: 54 }, /2 of 3 tuples are in use, and the rule needs 2/);
  assert.equal(table.tuples, 2);
  table.add({ sourcePort: 54 }, 1);
  full(table, { sourcePort: 55 }, /3 of 3/);
  table.remove(id);
  table.add({ port: 54 }, 1);
  const narrow = new FlowTable({ shapes: 2 });
  narrow.add({ source: '10.0.0.0/8' }, 1);
  full(narrow, { port: 53 }, /1 of 2 masks are in use, and the rule needs 2 more/);
  assert.deepEqual([narrow.shapes, narrow.tuples], [1, 1]);
  assert.throws(() => table.add({ port: 1 }, -1), { code: 'INVALID_OPTION', message: /flow target: -1/ });
  assert.throws(() => new FlowTable({ limit: 0 }), { code: 'INVALID_OPTION', message: /flow table limit: 0/ });
});

test('65536 rules come, are all found, and go', () => {
  const table = new FlowTable();
  const flow = (i: number): FlowRule => ({
    protocol: 'udp',
    source: `10.${i >> 8}.${i & 0xff}.1`,
    destination: '10.0.0.2',
    sourcePort: i,
    destinationPort: 53,
  });
  const key = (i: number) => udp(`10.${i >> 8}.${i & 0xff}.1`, i, '10.0.0.2', 53);
  const ids = Array.from({ length: 65536 }, (_, i) => table.add(flow(i), i));
  assert.equal(table.shapes, 1);
  for (let i = 0; i < 65536; i += 7) assert.equal(table.lookup(key(i)), i);
  for (let i = 0; i < 65536; i += 2) table.remove(ids[i]!);
  for (let i = 0; i < 65536; i += 7) assert.equal(table.lookup(key(i)), i % 2 === 0 ? -1 : i);
  for (let i = 1; i < 65536; i += 2) table.remove(ids[i]!);
  assert.deepEqual([table.size, table.tuples, table.shapes], [0, 0, 0]);
});

test('thousands of sockets with the same rule', () => {
  const table = new FlowTable();
  const ids = Array.from({ length: 4096 }, (_, target) => table.add({ sourcePort: 53 }, target));
  const key = udp('10.0.0.1', 53, '10.0.0.2', 9);
  const into = new Int32Array(4096);
  assert.equal(table.lookupAll(key, into), 4096);
  assert.deepEqual(into, Int32Array.from(into.keys()));
  for (const id of [ids[0]!, ids[4095]!, ids[2000]!]) table.remove(id);
  assert.equal(table.lookupAll(key, into), 4093);
  assert.equal(table.lookup(key), 1);
  table.add({ sourcePort: 53 }, 0);
  table.lookupAll(key, into);
  assert.equal(into[4093], 0, 'the youngest comes last');
});

test('property: equal tuples of rules with different bits, for thousands of targets: the one with most bits wins, then the oldest', () => {
  const random = seeded(31);
  const table = new FlowTable({ seed: 5 });
  const key = udp('10.0.0.1', 9, '10.0.0.2', 1024);
  // All have a tuple for ports 1024 to 2047.
  const ranges = [
    [1024, 2047],
    [1024, 3071],
    [1024, 4095],
    [1024, 8191],
  ] as const;
  const rules = new Map<number, { target: number; bits: number }>();
  const into = new Int32Array(4096);
  for (let step = 0; step < 6000; step++) {
    if (rules.size > 0 && random(5) < 2) {
      const ids = [...rules.keys()];
      const id = ids[random(ids.length)]!;
      table.remove(id);
      rules.delete(id);
    } else {
      const target = random(4096);
      const id = table.add({ destinationPort: ranges[random(4)]! }, target);
      rules.set(id, { target, bits: table.list().at(-1)!.bits });
    }
    if (step % 50 !== 0) continue;
    const sorted = [...rules]
      .sort(([a, { bits }], [b, other]) => other.bits - bits || a - b)
      .map(([, { target }]) => target);
    assert.equal(table.lookup(key), sorted[0] ?? -1);
    assert.deepEqual([...into.subarray(0, table.lookupAll(key, into))].sort(), [...new Set(sorted)].sort());
  }
  for (const id of rules.keys()) table.remove(id);
  assert.deepEqual([table.size, table.tuples, table.shapes], [0, 0, 0]);
});

// What follows compares with a matcher that knows nothing of masks and keys.

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

const ETHERTYPES: Readonly<Record<string, number>> = { ipv4: 0x0800, ipv6: 0x86dd, arp: 0x0806 };
const PROTOCOLS: Readonly<Record<string, number>> = { tcp: 6, udp: 17, sctp: 132, icmp: 1, icmp6: 58 };

function naiveMatch(rule: FlowRule, packet: Packet): boolean {
  const version = packet.source === undefined ? 0 : packet.source.includes(':') ? 6 : 4;
  const etherType = packet.etherType ?? (version === 4 ? 0x0800 : 0x86dd);
  if (rule.etherType !== undefined) {
    if ((typeof rule.etherType === 'string' ? ETHERTYPES[rule.etherType] : rule.etherType) !== etherType) return false;
  }
  if (rule.vlan !== undefined && rule.vlan !== packet.vlan) return false;
  if (rule.protocol !== undefined) {
    if ((typeof rule.protocol === 'string' ? PROTOCOLS[rule.protocol] : rule.protocol) !== packet.protocol)
      return false;
    if (rule.protocol === 'icmp' && version !== 4) return false;
    if (rule.protocol === 'icmp6' && version !== 6) return false;
  }
  const { source, destination, sourcePort, destinationPort } = packet;
  return (
    (rule.source === undefined || inside(rule.source, source)) &&
    (rule.destination === undefined || inside(rule.destination, destination)) &&
    (rule.address === undefined || inside(rule.address, source) || inside(rule.address, destination)) &&
    (rule.sourcePort === undefined || within(rule.sourcePort, sourcePort)) &&
    (rule.destinationPort === undefined || within(rule.destinationPort, destinationPort)) &&
    (rule.port === undefined || within(rule.port, sourcePort) || within(rule.port, destinationPort))
  );
}

function inside(prefix: string, address: string | undefined): boolean {
  if (address === undefined) return false;
  const network = parseIpPrefix(prefix)!;
  const host = parseIpPrefix(address)!;
  const bits = (words: readonly number[]) => words.map((word) => (word >>> 0).toString(2).padStart(32, '0')).join('');
  return host.version === network.version && bits(host.words).startsWith(bits(network.words).slice(0, network.bits));
}

function within(ports: Ports, port: number | undefined): boolean {
  if (port === undefined) return false;
  return typeof ports === 'number' ? port === ports : port >= ports[0] && port <= ports[1];
}

/** Few different values, so that rules and packets meet. */
function randomAddress(random: (below: number) => number, version: number): string {
  const low = random(3);
  return version === 4 ? `10.${random(2)}.0.${low}` : `2001:db8:${random(2)}::${random(2)}:${low}`;
}

function randomPacket(random: (below: number) => number): Packet {
  const kind = random(8);
  const vlan = random(4) === 0 ? { vlan: random(3) } : {};
  if (kind === 0) return { etherType: random(2) === 0 ? 0x0806 : 0x88cc, ...vlan };
  const version = kind < 5 ? 4 : 6;
  const protocol = [1, 6, 17, 58, 132, 0][random(6)]!;
  const ends = { source: randomAddress(random, version), destination: randomAddress(random, version) };
  const later = random(8) === 0; // a later fragment has no ports
  const ports = { sourcePort: random(12), destinationPort: random(12) };
  return { ...vlan, protocol, ...ends, ...([6, 17, 132].includes(protocol) && !later ? ports : {}) };
}

function randomRule(random: (below: number) => number): FlowRule {
  const rule: { -readonly [Field in keyof FlowRule]?: FlowRule[Field] } = {};
  const version = random(2) === 0 ? 4 : 6;
  const prefix = () => {
    const most = version === 4 ? 32 : 128;
    return randomAddress(random, version) + ['', '', `/${random(most + 1)}`, `/${most - random(4)}`][random(4)]!;
  };
  const ports = (): Ports => {
    const first = random(12);
    return random(2) === 0 ? first : [first, first + random(12)];
  };
  if (random(4) === 0) rule.etherType = (['ipv4', 'ipv6', 'arp', 0x88cc] as const)[random(4)]!;
  if (random(6) === 0) rule.vlan = random(3);
  if (random(3) === 0) rule.protocol = (['tcp', 'udp', 'sctp', 'icmp', 'icmp6', 0, 17] as const)[random(7)]!;
  if (random(4) === 0) rule.source = prefix();
  if (random(4) === 0) rule.destination = prefix();
  if (random(4) === 0) rule.address = prefix();
  if (random(6) === 0) rule.sourcePort = ports();
  if (random(6) === 0) rule.destinationPort = ports();
  if (random(6) === 0) rule.port = ports();
  return rule;
}

test('property: the table finds what a naive matcher finds, while rules come and go', () => {
  let matches = 0;
  for (let seed = 1; seed <= 8; seed++) {
    const random = seeded(seed * 7919);
    const table = new FlowTable({ seed, shapes: 4096 });
    const naive = new Map<number, { rule: FlowRule; target: number }>();
    const into = new Int32Array(64);
    for (let step = 0; step < 1200; step++) {
      const rule = randomRule(random);
      const target = random(20);
      try {
        const id = table.add(rule, target);
        naive.set(id, { rule, target });
      } catch (error) {
        // Random rules contradict themselves now and then; then no packet may match them.
        assert.ok(error instanceof PacketError && error.code === 'INVALID_OPTION', String(error));
        for (let i = 0; i < 20; i++) {
          const packet = randomPacket(random);
          assert.ok(
            Object.keys(rule).length === 0 || !naiveMatch(rule, packet),
            `${JSON.stringify(rule)} ${JSON.stringify(packet)}`,
          );
        }
      }
      if (naive.size > 10 + random(40)) {
        const ids = [...naive.keys()];
        const id = ids[random(ids.length)]!;
        assert.equal(table.remove(id), true);
        naive.delete(id);
      }
      const packet = randomPacket(random);
      const key = keyOf(packet);
      const winners = [...naive.values()]
        .filter((entry) => naiveMatch(entry.rule, packet))
        .map((entry) => entry.target);
      const found = [...into.subarray(0, table.lookupAll(key, into))];
      const describe = () => `seed ${seed} step ${step} ${JSON.stringify(packet)}`;
      assert.deepEqual(found.toSorted(), [...new Set(winners)].toSorted(), describe());
      if (winners.length === 0) assert.equal(table.lookup(key), -1, describe());
      else assert.ok(winners.includes(table.lookup(key)), describe());
      matches += winners.length;
    }
    for (const id of naive.keys()) table.remove(id);
    assert.deepEqual([table.size, table.tuples, table.shapes], [0, 0, 0]);
  }
  assert.ok(matches > 5000, `only ${matches} matches: the test compares nothing`);
});

test('property: precedence follows bits and age, for rules of one tuple', () => {
  const random = seeded(99);
  for (let round = 0; round < 300; round++) {
    const table = new FlowTable({ seed: round });
    for (let target = 0; target < 12; target++) {
      const length = 1 + random(32);
      table.add(random(2) === 0 ? { source: `10.0.0.0/${length}` } : { destination: `10.0.0.0/${length}` }, target);
    }
    const key = udp('10.0.0.0', 1, '10.0.0.0', 1);
    const best = table.list().sort((a, b) => b.bits - a.bits || a.id - b.id)[0]!;
    assert.equal(table.lookup(key), best.target);
  }
});
