import { after } from 'node:test';
import { Arena } from '../../src/arena/arena.js';
import { LinuxKernel } from '../../src/linux-kernel/linux-kernel.js';
import { type OpenSocketOptions, openSocket } from '../../src/socket/open-socket.js';
import type { PacketSocket } from '../../src/socket/packet-socket.js';

// The two cards of the virtual machine of `npm run test:zero-copy`: joined back to back, with drivers that do zero-copy.
export const NEAR = 'tp4near';
export const FAR = 'tp4far';

export const kernel = new LinuxKernel({ arena: Arena.create(2 ** 27) });
after(() => kernel.close());

/** What drives both: "virtio_net" or "igb". */
export const { driver } = (await kernel.interfaces()).find(({ name }) => name === NEAR)!;

/** A socket for all packets of queue 0, with frames that every card can fill. */
export function open(name: typeof NEAR | typeof FAR, options: Partial<OpenSocketOptions> = {}): Promise<PacketSocket> {
  return openSocket({
    kernel,
    interface: name,
    receive: 'all',
    queue: 0,
    buffer: { frames: 2048, frameSize: 4096 },
    ...options,
  });
}
