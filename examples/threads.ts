// The soft kernel inline, and on a thread of its own as the talk's driver runs on another core: node threads.js
// The application does not know which.
import { nodeThreads, openSocket, PacketBatch, SoftKernel, type SoftSystem, ThreadedSoftKernel } from 'tpacket4';

const PACKETS = 2_000_000;

for (const kernel of [new SoftKernel(), new ThreadedSoftKernel({ host: nodeThreads() })]) {
  await kernel.addNic({ name: 'soft0', wire: { kind: 'generator' } });
  const { received, seconds } = await application(kernel);
  console.log(`${kernel.constructor.name}: ${received} packets, ${(received / seconds / 1e6).toFixed(1)} Mpps`);
  await kernel.close();
}

async function application(kernel: SoftSystem): Promise<{ received: number; seconds: number }> {
  const socket = await openSocket({ kernel, interface: 'soft0', mode: 'v4-zc', receive: 'all' });
  const batch = new PacketBatch(64);
  let received = 0;
  const start = performance.now();
  // Spins for a while, because more is likely to come soon, and sleeps when it does not (Q7).
  while (received < PACKETS && (await socket.wait({ strategy: 'hybrid', timeoutMilliseconds: 1000 }))) {
    received += socket.receive(batch);
    socket.release(batch);
  }
  const seconds = (performance.now() - start) / 1000;
  await socket.close();
  return { received, seconds };
}
