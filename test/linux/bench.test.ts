import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LinuxReport } from '../../src/bench/linux/report.js';
import { startTp4, tp4 } from '../../src/cli/test-support.js';
import { reasonToSkip } from '../support/privileges.js';

const skip = reasonToSkip() ?? false;
const options = { skip, timeout: 120_000 };
const QUICK = ['--seconds', '0.05', '--warm-up', '0.05', '--runs', '2', '--size', '64'];

/** Network namespaces, by their numbers, of the processes that a process has started and that have one of their own. */
function namespacesOf(parent: number): Set<string> {
  const own = networkOf('self');
  const found = new Set<string>();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const network = networkOf(pid);
    if (network !== undefined && network !== own && parentOf(pid) === parent) found.add(network);
  }
  return found;
}

function networkOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined; // it has ended
  }
}

function parentOf(pid: string): number {
  try {
    return Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  } catch {
    return 0;
  }
}

/** Which of these namespaces some process is still in: without one the kernel removes a namespace without a name. */
function inhabited(namespaces: ReadonlySet<string>): string[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => namespaces.has(networkOf(pid) ?? ''));
}

test('rows from the real kernel: figures, costs and reasons', options, async () => {
  const { status, stdout, stderr } = await tp4('bench', 'linux', '--versions', 'xdp-copy,xdp-zc', ...QUICK, '--json');
  assert.equal(status, 0, stderr);
  const report = JSON.parse(stdout) as LinuxReport;
  assert.deepEqual(Object.keys(report), ['environment', 'modelled', 'results', 'refused']);
  const names = report.results.map(({ program, version }) => `${program} ${version}`);
  assert.deepEqual(names, ['rxdrop xdp-copy', 'txpush xdp-copy', 'l2fwd xdp-copy']);
  for (const result of report.results) {
    assert.equal(result.threads, 'kernel');
    assert.equal(result.size, 64);
    assert.ok(result.mpps.max > 0, `${result.program} moved nothing`);
    assert.ok(result.cpuNsPerPacket! > 0);
    assert.ok(result.systemCallsPerPacket! >= 0);
    assert.equal(result.farCpuNsPerPacket === undefined, result.program === 'txpush');
  }
  assert.deepEqual(
    report.refused?.map(({ version, code }) => `${version} ${code}`),
    Array(3).fill('xdp-zc NO_DRIVER_ZEROCOPY'),
  );
});

test('the C program and the tools take part, or say why not', options, async () => {
  const args = ['rxdrop', '--versions', 'xdp-copy', ...QUICK, '--peers', '--json'];
  const { status, stdout, stderr } = await tp4('bench', 'linux', ...args);
  assert.equal(status, 0, stderr);
  const { peers } = JSON.parse(stdout) as LinuxReport;
  assert.deepEqual(Object.keys(peers!.versions).sort(), [
    'C',
    'dpdk-testpmd',
    'dpdk-testpmd v2',
    'tcpdump',
    'xdp-bench',
    'xdpsock',
  ]);
  for (const [name, version] of Object.entries(peers!.versions)) {
    const rows = [...peers!.results, ...peers!.refused].filter(({ peer }) => peer === name);
    assert.equal(rows.length, version.startsWith('absent: ') ? 0 : 1, `${name}: ${version}`);
  }
});

test('round trips are measured', options, async () => {
  const args = ['--versions', 'xdp-copy', '--waits', 'busy,event', '--count', '100', '--json'];
  const { status, stdout, stderr } = await tp4('bench', 'linux', 'latency', ...args);
  assert.equal(status, 0, stderr);
  const { results } = JSON.parse(stdout) as { results: { wait: string; trips: number; microseconds: object }[] };
  assert.deepEqual(
    results.map(({ wait, trips }) => `${wait} ${trips}`),
    ['busy 100', 'event 100'],
  );
  for (const { microseconds } of results) assert.ok(Object.values(microseconds).every((value) => value > 0));
});

test('a soak accounts for every packet and frame', options, async () => {
  const { status, stdout, stderr } = await tp4('bench', 'linux', 'soak', '--seconds', '2', '--interval', '0.5');
  assert.equal(status, 0, `${stdout}${stderr}`);
  assert.match(stdout, /frames of the buffer: 4096 of 4096 free/);
  assert.equal(stdout.match(/: balanced$/gm)?.length, 4, stdout);
});

for (const signal of ['SIGINT', 'SIGKILL'] as const) {
  test(`${signal} leaves no namespace and no process`, options, async () => {
    const args = [
      'bench',
      'linux',
      'rxdrop',
      '--versions',
      'xdp-copy',
      '--size',
      '64',
      '--seconds',
      '30',
      '--progress',
    ];
    const { child, text, result } = startTp4(args);
    while (!text.stderr.includes('1 of 1') && child.exitCode === null) await sleep(20);
    await sleep(500);
    const made = namespacesOf(child.pid!);
    assert.equal(made.size, 2, `${text.stdout}${text.stderr}`);
    assert.ok(inhabited(made).length >= 2);
    child.kill(signal);
    await result;
    let left = inhabited(made);
    for (let i = 0; i < 100 && left.length > 0; i++) {
      await sleep(100);
      left = inhabited(made);
    }
    assert.deepEqual(left, []);
  });
}
