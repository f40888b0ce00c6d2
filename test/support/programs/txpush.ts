// Sends numbered frames: INTERFACE MODE PACKETS SIZE [QUEUE]
import { setTimeout as sleep } from 'node:timers/promises';
import type { Mode } from '../../../src/kernel/contract.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { PacketBatch } from '../../../src/ring/packet-batch.js';
import { openSocket } from '../../../src/socket/open-socket.js';
import { writeNumberedFrame } from '../frames.js';

const [name, mode, packets, size, queue] = process.argv.slice(2);
const socket = await openSocket({
  kernel: new LinuxKernel(),
  interface: name!,
  mode: mode as Mode,
  receive: 'none',
  ...(queue !== undefined && { queue: Number(queue) }),
  ring: 2048,
  buffer: { frames: 8192 },
});
const { bytes, rings, buffer } = socket;
const batch = new PacketBatch(64);
const wanted = Number(packets);
const length = Number(size);
let sent = 0;
let written = 0;
let waits = 0;
const start = performance.now();
while (sent < wanted) {
  if (batch.length === 0) {
    const count = socket.allocate(batch, Math.min(64, wanted - sent));
    for (let i = 0; i < count; i++) {
      writeNumberedFrame(bytes, batch.offset[i]!, length, written++);
      batch.size[i] = length;
    }
  }
  const count = socket.send(batch);
  sent += count;
  if (count > 0) continue;
  waits++;
  if (!(await socket.wait({ for: 'send', timeoutMilliseconds: 2000 }))) break;
}
const milliseconds = performance.now() - start;
let statistics = await socket.statistics();
for (let i = 0; i < 200 && statistics.kernelSent < sent; i++) {
  await sleep(5);
  statistics = await socket.statistics();
}
const { kernelSent, drops } = statistics;
await socket.close();
const free = buffer.free('receive') + buffer.free('send');
const mpps = sent / milliseconds / 1000;
console.log(
  JSON.stringify({
    got: socket.mode,
    sent,
    waits,
    mpps,
    kernelSent,
    drops,
    counters: rings.counters,
    free,
    frames: buffer.frames,
  }),
);
