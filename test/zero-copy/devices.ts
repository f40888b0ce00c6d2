import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Mode } from '../../src/kernel/contract.js';
import type { DeviceReport } from '../../src/kernel/device-report.js';
import type { Diagnosis, Finding } from '../../src/linux-kernel/doctor/contract.js';
import { driver, NEAR, open } from './cards.js';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

function tp4<Report>(...args: string[]): { status: number | null; report: Report } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args, '--json'], { encoding: 'utf8' });
  assert.ok(stdout !== '', stderr);
  return { status, report: JSON.parse(stdout) as Report };
}

function findings(expectedStatus: number): Map<string, Finding> {
  const { status, report } = tp4<Diagnosis>('doctor', NEAR);
  assert.equal(status, expectedStatus, JSON.stringify(report));
  return new Map(report.interfaces[0]!.findings.map((finding) => [finding.check, finding]));
}

function answers(): Map<Mode, DeviceReport['modes'][number]> {
  const { report } = tp4<DeviceReport[]>('devices', NEAR);
  return new Map(report[0]!.modes.map((answer) => [answer.mode, answer]));
}

test(`${driver}: tp4 devices says that zero-copy works, or that only trying tells; a socket gets it`, async () => {
  const [{ xdp, queues }] = tp4<[DeviceReport]>('devices', NEAR).report;
  assert.ok(xdp.known);
  assert.deepEqual([xdp.value.native, xdp.value.redirect, xdp.value.zeroCopy], [true, true, true]);
  assert.equal(xdp.value.zeroCopySegments, 1);
  assert.ok(queues.receive >= 1);
  // virtio_net names zero-copy as its ability whether or not its hypervisor lets it.
  assert.equal(answers().get('xdp-zc')!.answer, driver === 'virtio_net' ? 'cannot-tell' : 'works');
  assert.equal(answers().get('xdp-copy')!.answer, 'works');
  await using socket = await open(NEAR);
  assert.equal(socket.mode.got, 'xdp-zc');
});

test(`${driver}: tp4 doctor finds nothing in the way, and says which frames zero-copy wants`, () => {
  const found = findings(0);
  for (const check of ['link', 'xdp-program', 'modes', 'af-xdp-sockets'])
    assert.equal(found.get(check)!.answer, 'works', check);
  const mtu = found.get('mtu')!;
  if (driver === 'igb') assert.deepEqual([mtu.severity, mtu.remedy], ['hampers', 'buffer: { frameSize: 4096 }']);
  else assert.equal(mtu.severity, 'none');
  assert.match(found.get('modes')!.what, driver === 'virtio_net' ? /xdp-zc may/ : /^xdp-zc, /);
});

test(`${driver}: a zero-copy socket at work is found, with whose it is`, async () => {
  await using socket = await open(NEAR, { mode: 'xdp-zc' });
  assert.equal(socket.mode.got, 'xdp-zc');
  const found = findings(1);
  assert.match(found.get('xdp-program')!.what, new RegExp(`by process ${process.pid} \\(node\\)`));
  assert.match(found.get('af-xdp-sockets')!.what, new RegExp(`${process.pid}`));
  assert.equal(answers().get('xdp-zc')!.answer, 'does-not');
});
