import { Arena } from '../../src/arena/arena.js';
import type { Mode } from '../../src/kernel/contract.js';
import { SoftKernel } from '../../src/soft-kernel/soft-kernel.js';
import { conformance } from './suite.js';

const MODES: readonly Mode[] = ['v2', 'v3', 'v4', 'v4-zc', 'xdp-copy', 'xdp-zc'];

conformance({
  name: 'soft kernel, veth pair',
  modes: MODES,
  farMode: 'v3',
  tapMode: 'v2',
  async create() {
    const kernel = new SoftKernel({ arena: Arena.create(2 ** 27) });
    await kernel.addVeth({ names: ['near', 'far'] });
    return { kernel, near: 'near', far: 'far', close: () => kernel.close() };
  },
});

conformance({
  name: 'soft kernel, two NICs on a cable',
  modes: MODES,
  farMode: 'xdp-zc',
  tapMode: 'v3',
  async create() {
    const kernel = new SoftKernel({ arena: Arena.create(2 ** 27) });
    const wire = { kind: 'patch', cable: 'between', pause: true } as const;
    for (const name of ['near', 'far']) await kernel.addNic({ name, wire });
    return { kernel, near: 'near', far: 'far', close: () => kernel.close() };
  },
});
