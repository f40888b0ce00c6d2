import assert from 'node:assert/strict';
import { test } from 'node:test';
import { known, unknown } from '../kernel/answer.js';
import type { XdpFeatures } from '../kernel/device-report.js';
import type { Capabilities } from './capabilities.js';
import { answerModes, type ModeFacts } from './mode-answers.js';

const features: XdpFeatures = {
  ...{ native: true, redirect: true, transmitRedirected: true, zeroCopy: true, hardwareOffload: false },
  ...{ receiveSegments: true, transmitRedirectedSegments: true, receiveMetadata: [], transmitMetadata: [] },
};
const root: Capabilities = new Set(['CAP_NET_ADMIN', 'CAP_NET_RAW', 'CAP_BPF'] as const);
const facts: ModeFacts = {
  device: {
    ...{ name: 'eth7', index: 7, driver: 'ice', queues: 1, receiveQueues: 1, transmitQueues: 1 },
    ...{ mtu: 1500, up: true, mac: '', modes: ['xdp-zc', 'xdp-copy', 'xdp-generic', 'v3', 'v2'], zeroCopy: true },
  },
  xdp: known(features),
  programs: known([]),
  capabilities: known(root),
  afXdp: true,
};

/** The answers in the order of the ladder, and what the reasons have in common. */
function answers(changes: Partial<ModeFacts>): string[] {
  return answerModes({ ...facts, ...changes }).map(({ answer }) => answer);
}

function why(changes: Partial<ModeFacts>, mode: string): string {
  const found = answerModes({ ...facts, ...changes }).find((one) => one.mode === mode)!;
  return found.answer === 'works' ? 'works' : `${found.why} (${found.remedy})`;
}

const WORKS = 'works';
const NOT = 'does-not';
const UNKNOWN = 'cannot-tell';

test('everything works for root on a good card', () => {
  assert.deepEqual(answers({}), [WORKS, WORKS, WORKS, WORKS, WORKS]);
});

test('what the driver lacks', () => {
  assert.deepEqual(answers({ xdp: known({ ...features, zeroCopy: false }) }), [NOT, WORKS, WORKS, WORKS, WORKS]);
  assert.deepEqual(answers({ xdp: known({ ...features, redirect: false }) }), [NOT, NOT, WORKS, WORKS, WORKS]);
  assert.match(why({ xdp: known({ ...features, native: false }) }, 'xdp-copy'), /ice runs no XDP.*xdp-generic/);
});

test('a kernel that does not tell, and a driver that tells only when asked', () => {
  assert.deepEqual(answers({ xdp: unknown('too old') }), [UNKNOWN, UNKNOWN, WORKS, WORKS, WORKS]);
  assert.match(why({ xdp: unknown('too old') }, 'xdp-zc'), /too old \(try it/);
  const device = { ...facts.device, driver: 'virtio_net' };
  assert.deepEqual(answers({ device }), [UNKNOWN, WORKS, WORKS, WORKS, WORKS]);
});

test('down, and without AF_XDP', () => {
  assert.deepEqual(answers({ device: { ...facts.device, up: false } }), [NOT, NOT, NOT, NOT, NOT]);
  assert.match(why({ device: { ...facts.device, up: false } }, 'v2'), /down \(ip link set dev eth7 up\)/);
  assert.deepEqual(answers({ afXdp: false }), [NOT, NOT, NOT, WORKS, WORKS]);
});

test('a program that is attached stands in the way of AF_XDP', () => {
  const programs = known([{ id: 12, mode: 'native', name: known('filter') } as const]);
  assert.deepEqual(answers({ programs }), [NOT, NOT, NOT, WORKS, WORKS]);
  assert.match(why({ programs }, 'xdp-generic'), /12 \(filter\) is attached \(.*ip link set dev eth7 xdpdrv off/);
  const nameless = known([{ id: 12, mode: 'native', name: unknown('no privilege') } as const]);
  assert.match(why({ programs: nameless }, 'xdp-generic'), /program 12 is attached/);
});

test('packets that fit no frame', () => {
  const device = { ...facts.device, mtu: 3827 };
  assert.deepEqual(answers({ device }), [NOT, NOT, NOT, WORKS, WORKS]);
  assert.match(why({ device }, 'xdp-copy'), /3841 bytes.*3840.*mtu 3826/);
  assert.equal(why({ device: { ...device, mtu: 3826 } }, 'xdp-copy'), WORKS);
  assert.equal(why({ device: { ...device, mtu: 65536, driver: 'loopback' } }, 'xdp-generic'), WORKS);
  // igb fills whole KiB of a frame in zero-copy: 3072 bytes of 4096.
  assert.match(why({ device: { ...device, mtu: 3059, driver: 'igb' } }, 'xdp-zc'), /3073 bytes.*3072.*mtu 3058/);
  assert.equal(why({ device: { ...device, mtu: 3058, driver: 'igb' } }, 'xdp-zc'), WORKS);
  assert.equal(why({ device: { ...device, mtu: 3059, driver: 'igb' } }, 'xdp-copy'), WORKS);
});

test('privileges, each with the command that gives it', () => {
  const without = (...held: ('CAP_NET_RAW' | 'CAP_NET_ADMIN' | 'CAP_SYS_ADMIN')[]) => known(new Set(held));
  assert.deepEqual(answers({ capabilities: without('CAP_NET_RAW') }), [NOT, NOT, NOT, WORKS, WORKS]);
  assert.match(
    why({ capabilities: without('CAP_NET_RAW') }, 'xdp-copy'),
    /CAP_NET_ADMIN, CAP_BPF.*setcap cap_net_admin,cap_bpf\+ep/,
  );
  assert.deepEqual(answers({ capabilities: without() }), [NOT, NOT, NOT, NOT, NOT]);
  assert.deepEqual(answers({ capabilities: without('CAP_NET_RAW', 'CAP_NET_ADMIN', 'CAP_SYS_ADMIN') }), [
    ...[WORKS, WORKS, WORKS, WORKS, WORKS],
  ]);
  assert.deepEqual(answers({ capabilities: unknown('no /proc') }), [UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN]);
});
