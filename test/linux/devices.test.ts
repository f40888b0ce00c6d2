import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { DeviceReport } from '../../src/kernel/device-report.js';
import type { Diagnosis } from '../../src/linux-kernel/doctor/contract.js';
import type { RepairReport } from '../../src/linux-kernel/repair.js';
import { reasonToSkip } from '../support/privileges.js';
import { type ProgramResult, VethPair } from '../support/veth-pair.js';

const skip = reasonToSkip() ?? false;
const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const program = (name: string): string => fileURLToPath(new URL(`../support/programs/${name}.js`, import.meta.url));

let pair: VethPair;
before(() => {
  if (skip === false) pair = VethPair.create();
});
after(() => pair?.close());

/** Runs `tp4` at the near end. */
const tp4 = (...args: string[]): Promise<ProgramResult> => pair.start(pair.near, MAIN, ...args).result;

/** The same as somebody without privileges. */
const tp4Unprivileged = (...args: string[]): Promise<ProgramResult> =>
  pair.startCommand(pair.near, 'setpriv', '--reuid', '65534', '--clear-groups', process.execPath, MAIN, ...args).result;

const setting = (name: string): string =>
  pair.run(pair.near, 'cat', `/sys/class/net/${pair.near.interface}/${name}`).trim();

test('tp4 devices describes a veth as ip and ethtool do', { skip }, async () => {
  const { status, stdout, stderr } = await tp4('devices', '--json');
  assert.equal(status, 0, stderr);
  const reports = JSON.parse(stdout) as DeviceReport[];
  assert.deepEqual(
    reports.map(({ name }) => name),
    ['lo', 'tp4near'],
  );
  const [lo, near] = reports as [DeviceReport, DeviceReport];
  assert.equal(lo.driver, 'loopback');
  assert.deepEqual(
    lo.modes.slice(0, 3).map(({ mode, answer }) => [mode, answer]),
    [
      ['xdp-zc', 'does-not'],
      ['xdp-copy', 'does-not'],
      ['xdp-generic', 'works'],
    ],
  );
  const { kernel, driver, mac, mtu, up, carrier, speed, promiscuous } = near;
  assert.deepEqual([kernel, driver, mac, mtu, up], ['linux', 'veth', pair.near.mac, 1500, true]);
  assert.deepEqual([carrier, speed, promiscuous], [true, 10000, false]);
  assert.equal(near.index, Number(pair.run(pair.near, 'cat', `/sys/class/net/${near.name}/ifindex`)));
  assert.deepEqual([near.queues.receive, near.queues.transmit], [1, 1]);
  assert.deepEqual(near.programs, { known: true, value: [] });
  assert.ok(near.xdp.known);
  assert.deepEqual([near.xdp.value.native, near.xdp.value.redirect, near.xdp.value.zeroCopy], [true, true, false]);
  const ladder = near.modes.map(({ mode, answer }) => `${mode} ${answer}`);
  assert.deepEqual(ladder.slice(0, 3), ['xdp-zc does-not', 'xdp-copy works', 'xdp-generic works']);
  // The offloads against ethtool's own words, before and after one is switched.
  for (const state of ['on', 'off']) {
    pair.run(pair.near, 'ethtool', '-K', near.name, 'gro', state);
    const [after] = JSON.parse((await tp4('devices', near.name, '--json')).stdout) as [DeviceReport];
    assert.equal(after.offloads?.gro, state === 'on');
    const features = pair.run(pair.near, 'ethtool', '-k', near.name);
    for (const [name, word] of [
      ['gro', 'generic-receive-offload'],
      ['gso', 'generic-segmentation-offload'],
      ['lro', 'large-receive-offload'],
      ['rx-checksum', 'rx-checksumming'],
      ['tso', 'tcp-segmentation-offload'],
      ['rx-vlan', 'rx-vlan-offload'],
      ['ntuple', 'ntuple-filters'],
    ] as const) {
      assert.equal(after.offloads?.[name], new RegExp(`^${word}: on`, 'm').test(features), `${name}:\n${features}`);
    }
  }
});

test('tp4 devices in words, with the queues of ethtool -l', { skip }, async () => {
  const { status, stdout } = await tp4('devices', pair.near.interface);
  assert.equal(status, 0);
  assert.match(stdout, /^tp4near: veth, linux kernel\n {2}link {6}up, 10 Gbit\/s, mtu 1500, 02:00:00:00:00:0a\n/);
  assert.match(stdout, /^ {2}queues {4}1 receive, 1 transmit/m);
  assert.match(stdout, /^ {2}XDP {7}native, redirect, .*no zero-copy/m);
  assert.match(stdout, /^ {2}modes {5}xdp-zc {7}no: the driver veth has no zero-copy \(mode 'xdp-copy'\)$/m);
  assert.match(stdout, /^ {12}xdp-copy {5}works$/m);
  const both = await tp4('devices', 'lo', 'soft:none');
  assert.match(both.stdout, /^lo: loopback, linux kernel\n[\s\S]*\n\nsoft:none: softnic, soft kernel$/m);
});

test('the mode ladder does not try zero-copy where the kernel says that there is none', { skip }, async () => {
  const script = `
    const { openSocket } = await import(${JSON.stringify(new URL('../../src/index.js', import.meta.url).href)});
    const socket = await openSocket({ interface: 'tp4near', receive: 'all' });
    console.log(JSON.stringify(socket.mode));
    await socket.close();`;
  const { stdout, stderr } = await pair.startCommand(pair.near, process.execPath, '--input-type=module', '-e', script)
    .result;
  const { got, refused } = JSON.parse(stdout || '{}') as { got: string; refused: { code: string; why: string }[] };
  assert.equal(got, 'xdp-copy', stderr);
  assert.equal(refused[0]?.code, 'NO_DRIVER_ZEROCOPY');
  assert.doesNotMatch(refused[0]!.why, /EOPNOTSUPP/); // bind was not even called
});

test('tp4 doctor on a veth pair without faults', { skip }, async () => {
  const { status, stdout, stderr } = await tp4('doctor', pair.near.interface, '--json');
  assert.equal(status, 0, stdout + stderr);
  const { clear, machine, interfaces } = JSON.parse(stdout) as Diagnosis;
  assert.equal(clear, true);
  for (const check of ['node', 'system-calls', 'kernel', 'af-xdp', 'capabilities', 'namespace']) {
    assert.equal(machine.find((one) => one.check === check)?.answer, 'works', check);
  }
  const [near, ...more] = interfaces;
  assert.equal(more.length, 0);
  assert.equal(near!.name, 'tp4near');
  for (const check of ['link', 'mtu', 'queues', 'xdp-program', 'promiscuity', 'ssh', 'modes']) {
    assert.equal(near!.findings.find((one) => one.check === check)?.answer, 'works', check);
  }
  const all = await tp4('doctor');
  assert.equal(all.status, 0);
  assert.match(all.stdout, /^interfaces\n {2}lo +xdp-generic.*\n {2}tp4near +xdp-copy xdp-generic/m);
  assert.match(all.stdout, /\n\nNothing stands in the way\.\n$/);
});

test('tp4 doctor on lo: what is peculiar to it stands in nobody’s way', { skip }, async () => {
  const { status, stdout } = await tp4('doctor', 'lo');
  assert.equal(status, 0, stdout);
  assert.match(stdout, /^ {2}ok {7}modes +xdp-generic/m);
});

test('tp4 doctor names what is wrong, and the command', { skip }, async () => {
  const name = pair.near.interface;
  pair.run(pair.near, 'ip', 'link', 'set', name, 'mtu', '9000');
  pair.run(pair.near, 'ip', 'link', 'set', name, 'promisc', 'on');
  pair.run(pair.far, 'ip', 'link', 'set', pair.far.interface, 'down');
  try {
    const { status, stdout } = await tp4('doctor', name);
    assert.equal(status, 1);
    assert.match(stdout, /^ {2}PROBLEM {2}link +no carrier.*\n +-> ip link set dev PEER up/m);
    assert.match(
      stdout,
      /^ {2}PROBLEM {2}mtu +9000: packets of up to 9014 bytes.*\n +-> ip link set dev tp4near mtu 3826/m,
    );
    assert.match(stdout, /^ {2}ok {7}promiscuity +on/m);
    assert.match(stdout, /Something stands in the way/);
    pair.run(pair.near, 'ip', 'link', 'set', name, 'down');
    assert.match(
      (await tp4('doctor', name)).stdout,
      /PROBLEM {2}link +the interface is down\n +-> ip link set dev tp4near up/,
    );
    const [down] = JSON.parse((await tp4('devices', name, '--json')).stdout) as [DeviceReport];
    assert.equal(down.up, false);
    assert.ok(down.modes.every(({ answer }) => answer === 'does-not'));
  } finally {
    pair.run(pair.near, 'ip', 'link', 'set', name, 'mtu', '1500', 'promisc', 'off', 'up');
    pair.run(pair.far, 'ip', 'link', 'set', pair.far.interface, 'up');
  }
});

test('a program that is attached, by its number, name and process', { skip }, async () => {
  const name = pair.near.interface;
  const other = pair.start(pair.near, program('wait-forever'), name);
  await other.line('waiting');
  const { status, stdout } = await tp4('doctor', name);
  assert.equal(status, 1);
  const found =
    /PROBLEM {2}xdp-program +XDP program (\d+) \(\w+\) is attached in native mode by process (\d+) \(node\)\n +-> kill (\d+) /.exec(
      stdout,
    );
  assert.ok(found, stdout);
  const [, id, holder, kill] = found;
  assert.equal(holder, kill);
  assert.match(pair.run(pair.near, 'ip', 'link', 'show', name), new RegExp(`prog/xdp id ${id}\\b`));
  assert.match(pair.run(pair.near, 'cat', `/proc/${holder}/cmdline`), /wait-forever/);
  const devices = await tp4('devices', name);
  assert.match(devices.stdout, new RegExp(`^ {2}program {3}${id} \\(\\w+\\), native$`, 'm'));
  assert.match(devices.stdout, /xdp-copy +no: the XDP program .* is attached/);
  // Without privilege: that there is one, but neither its name nor whose it is.
  const unprivileged = await tp4Unprivileged('doctor', name);
  assert.equal(unprivileged.status, 1);
  assert.match(
    unprivileged.stdout,
    new RegExp(`XDP program ${id} is attached in native mode; only root may see by whom`),
  );
  process.kill(Number(kill), 'SIGKILL');
  await other.result;
  assert.match((await tp4('doctor', name)).stdout, /^ {2}ok {7}xdp-program +none is attached$/m);
});

test('without privilege both commands say what is lacking, and how to get it', { skip }, async () => {
  const devices = await tp4Unprivileged('devices', 'tp4near');
  assert.equal(devices.status, 0, devices.stderr);
  assert.match(
    devices.stdout,
    /xdp-copy +no: this process lacks CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF \(run as root, or: sudo setcap/,
  );
  assert.match(devices.stdout, /^ {2}XDP {7}native, redirect/m);
  const doctor = await tp4Unprivileged('doctor', 'tp4near');
  assert.equal(doctor.status, 1);
  assert.match(doctor.stdout, /^ {2}PROBLEM {2}capabilities +this process lacks CAP_NET_RAW.*\n +-> .*setcap/m);
  assert.match(doctor.stdout, /^ {2}ok {7}link/m);
});

test("another namespace's /sys is a finding", { skip }, async () => {
  const { namespace } = pair.near;
  const inside = [`--net=/run/netns/${namespace}`, process.execPath, MAIN, 'doctor'];
  const { status, stdout } = await pair.startCommand(pair.far, 'nsenter', ...inside).result;
  assert.equal(status, 1, stdout);
  assert.match(stdout, /PROBLEM {2}namespace +\/sys shows another network namespace: .*tp4near.*\n +-> ip netns exec/);
});

test('NAPI settings are the socket’s: put back by close', { skip }, async () => {
  const child = pair.start(pair.near, program('napi'), pair.near.interface);
  await child.line('open');
  assert.deepEqual([setting('napi_defer_hard_irqs'), setting('gro_flush_timeout')], ['2', '200000']);
  child.process.stdin!.write('close\n');
  const { status, stderr } = await child.result;
  assert.equal(status, 0, stderr);
  assert.deepEqual([setting('napi_defer_hard_irqs'), setting('gro_flush_timeout')], ['0', '0']);
});

test('after kill -9, tp4 doctor tells and --repair puts NAPI settings back', { skip }, async () => {
  const child = pair.start(pair.near, program('napi'), pair.near.interface);
  await child.line('open');
  await tp4('doctor', '--repair'); // it lives: there is nothing to repair
  assert.equal(setting('napi_defer_hard_irqs'), '2');
  child.process.kill('SIGKILL');
  await child.result;
  assert.equal(setting('napi_defer_hard_irqs'), '2');
  assert.match(
    (await tp4('doctor')).stdout,
    /note +left-behind +.*napi_defer_hard_irqs of tp4near.*\n +-> tp4 doctor --repair/,
  );
  // From another namespace it cannot be undone, and is not forgotten.
  const elsewhere = await pair.start(pair.far, MAIN, 'doctor', '--repair').result;
  assert.equal(elsewhere.status, 1);
  assert.match(
    elsewhere.stdout,
    new RegExp(
      `not undone: napi_defer_hard_irqs of tp4near: .*\\n {2}-> ip netns exec ${pair.near.namespace} tp4 doctor --repair`,
    ),
  );
  assert.equal(setting('gro_flush_timeout'), '200000');
  const repaired = await tp4('doctor', '--repair', '--json');
  const { repairs } = JSON.parse(repaired.stdout) as RepairReport;
  const mine = repairs.filter(({ change }) => change.interface === 'tp4near' && change.before === '0');
  assert.deepEqual(
    mine.filter(({ outcome }) => outcome === 'undone').map(({ change }) => change.setting),
    ['gro_flush_timeout', 'napi_defer_hard_irqs'],
  );
  assert.deepEqual([setting('napi_defer_hard_irqs'), setting('gro_flush_timeout')], ['0', '0']);
});

test('tp4 devices and doctor say of an interface without Ethernet headers that no mode works there', {
  skip,
}, async () => {
  pair.run(pair.near, 'ip', 'tuntap', 'add', 'dev', 'tp4tun', 'mode', 'tun');
  pair.run(pair.near, 'ip', 'link', 'set', 'tp4tun', 'up');
  try {
    const { status, stdout } = await tp4('devices', 'tp4tun');
    assert.equal(status, 0);
    assert.equal(stdout.match(/no: its packets have no Ethernet header \(bare IP, .*\) \(.*TAP device/g)?.length, 5);
    const examined = await tp4('doctor', 'tp4tun');
    assert.equal(examined.status, 1);
    assert.match(examined.stdout, /PROBLEM +modes +none works: its packets have no Ethernet header/);
  } finally {
    pair.run(pair.near, 'ip', 'tuntap', 'del', 'dev', 'tp4tun', 'mode', 'tun');
  }
});

test('after kill -9, the next program puts NAPI settings back', { skip }, async () => {
  const child = pair.start(pair.near, program('napi'), pair.near.interface);
  await child.line('open');
  child.process.kill('SIGKILL');
  await child.result;
  assert.equal(setting('napi_defer_hard_irqs'), '2');
  const next = pair.start(pair.near, program('rxdrop'), pair.near.interface, 'xdp-copy', 0);
  assert.equal((await next.result).status, 0);
  assert.deepEqual([setting('napi_defer_hard_irqs'), setting('gro_flush_timeout')], ['0', '0']);
});
