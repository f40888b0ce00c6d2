import { Arena } from '../../src/arena/arena.js';
import { LinuxKernel } from '../../src/linux-kernel/linux-kernel.js';
import { conformance } from '../conformance/suite.js';

// Runs in the virtual machine of `npm run test:zero-copy`, between two cards whose drivers do zero-copy.
conformance({
  name: 'Linux kernel, two cards',
  modes: ['xdp-zc'],
  farMode: 'xdp-zc',
  frameSize: 4096,
  emulated: true,
  async create() {
    const kernel = new LinuxKernel({ arena: Arena.create(2 ** 27) });
    return { kernel, near: 'tp4near', far: 'tp4far', close: () => kernel.close() };
  },
});
