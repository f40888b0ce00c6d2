import { isMainThread, parentPort, type TransferListItem, Worker } from 'node:worker_threads';
import { serveKernel } from '../soft-kernel/thread/kernel-server.js';
import type { HostMessagePort, ThreadHost } from '../soft-kernel/thread/protocol.js';

const KERNEL_THREAD = 'tp4-soft-kernel';

/** Starts soft kernels on Node's worker threads: the `host` of a `ThreadedSoftKernel`. Nothing runs before one is made. */
export function nodeThreads(): ThreadHost {
  return {
    start() {
      const worker = new Worker(new URL(import.meta.url), { name: KERNEL_THREAD, argv: [KERNEL_THREAD] });
      return {
        post: (message, transfer = []) => worker.postMessage(message, nodePorts(transfer)),
        listen: (receive) => void worker.on('message', receive),
        ended(tell) {
          worker.on('error', tell);
          worker.on('exit', (code) => tell(new Error(`the kernel's thread has ended (${code})`)));
        },
        terminate: async () => void (await worker.terminate()),
      };
    },
  };
}

/** Node's ports and browsers' are of different types, to TypeScript. */
function nodePorts(ports: readonly HostMessagePort[]): readonly TransferListItem[] {
  return ports as unknown as readonly TransferListItem[];
}

if (!isMainThread && parentPort !== null && process.argv.includes(KERNEL_THREAD)) {
  const port = parentPort;
  serveKernel({
    post: (message, transfer = []) => port.postMessage(message, nodePorts(transfer)),
    listen: (receive) => void port.on('message', receive),
  });
}
