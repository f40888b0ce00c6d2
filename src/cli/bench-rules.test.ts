import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tp4 } from './test-support.js';

test('bench rules tells what rules cost, one and thousands', async () => {
  const { status, stdout, stderr } = await tp4('bench', 'rules', '--runs', '1', '--json');
  assert.equal(status, 0, stderr);
  const { results } = JSON.parse(stdout) as { results: { engine: string; rules: number; ratio: { median: number } }[] };
  assert.deepEqual(
    results.filter(({ engine }) => engine === 'soft').map(({ rules }) => rules),
    [1, 16, 256, 2048, 8192],
  );
  assert.ok(results.every(({ ratio }) => ratio.median > 0));
  assert.match((await tp4('bench', 'rules', '--runs', '0')).stderr, /runs: 0/);
});
