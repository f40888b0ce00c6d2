import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createProgram } from '../../../src/ebpf/create-program.js';
import { XDP_DROP, XDP_PASS } from '../../../src/ebpf/execution.js';
import { instruction } from '../../../src/ebpf/instruction.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { openSocket } from '../../../src/socket/open-socket.js';
import { udpPacket } from '../../support/packets.js';
import { VethPair } from '../../support/veth-pair.js';
import {
  countingProgram,
  doubleWord,
  mapOf,
  number,
  uncheckedProgram,
  verdictProgram,
  word,
} from '../../support/xdp-programs.js';

// `ip netns exec` has made a mount namespace: what is mounted here vanishes with the process.
execFileSync('mount', ['-t', 'bpf', 'bpf', '/sys/fs/bpf']);

const pair = VethPair.inherited();
after(() => pair.close());
const { interface: near } = pair.near;
const kernel = new LinuxKernel();
after(() => kernel.close());

const script = (name: string): string => fileURLToPath(new URL(`../../support/programs/${name}.js`, import.meta.url));
const bpftool = (...args: string[]): string => execFileSync('bpftool', args, { encoding: 'utf8' });
const descriptors = (): number => readdirSync('/proc/self/fd').length;
const attached = (): boolean => /prog\/xdp/.test(pair.run(pair.near, 'ip', 'link', 'show', near));

test('a map that bpftool has made and pinned is used by a program of ours', async () => {
  const path = '/sys/fs/bpf/theirs';
  const sizes = ['type', 'array', 'key', '4', 'value', '8', 'entries', '4', 'name', 'theirs'];
  bpftool('map', 'create', path, ...sizes);
  const map = await kernel.openPinnedMap(path);
  assert.deepEqual(map.definition, {
    ...{ name: 'theirs', type: 'array', keySize: 4, valueSize: 8, maxEntries: 4, flags: 0 },
  });
  const counts = mapOf('array', 'counts');
  const object = { programs: [countingProgram(counts, XDP_DROP)], maps: [counts] };
  const loaded = await kernel.loadObject(object, { maps: { counts: map } });
  assert.equal(loaded.programs[0]!.test(udpPacket(), 5).verdict, XDP_DROP);
  loaded.close();
  assert.match(bpftool('map', 'lookup', 'pinned', path, 'key', '0', '0', '0', '0'), /value: 05 00/);
  bpftool('map', 'update', 'pinned', path, 'key', '1', '0', '0', '0', 'value', ...'9 0 0 0 0 0 0 0'.split(' '));
  assert.equal(number(map.lookup(word(1))), 9);
  map.close();
});

test('a map of ours that is pinned is there for bpftool, and stays', async () => {
  const path = '/sys/fs/bpf/ours';
  const definition = mapOf('hash', 'ours_by_name');
  const object = await kernel.loadObject({ programs: [], maps: [definition] });
  const map = object.maps.get('ours_by_name')!;
  map.update(word(3), doubleWord(4));
  await kernel.pinMap(map, path);
  await assert.rejects(kernel.pinMap(map, path), { code: 'INVALID_OPTION', message: /something is there already/ });
  object.close();
  assert.match(bpftool('map', 'show', 'pinned', path), /hash {2}name ours_by_name/);
  assert.match(bpftool('map', 'dump', 'pinned', path), /03 00 00 00.*04 00 00 00/s);
});

test('pinning by name shares a map between objects, whoever comes first', async () => {
  const shared = mapOf('array', 'by_name', 2, { pinnedByName: true });
  const object = { programs: [countingProgram(shared, XDP_PASS)], maps: [shared] };
  const first = await kernel.loadObject(object);
  assert.ok(existsSync('/sys/fs/bpf/by_name'));
  const second = await kernel.loadObject(object);
  for (const one of [first, second]) one.programs[0]!.test(udpPacket(), 2);
  assert.equal(number(first.maps.get('by_name')!.lookup(word(0))), 4);
  first.close();
  second.close();
  const other = mapOf('hash', 'by_name', 2, { pinnedByName: true });
  await assert.rejects(kernel.loadObject({ programs: [], maps: [other] }), {
    code: 'INVALID_OPTION',
    message: /pinned at \/sys\/fs\/bpf\/by_name is not the one of the object: its type is array/,
  });
  rmSync('/sys/fs/bpf/by_name');
});

test('what is not pinned, and where nothing can be, is told', async () => {
  const open = descriptors();
  await assert.rejects(kernel.openPinnedMap('/sys/fs/bpf/nothing'), { code: 'INVALID_OPTION', remedy: /mount -t bpf/ });
  await assert.rejects(kernel.openPinnedMap('/etc/hostname'), { name: 'PacketError' });
  const program = '/sys/fs/bpf/program';
  const object = await kernel.loadObject({
    programs: [verdictProgram(XDP_PASS, { name: 'pinned_one' })],
    maps: [mapOf('array', 'a')],
  });
  bpftool('prog', 'pin', 'name', 'pinned_one', program);
  await assert.rejects(kernel.openPinnedMap(program), { code: 'INVALID_OPTION', message: /is no map/ });
  await assert.rejects(kernel.pinMap(object.maps.get('a')!, '/run/tp4_none'), { code: 'INVALID_OPTION' });
  await assert.rejects(kernel.pinMap(object.maps.get('a')!, '/sys/fs/bpf/no/folder'), { code: 'INVALID_OPTION' });
  object.close();
  assert.equal(descriptors(), open);
});

test('functions and lines of a program are known to the verifier and to bpftool', async () => {
  const lines = [0, 1].map((slot) => ({ slot, file: 'first.c', line: 4 + slot, column: 1, text: `line ${slot};` }));
  const load = kernel.loadObject({ programs: [uncheckedProgram({ lines })], maps: [] });
  await assert.rejects(load, (error: { log?: string }) => /; line 1;(?: @ first\.c:5)?\n1: /.test(error.log ?? ''));
  const program = verdictProgram(XDP_PASS, { name: 'tp4_lines', lines });
  const object = await kernel.loadObject({ programs: [program], maps: [] });
  assert.match(bpftool('prog', 'dump', 'xlated', 'name', 'tp4_lines'), /main\(\):\n; line 0;\n/);
  object.close();
  await assert.rejects(kernel.loadObject({ programs: [{ ...program, btf: new Uint8Array(9) }], maps: [] }), {
    code: 'PROGRAM_CORRUPT',
  });
});

test('a kernel function is called by name, or said to be missing', {
  skip: existsSync('/sys/kernel/btf/vmlinux') ? false : 'the kernel tells no types',
}, async () => {
  const call = (index: number) => instruction(0x85, { source: 2, immediate: index });
  const code = [call(0), call(1), instruction(0xb7, { immediate: XDP_PASS }), instruction(0x95)];
  const kernelFunctions = ['bpf_rcu_read_lock', 'bpf_rcu_read_unlock'];
  const object = await kernel.loadObject({ programs: [createProgram(code, { kernelFunctions })], maps: [] });
  assert.equal(object.programs[0]!.test(udpPacket()).verdict, XDP_PASS);
  object.close();
  const wrong = createProgram(code, { kernelFunctions: ['tp4_no_such_function', 'bpf_rcu_read_unlock'] });
  await assert.rejects(kernel.loadObject({ programs: [wrong], maps: [] }), {
    code: 'PROGRAM_REFUSED',
    message: /slot 0: kernel function tp4_no_such_function: this kernel has no such function/,
  });
});

test('a program of another process keeps the interface, is named, and goes when that is killed', async () => {
  const other = pair.start(pair.near, script('attach-and-wait'), near);
  await other.line('attached');
  const object = await kernel.loadObject({ programs: [verdictProgram(XDP_PASS)], maps: [] });
  const attach = () => kernel.attachProgram(object.programs[0]!, { interface: near, hook: 'native' });
  await assert.rejects(attach(), {
    code: 'INTERFACE_BUSY',
    message: new RegExp(`XDP program \\d+ \\(tp4_waiting\\) is attached to it by process ${other.process.pid}`),
  });
  other.process.kill('SIGKILL');
  assert.equal((await other.result).signal, 'SIGKILL');
  for (let i = 0; i < 200 && attached(); i++) await sleep(10);
  const attachment = await attach();
  await attachment.detach();
  object.close();
  assert.equal(attached(), false);
});

test('where a dispatcher of libxdp is, it is said why nothing can be put beside it', async () => {
  const own = new LinuxKernel();
  const programs = [verdictProgram(XDP_PASS, { name: 'xdp_dispatcher' }), verdictProgram(XDP_PASS, { name: 'second' })];
  const object = await own.loadObject({ programs, maps: [] });
  await own.attachProgram(object.programs[0]!, { interface: near, hook: 'native' });
  const busy = { code: 'INTERFACE_BUSY', message: /a dispatcher of libxdp/, remedy: /xdp-loader unload tp4near --all/ };
  await assert.rejects(own.attachProgram(object.programs[1]!, { interface: near, hook: 'native' }), busy);
  await assert.rejects(openSocket({ kernel, interface: near, receive: 'all', mode: 'xdp-copy' }), busy);
  await own.close();
  assert.equal(attached(), false);
});
