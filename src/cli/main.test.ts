import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tp4 } from './test-support.js';

test('--help and --version go to standard output with exit code 0', async () => {
  const help = await tp4('--help');
  assert.equal(help.status, 0);
  assert.match(help.stdout, /usage: tp4 COMMAND/);
  assert.match(help.stdout, /bench/);
  const version = await tp4('--version');
  assert.equal(version.status, 0);
  assert.match(version.stdout, /^tp4 \d+\.\d+\.\d+\n$/);
});

test('without a command the help goes to standard error, exit code 2', async () => {
  const { status, stdout, stderr } = await tp4();
  assert.equal(status, 2);
  assert.equal(stdout, '');
  assert.match(stderr, /usage: tp4 COMMAND/);
});

test('an unknown command is named, with the nearest known one', async () => {
  const { status, stdout, stderr } = await tp4('bnech');
  assert.equal(status, 2);
  assert.equal(stdout, '');
  assert.match(stderr, /^tp4: there is no command bnech \(did you mean bench\?\)\n/);
});

test('an unknown command far from any is only named', async () => {
  const { status, stderr } = await tp4('frobnicate');
  assert.equal(status, 2);
  assert.doesNotMatch(stderr, /did you mean/);
});

const WRONG: readonly (readonly [args: readonly string[], says: RegExp])[] = [
  [['bench', '--sise', '64'], /there is no option --sise \(did you mean size\?\)\n {5}tp4 bench --help/],
  [
    ['bench', 'rxdorp'],
    /program: rxdorp is not one of all, rxdrop, txpush, l2fwd, filters, linux, rings, rules, scale, xdp\n {5}perhaps you mean rxdrop\n/,
  ],
  [['bench', 'rxdrop', 'txpush'], /one program at a time: "txpush" is too many/],
  [['bench', '--batch', '0'], /--batch: 0 is not a whole number from 1 to 4096/],
  [['bench', '--batch', '1e3'], /--batch: 1e3 is not a whole number from 1 to 4096/],
  [['bench', '--ring', '1000'], /--ring: 1000 is not a power of two \(from 8 to 65536\)/],
  [['bench', '--frames', '2'], /--frames: 2 is not a whole number from 64 to 524288/],
  [['bench', '--frame-size', '1024'], /--frame-size: 1024 is not a whole number from 2048 to 65536/],
  [['bench', '--seconds', '-1'], /--seconds lacks its value\n {5}write it .* as --seconds=VALUE\n/],
  [['bench', '--seconds=-1'], /--seconds: -1 is not a number from 0.01 to 3600/],
  [['bench', '--seconds', '0'], /--seconds: 0 is not a number from 0.01 to 3600/],
  [['bench', '--runs', 'many'], /--runs: many is not a whole number from 1 to 100/],
  [['bench', '--threads', 'two'], /--threads: two is not one of inline, worker/],
  [['bench', '--versions', 'v2,v5'], /--versions: v5 is not one of v2, v3, v4, v4-zc, xdp-copy, xdp-zc, xdp-generic/],
  [['bench', '--versions', 'v2,'], /--versions: "v2," is not a list such as a,b,c/],
  [['bench', '--size', '63'], /--size: 63 is not a whole number from 64 to 16000/],
  [
    ['bench', '--size', '64', '--interface', 'soft:generator,size=64'],
    /--size: "soft:generator,size=64" has a size already/,
  ],
  [['bench', '--size', '64', '--interface', 'soft:pcap=x'], /--size: the packets of soft:pcap=x have their own sizes/],
  [['bench', '--interface', 'soft:generatr'], /"generatr" is not a wire \(did you mean generator\?\)/],
  [['bench', '--batch'], /--batch lacks its value\n/],
  [
    ['bench', '--versions', 'v4', '--block-size', '4096'],
    /--block-size has no effect without v3\n {5}leave --block-size/,
  ],
  [['bench', '--interface', 'eth9', '--threads', 'inline'], /--threads has no effect on Linux interfaces/],
  [['bench', '--interface', 'eth9', '--size', '64'], /--size has no effect where others send the packets/],
  [['bench', 'scale', '--packets', '100000'], /--packets has no effect without --heap/],
  [['bench', 'scale', '--heap', '--runs', '2'], /--runs has no effect with --heap alone/],
];

for (const [args, says] of WRONG) {
  test(`wrong command line: tp4 ${args.join(' ')}`, async () => {
    const { status, stdout, stderr } = await tp4(...args);
    assert.equal(status, 2, stderr);
    assert.equal(stdout, '');
    assert.match(stderr, says);
    assert.ok(stderr.trimEnd().split('\n').length <= 2, `more than two lines:\n${stderr}`);
  });
}
