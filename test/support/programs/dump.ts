// Receives and prints each packet in hexadecimal, a line each: INTERFACE MODE PACKETS. Writes "ready" once bound; gives up after 10 seconds.
import type { Mode } from '../../../src/kernel/contract.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { openSocket } from '../../../src/socket/open-socket.js';

const [name, mode, packets] = process.argv.slice(2);
const options = { kernel: new LinuxKernel(), interface: name!, mode: mode as Mode, receive: 'all' } as const;
const socket = await openSocket({ ...options, ring: 64, buffer: { frames: 256 } });
console.log('ready');
let received = 0;
for await (const { data } of socket.packets({ signal: AbortSignal.timeout(10_000) })) {
  console.log(Buffer.from(data).toString('hex'));
  if (++received === Number(packets)) break;
}
await socket.close();
