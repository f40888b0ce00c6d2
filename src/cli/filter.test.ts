import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { whyNoTcpdump } from '../../test/support/tcpdump.js';
import { tp4 } from './test-support.js';

const CAPTURE = 'captures/veth-mixed.pcap';

test('filter shows the program as tcpdump -d does, words of the expression joined', async () => {
  const { status, stdout } = await tp4('filter', 'ip', 'proto', '17');
  assert.equal(status, 0);
  assert.equal(
    stdout,
    [
      '(000) ldh      [12]',
      '(001) jeq      #0x800           jt 2\tjf 5',
      '(002) ldb      [23]',
      '(003) jeq      #0x11            jt 4\tjf 5',
      '(004) ret      #4294967295',
      '(005) ret      #0',
      '',
    ].join('\n'),
  );
});

test('--ebpf shows the XDP program', async () => {
  const { status, stdout } = await tp4('filter', '--ebpf', 'udp port 53');
  assert.equal(status, 0);
  assert.match(stdout, /\(61\) r6 = \*\(u32 \*\)\(r1 \+ ?0\)/);
  assert.match(stdout, /exit/);
});

test('--capture shows the packets that are accepted, as many as tcpdump finds', { skip: whyNoTcpdump() }, async () => {
  for (const expression of ['tcp', 'udp port 53', 'icmp or arp', 'greater 1000', 'ip[8] = 64']) {
    const { stdout } = await tp4('filter', expression, '--capture', CAPTURE, '--count');
    const count = Number(/^(\d+) of 2604 packets\n$/.exec(stdout)![1]);
    const packets = spawnSync('tcpdump', ['-n', '-r', CAPTURE, '--count', expression], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    assert.equal(packets.status, 0);
    assert.match(packets.stdout + packets.stderr, new RegExp(`^${count} packet`, 'm'), expression);
  }
  const { stdout } = await tp4('filter', 'icmp', '--capture', CAPTURE);
  const lines = stdout.trimEnd().split('\n');
  assert.equal(lines.at(-1), `${lines.length - 1} of 2604 packets`);
});

test('a mistake is shown, and is one of usage', async () => {
  const { status, stderr } = await tp4('filter', 'udp prt 53');
  assert.equal(status, 2);
  assert.match(stderr, /\n {2}udp prt 53\n {6}\^\^\^\n/);
  assert.match((await tp4('filter')).stderr, /no expression is given/);
  assert.match((await tp4('filter', 'ip', '--count')).stderr, /--count has no effect without --capture/);
});

test('bench filters tells what each engine takes for a packet', async () => {
  const { status, stdout, stderr } = await tp4('bench', 'filters', 'udp port 53', '--seconds', '0.01');
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^2604 packets of captures\/veth-mixed\.pcap/);
  assert.match(stdout, /\nudp port 53 +542( +(\d+\.\d|-)){5}\n$/);
});
