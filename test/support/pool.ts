import type { PacketBuffer } from '../../src/packet-buffer/packet-buffer.js';

/** Whether the free frames of a buffer are all of its frames, each once. */
export function poolIsWhole({ pool, frames, base, frameSize }: PacketBuffer): boolean {
  const into = new Int32Array(2 * frames);
  const receive = pool.take(into, 0, frames, 'receive');
  const count = receive + pool.take(into, receive, frames, 'send');
  const free = into.slice(0, count);
  pool.give(free, 0, count);
  const sorted = free.sort();
  return count === frames && sorted.every((frame, i) => frame === base + i * frameSize);
}

/** How many frames are in the pool. */
export function freeFrames(buffer: PacketBuffer): number {
  return buffer.free('receive') + buffer.free('send');
}
