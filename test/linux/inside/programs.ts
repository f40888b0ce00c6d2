import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { XDP_DROP, XDP_PASS, XDP_TX } from '../../../src/ebpf/execution.js';
import type { MapContents } from '../../../src/ebpf/maps/contract.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { ProgramRefusal } from '../../../src/linux-kernel/programs/program-refusal.js';
import { openSocket } from '../../../src/socket/open-socket.js';
import type { PacketSocket } from '../../../src/socket/packet-socket.js';
import { receiveNumbered, sendNumbered } from '../../support/numbered-traffic.js';
import { udpPacket } from '../../support/packets.js';
import { VethPair } from '../../support/veth-pair.js';
import {
  countingProgram,
  mapOf,
  number,
  redirectProgram,
  tailCallProgram,
  uncheckedProgram,
  verdictProgram,
  word,
} from '../../support/xdp-programs.js';

const pair = VethPair.inherited();
after(() => pair.close());
const { interface: near } = pair.near;
const { interface: far } = pair.far;
const kernel = new LinuxKernel();
after(() => kernel.close());

const script = (name: string): string => fileURLToPath(new URL(`../../support/programs/${name}.js`, import.meta.url));
const descriptors = (): number => readdirSync('/proc/self/fd').length;
const attachedTo = (name: string): boolean => /prog\/xdp/.test(pair.run(pair.near, 'ip', 'link', 'show', name));
const buffer = { frames: 1024 };

/** Packets that the pair has handed to the near end's program; what its own queue loses is ahead of that. */
function offered(): number {
  return Number(/rx_queue_0_xdp_packets: (\d+)/.exec(pair.run(pair.near, 'ethtool', '-S', near))?.[1]);
}

/** A socket at the far end that sends. */
const openSender = (): Promise<PacketSocket> =>
  openSocket({ kernel, interface: far, receive: 'none', mode: 'xdp-copy', buffer });

/** Waits until a count has come to what is wanted, and is not more. */
async function counted(map: MapContents, wanted: number, index = 0): Promise<void> {
  for (let i = 0; i < 400 && number(map.lookup(word(index))) < wanted; i++) await sleep(5);
  assert.equal(number(map.lookup(word(index))), wanted);
}

const counts = mapOf('array', 'counts');

for (const hook of ['native', 'generic'] as const) {
  test(`${hook}: a program counts and drops; its map is read while packets come`, async () => {
    const object = await kernel.loadObject({ programs: [countingProgram(counts, XDP_DROP)], maps: [counts] });
    const map = object.maps.get('counts')!;
    const attachment = await kernel.attachProgram(object.programs[0]!, { interface: near, hook });
    assert.deepEqual([attachment.interface, attachment.hook, attachedTo(near)], [near, hook, true]);
    const stack = await openSocket({ kernel, interface: near, receive: 'all', mode: 'v3', buffer });
    for (let round = 0; round < 3; round++) {
      map.update(word(0), new Uint8Array(8));
      const sender = await openSender();
      await sendNumbered(sender, 100, 60);
      await sender.close();
      await counted(map, 100);
    }
    assert.equal((await stack.statistics()).kernelReceived, 0);
    await attachment.detach();
    await attachment.detach();
    assert.equal(attachedTo(near), false);
    await stack.close();
    object.close();
  });

  test(`${hook}: a program passes packets on to the stack`, async () => {
    const object = await kernel.loadObject({ programs: [countingProgram(counts, XDP_PASS)], maps: [counts] });
    const attachment = await kernel.attachProgram(object.programs[0]!, { interface: near, hook });
    const stack = await openSocket({ kernel, interface: near, receive: 'all', mode: 'v3', buffer });
    const sender = await openSender();
    await sendNumbered(sender, 100, 60);
    await receiveNumbered(stack, 100, 60);
    await counted(object.maps.get('counts')!, 100);
    await attachment.detach();
    for (const socket of [stack, sender]) await socket.close();
    object.close();
  });

  test(`${hook}: a program sends packets back`, async () => {
    const object = await kernel.loadObject({
      programs: [verdictProgram(XDP_TX, { name: 'back' }), verdictProgram(XDP_PASS, { name: 'pass' })],
      maps: [],
    });
    // A veth takes what the other end's program sends where it runs one itself.
    const [back, pass] = [
      await kernel.attachProgram(object.programs[0]!, { interface: near, hook }),
      await kernel.attachProgram(object.programs[1]!, { interface: far, hook: 'native' }),
    ];
    const stack = await openSocket({ kernel, interface: far, receive: 'all', mode: 'v3', buffer });
    const sender = await openSender();
    await sendNumbered(sender, 50, 60);
    await receiveNumbered(stack, 50, 60);
    for (const one of [back, pass]) await one.detach();
    for (const socket of [stack, sender]) await socket.close();
    object.close();
  });
}

test('a program sends packets on to another device, by a map of devices', async () => {
  execFileSync('ip', ['link', 'add', 'tp4other', 'type', 'veth', 'peer', 'name', 'tp4end']);
  for (const name of ['tp4other', 'tp4end']) execFileSync('ip', ['link', 'set', name, 'up']);
  const devices = mapOf('devmap', 'devices');
  const object = await kernel.loadObject({
    programs: [redirectProgram(devices, { name: 'onwards', entry: 1 }), verdictProgram(XDP_PASS, { name: 'pass' })],
    maps: [devices],
  });
  const index = Number(execFileSync('cat', ['/sys/class/net/tp4other/ifindex'], { encoding: 'utf8' }));
  object.maps.get('devices')!.update(word(1), word(index));
  assert.deepEqual(object.maps.get('devices')!.lookup(word(1)), word(index));
  const attachments = [
    await kernel.attachProgram(object.programs[0]!, { interface: near, hook: 'native' }),
    await kernel.attachProgram(object.programs[1]!, { interface: 'tp4end', hook: 'native' }),
  ];
  const stack = await openSocket({ kernel, interface: 'tp4end', receive: 'all', mode: 'v3', buffer });
  const sender = await openSender();
  await sendNumbered(sender, 100, 60);
  await receiveNumbered(stack, 100, 60);
  for (const one of attachments) await one.detach();
  for (const socket of [stack, sender]) await socket.close();
  object.close();
  execFileSync('ip', ['link', 'del', 'tp4other']);
});

test('a program hands packets to a CPU, by a map of CPUs', async () => {
  const cpus = mapOf('cpumap', 'cpus');
  const object = await kernel.loadObject({ programs: [redirectProgram(cpus, { entry: 0 })], maps: [cpus] });
  object.maps.get('cpus')!.update(word(0), word(512));
  const attachment = await kernel.attachProgram(object.programs[0]!, { interface: near, hook: 'native' });
  const stack = await openSocket({ kernel, interface: near, receive: 'all', mode: 'v3', buffer });
  const sender = await openSender();
  await sendNumbered(sender, 100, 60);
  await receiveNumbered(stack, 100, 60);
  await attachment.detach();
  for (const socket of [stack, sender]) await socket.close();
  object.close();
});

test('programs chain by tail calls, which outlive their object while it is attached', async () => {
  const chain = mapOf('prog_array', 'chain', 2, { initialEntries: [{ index: 1, name: 'second' }] });
  const object = await kernel.loadObject({
    programs: [
      tailCallProgram(chain, 1, XDP_PASS, { name: 'first' }),
      countingProgram(counts, XDP_DROP, { name: 'second' }),
      countingProgram(counts, XDP_DROP, { name: 'third', index: 1 }),
    ],
    maps: [chain, counts],
  });
  const [first, second, third] = object.programs;
  const map = object.maps.get('counts')!;
  assert.equal(first!.test(udpPacket()).verdict, XDP_DROP);
  assert.equal(number(map.lookup(word(0))), 1);
  object.maps.get('chain')!.update(word(1), word(third!.handle));
  assert.equal(first!.test(udpPacket(), 10).verdict, XDP_DROP);
  assert.equal(number(map.lookup(word(1))), 10);
  assert.equal(object.maps.get('chain')!.delete(word(1)), true);
  assert.equal(first!.test(udpPacket()).verdict, XDP_PASS);
  object.maps.get('chain')!.update(word(1), word(second!.handle));
  const attachment = await kernel.attachProgram(first!, { interface: near, hook: 'native' });
  object.close();
  const sender = await openSender();
  await sendNumbered(sender, 20, 60);
  await counted(map, 21);
  await attachment.detach();
  await sender.close();
  assert.throws(() => map.lookup(word(0)), { code: 'WRONG_STATE' });
});

test('a program that takes the place of another under traffic loses no packet', async () => {
  const programs = [0, 1].map((index) => countingProgram(counts, XDP_DROP, { name: `count${index}`, index }));
  const object = await kernel.loadObject({ programs, maps: [counts] });
  const map = object.maps.get('counts')!;
  const before = offered();
  const attachment = await kernel.attachProgram(object.programs[0]!, { interface: near, hook: 'native' });
  const source = pair.start(pair.far, script('txpush'), far, 'xdp-copy', 300_000, 60);
  let isOver = false;
  const ended = source.result.finally(() => {
    isOver = true;
  });
  let replaced = 0;
  while (!isOver && replaced < 10_000) {
    await attachment.replace(object.programs[++replaced % 2]!);
    await sleep(1);
  }
  assert.equal((await ended).status, 0);
  await sleep(50);
  const [first, second] = [0, 1].map((index) => number(map.lookup(word(index))));
  assert.equal(first! + second!, offered() - before);
  assert.ok(first! > 0 && second! > 0 && replaced > 10, `${first} and ${second} packets, ${replaced} times replaced`);
  await attachment.detach();
  object.close();
});

test('what the verifier refuses is told with slot, line, registers and reason', async () => {
  const lines = [
    { slot: 0, file: 'first.c', line: 4, column: 1, text: 'void *data = (void *)(long)ctx->data;' },
    { slot: 1, file: 'first.c', line: 5, column: 1, text: '  return *(char *)data;' },
  ];
  const load = kernel.loadObject({ programs: [uncheckedProgram({ name: 'hasty', lines })], maps: [] });
  await assert.rejects(load, (error) => {
    assert.ok(error instanceof ProgramRefusal);
    assert.deepEqual(
      [error.code, error.slot, error.syscall, error.errno],
      ['PROGRAM_REFUSED', 1, 'bpf BPF_PROG_LOAD', 13],
    );
    const where =
      /load the program hasty: .* refuses slot 1 \(r0 = \*\(u8 \*\)\(r2 \+0\)\) of first\.c:5 "return \*\(char \*\)data;": /;
    assert.match(error.message, where);
    assert.match(error.message, /invalid access to packet, off=0 size=1.*; registers: R\d.*R2\w*=pkt/s);
    assert.match(error.log, /processed \d+ insns/);
    return true;
  });
});

test('a load that fails in the middle leaves nothing', async () => {
  const open = descriptors();
  for (let i = 0; i < 5; i++) {
    const programs = [countingProgram(counts, XDP_DROP), uncheckedProgram()];
    await assert.rejects(kernel.loadObject({ programs, maps: [counts] }), { code: 'PROGRAM_REFUSED' });
    await assert.rejects(kernel.loadObject({ programs: [], maps: [counts, mapOf('hash', 'none', 0)] }), {
      code: 'MAP_UNSUPPORTED',
    });
    assert.equal(descriptors(), open);
  }
});

test('maps of another object take the place of its own', async () => {
  const first = await kernel.loadObject({ programs: [countingProgram(counts, XDP_DROP)], maps: [counts] });
  const shared = first.maps.get('counts')!;
  const object = { programs: [countingProgram(counts, XDP_DROP, { index: 1 })], maps: [counts] };
  const second = await kernel.loadObject(object, { maps: { counts: shared } });
  second.programs[0]!.test(udpPacket(), 3);
  second.close();
  assert.equal(number(shared.lookup(word(1))), 3);
  first.close();
  const wrong = (message: RegExp) => ({ code: 'INVALID_OPTION', message });
  const load = (options: object) => kernel.loadObject(object, options);
  await assert.rejects(load({ maps: { count: shared } }), wrong(/no map count \(did you mean counts\?\)/));
  await assert.rejects(load({ maps: { counts: {} } }), wrong(/maps\.counts: it is no map in the Linux kernel/));
  await assert.rejects(load({ programs: ['main'] }), wrong(/no program main/));
  await assert.rejects(load({ program: ['program'] }), wrong(/no option program/));
  const other = await kernel.loadObject({ programs: [], maps: [mapOf('hash', 'other')] });
  await assert.rejects(
    load({ maps: { counts: other.maps.get('other')! } }),
    wrong(/its type is hash, and array is wanted/),
  );
  other.close();
});

test('a test run tells verdict, packet and time, and refuses what is no packet', async () => {
  const object = await kernel.loadObject({ programs: [verdictProgram(77)], maps: [] });
  const [program] = object.programs;
  const run = program!.test(udpPacket({ length: 100 }), 1000);
  assert.deepEqual([run.verdict, Buffer.from(run.packet)], [77, Buffer.from(udpPacket({ length: 100 }))]);
  assert.ok(run.nanoseconds >= 0 && run.nanoseconds < 1e6, `${run.nanoseconds} ns`);
  assert.throws(() => program!.test(new Uint8Array(13)), { code: 'INVALID_OPTION', message: /13 bytes/ });
  assert.throws(() => program!.test(new Uint8Array(200_000)), { code: 'INVALID_OPTION', message: /200000 bytes/ });
  assert.throws(() => program!.test(udpPacket(), 0), { code: 'INVALID_OPTION', message: /repeat: 0/ });
  object.close();
  assert.throws(() => program!.test(udpPacket()), { code: 'WRONG_STATE' });
});

test('attaching says what it cannot', async () => {
  const object = await kernel.loadObject({ programs: [verdictProgram(XDP_PASS, { name: 'tp4_first' })], maps: [] });
  const [program] = object.programs;
  const attach = (request: object) => kernel.attachProgram(program!, request as never);
  await assert.rejects(attach({ interface: 'tp4none', hook: 'native' }), { code: 'NO_INTERFACE' });
  await assert.rejects(attach({ interface: 'lo', hook: 'native' }), {
    code: 'MODE_UNSUPPORTED',
    message: /runs no XDP/,
  });
  await assert.rejects(attach({ interface: near, hook: 'egress' }), { code: 'MODE_UNSUPPORTED', remedy: /devmap/ });
  await assert.rejects(attach({ interface: near, hook: 'driver' }), { code: 'INVALID_OPTION' });
  const attachment = await attach({ interface: near, hook: 'native' });
  for (const hook of ['native', 'generic']) {
    const message = new RegExp(`attach .* XDP program \\d+ \\(tp4_first\\) is attached to it by .*${process.pid}`);
    await assert.rejects(attach({ interface: near, hook }), { code: 'INTERFACE_BUSY', message });
  }
  await attachment.detach();
  await assert.rejects(attachment.replace(program!), { code: 'WRONG_STATE' });
  object.close();
  await assert.rejects(attach({ interface: near, hook: 'native' }), { code: 'WRONG_STATE' });
});

test('the kernel that closes detaches and gives back everything', async () => {
  const open = descriptors();
  const own = new LinuxKernel();
  const object = await own.loadObject({ programs: [countingProgram(counts, XDP_DROP)], maps: [counts] });
  await own.attachProgram(object.programs[0]!, { interface: near, hook: 'native' });
  assert.equal(attachedTo(near), true);
  await own.close();
  assert.deepEqual([attachedTo(near), descriptors()], [false, open]);
});
