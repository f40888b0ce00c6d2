import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { tp4 } from '../../../src/cli/test-support.js';
import { readPrograms } from '../../../src/host/read-programs.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { OBJECTS } from '../../support/objects.js';
import { udpPacket } from '../../support/packets.js';

const TRAFFIC = `${OBJECTS}traffic.o`;
const REPORTS = `${OBJECTS}traffic-reports.o`;

// This namespace's own: `ip netns exec` gives it its own mounts.
assert.equal(spawnSync('mount', ['-t', 'bpf', 'bpf', '/sys/fs/bpf']).status, 0);

interface MapReport {
  readonly name: string;
  readonly entries: readonly { readonly key: string; readonly value: string }[];
}

async function run(kernel: string, ...args: string[]) {
  const { status, stdout, stderr } = await tp4(
    ...['xdp', 'run', TRAFFIC, '--program', 'traffic', '--capture', 'captures/veth-mixed.pcap', '--kernel', kernel],
    ...['--maps', '--json', '--seconds', '0', ...args],
  );
  assert.equal(status, 0, stderr);
  const { packets, verdicts, maps } = JSON.parse(stdout);
  for (const packet of packets) delete packet.instructions;
  // Entries of hashes come in any order, and programs in arrays of them have numbers of the kernel.
  const contents = (maps as MapReport[])
    .filter(({ name }) => name !== 'stages')
    .map(({ name, entries }) => [name, entries.map(({ key, value }) => `${key}=${value}`).sort()]);
  return { packets, verdicts, contents };
}

test('an object with globals, functions, a hash and a tail call does the same in the engine and in Linux', async () => {
  const theirs = await run('linux');
  assert.deepEqual(theirs.verdicts, { pass: 1474, drop: 145, tx: 985 });
  assert.deepEqual(await run('soft'), theirs);
  const set = ['--set', 'blocked_port=0', '--set', 'friend=33:33:00:00:00:16'];
  const other = await run('linux', ...set);
  assert.deepEqual(other.verdicts, { pass: 2596, tx: 8 });
  assert.deepEqual(await run('soft', ...set), other);
});

test('what a program reports comes out of its ring buffer', async () => {
  const kernel = new LinuxKernel();
  try {
    const object = await kernel.loadObject(await readPrograms(REPORTS, { variables: { blocked_port: 9 } }));
    const traffic = object.programs.find(({ program }) => program.name === 'traffic')!;
    const records = await kernel.openRecords(object.maps.get('reports')!);
    const packet = udpPacket();
    traffic.test(packet);
    traffic.test(packet.subarray(0, 60));
    const read = [records.read(), records.read()].map((bytes) => new DataView(bytes!.buffer));
    assert.deepEqual(
      read.map((view) => [view.getUint32(0, true), view.getUint8(4)]),
      [
        [packet.length, 17],
        [60, 17],
      ],
    );
    assert.equal(records.read(), undefined);
    records.close();
  } finally {
    await kernel.close();
  }
});

test('a refused program is told by the line of its C source', async () => {
  const source = readFileSync(`${OBJECTS}refused.c`, 'utf8').split('\n');
  const line = source.findIndex((text) => text.includes('return data[0]')) + 1;
  const { status, stderr } = await tp4(
    ...['xdp', 'test', `${OBJECTS}refused.o`, '--capture', 'captures/veth-mixed.pcap', '--kernel', 'linux'],
    ...['--expect', 'pass'],
  );
  assert.equal(status, 1);
  assert.match(
    stderr,
    new RegExp(`refuses slot \\d+ .* of .*refused\\.c:${line} "return data\\[0\\];": invalid access`),
  );
});

test('--map counts into a pinned map of another loader', async () => {
  const path = '/sys/fs/bpf/tp4_protocols';
  const create = ['map', 'create', path, ...'type hash key 1 value 16 entries 256 name theirs'.split(' ')];
  assert.equal(spawnSync('bpftool', create).status, 0);
  await run('linux', '--only', '1-100', '--map', `protocols=${path}`);
  await run('linux', '--only', '101-200', '--map', `protocols=${path}`);
  const kernel = new LinuxKernel();
  try {
    const map = await kernel.openPinnedMap(path);
    const packets = [...map.entries()].reduce(
      (sum, [, value]) => sum + new DataView(value.buffer).getUint32(0, true),
      0,
    );
    assert.equal(packets, 200);
    map.close();
  } finally {
    await kernel.close();
  }
  const { status, stderr } = await tp4(
    ...['xdp', 'run', TRAFFIC, '--program', 'traffic', '--capture', 'captures/veth-mixed.pcap', '--kernel', 'linux'],
    ...['--map', `stages=${path}`],
  );
  assert.equal(status, 2);
  assert.match(stderr, /maps\.stages: it cannot stand in for the object's: its type is hash, and prog_array is wanted/);
});
