import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { XDP_DROP, XDP_PASS } from '../../../src/ebpf/execution.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { ProgramRefusal } from '../../../src/linux-kernel/programs/program-refusal.js';
import { VethPair } from '../../support/veth-pair.js';
import { countingProgram, mapOf, number, uncheckedProgram, verdictProgram, word } from '../../support/xdp-programs.js';

const pair = VethPair.inherited();
after(() => pair.close());
const { interface: near } = pair.near;
const { interface: far } = pair.far;
const kernel = new LinuxKernel();
after(() => kernel.close());

const script = (name: string): string => fileURLToPath(new URL(`../../support/programs/${name}.js`, import.meta.url));
const descriptors = (): number => readdirSync('/proc/self/fd').length;
const attachedTo = (name: string): boolean => /prog\/xdp/.test(pair.run(pair.near, 'ip', 'link', 'show', name));

/** Packets that the pair has handed to the near end's program; what its own queue loses is ahead of that. */
function offered(): number {
  return Number(/rx_queue_0_xdp_packets: (\d+)/.exec(pair.run(pair.near, 'ethtool', '-S', near))?.[1]);
}

const counts = mapOf('array', 'counts');

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

test('attaching says what Linux cannot', async () => {
  const object = await kernel.loadObject({ programs: [verdictProgram(XDP_PASS, { name: 'tp4_first' })], maps: [] });
  const [program] = object.programs;
  const attach = (request: object) => kernel.attachProgram(program!, request as never);
  await assert.rejects(attach({ interface: 'lo', hook: 'native' }), {
    code: 'MODE_UNSUPPORTED',
    message: /runs no XDP/,
  });
  await assert.rejects(attach({ interface: near, hook: 'egress' }), { code: 'MODE_UNSUPPORTED', remedy: /devmap/ });
  const attachment = await attach({ interface: near, hook: 'native' });
  for (const hook of ['native', 'generic']) {
    const message = new RegExp(`attach .* XDP program \\d+ \\(tp4_first\\) is attached to it by .*${process.pid}`);
    await assert.rejects(attach({ interface: near, hook }), { code: 'INTERFACE_BUSY', message });
  }
  await attachment.detach();
  object.close();
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
