import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { known, unknown } from '../../kernel/answer.js';
import type { DeviceReport, XdpFeatures } from '../../kernel/device-report.js';
import { readCapabilities } from '../capabilities.js';
import { findNamespace } from '../network-namespaces.js';
import type { Finding } from './contract.js';
import { holdersOfProgram, holdersOfSocket } from './holders.js';
import {
  checkLink,
  checkMerging,
  checkModes,
  checkMtu,
  checkPromiscuity,
  checkQueues,
  checkVeth,
} from './interface-checks.js';
import { readKernelConfig } from './kernel-config.js';
import {
  checkAfXdp,
  checkCapabilities,
  checkJit,
  checkJournal,
  checkKernel,
  checkLockedMemory,
  checkNamespace,
  checkNode,
  checkUnprivilegedBpf,
} from './machine-checks.js';
import { checkPrograms, checkSockets } from './occupation-checks.js';
import { checkSession } from './session-check.js';

const root = mkdtempSync(join(tmpdir(), 'tpacket4-doctor-'));
after(() => rmSync(root, { recursive: true }));
let made = 0;

/** A folder with these files. */
function folder(files: Record<string, string | Uint8Array> = {}): string {
  const base = join(root, String(made++));
  mkdirSync(base);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(base, name)), { recursive: true });
    writeFileSync(join(base, name), text);
  }
  return base;
}

/** What a check came to, and its words. */
function says({ answer, severity, what, remedy }: Finding): [string, string] {
  return [severity === 'none' ? answer : severity, remedy === undefined ? what : `${what} -> ${remedy}`];
}

function expect(finding: Finding, outcome: 'works' | 'cannot-tell' | 'hampers' | 'blocks', words: RegExp): void {
  const [is, text] = says(finding);
  assert.equal(is, outcome, text);
  assert.match(text, words);
}

const report: DeviceReport = {
  ...{ kernel: 'linux', name: 'eth7', index: 7, driver: 'ice', mac: '', mtu: 1500, up: true, carrier: true },
  queues: { receive: 1, transmit: 1, combined: 1, most: 8 },
  ...{ xdp: unknown('old'), programs: known([]), modes: [] },
};

test('versions of Node and Linux', () => {
  expect(checkNode('20.1.0'), 'works', /20\.1\.0/);
  expect(checkNode('18.20.0'), 'blocks', /18\.20\.0 is too old -> Node 20/);
  for (const release of ['5.10.0', '6.18.44-fc', '5.10-rc1', '10.0']) expect(checkKernel(release), 'works', /Linux/);
  for (const release of ['5.9.16', '4.19.0-26-amd64', ''])
    expect(checkKernel(release), 'blocks', /too old -> Linux 5\.10/);
});

test('AF_XDP and how the kernel was built', () => {
  const root = folder({
    'proc/config.gz': gzipSync('CONFIG_XDP_SOCKETS=y\n# CONFIG_NET_ACT_BPF is not set\nCONFIG_VETH=m\n'),
  });
  const config = readKernelConfig('6.1', root);
  assert.deepEqual(
    [...config!],
    [
      ['XDP_SOCKETS', 'y'],
      ['VETH', 'm'],
    ],
  );
  assert.equal(readKernelConfig('6.1', folder()), undefined);
  assert.equal(readKernelConfig('6.1', folder({ 'boot/config-6.1': 'CONFIG_BPF=y\n' }))?.get('BPF'), 'y');
  expect(checkAfXdp(true, undefined), 'works', /AF_XDP/);
  expect(checkAfXdp(undefined, config), 'works', /AF_XDP/);
  expect(checkAfXdp(undefined, new Map()), 'blocks', /CONFIG_XDP_SOCKETS/);
  expect(checkAfXdp(false, undefined), 'blocks', /no AF_XDP/);
  expect(checkAfXdp(undefined, undefined), 'cannot-tell', /root.*sudo/);
});

test('the compiler of BPF programs', () => {
  const jit = (value: string): string => folder({ 'sys/net/core/bpf_jit_enable': `${value}\n` });
  expect(checkJit(undefined, jit('1')), 'works', /compiled/);
  expect(checkJit(undefined, jit('0')), 'hampers', /sysctl -w net\.core\.bpf_jit_enable=1/);
  expect(checkJit(undefined, folder()), 'cannot-tell', /namespace/);
  expect(checkJit(new Map([['BPF_JIT_ALWAYS_ON', 'y']]), folder()), 'works', /compiled/);
  expect(checkUnprivilegedBpf(folder({ 'sys/kernel/unprivileged_bpf_disabled': '2\n' })), 'works', /^off.*CAP_BPF/);
});

test('capabilities and locked memory', () => {
  const status = (mask: string): string => folder({ 'self/status': `Name:\tnode\nCapEff:\t${mask}\n` });
  expect(checkCapabilities(readCapabilities(status('000001ffffffffff'))), 'works', /all/);
  expect(
    checkCapabilities(readCapabilities(status('0000000000003000'))),
    'blocks',
    /lacks CAP_BPF -> .*setcap cap_bpf\+ep/,
  );
  expect(
    checkCapabilities(readCapabilities(status('0000000000000000'))),
    'blocks',
    /CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF/,
  );
  expect(checkCapabilities(readCapabilities(folder())), 'cannot-tell', /cannot be read/);
  expect(checkCapabilities(readCapabilities(status('nonsense'))), 'cannot-tell', /does not name/);

  const none = readCapabilities(status('0'));
  const limits = (soft: string): string =>
    folder({ 'self/limits': `Limit  Soft  Hard  Units\nMax locked memory         ${soft}  65536  bytes\n` });
  expect(checkLockedMemory(readCapabilities(status('0000000000004000')), folder()), 'works', /CAP_IPC_LOCK/);
  expect(checkLockedMemory(none, limits('unlimited')), 'works', /unlimited/);
  expect(checkLockedMemory(none, limits('8388608')), 'works', /8192 KiB/);
  expect(checkLockedMemory(none, limits('65536')), 'blocks', /64 KiB.*8192 KiB -> ulimit -l 16384.*frames: 32/);
  expect(checkLockedMemory(none, folder()), 'cannot-tell', /limits/);
});

test('/sys of another namespace', () => {
  const table = 'Inter-|   Receive\n face |bytes\n    lo:  0 0\nveth0: 12 1\n';
  const proc = folder({ 'net/dev': table });
  expect(checkNamespace(proc, folder({ 'lo/x': '', 'veth0/x': '' })), 'works', /namespace/);
  expect(checkNamespace(proc, folder({ 'lo/x': '', 'eth0/x': '' })), 'blocks', /veth0 is not in it -> ip netns exec/);
  expect(checkNamespace(folder(), folder()), 'cannot-tell', /cannot be read/);
});

test('what a killed program left', () => {
  const change = { setting: 'gro_flush_timeout', interface: 'eth7', index: 7, namespace: 1, before: '0', after: '9' };
  const nothing = { repairs: [], discarded: [] };
  expect(checkJournal(nothing), 'works', /nothing/);
  expect(checkJournal({ ...nothing, repairs: [{ change, outcome: 'void' }] }), 'works', /nothing/);
  const pending = { ...nothing, repairs: [{ change, outcome: 'pending' } as const] };
  expect(checkJournal(pending), 'hampers', /gro_flush_timeout of eth7 -> tp4 doctor --repair/);
  const kept = {
    change,
    outcome: 'kept',
    why: 'it is in another',
    remedy: 'ip netns exec blue tp4 doctor --repair',
  } as const;
  expect(checkJournal({ ...nothing, repairs: [kept] }), 'hampers', /in another.*ip netns exec blue/);
});

test('links and lengths', () => {
  expect(checkLink({ ...report, speed: 40000 }, undefined), 'works', /40000/);
  expect(checkLink({ ...report, up: false }, undefined), 'blocks', /down -> ip link set dev eth7 up/);
  expect(checkLink({ ...report, carrier: false }, undefined), 'blocks', /no carrier.*cable/);
  expect(checkLink({ ...report, carrier: false }, 'veth'), 'blocks', /no carrier.*PEER up/);
  const { carrier: _, ...silent } = report;
  expect(checkLink(silent, undefined), 'cannot-tell', /carrier/);
  expect(checkMtu({ ...report, mtu: 1778 }), 'works', /1792 bytes/);
  expect(checkMtu({ ...report, mtu: 1779 }), 'hampers', /1793 bytes.*frameSize: 4096/);
  expect(checkMtu({ ...report, mtu: 3827 }), 'blocks', /3841.*3840 -> ip link set dev eth7 mtu 3826/);
  expect(checkMtu({ ...report, mtu: 65536, driver: 'loopback' }), 'works', /65536/);
  const igb = (mtu: number, zeroCopy: boolean): DeviceReport => {
    const features: XdpFeatures = {
      ...{ native: true, redirect: true, transmitRedirected: true, zeroCopy, hardwareOffload: false },
      ...{ receiveSegments: false, transmitRedirectedSegments: false, receiveMetadata: [], transmitMetadata: [] },
    };
    return { ...report, mtu, driver: 'igb', xdp: known(features) };
  };
  expect(checkMtu(igb(1500, true)), 'hampers', /1514.*igb.*whole units of 1024.*frameSize: 4096/);
  expect(checkMtu(igb(1010, true)), 'works', /1024 bytes/);
  expect(checkMtu(igb(1500, false)), 'works', /1514/);
});

test('queues, promiscuity, merging', () => {
  expect(checkQueues(report), 'works', /one receive queue/);
  const queues = { receive: 4, transmit: 4, combined: 4, most: 8 };
  expect(
    checkQueues({ ...report, queues }),
    'hampers',
    /4 receive queues.*ethtool -L eth7 combined 1, or.*queue: 0 to 3/,
  );
  expect(checkQueues({ ...report, queues: { ...queues, combined: 0 } }), 'hampers', /ethtool -L eth7 rx 1/);
  const fixed = checkQueues({ ...report, queues: { receive: 2, transmit: 2 } });
  expect(fixed, 'hampers', /-> a socket for each/);
  expect(checkPromiscuity({ ...report, promiscuous: true }), 'works', /^on/);
  expect(checkPromiscuity({ ...report, promiscuous: false }), 'works', /promisc on/);
  expect(checkPromiscuity(report), 'cannot-tell', /not tell/);
  expect(checkMerging({ ...report, offloads: { lro: true } }), 'hampers', /ethtool -K eth7 lro off/);
  expect(checkMerging({ ...report, offloads: { 'gro-hw': true } }), 'hampers', /ethtool -K eth7 rx-gro-hw off/);
  expect(checkMerging({ ...report, offloads: { gro: true } }), 'works', /ethtool -K eth7 gro off/);
  expect(checkMerging({ ...report, offloads: {} }), 'works', /neither/);
  expect(checkMerging(report), 'cannot-tell', /ethtool -k eth7/);
});

test('veth pairs, and the conclusion', () => {
  const link = { promiscuity: 0, carrier: true, kind: 'veth', peer: 2, peerElsewhere: true, programs: [] };
  assert.deepEqual(checkVeth(report, { ...link, kind: 'macvlan' }), []);
  const [checksums, redirect] = checkVeth(report, link);
  expect(checksums!, 'works', /ethtool -K PEER tx off/);
  expect(redirect!, 'cannot-tell', /old/);
  expect(checkModes({ ...report, modes: [{ mode: 'v3', answer: 'works' }] }), 'works', /v3 works$/);
  const unsure = { mode: 'xdp-zc', answer: 'cannot-tell', why: '' } as const;
  expect(checkModes({ ...report, modes: [unsure, { mode: 'v3', answer: 'works' }] }), 'works', /v3 works; xdp-zc may$/);
  expect(
    checkModes({ ...report, modes: [{ mode: 'v3', answer: 'cannot-tell', why: '' }] }),
    'cannot-tell',
    /v3 may work/,
  );
  expect(checkModes({ ...report, modes: [{ mode: 'v3', answer: 'does-not', why: '' }] }), 'blocks', /none works/);
});

/** A /proc in which process 12 (node) has a link with program 42, and process 13 (ping) socket 5151. */
function processes(): string {
  const proc = folder({
    '12/comm': 'node\n',
    '12/fdinfo/4': 'pos:\t0\nlink_type:\txdp\nlink_id:\t3\nprog_id:\t42\nifindex:\t7\n',
    '12/fdinfo/5': 'prog_id:\t42\n',
    '12/fd/x': '',
    '13/comm': 'ping\n',
    '13/fd/x': '',
    '13/fdinfo/3': '',
    'self/x': '',
  });
  symlinkSync('anon_inode:bpf_link', join(proc, '12/fd/4'));
  symlinkSync('socket:[77]', join(proc, '12/fd/5')); // no BPF object, whatever its text says
  symlinkSync('socket:[5151]', join(proc, '13/fd/3'));
  return proc;
}

test('who holds a program or a queue', () => {
  const proc = processes();
  assert.deepEqual(holdersOfProgram(42, proc), { found: [{ pid: 12, command: 'node' }], incomplete: false });
  assert.deepEqual(holdersOfProgram(4, proc).found, []);
  assert.deepEqual(holdersOfSocket(5151, proc).found, [{ pid: 13, command: 'ping' }]);

  const attached = (id: number): DeviceReport => ({
    ...report,
    programs: known([{ id, mode: 'generic', name: known('drop') }]),
  });
  expect(checkPrograms(report, proc)[0]!, 'works', /none/);
  expect(checkPrograms({ ...report, programs: unknown('why') }, proc)[0]!, 'cannot-tell', /why/);
  expect(
    checkPrograms(attached(42), proc)[0]!,
    'blocks',
    /program 42 \(drop\).*generic mode by process 12 \(node\) -> kill 12/,
  );
  expect(checkPrograms(attached(43), proc)[0]!, 'blocks', /no process holds it.*ip link set dev eth7 xdpgeneric off/);

  const sockets = known([
    { inode: 5151, index: 7, queue: 2 },
    { inode: 1, index: 8, queue: 0 },
  ]);
  const [taken, ...more] = checkSockets(report, sockets, proc);
  assert.equal(more.length, 0);
  expect(taken!, 'blocks', /queue 2 has an AF_XDP socket of process 13 \(ping\)/);
  expect(checkSockets(report, known([]), proc)[0]!, 'works', /no queue/);
  expect(checkSockets(report, unknown('CONFIG'), proc)[0]!, 'cannot-tell', /CONFIG/);
});

test('a session over the interface', () => {
  const tcp = (state: string, port: string): string =>
    folder({ 'net/tcp': `  sl  local_address rem_address   st\n   0: 010200C0:${port} 020200C0:D431 ${state} 0\n` });
  const place = { environment: {}, addresses: ['192.0.2.1', '2001:db8::1'] };
  expect(checkSession('eth7', { ...place, proc: folder() }), 'works', /no session/);
  expect(checkSession('eth7', { ...place, proc: tcp('01', '0016') }), 'hampers', /an ssh session comes over eth7/);
  expect(checkSession('eth7', { ...place, proc: tcp('0A', '0016') }), 'works', /no session/);
  expect(checkSession('eth7', { ...place, proc: tcp('01', '0050') }), 'works', /no session/);
  expect(checkSession('eth7', { ...place, proc: tcp('01', '0016'), addresses: ['192.0.2.9'] }), 'works', /no session/);
  const ipv6 = '  sl  local_address rem_address   st\n   0: B80D0120000000000000000001000000:0016 0:1 01 0\n';
  expect(checkSession('eth7', { ...place, proc: folder({ 'net/tcp6': ipv6 }) }), 'hampers', /an ssh session/);
  const mapped = '  sl  local_address rem_address   st\n   0: 0000000000000000FFFF0000010200C0:0016 0:1 01 0\n';
  expect(checkSession('eth7', { ...place, proc: folder({ 'net/tcp6': mapped }) }), 'hampers', /an ssh session/);
  const environment = { SSH_CONNECTION: '2001:db8::2 54000 2001:db8::1 22' };
  expect(checkSession('eth7', { ...place, environment, proc: folder() }), 'hampers', /this ssh session/);
});

test('namespaces by name, by mount, by process, and gone', () => {
  const named = folder({ blue: '' });
  const proc = folder({
    'self/mountinfo': '10 9 0:4 net:[4026532000] /run/netns/red rw - nsfs nsfs rw\n',
    '31/ns/net': '',
  });
  const { ino } = statSync(join(named, 'blue'));
  assert.deepEqual(findNamespace(ino, proc, named), { exists: true, name: 'blue' });
  assert.deepEqual(findNamespace(4026532000, proc, named), { exists: true });
  assert.deepEqual(findNamespace(statSync(join(proc, '31/ns/net')).ino, proc, named), { exists: true });
  assert.deepEqual(findNamespace(1, proc, named), { exists: false });
  assert.deepEqual(findNamespace(1, proc, join(named, 'none')), { exists: false });
});
