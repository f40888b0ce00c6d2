import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { BenchReport } from '../bench/result.js';
import { startTp4, tp4 } from './test-support.js';

const QUICK = ['--seconds', '0.05', '--warm-up', '0.05', '--runs', '3'];
const CAPTURE = fileURLToPath(new URL('../../../captures/veth-mixed.pcap', import.meta.url));

test('--json prints environment, modelled and results, and nothing else', { timeout: 60_000 }, async () => {
  const args = ['--versions', 'v2,v4-zc', '--size', '64', '--threads', 'inline', ...QUICK, '--json'];
  const { status, stdout, stderr } = await tp4('bench', ...args);
  assert.equal(status, 0, stderr);
  assert.equal(stderr, '');
  const report = JSON.parse(stdout) as BenchReport;
  assert.deepEqual(Object.keys(report), ['environment', 'modelled', 'results']);
  assert.match(report.modelled, /DMA/);
  assert.equal(report.environment.node, process.versions.node);
  const names = report.results.map(({ program, version }) => `${program} ${version}`);
  assert.deepEqual(names, ['rxdrop v2', 'rxdrop v4-zc', 'txpush v2', 'txpush v4-zc', 'l2fwd v2', 'l2fwd v4-zc']);
  for (const result of report.results) {
    const keys = ['program', 'version', 'size', 'interface', 'threads', 'mpps', 'gbps', 'nsPerPacket', 'lost'];
    assert.deepEqual(Object.keys(result), keys);
    const { size, threads, mpps, gbps, nsPerPacket, lost } = result;
    assert.deepEqual(Object.keys(mpps), ['median', 'min', 'max']);
    assert.equal(size, 64);
    assert.equal(threads, 'inline');
    assert.equal(result.interface, 'soft:generator');
    assert.ok(mpps.min > 0 && mpps.min <= mpps.median && mpps.median <= mpps.max, JSON.stringify(mpps));
    assert.ok(Math.abs(gbps / ((mpps.median * 84 * 8) / 1000) - 1) < 0.001);
    assert.ok(Math.abs((nsPerPacket * mpps.median) / 1000 - 1) < 0.001);
    assert.deepEqual(lost, {}, 'a patient generator loses nothing to a kernel that works when it is asked to');
  }
});

test('the kernel on a thread of its own, every mode of the soft kernel', { timeout: 60_000 }, async () => {
  const versions = ['v2', 'v3', 'v4', 'v4-zc', 'xdp-copy', 'xdp-zc'];
  const args = ['rxdrop', '--versions', versions.join(), '--interface', 'soft:generator,size=1500', ...QUICK, '--json'];
  const { status, stdout, stderr } = await tp4('bench', ...args);
  assert.equal(status, 0, stderr);
  const { results } = JSON.parse(stdout) as BenchReport;
  assert.deepEqual(
    results.map((result) => result.version),
    versions,
  );
  for (const { version, size, threads, mpps } of results) {
    assert.equal(size, 1500);
    assert.equal(threads, 'worker');
    assert.ok(mpps.max > 0, `${version} moved nothing`);
  }
});

test('tables: rows per program, ratios, the talk, and what was modelled', { timeout: 60_000 }, async () => {
  const args = ['--versions', 'v2,v3,v4-zc', '--size', '64', '--threads', 'inline', ...QUICK, '--progress'];
  const { status, stdout, stderr } = await tp4('bench', ...args);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^soft:generator: packets of 64 bytes, kernel inline$/m);
  for (const program of ['rxdrop', 'txpush', 'l2fwd']) assert.match(stdout, new RegExp(`^${program}$`, 'm'));
  assert.match(stdout, /^ {2}v2 +[\d.]+ +[\d.]+ – [\d.]+ +[\d.]+ +[\d.]+ +1\.0 +[\d.]+ +0\.67$/m);
  assert.match(stdout, /^ {2}v4-zc .* 33\.7$/m);
  assert.match(stdout, /^Modelled: /m);
  assert.match(stderr, /^1 of 9: rxdrop v2, soft:generator, 64 bytes$/m);
  assert.match(stderr, /^9 of 9: l2fwd v4-zc/m);
});

test('the shipped capture, replayed', {
  skip: existsSync(CAPTURE) ? false : 'no capture here',
  timeout: 60_000,
}, async () => {
  const args = [
    '--versions',
    'v4-zc',
    '--interface',
    `soft:pcap=${CAPTURE}`,
    '--threads',
    'inline',
    ...QUICK,
    '--json',
  ];
  const { status, stdout, stderr } = await tp4('bench', ...args);
  assert.equal(status, 0, stderr);
  const { results } = JSON.parse(stdout) as BenchReport;
  assert.equal(results.length, 3);
  for (const { program, size, mpps } of results) {
    assert.ok(size > 60 && size < 1519, `${program}: ${size}`);
    assert.ok(mpps.min > 0);
  }
});

test('what an interface cannot do is refused with a reason; the rest is measured', { timeout: 60_000 }, async () => {
  const args = ['rxdrop', '--versions', 'xdp-generic,v4', '--size', '64', '--threads', 'inline', ...QUICK];
  const text = await tp4('bench', ...args);
  assert.equal(text.status, 0);
  assert.match(text.stdout, /^ {2}xdp-generic {2}refused: .*does not support xdp-generic/m);
  assert.match(text.stderr, /^tp4 bench: rxdrop xdp-generic on soft:generator: .*\(modes there: /m);
  const json = await tp4('bench', ...args, '--json');
  const report = JSON.parse(json.stdout) as BenchReport;
  assert.equal(report.results.length, 1);
  assert.equal(report.refused?.[0]?.code, 'MODE_UNSUPPORTED');
});

test('packets that do not fit a frame are refused with the remedy; nothing measured is exit code 1', {
  timeout: 60_000,
}, async () => {
  const { status, stderr } = await tp4(
    'bench',
    'rxdrop',
    '--versions',
    'v4',
    '--size',
    '9000',
    '--threads',
    'inline',
    ...QUICK,
  );
  assert.equal(status, 1);
  assert.match(stderr, /9000 does not fit frames of 2048 bytes.*--frame-size/);
});

test('large packets in large frames: the device takes them', { timeout: 60_000 }, async () => {
  const large = ['--size', '9000', '--frame-size', '16384', '--versions', 'v3,v4-zc'];
  const { status, stdout, stderr } = await tp4('bench', 'rxdrop', ...large, '--threads', 'inline', ...QUICK, '--json');
  assert.equal(status, 0, stderr);
  for (const { mpps, lost } of (JSON.parse(stdout) as BenchReport).results) {
    assert.ok(mpps.min > 0);
    assert.deepEqual(lost, {});
  }
});

test('a capture file that is not there is exit code 1, said once', { timeout: 60_000 }, async () => {
  const { status, stderr } = await tp4(
    'bench',
    'rxdrop',
    '--versions',
    'v4',
    '--interface',
    'soft:pcap=/not/there.pcap',
    ...QUICK,
  );
  assert.equal(status, 1);
  assert.ok(stderr.trimEnd().split('\n').length <= 2, stderr);
  assert.match(stderr, /the capture file \/not\/there\.pcap cannot be read: ENOENT/);
});

test('Ctrl-C ends the cell and prints what there is', { timeout: 60_000 }, async () => {
  const args = ['bench', 'rxdrop', '--versions', 'v2,v4', '--size', '64', '--threads', 'inline', '--progress'];
  const { child, text, result } = startTp4([...args, '--seconds', '1', '--warm-up', '0.05', '--runs', '1']);
  while (!text.stderr.includes('2 of 2')) await sleep(20);
  await sleep(200);
  child.kill('SIGINT');
  const { status, stdout, stderr } = await result;
  assert.equal(status, 1);
  assert.match(stdout, /^ {2}v2 +[\d.]+/m);
  assert.doesNotMatch(stdout, /^ {2}v4/m);
  assert.match(stdout, /^Modelled: /m);
  assert.match(stderr, /interrupted/);
});

test('nothing that moved is no measurement: said, and exit code 1', { timeout: 60_000 }, async () => {
  const args = [
    'rxdrop',
    '--versions',
    'v4-zc',
    '--size',
    '64',
    '--interface',
    'soft:none',
    '--threads',
    'inline',
    ...QUICK,
  ];
  const { status, stderr } = await tp4('bench', ...args);
  assert.equal(status, 1);
  assert.match(stderr, /^tp4 bench: rxdrop v4-zc on soft:none: no packet moved$/m);
});

test('a size that is given twice is measured once', { timeout: 60_000 }, async () => {
  const args = ['rxdrop', '--versions', 'v4-zc', '--size', '64,64', '--threads', 'inline', ...QUICK, '--json'];
  const { status, stdout } = await tp4('bench', ...args);
  assert.equal(status, 0);
  assert.equal((JSON.parse(stdout) as BenchReport).results.length, 1);
});
