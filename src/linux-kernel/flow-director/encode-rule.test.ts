import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomPacket } from '../../../test/support/header-packets.js';
import { Random } from '../../../test/support/random.js';
import { StandInDirector } from '../../../test/support/stand-in-director.js';
import { randomRules, softVerdict } from '../../../test/support/verdicts.js';
import { createFlowKey, FLOW_HAS_PORTS, FLOW_NETWORK, hasPorts, parseFlowKey } from '../../packet/flow-key.js';
import { type FlowRule, parseRule } from '../../steering/rules.js';
import { decodeEntry } from './decode-entry.js';
import { encodeRule } from './encode-rule.js';
import { NtupleTable } from './ntuple-table.js';

const encode = (rule: FlowRule): Uint8Array[] => encodeRule(parseRule(rule, 'rule'), 'rule').map(({ bytes }) => bytes);

test('an entry lies in memory as linux/ethtool.h has it', () => {
  const [match, ...others] = encode({
    vlan: 7,
    protocol: 'udp',
    source: '10.0.0.0/8',
    destination: '192.0.2.1',
    sourcePort: 53,
    destinationPort: [1024, 2047],
  });
  assert.equal(others.length, 0);
  const expected = new Uint8Array(152);
  const put = (at: number, ...bytes: number[]): void => expected.set(bytes, at);
  put(0, 2, 0, 0, 0x80); // UDP_V4_FLOW | FLOW_EXT
  put(4, 10, 0, 0, 0, 192, 0, 2, 1, 0, 53, 4, 0);
  put(4 + 62, 0, 7); // h_ext.vlan_tci
  put(76, 255, 0, 0, 0, 255, 255, 255, 255, 255, 255, 0xfc, 0);
  put(76 + 62, 0x0f, 0xff);
  assert.deepEqual(match, expected);
});

test('what a rule leaves open becomes an entry each', () => {
  const shown = (rule: FlowRule): FlowRule[] => encode(rule).map((match) => decodeEntry({ match }).rule!);
  assert.deepEqual(shown({ protocol: 'udp', destinationPort: 53 }), [
    { protocol: 'udp', etherType: 'ipv4', destinationPort: 53 },
    { protocol: 'udp', etherType: 'ipv6', destinationPort: 53 },
  ]);
  assert.equal(shown({ port: 53 }).length, 12); // three protocols, two versions, two directions
  assert.deepEqual(shown({ address: '2001:db8::/32' }), [
    { source: '2001:db8::/32' },
    { destination: '2001:db8::/32' },
  ]);
  assert.deepEqual(shown({ etherType: 'arp', vlan: 3 }), [{ etherType: 'arp', vlan: 3 }]);
  assert.deepEqual(shown({ vlan: 3 }), [{ vlan: 3 }]);
  assert.deepEqual(shown({ protocol: 'icmp' }), [{ protocol: 1, etherType: 'ipv4' }]);
});

test('what entries cannot say is refused', () => {
  const unsupported = { code: 'RULES_UNSUPPORTED' };
  assert.throws(() => encode({ to: 'socket' }), {
    ...unsupported,
    message: /no entry for every packet/,
    remedy: /ethtool -X/,
  });
  assert.throws(() => encode({ protocol: 'tcp', bucket: [0, 2] }), { ...unsupported, message: /^rule\.bucket/ });
});

test('entries match what their rules match, and are told as rules that do', () => {
  const random = new Random(20);
  const key = createFlowKey();
  let matched = 0;
  for (let round = 0; round < 300; round++) {
    const rule = randomRules(random, 1)[0]!;
    if (rule.bucket !== undefined) continue;
    const director = new StandInDirector({ locations: 1024 });
    const table = new NtupleTable(director, 'eth1');
    for (const [location, match] of encode(rule).entries()) table.insert(match, { queue: 1 }, location, 'rule');
    const told = table.list().map((entry) => decodeEntry(entry).rule!);
    const [before, after] = [softVerdict([rule]), softVerdict(told)];
    for (let i = 0; i < 100; i++) {
      const packet = randomPacket(random, 14);
      parseFlowKey(packet, 0, packet.length, key);
      // Of a fragment a device may think as it likes; the program of the queue looks again.
      if (hasPorts(key[FLOW_NETWORK]! & 0xff) && (key[FLOW_NETWORK]! & FLOW_HAS_PORTS) === 0) continue;
      const expected = before(packet);
      const message = `round ${round}: ${JSON.stringify(rule)}, told ${JSON.stringify(told)}`;
      assert.equal(director.classify(packet) === 1, expected, message);
      assert.equal(after(packet), expected, message);
      if (expected) matched++;
    }
  }
  assert.ok(matched > 500, `${matched} packets matched`);
});

test('entries of others that rules cannot say are told with a reason', () => {
  const [match] = encode({ protocol: 'tcp', source: '10.0.0.1' });
  const changed = (change: (bytes: Uint8Array) => void): string | undefined => {
    const copy = match!.slice();
    change(copy);
    const { rule, why } = decodeEntry({ match: copy });
    assert.equal(rule === undefined, why !== undefined);
    return why;
  };
  assert.equal(
    changed(() => {}),
    undefined,
  );
  assert.match(changed((bytes) => bytes.fill(255, 76 + 12, 76 + 13))!, /byte 16 of its header counts/); // type of service
  assert.match(changed((bytes) => bytes.fill(0x55, 76, 77))!, /byte 4/); // no prefix
  assert.match(changed((bytes) => bytes.fill(9, 0, 1))!, /flow type is 0x9/);
  assert.match(changed((bytes) => bytes.fill(0x20, 3, 4))!, /context of RSS/);
  assert.match(changed((bytes) => bytes.fill(0x40, 3, 4))!, /MAC address/);
  const random = new Random(21);
  for (let i = 0; i < 2000; i++) {
    const bytes = new Uint8Array(152);
    random.fill(bytes, 0, 152);
    if (random.oneIn(2)) bytes.set([random.between(1, 20), 0, 0, 0]);
    const { rule } = decodeEntry({ match: bytes });
    if (rule !== undefined && Object.keys(rule).length > 0) parseRule(rule, 'rule'); // whatever it is, it is a rule
  }
});
