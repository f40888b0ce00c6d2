// Several application threads on one soft kernel, each with a socket and a queue of its own: node workers.js
// The kernel's thread polls the rings of all of them; one packet buffer serves them all.
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import {
  JoinedSoftKernel,
  type KernelShare,
  nodeThreads,
  openSocket,
  PacketBatch,
  PacketBuffer,
  type PacketBufferShare,
  ThreadedSoftKernel,
} from 'tpacket4';

const WORKERS = 2;
const PACKETS = 200_000;

type Work = { share: KernelShare; buffer: PacketBufferShare; queue: number };

async function main(): Promise<void> {
  const kernel = new ThreadedSoftKernel({ host: nodeThreads() });
  await kernel.addNic({ name: 'soft0', queues: WORKERS, wire: { kind: 'generator', flows: 64 } });
  const buffer = PacketBuffer.create({ arena: kernel.arena, frames: 8192 });
  const workers: Promise<void>[] = [];
  for (let queue = 0; queue < WORKERS; queue++) {
    const share = await kernel.share(2 ** 20);
    const worker = new Worker(new URL(import.meta.url), {
      workerData: { share, buffer: buffer.share(), queue } satisfies Work,
      transferList: [share.port as never], // its line to the kernel
    });
    worker.on('message', (text) => console.log(text));
    workers.push(new Promise((resolve, reject) => worker.on('exit', () => resolve()).on('error', reject)));
  }
  await Promise.all(workers);
  buffer.close();
  await kernel.close();
}

async function work({ share, buffer, queue }: Work): Promise<void> {
  const kernel = new JoinedSoftKernel(share);
  const options = { interface: 'soft0', queue, mode: 'xdp-zc', receive: 'all' } as const;
  const socket = await openSocket({ ...options, kernel, buffer: PacketBuffer.attach(buffer, kernel.arena) });
  const batch = new PacketBatch(64);
  let sent = 0;
  while (sent < PACKETS && (await socket.wait({ timeoutMilliseconds: 1000 }))) {
    socket.receive(batch);
    sent += socket.send(batch); // forwarded without a copy
    socket.release(batch);
  }
  parentPort!.postMessage(`queue ${queue} (${socket.mode.got}): ${sent >= PACKETS ? 'all' : 'some'} packets forwarded`);
  await socket.close();
  await kernel.close(); // its own sockets and line; the kernel goes on
}

await (isMainThread ? main() : work(workerData as Work));
