// Forwards packets from one interface to another and swaps their MAC addresses: node forward.js [FROM TO]
// Both sockets use one packet buffer, so that a frame moves from one to the other and nothing is copied.
import { type Kernel, openSocket, PacketBatch, PacketBuffer, SoftKernel } from 'tpacket4';

const PACKETS = 100_000;
const [from, to] = process.argv.slice(2);
const kernel = from === undefined ? await softKernel() : undefined;
const buffer = PacketBuffer.create({ frames: 8192, ...(kernel && { arena: kernel.arena }) });
const options = { buffer, ...(kernel && { kernel }) };
const a = await openSocket({ ...options, interface: from ?? 'soft0', receive: 'all' });
const b = await openSocket({ ...options, interface: to ?? 'soft1', receive: 'none' });
console.log(`${a.interface} (${a.mode.got}) to ${b.interface} (${b.mode.got})`);

const batch = new PacketBatch(64);
let forwarded = 0;
while (forwarded < PACKETS && (await a.wait({ timeoutMilliseconds: 1000 }))) {
  a.receive(batch);
  swapAddresses(a.bytes, batch);
  while (batch.length > 0) {
    const count = b.send(batch); // the rest stays in the batch when the ring is full
    forwarded += count;
    if (count === 0) await b.wait({ for: 'send' });
  }
}

const { copied } = await b.statistics();
console.log(`${forwarded} packets forwarded, ${copied} of them copied`);
await Promise.all([a.close(), b.close()]);
buffer.close();
await kernel?.close();

function swapAddresses(bytes: Uint8Array, { offset, length }: PacketBatch): void {
  for (let i = 0; i < length; i++) {
    for (let at = offset[i]!; at < offset[i]! + 6; at++) {
      const destination = bytes[at]!;
      bytes[at] = bytes[at + 6]!;
      bytes[at + 6] = destination;
    }
  }
}

async function softKernel(): Promise<Kernel> {
  const soft = new SoftKernel();
  await soft.addNic({ name: 'soft0', wire: { kind: 'generator', size: [64, 594, 1518], count: PACKETS } });
  await soft.addNic({ name: 'soft1' });
  return soft;
}
