// Sends packets as they are given: INTERFACE PACKET..., in hexadecimal
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { openSocket } from '../../../src/socket/open-socket.js';
import { sendPackets } from '../numbered-traffic.js';

const [name, ...packets] = process.argv.slice(2);
const socket = await openSocket({
  kernel: new LinuxKernel(),
  interface: name!,
  mode: 'v2',
  receive: 'none',
  ringFrameSize: 16384,
});
await sendPackets(
  socket,
  packets.map((text) => Uint8Array.from(Buffer.from(text, 'hex'))),
);
await socket.close();
