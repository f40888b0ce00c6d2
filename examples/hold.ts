// Holds received packets back and sends them later, without copying them (the talk's I10): node hold.js
// As a reassembler does: every 16th packet is held until eight such are together; the others go on at once.
import { openSocket, PacketBatch } from 'tpacket4';

const PACKETS = 4096;
await using socket = await openSocket({ interface: `soft:generator,count=${PACKETS}`, receive: 'all' });

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
    move(batch, i, received++ % 16 === 0 ? held : going);
    if (held.length < held.capacity) continue;
    wereHeld += held.length; // more than a hundred packets have come since the first of them
    await sendAll(held);
  }
  batch.length = 0; // its frames are in the other batches now
  await sendAll(going);
}
socket.release(held);
console.log(`${received} received, ${sent} sent, ${wereHeld} of them held back before`);
const { copied, copiedOut } = await socket.statistics();
console.log(`mode ${socket.mode.got}: ${copied + copiedOut} packets copied`);

/** Whoever has a frame's offset and size has the packet: moving it to another batch is copying two numbers. */
function move(from: PacketBatch, index: number, to: PacketBatch): void {
  to.offset[to.length] = from.offset[index]!;
  to.size[to.length] = from.size[index]!;
  to.flags[to.length++] = from.flags[index]!;
  to.origin = from.origin;
}

async function sendAll(packets: PacketBatch): Promise<void> {
  while (packets.length > 0) {
    const count = socket.send(packets);
    sent += count;
    if (count === 0) await socket.wait({ for: 'send' });
  }
}
