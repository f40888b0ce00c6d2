// A child with its parent's packet buffer at descriptor 3 and a message channel: INTERFACE QUEUE. Sends the packets whose places it is
// told through a queue of its own, says "sent", and takes frames that it never gives back when it is told to.
import { adoptLinuxBuffer } from '../../../src/host/linux-buffer.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { PacketBatch } from '../../../src/ring/packet-batch.js';
import { openSocket } from '../../../src/socket/open-socket.js';

const [name, queue] = process.argv.slice(2);
const buffer = await adoptLinuxBuffer(3);
const kernel = new LinuxKernel();
const options = {
  kernel,
  interface: name!,
  queue: Number(queue),
  mode: 'xdp-copy',
  receive: 'none',
  ring: 64,
} as const;
const socket = await openSocket({ ...options, buffer });
process.on('message', async (message: { places: number[]; sizes: number[] } | 'hold' | 'end') => {
  const batch = new PacketBatch(64);
  if (message === 'hold') {
    process.send!({ held: socket.allocate(batch, 16) });
  } else if (message === 'end') {
    await socket.close();
    buffer.close();
    process.disconnect!();
  } else {
    for (const [i, place] of message.places.entries()) {
      batch.offset[i] = buffer.base + place;
      batch.size[i] = message.sizes[i]!;
    }
    batch.length = message.places.length;
    const sent = socket.send(batch);
    for (let i = 0; i < 100 && (await socket.statistics()).kernelSent < sent; i++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    socket.send(batch); // nothing: takes back what was sent
    process.send!({ sent, copied: socket.rings.counters.copied, base: buffer.base });
  }
});
process.send!('ready');
