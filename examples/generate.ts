// Sends numbered UDP packets: node generate.js [INTERFACE [PACKETS]]
import { openSocket, PacketBatch, writeUdpPacket } from 'tpacket4';

const [name = 'soft:none', packets = '100000'] = process.argv.slice(2);
await using socket = await openSocket({ interface: name, receive: 'none' });

// One packet with all its headers and checksums; the frames get copies of it.
const template = new Uint8Array(60);
writeUdpPacket(template, 0, {
  length: template.length,
  sourceMac: '02:00:00:00:00:01',
  destinationMac: 'ff:ff:ff:ff:ff:ff',
  source: '192.0.2.1',
  destination: '192.0.2.255',
  sourcePort: 4000,
  destinationPort: 9,
});
const IDENTIFICATION = 18; // of the IPv4 header; the checksum beside it is corrected when it changes

const batch = new PacketBatch(64);
const wanted = Number(packets);
let sent = 0;
let written = 0;
const start = performance.now();
while (sent < wanted) {
  if (batch.length === 0) {
    const count = socket.allocate(batch, wanted - written);
    for (let i = 0; i < count; i++) {
      const at = batch.offset[i]!;
      socket.bytes.set(template, at);
      writeNumber(socket.bytes, at + IDENTIFICATION, written++ & 0xffff);
      batch.size[i] = template.length;
    }
  }
  const count = socket.send(batch);
  sent += count;
  if (count === 0 && !(await socket.wait({ for: 'send', timeoutMilliseconds: 1000 }))) break;
}
const seconds = (performance.now() - start) / 1000;
console.log(`${name} (${socket.mode.got}): ${sent} packets in ${seconds.toFixed(2)} s`);

/** Writes the identification and what that does to the header's checksum (RFC 1624, from identification 0). */
function writeNumber(bytes: Uint8Array, at: number, number: number): void {
  const checksum = ((template[24]! << 8) | template[25]!) ^ 0xffff;
  const sum = checksum + number;
  const changed = ((sum & 0xffff) + (sum >>> 16)) ^ 0xffff;
  bytes[at] = number >>> 8;
  bytes[at + 1] = number;
  bytes[at + 6] = changed >>> 8;
  bytes[at + 7] = changed;
}
