import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Arena } from '../../../src/arena/arena.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { conformance } from '../../conformance/suite.js';
import { VethPair } from '../../support/veth-pair.js';

const pair = VethPair.inherited();
after(() => pair.close());
const kernel = new LinuxKernel({ arena: Arena.create(2 ** 27) });
const near = (await kernel.interfaces()).find(({ name }) => name === pair.near.interface)!;
// A veth pair has no zero-copy. Whatever else the kernel says it can try must work.
const modes = near.modes.filter((mode) => mode !== 'xdp-zc');

test('the modes that a veth pair always has are there', () => {
  for (const mode of ['xdp-copy', 'xdp-generic'] as const) assert.ok(modes.includes(mode), mode);
});

conformance({
  name: 'Linux kernel, veth pair',
  modes,
  farMode: 'xdp-copy',
  ...(modes.includes('v2') && { tapMode: 'v2' }),
  async create() {
    return { kernel, near: near.name, far: pair.far.interface, close: () => kernel.close() };
  },
});
