// Replays a capture file and counts what is in it: node replay-capture.js [FILE]
import { fileURLToPath } from 'node:url';
import { openSocket, PacketBatch } from 'tpacket4';

const shipped = fileURLToPath(new URL('../../captures/veth-mixed.pcap', import.meta.url));
const [file = shipped] = process.argv.slice(2);
await using socket = await openSocket({ interface: `soft:pcap=${file},pace=max`, receive: 'all' });

const NAMES: Record<number, string> = { 2048: 'IPv4', 2054: 'ARP', 34525: 'IPv6', 33024: 'VLAN' };
const counts = new Map<string, { packets: number; bytes: number }>();
const batch = new PacketBatch(64);
const { bytes } = socket;

// The replay ends; on the kernel's own clock nothing more comes after that, and `wait` says so.
while (await socket.wait({ timeoutMilliseconds: 100 })) {
  socket.receive(batch);
  for (let i = 0; i < batch.length; i++) {
    const at = batch.offset[i]!;
    const type = (bytes[at + 12]! << 8) | bytes[at + 13]!;
    const name = NAMES[type] ?? `0x${type.toString(16).padStart(4, '0')}`;
    const count = counts.get(name) ?? { packets: 0, bytes: 0 };
    count.packets++;
    count.bytes += batch.size[i]!;
    counts.set(name, count);
  }
  socket.release(batch);
}
for (const [name, { packets, bytes: total }] of counts) console.log(`${name}: ${packets} packets, ${total} bytes`);
