// A thread for each queue of an interface: node queues.js [INTERFACE]
// This file is both the program and the module whose default export runs on the threads.
import { isMainThread } from 'node:worker_threads';
import { PacketBatch, type PacketSocket, type QueueContext, runQueues } from 'tpacket4';

/** Counts what arrives on one queue: so many packets, or until nothing comes for a while, or the program closes the queues. */
export default async function count(socket: PacketSocket, { queue, data }: QueueContext): Promise<string> {
  const batch = new PacketBatch(64);
  let packets = 0;
  let bytes = 0;
  while (packets < Number(data) && (await socket.wait({ timeoutMilliseconds: 1000 }))) {
    socket.receive(batch);
    for (let i = 0; i < batch.length; i++) bytes += batch.size[i]!;
    packets += batch.length;
    socket.release(batch);
  }
  return `queue ${queue}: ${packets} packets, ${bytes} bytes`;
}

if (isMainThread) {
  const name = process.argv[2] ?? 'soft:generator,size=64,queues=2';
  const module = new URL(import.meta.url);
  await using queues = await runQueues({ interface: name, receive: 'all', module, data: 100_000 });
  console.log(`queues ${queues.queues.join(', ')} of ${queues.interface} (${queues.mode.got}), a thread each`);
  for (const line of await queues.results()) console.log(line);
  for (const { queue, received, drops } of await queues.statistics()) console.log(queue, received, drops);
}
