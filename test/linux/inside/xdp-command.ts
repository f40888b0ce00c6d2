import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tp4 } from '../../../src/cli/test-support.js';

const CAPTURE = 'captures/veth-mixed.pcap';

async function run(kernel: string, file: string) {
  const { status, stdout, stderr } = await tp4(
    ...['xdp', 'run', file, '--capture', CAPTURE, '--kernel', kernel, '--maps', '--json', '--seconds', '0'],
  );
  assert.equal(status, 0, stderr);
  const { packets, verdicts, maps } = JSON.parse(stdout);
  for (const packet of packets) delete packet.instructions;
  return { packets, verdicts, maps };
}

for (const name of ['count-protocols', 'reflect']) {
  test(`${name}: the same verdicts, packets and maps in the engine and in Linux`, async () => {
    const file = `examples/xdp/${name}.s`;
    const theirs = await run('linux', file);
    assert.equal(theirs.packets.length, 2604);
    assert.deepEqual(await run('soft', file), theirs);
  });
}

test('time is measured in Linux, and verdicts checked', async () => {
  const file = 'examples/xdp/count-protocols.s';
  const shown = await tp4(
    'xdp',
    'run',
    file,
    '--capture',
    CAPTURE,
    '--kernel',
    'linux',
    '--only',
    '19',
    '--seconds',
    '0.01',
  );
  assert.match(shown.stdout, /^1 packet: 1 drop\na packet takes \d+ ns in Linux on average$/m, shown.stderr);
  const checked = await tp4('xdp', 'test', file, '--capture', CAPTURE, '--kernel', 'linux', '--expect', 'pass');
  assert.equal(checked.status, 1, checked.stderr);
  assert.match(checked.stdout, /^packet 19: expected pass, got drop$/m);
});
