// Sends numbered UDP packets through one queue, as many to each port, in turn: INTERFACE QUEUE COUNT PORT...
// Ends when the kernel has delivered them all.
import { PacketBatch } from '../../../src/ring/packet-batch.js';
import { udpPacket } from '../packets.js';
import { openXdp } from '../xdp-session.js';

const [name, queue, count, ...ports] = process.argv.slice(2);
const { rings, socket, buffer, close } = await openXdp({
  ...{ interface: name!, queue: Number(queue), mode: 'xdp-copy', receive: 'none', entries: 1024, frames: 4096 },
});
const packets = ports.length * Number(count);
const batch = new PacketBatch(packets);
if (rings.allocate(batch, packets) !== packets) throw new Error(`no room for ${packets} packets`);
for (let i = 0; i < packets; i++) {
  const packet = udpPacket({ number: i, destinationPort: Number(ports[i % ports.length]) });
  buffer.arena.u8.set(packet, batch.offset[i]!);
  batch.size[i] = packet.length;
}
if (rings.send(batch) !== packets) throw new Error('the ring is full');
const delivered = await socket.wait(() => !socket.sending(), { timeoutMilliseconds: 5000 });
await close();
if (!delivered) throw new Error('the packets were not delivered');
