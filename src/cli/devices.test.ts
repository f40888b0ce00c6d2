import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeviceReport } from '../kernel/device-report.js';
import { tp4 } from './test-support.js';

test('a soft interface: what it is, and its modes', async () => {
  const { status, stdout, stderr } = await tp4('devices', 'soft:generator,size=64,queues=4', 'soft:none,mtu=9000');
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^soft:generator,size=64,queues=4: softnic, soft kernel$/m);
  assert.match(stdout, /^ {2}queues {4}4 combined$/m);
  assert.match(stdout, /^ {2}modes {5}xdp-zc +works$/m);
  assert.match(stdout, /^ {12}v4-zc +works$/m);
  assert.match(stdout, /^ {2}link {6}up, mtu 9000, 02:/m);
});

test('--json is an array of descriptions', async () => {
  const { status, stdout } = await tp4('devices', 'soft:none', '--json');
  assert.equal(status, 0);
  const [report, ...more] = JSON.parse(stdout) as DeviceReport[];
  assert.equal(more.length, 0);
  assert.deepEqual([report!.kernel, report!.name, report!.mtu, report!.up], ['soft', 'soft:none', 1500, true]);
  assert.deepEqual(report!.queues, { receive: 1, transmit: 1, combined: 1 });
  assert.equal(report!.modes.find(({ mode }) => mode === 'v4-zc')?.answer, 'works');
});

test('help and wrong command lines', async () => {
  assert.match((await tp4('devices', '--help')).stdout, /^tp4 devices \[IFACE/);
  assert.match((await tp4('doctor', '--help')).stdout, /^tp4 doctor \[IFACE/);
  for (const [args, says] of [
    [['devices', 'soft:generatr'], /did you mean generator/],
    [['devices', '--jsno'], /did you mean json/],
    [['doctor', 'lo', 'eth0'], /one interface at a time: "eth0"/],
    [['doctor', 'soft:none'], /nothing stands in the way of a soft interface.*\n.*tp4 devices soft:none/],
    [['doctor', 'lo', '--repair'], /--repair undoes everything/],
  ] as const) {
    const { status, stdout, stderr } = await tp4(...args);
    assert.equal(status, 2, stderr);
    assert.equal(stdout, '');
    assert.match(stderr, says);
    assert.ok(stderr.trimEnd().split('\n').length <= 2, stderr);
  }
});

test('an interface that is not there', { skip: process.platform === 'linux' ? false : 'needs Linux' }, async () => {
  for (const command of ['devices', 'doctor']) {
    const { status, stdout, stderr } = await tp4(command, 'tp4none');
    assert.equal(status, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /^tp4: there is no interface "tp4none" in this network namespace\n {5}`ip link` lists.*\n$/);
  }
});
