import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tp4 } from './test-support.js';

const CAPTURE = 'captures/veth-mixed.pcap';

test('steer explain tells which rule wins, and what the rules become', async () => {
  const { status, stdout, stderr } = await tp4(
    'steer',
    'explain',
    'to=socket',
    'protocol=udp,port=53,to=stack',
    'source=192.0.2.0/24,to=drop',
  );
  assert.equal(status, 0, stderr);
  const lines = stdout.split('\n');
  assert.match(lines[1]!, /^protocol=udp,port=53 +stack +24 +2$/);
  assert.match(lines[2]!, /^source=192\.0\.2\.0\/24 +drop +24 +1$/);
  assert.match(lines[3]!, /^everything +socket +0 +1$/);
  assert.match(stdout, /soft NIC, zero-copy +4 entries, 4 combinations/);
  assert.match(stdout, /XDP program of \d+ instructions\n/);
  assert.match(stdout, /n-tuple +no: receive\[0\]: .* no entry for every packet/);
  assert.match(stdout, /V2 and V3 +no\n.*receive\[2\]\.to.*copies/);
});

test('steer explain counts the packets of a capture that each rule decides', async () => {
  const { stdout } = await tp4(
    'steer',
    'explain',
    '[{"protocol":"udp","port":53}]',
    'etherType=arp',
    '--capture',
    CAPTURE,
    '--json',
  );
  const { rules, packets, unmatched } = JSON.parse(stdout) as {
    rules: { rule: object; packets: number }[];
    packets: number;
    unmatched: number;
  };
  assert.equal(packets, 2604);
  const dns = rules.find(({ rule }) => 'port' in rule)!;
  assert.equal(dns.packets, 542); // as many as `tp4 filter` accepts
  assert.equal(
    rules.reduce((sum, rule) => sum + rule.packets, unmatched),
    packets,
  );
});

test('steer says what is wrong', async () => {
  const wrong: readonly (readonly [args: readonly string[], says: RegExp])[] = [
    [[], /what is to be done is not said/],
    [['show'], /"show" is none of explain, list, add, del/],
    [['list'], /no interface is given/],
    [['list', 'lo', 'eth9'], /"eth9" is too much/],
    [['add', 'lo'], /no rule is given/],
    [['del', 'lo'], /no location is given/],
    [['list', 'lo', '--capture', 'x'], /--capture has no effect with list/],
    [['explain'], /no rule is given/],
    [['explain', 'udp'], /"udp" is not a field with its value/],
    [['explain', 'port=1,port=2'], /port is there twice/],
    [['explain', 'prot=udp'], /receive\[0\]\.prot: there is no such field/],
    [['explain', 'port=99999'], /receive\[0\]\.port/],
    [['explain', '{"port": '], /JSON/],
  ];
  for (const [args, says] of wrong) {
    const { status, stderr } = await tp4('steer', ...args);
    assert.equal(status, 2, args.join(' '));
    assert.match(stderr, says);
  }
});
