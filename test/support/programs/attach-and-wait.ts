// Attaches an XDP program to an interface and waits to be killed: attach-and-wait IFACE
import { XDP_PASS } from '../../../src/ebpf/execution.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { verdictProgram } from '../xdp-programs.js';

const kernel = new LinuxKernel();
const object = await kernel.loadObject({ programs: [verdictProgram(XDP_PASS, { name: 'tp4_waiting' })], maps: [] });
await kernel.attachProgram(object.programs[0]!, { interface: process.argv[2]!, hook: 'native' });
console.log('attached');
setTimeout(() => {}, 60_000);
