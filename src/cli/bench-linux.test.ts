import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tp4 } from './test-support.js';

test('what the Linux benches do not know is exit code 2 with the range', { timeout: 60_000 }, async () => {
  const wrong: [string[], RegExp][] = [
    [['--versions', 'v4'], /--versions: v4 is not one of v2, v3, xdp-generic, xdp-copy, xdp-zc/],
    [['--size', '2000'], /--size: 2000 is not a whole number from 64 to 1518/],
    [['--frame-size', '8192'], /--frame-size: 8192 is not a whole number from 2048 to 4096/],
    [['rxdrop', 'l2fwd'], /one program at a time/],
    [['rxdorp'], /rxdorp is not one of .*\n {5}perhaps you mean rxdrop/],
    [['latency', '--waits', 'nap'], /--waits: nap is not one of busy, hybrid, event, sleep/],
    [['latency', '--count', '5'], /--count: 5 is not a whole number from 100 to 100000/],
    [['soak', '--seconds', '0'], /--seconds: 0 is not a number from 1 to 86400/],
    [['soak', 'more'], /"more" is too many/],
    [['--versions', 'v2', '--block-size', '4096'], /--block-size has no effect without v3\n {5}leave --block-size out/],
  ];
  for (const [args, message] of wrong) {
    const { status, stdout, stderr } = await tp4('bench', 'linux', ...args);
    assert.equal(status, 2, args.join(' '));
    assert.match(stderr, message);
    assert.equal(stdout, '');
  }
});

test('each of the Linux benches has a help', { timeout: 60_000 }, async () => {
  for (const words of [[], ['latency'], ['soak']]) {
    const { status, stdout } = await tp4('bench', 'linux', ...words, '--help');
    assert.equal(status, 0);
    assert.match(stdout, new RegExp(`^tp4 bench linux${words.map((word) => ` ${word}`).join('')} `));
  }
});

test('nothing is sent on a Linux interface unless the program is named', { timeout: 60_000 }, async () => {
  const quick = ['--seconds', '0.01', '--warm-up', '0', '--runs', '1', '--progress'];
  const { stderr } = await tp4('bench', '--interface', 'tp4-none', '--versions', 'xdp-copy', ...quick);
  assert.match(stderr, /^1 of 1: rxdrop xdp-copy, tp4-none$/m);
  assert.doesNotMatch(stderr, /txpush|l2fwd/);
});
