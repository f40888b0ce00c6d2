// Receives and drops: INTERFACE MODE PACKETS [SIZE [event|sleep|busy [QUEUE]]]
// Writes "ready" once bound; ends after so many packets, or two seconds after the last one. With a size it checks numbers and contents.
import type { Mode } from '../../../src/kernel/contract.js';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { PacketBatch } from '../../../src/ring/packet-batch.js';
import { openSocket } from '../../../src/socket/open-socket.js';
import { readNumberedFrame } from '../frames.js';

const [name, mode, packets, size = '0', how = 'event', queue] = process.argv.slice(2);
const socket = await openSocket({
  kernel: new LinuxKernel(),
  interface: name!,
  mode: mode as Mode,
  receive: 'all',
  ...(queue !== undefined && { queue: Number(queue) }),
  ring: 2048,
  buffer: { frames: 8192 },
});
const { bytes, rings, buffer } = socket;
const batch = new PacketBatch(64);
const wanted = Number(packets);
const expectedSize = Number(size);
let received = 0;
let good = 0;
let inOrder = 0;
let next = 0;
let waits = 0;
let start = 0;
let end = 0;
console.log('ready');
while (received < wanted) {
  const count = socket.receive(batch);
  if (count === 0) {
    waits++;
    const timeoutMilliseconds = received === 0 ? 10_000 : 2000;
    const strategy = how === 'busy' ? 'busy' : 'event';
    const wait = { strategy, timeoutMilliseconds } as const;
    if (how === 'event' ? !(await socket.wait(wait)) : !socket.waitBlocking(wait)) break;
    continue;
  }
  if (received === 0) start = performance.now();
  received += count;
  end = performance.now();
  for (let i = 0; expectedSize > 0 && i < count; i++) {
    const number = readNumberedFrame(bytes, batch.offset[i]!, batch.size[i]!, expectedSize);
    if (number >= 0) good++;
    if (number === next) inOrder++;
    next = number + 1;
  }
  socket.release(batch);
}
const { kernelReceived, drops } = await socket.statistics();
const { mode: got } = socket;
await socket.close();
const mpps = received / (end - start) / 1000;
const free = buffer.free('receive') + buffer.free('send');
const { counters } = rings;
console.log(
  JSON.stringify({
    got,
    received,
    good,
    inOrder,
    waits,
    mpps,
    kernelReceived,
    drops,
    counters,
    free,
    frames: buffer.frames,
  }),
);
