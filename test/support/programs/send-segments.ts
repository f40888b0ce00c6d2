// Sends one packet, numbered 7, that lies in three frames: INTERFACE SIZE
import { setTimeout as sleep } from 'node:timers/promises';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { PACKET_CONTINUES, PacketBatch } from '../../../src/ring/packet-batch.js';
import { openSocket } from '../../../src/socket/open-socket.js';
import { writeNumberedFrame } from '../frames.js';

const [name, size] = process.argv.slice(2);
const packet = new Uint8Array(Number(size));
writeNumberedFrame(packet, 0, packet.length, 7);
const socket = await openSocket({
  kernel: new LinuxKernel(),
  interface: name!,
  mode: 'xdp-copy',
  receive: 'none',
  segments: true,
});
const batch = new PacketBatch(3);
socket.allocate(batch, 3);
const part = Math.ceil(packet.length / 3);
for (let i = 0; i < 3; i++) {
  const piece = packet.subarray(i * part, (i + 1) * part);
  socket.bytes.set(piece, batch.offset[i]!);
  batch.size[i] = piece.length;
  batch.flags[i] = i < 2 ? PACKET_CONTINUES : 0;
}
socket.send(batch);
for (let i = 0; i < 200 && (await socket.statistics()).kernelSent < 3; i++) await sleep(5);
await socket.close();
