// Holds received packets back and sends them later (the talk's I10): node hold.js [MODE]
// As a reassembler does: every 16th packet is held until eight such are together; the others go on at once.
import { type Mode, openSocket, PacketBatch } from 'tpacket4';

const PACKETS = 4096;
const mode = (process.argv[2] ?? 'best') as Mode | 'best';
await using socket = await openSocket({
  interface: `soft:generator,count=${PACKETS},rate=100000`,
  receive: 'all',
  mode,
});

const batch = new PacketBatch(64);
const held = new PacketBatch(8);
const going = new PacketBatch(64);
let received = 0;
let sent = 0;
let wereHeld = 0;

while (received < PACKETS) {
  if (socket.receive(batch) === 0) {
    if (!(await socket.wait({ timeoutMilliseconds: 1000 }))) break;
    continue;
  }
  for (let i = 0; i < batch.length; i++) {
    const into = received++ % 16 === 0 ? held : going;
    into.append(batch, i);
    if (held.length < held.capacity) continue;
    wereHeld += held.length; // more than a hundred packets have come since the first of them
    await sendAll(held);
  }
  batch.length = 0; // its packets are in the other batches now
  socket.hold(held); // nothing in V4 and AF_XDP; in V2 and V3 the packets leave the ring, which goes on
  await sendAll(going);
}
socket.release(held);
console.log(`${received} received, ${sent} sent, ${wereHeld} of them held back before`);
const { copied, copiedOut } = await socket.statistics();
console.log(`mode ${socket.mode.got}: ${copied} packets copied to send them, ${copiedOut} out of the ring`);

async function sendAll(packets: PacketBatch): Promise<void> {
  while (packets.length > 0) {
    const count = socket.send(packets);
    sent += count;
    if (count === 0) await socket.wait({ for: 'send' });
  }
}
