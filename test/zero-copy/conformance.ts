import { conformance } from '../conformance/suite.js';
import { driver, FAR, kernel, NEAR } from './cards.js';

// Every case runs on both cards. What they answer otherwise than other interfaces is in the cases: see docs/kernels.md.
conformance({
  name: `Linux kernel, two cards of ${driver}`,
  modes: ['xdp-zc'],
  farMode: 'xdp-zc',
  tapMode: 'v2',
  frameSize: 4096,
  emulated: true,
  async create() {
    return { kernel, near: NEAR, far: FAR, close: async () => {} };
  },
});
