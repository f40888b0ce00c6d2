import { execFileSync } from 'node:child_process';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Arena } from '../../../src/arena/arena.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { programConformance } from '../../conformance/programs.js';
import { VethPair } from '../../support/veth-pair.js';

const pair = VethPair.inherited();
after(() => pair.close());
execFileSync('ip', ['link', 'add', 'tp4other', 'type', 'veth', 'peer', 'name', 'tp4end']);
for (const name of ['tp4other', 'tp4end']) execFileSync('ip', ['link', 'set', name, 'up']);

programConformance({
  name: 'programs in the Linux kernel, veth pairs',
  redirected: { native: ['xdp-copy'], generic: ['xdp-generic'] },
  wantsProgramAtEnd: true,
  hardwareTimes: false,
  async create() {
    const kernel = new LinuxKernel({ arena: Arena.create(2 ** 27) });
    const otherIndex = (await kernel.interfaces()).find(({ name }) => name === 'tp4other')!.index!;
    const names = { near: pair.near.interface, far: pair.far.interface, other: 'tp4other', end: 'tp4end' };
    return { kernel, ...names, otherIndex, settle: () => sleep(5), close: () => kernel.close() };
  },
});
