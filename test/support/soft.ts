import { Arena } from '../../src/arena/arena.js';
import { PacketBatch } from '../../src/ring/packet-batch.js';
import { type OpenSocketOptions, openSocket } from '../../src/socket/open-socket.js';
import type { PacketSocket } from '../../src/socket/packet-socket.js';
import { SoftKernel } from '../../src/soft-kernel/soft-kernel.js';

/** A soft kernel in an arena of its own, so that tests do not see each other's memory. */
export function softKernel(bytes: number = 2 ** 27): SoftKernel {
  return new SoftKernel({ arena: Arena.create(bytes) });
}

/** Opens a socket with small rings and a small buffer, unless told otherwise. */
export function openSmall(
  kernel: SoftKernel,
  interfaceName: string,
  options: Partial<OpenSocketOptions> = {},
): Promise<PacketSocket> {
  return openSocket({
    kernel,
    interface: interfaceName,
    receive: 'all',
    ring: 64,
    buffer: { frames: 256 },
    ...options,
  });
}

/** Takes all packets that are there (or come within `steps` looks), tells `see` of each, and releases them. Returns how many. */
export function drain(
  socket: PacketSocket,
  see: (offset: number, size: number) => void = () => {},
  steps = 20,
): number {
  const batch = new PacketBatch(64);
  let packets = 0;
  for (let step = 0; step < steps; step++) {
    const count = socket.receive(batch);
    for (let i = 0; i < count; i++) see(batch.offset[i]!, batch.size[i]!);
    packets += count;
    socket.release(batch);
  }
  return packets;
}

/** Sends packets, one frame each; returns how many were taken. */
export function sendAll(socket: PacketSocket, packets: readonly Uint8Array[]): number {
  const batch = new PacketBatch(64);
  let sent = 0;
  for (let tries = 0; sent < packets.length && tries < 1000; tries++) {
    const count = socket.allocate(batch, packets.length - sent);
    for (let i = 0; i < count; i++) {
      socket.bytes.set(packets[sent + i]!, batch.offset[i]!);
      batch.size[i] = packets[sent + i]!.length;
    }
    sent += socket.send(batch);
    socket.release(batch);
    if (count === 0) socket.waitBlocking({ for: 'send', timeoutMilliseconds: 1 });
  }
  return sent;
}
