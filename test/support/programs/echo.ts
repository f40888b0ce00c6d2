// Sends packets back through the queue they came from: INTERFACE QUEUE COUNT
import { setTimeout as sleep } from 'node:timers/promises';
import { LinuxKernel } from '../../../src/linux-kernel/linux-kernel.js';
import { PacketBatch } from '../../../src/ring/packet-batch.js';
import { openSocket } from '../../../src/socket/open-socket.js';

const [name, queue, count] = process.argv.slice(2);
const socket = await openSocket({
  kernel: new LinuxKernel(),
  interface: name!,
  mode: 'xdp-copy',
  receive: 'all',
  queue: Number(queue),
});
const batch = new PacketBatch(64);
console.log('ready');
let done = 0;
while (done < Number(count)) {
  if (socket.receive(batch) === 0) {
    if (!(await socket.wait({ timeoutMilliseconds: 3000 }))) throw new Error(`only ${done} came`);
    continue;
  }
  done += socket.send(batch);
}
for (let i = 0; i < 200 && (await socket.statistics()).kernelSent < done; i++) await sleep(5);
await socket.close();
