import { PACKET_CONTINUES, type PacketBatch } from './packet-batch.js';

// A private copy: V8 folds it into the code, an imported constant it loads from its module wherever it is used.
const CONTINUES = PACKET_CONTINUES;

/** How many of the first entries continue in the next one. */
export function continuedEntries({ flags }: PacketBatch, count: number): number {
  let continued = 0;
  for (let i = 0; i < count; i++) continued = (continued + (flags[i]! & CONTINUES)) | 0;
  return continued;
}

/** The largest number of entries up to `limit` that ends with a whole packet. */
export function wholePackets(batch: PacketBatch, limit: number): number {
  let count = limit;
  while (count > 0 && (batch.flags[count - 1]! & CONTINUES) !== 0) count--;
  return count;
}
