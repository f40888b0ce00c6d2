import { Arena } from '../../src/arena/arena.js';
import { interpreter } from '../../src/ebpf/interpreter/interpreter.js';
import { SoftKernel, type SoftKernelOptions } from '../../src/soft-kernel/soft-kernel.js';
import { type ProgramConformanceOptions, programConformance } from './programs.js';

const REDIRECTED = { native: ['xdp-copy', 'xdp-zc', 'v4-zc'], generic: ['xdp-copy'] } as const;

function soft(
  name: string,
  addDevices: (kernel: SoftKernel) => Promise<unknown>,
  kernelOptions: SoftKernelOptions = {},
): ProgramConformanceOptions {
  return {
    name,
    redirected: REDIRECTED,
    wantsProgramAtEnd: false,
    hardwareTimes: name.includes('NIC'),
    async create() {
      const kernel = new SoftKernel({ arena: Arena.create(2 ** 27), ...kernelOptions });
      await addDevices(kernel);
      const otherIndex = (await kernel.interfaces()).find(({ name }) => name === 'other')!.index!;
      return {
        ...{ kernel, near: 'near', far: 'far', other: 'other', end: 'end', otherIndex },
        settle: async () => void kernel.run(20),
        close: () => kernel.close(),
      };
    },
  };
}

const addVeths = async (kernel: SoftKernel): Promise<void> => {
  await kernel.addVeth({ names: ['near', 'far'] });
  await kernel.addVeth({ names: ['other', 'end'] });
};

programConformance(soft('programs in the soft kernel, veth pairs', addVeths));
programConformance(soft('programs in the soft kernel, interpreted', addVeths, { engine: interpreter }));
programConformance(
  soft('programs in the soft kernel, NICs on cables', async (kernel) => {
    for (const [cable, names] of [
      ['one', ['near', 'far']],
      ['two', ['other', 'end']],
    ] as const) {
      const wire = { kind: 'patch', cable, pause: true } as const;
      for (const name of names) await kernel.addNic({ name, wire });
    }
  }),
);
