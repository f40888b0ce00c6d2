import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../test/support/random.js';
import { PacketError } from '../errors.js';
import { FLOW_PORTS, FLOW_SOURCE } from '../packet/flow-key.js';
import { checkReceive, compileRule } from './compile-rules.js';
import { FLOW_RULE_FIELDS, type FlowRule } from './rules.js';

function refused(receive: unknown, ...messages: RegExp[]): void {
  assert.throws(
    () => checkReceive(receive),
    (error) => {
      assert.ok(error instanceof PacketError, String(error));
      assert.equal(error.code, 'INVALID_OPTION');
      for (const message of messages) assert.match(`${error.message}; ${error.remedy}`, message);
      return true;
    },
  );
}

test('what a socket receives must be said', () => {
  assert.equal(checkReceive('all'), 'all');
  assert.equal(checkReceive('none'), 'none');
  const rules: FlowRule[] = [{ protocol: 'udp', port: 53 }, { etherType: 'arp' }];
  assert.equal(checkReceive(rules), rules);
  refused(undefined, /^receive: undefined is neither 'all' nor 'none' nor a list of rules/);
  refused('some', /"some"/);
  refused([], /empty list/);
  refused({ protocol: 'udp' }, /neither/);
});

test('errors name the rule, the field, the value and what it may be', () => {
  refused([{ port: 53 }, 7], /receive\[1\]: 7 is not a rule/);
  refused([null], /receive\[0\]: null is not a rule/);
  refused([{}], /receive\[0\]: a rule without fields/);
  refused([{ dport: 53 }], /receive\[0\]\.dport: there is no such field/, /destinationPort/);
  refused(
    [{ etherType: 'ip' }],
    /receive\[0\]\.etherType: "ip" is none of ipv4, ipv6, arp and no whole number from 1536/,
  );
  refused([{ etherType: 100 }], /etherType: 100 .* 1536 to 65535/);
  refused([{ vlan: 4095 }], /vlan: 4095 is not a whole number from 0 to 4094/);
  refused([{ protocol: 'toString' }], /protocol: "toString" is none of tcp, udp, sctp, icmp, icmp6/);
  refused([{ protocol: 256 }], /protocol: 256 .* 0 to 255/);
  refused([{ source: '10.0.0.0/33' }], /source: "10.0.0.0\/33" is no IPv4 or IPv6 address/);
  refused([{ destination: 'localhost' }], /destination: "localhost"/);
  refused([{ address: 1 }], /address: 1 is no/);
  refused([{ port: 65536 }], /port: 65536 is not a whole number from 0 to 65535/);
  refused([{ sourcePort: [5] }], /sourcePort: \[5\] is not a range/);
  refused([{ destinationPort: [5, 4] }], /destinationPort\[1\]: 4 is not a whole number from 5 to 65535/);
  refused([{ port: '53' }], /port: 53 is not/);
});

test('a field that is there but undefined does not widen a rule in silence', () => {
  refused([{ protocol: 'udp', port: undefined }], /receive\[0\]\.port: undefined/);
});

test('rules that no packet can meet are refused', () => {
  refused([{ etherType: 'arp', protocol: 'udp' }], /receive\[0\]\.protocol: no packet can have "udp" here/);
  refused([{ etherType: 'ipv4', source: '::1' }], /source/);
  refused([{ source: '10.0.0.1', destination: '::1' }], /destination/);
  refused([{ protocol: 'icmp', address: 'fe80::/10' }], /address/);
  refused([{ protocol: 'icmp6', port: 53 }], /port/);
  refused([{ etherType: 'arp', port: 53 }], /port/);
  refused([{ etherType: 0x8100 }], /etherType/);
  refused(
    [{ source: '10.0.0.1', destination: '10.0.0.2', address: '10.0.0.3' }],
    /address: no packet can have "10.0.0.3"/,
  );
  refused([{ sourcePort: [1, 5], destinationPort: 9, port: 8 }], /port: no packet can have 8/);
});

test('either way becomes two tuples, unless one of them cannot be', () => {
  assert.equal(compileRule({ address: '10.0.0.1' }).length, 2);
  assert.equal(compileRule({ address: '10.0.0.1', port: 53 }).length, 4);
  assert.equal(compileRule({ address: '10.0.0.1', source: '10.0.0.0/8' }).length, 2);
  assert.equal(compileRule({ address: '10.0.0.1', source: '10.0.0.2' }).length, 1);
  assert.equal(compileRule({ address: '0.0.0.0/0' }).length, 1);
});

test('bits behind the prefix do not count', () => {
  assert.deepEqual(compileRule({ source: '10.1.2.3/8' }), compileRule({ source: '10.0.0.0/8' }));
  const [tuple] = compileRule({ source: 'fe80::1/10' });
  assert.deepEqual([...tuple!.mask.subarray(FLOW_SOURCE, FLOW_SOURCE + 4)], [0xffc00000 | 0, 0, 0, 0]);
});

test('a port range becomes the fewest prefixes that make it up', () => {
  const parts = (first: number, last: number) =>
    compileRule({ destinationPort: [first, last] }).map(({ mask, value }) => [value[FLOW_PORTS], mask[FLOW_PORTS]]);
  assert.deepEqual(parts(53, 53), [[53, 0xffff]]);
  assert.deepEqual(parts(0, 65535), [[0, 0]]);
  assert.deepEqual(parts(1024, 65535).length, 6);
  assert.deepEqual(parts(5, 8), [
    [5, 0xffff],
    [6, 0xfffe],
    [8, 0xffff],
  ]);
  assert.equal(parts(1, 65534).length, 30);
  for (let first = 0; first < 65536; first += 4099) {
    for (let last = first; last < 65536; last += 3931) {
      let ports = 0;
      for (const [, mask] of parts(first, last)) ports += 0x10000 - mask!;
      assert.equal(ports, last - first + 1);
    }
  }
});

test('two ranges multiply', () => {
  const range = [1, 65534] as const;
  assert.equal(compileRule({ sourcePort: range, destinationPort: range }).length, 900);
});

test('targets and buckets are checked', () => {
  const refuses = (rule: unknown, message: RegExp) =>
    assert.throws(() => compileRule(rule as FlowRule), { code: 'INVALID_OPTION', message });
  refuses({ to: 'nowhere' }, /rule\.to: "nowhere" is nowhere that packets can go/);
  refuses({ to: { queue: -1 } }, /rule\.to\.queue: -1/);
  refuses({ to: { queue: 1, drop: true } }, /rule\.to: an object with queue, drop/);
  refuses({ bucket: 3 }, /rule\.bucket: 3 is not a bucket/);
  refuses({ bucket: [0, 3] }, /rule\.bucket\[1\]: 3 is not a power of two/);
  refuses({ bucket: [4, 4] }, /rule\.bucket\[0\]: 4/);
  assert.equal(compileRule({ to: 'socket' }).length, 1, 'a rule for every packet');
  assert.equal(compileRule({ bucket: [3, 4], to: { queue: 2 } }).length, 1);
});

test('property: whatever a rule is, it is compiled or refused with its field', () => {
  const random = new Random(11);
  const values: readonly unknown[] = [
    ...[
      0,
      1,
      -1,
      53,
      1.5,
      65536,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      2 ** 53,
      5n,
      true,
      null,
      undefined,
      Symbol('odd'),
    ],
    ...[
      '',
      'udp',
      'ipv4',
      '10.0.0.0/8',
      '10.0.0.0/33',
      '::1',
      '::/0',
      'socket',
      'drop',
      '1-2',
      '__proto__',
      'constructor',
    ],
    ...[[], [1, 2], [2, 1], [0, 4], [3, 3], [1, 2, 3], ['1', 2], {}, { queue: 3 }, { queue: 'x' }, () => 1, new Map()],
  ];
  const names = [...FLOW_RULE_FIELDS, 'nothing', '__proto__', 'toString', ''];
  let compiled = 0;
  for (let i = 0; i < 20_000; i++) {
    const rule: Record<string, unknown> = Object.create(null);
    for (let fields = random.below(4); fields >= 0; fields--) rule[random.pick(names)] = random.pick(values);
    try {
      compileRule(rule as FlowRule);
      compiled++;
    } catch (error) {
      assert.ok(
        error instanceof PacketError && error.code === 'INVALID_OPTION' && /^rule/.test(error.message),
        String(error),
      );
    }
  }
  assert.ok(compiled > 300, `${compiled} compiled`);
});
