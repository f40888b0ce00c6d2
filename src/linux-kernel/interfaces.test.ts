import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { listInterfaces, readInterface } from './interfaces.js';
import type { SystemCalls } from './system-calls.js';

const sysfs = mkdtempSync(join(tmpdir(), 'tpacket4-sysfs-'));
after(() => rmSync(sysfs, { recursive: true }));

/** A namespace with these interfaces, whose drivers do not say what they are called. */
function namespace(indices: Record<string, number>): SystemCalls {
  return { interfaceIndex: (name: string) => indices[name] ?? 0, socket: () => -1 } as unknown as SystemCalls;
}

function addInterface(name: string, files: Record<string, string>, queues: string[], driver?: string): void {
  mkdirSync(join(sysfs, name, 'queues'), { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(sysfs, name, file), `${text}\n`);
  for (const queue of queues) mkdirSync(join(sysfs, name, 'queues', queue));
  if (driver === undefined) return;
  mkdirSync(join(sysfs, name, 'device'));
  symlinkSync(`../../drivers/${driver}`, join(sysfs, name, 'device', 'driver'));
}

const up = { flags: '0x1003', operstate: 'up', address: '02:00:00:00:00:01', type: '1' };
addInterface('eth7', { ...up, ifindex: '7', mtu: '1500' }, ['rx-0', 'rx-1', 'tx-0', 'tx-1', 'tx-2'], 'igb');
addInterface('down8', { ...up, flags: '0x1002', operstate: 'down', ifindex: '8', mtu: '9000' }, ['rx-0', 'tx-0']);
addInterface('lo', { ...up, type: '772', operstate: 'unknown', ifindex: '1', mtu: '65536' }, ['rx-0', 'tx-0']);
addInterface('half', { ifindex: '9' }, []);
writeFileSync(join(sysfs, 'bonding_masters'), '\n');

test('an interface is described as /sys has it', () => {
  const calls = namespace({ eth7: 7 });
  const { modes, ...facts } = readInterface(calls, 'eth7', sysfs);
  assert.deepEqual(facts, {
    ...{ name: 'eth7', index: 7, driver: 'igb', queues: 3, receiveQueues: 2, transmitQueues: 3 },
    ...{ mtu: 1500, up: true, mac: '02:00:00:00:00:01', zeroCopy: undefined },
  });
  assert.deepEqual(modes, ['xdp-zc', 'xdp-copy', 'xdp-generic', 'v3', 'v2']);
});

test('lists what is in this namespace and readable, and nothing else', () => {
  const calls = namespace({ eth7: 7, down8: 8, lo: 1 });
  const found = listInterfaces(calls, sysfs);
  assert.deepEqual(
    found.map(({ name, up, driver }) => [name, up, driver]),
    [
      ['down8', false, ''],
      ['eth7', true, 'igb'],
      ['lo', true, 'loopback'],
    ],
  );
});

test('names that are none, and interfaces that are not there', () => {
  const calls = namespace({ eth7: 7, 'a/b': 3, 'sixteen-letters-': 4 });
  for (const name of ['none', 'a/b', 'sixteen-letters-', '', '.', '..']) {
    assert.throws(() => readInterface(calls, name, sysfs), { code: 'NO_INTERFACE', remedy: /ip link/ });
  }
});

test("another namespace's /sys is noticed", () => {
  const remedy = /ip netns exec/;
  assert.throws(() => readInterface(namespace({ eth7: 12 }), 'eth7', sysfs), { code: 'NO_INTERFACE', remedy });
  assert.throws(() => readInterface(namespace({ eth9: 12 }), 'eth9', sysfs), { code: 'NO_INTERFACE', remedy });
  assert.throws(() => readInterface(namespace({ half: 9 }), 'half', sysfs), { code: 'NO_INTERFACE', remedy });
});
