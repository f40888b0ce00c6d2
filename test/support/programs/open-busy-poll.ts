// Opens a sender with busy polling and prints the error that it gets: INTERFACE
import type { PacketError } from '../../../src/errors.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { openSocket } from '../../../src/socket/open-socket.js';

const kernel = new LinuxKernel();
const options = { kernel, interface: process.argv[2]!, mode: 'xdp-copy', receive: 'none', ring: 64 } as const;
// Within the memory that a program without further privilege may lock.
const buffer = { frames: 64 };
await (await openSocket({ ...options, buffer })).close();
try {
  await openSocket({ ...options, buffer, busyPoll: { microseconds: 20, prefer: true } });
  console.log('{}');
} catch (error) {
  console.log(JSON.stringify(error as PacketError));
}
