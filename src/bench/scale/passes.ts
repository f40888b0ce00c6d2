import type { PacketBatch } from '../../ring/packet-batch.js';
import type { PacketSocket } from '../../socket/packet-socket.js';

const BUCKETS = 1024;

/**
 * The same work on every packet of a batch, as one long pass or as three short ones over columns (F12, Q9): reads addresses and
 * ports, mixes them into a hash, counts packets and bytes by hash bucket. Both give the same counts.
 */
export function passes(long: boolean): (socket: PacketSocket, batch: PacketBatch) => void {
  const packets = new Int32Array(BUCKETS);
  const octets = new Int32Array(BUCKETS);
  const keys = new Int32Array(65536);
  const buckets = new Int32Array(65536);

  function longPass({ bytes }: PacketSocket, { offset, size, length }: PacketBatch): void {
    for (let i = 0; i < length; i++) {
      const bucket = hash(key(bytes, offset[i]!));
      packets[bucket] = packets[bucket]! + 1;
      octets[bucket] = (octets[bucket]! + size[i]!) | 0;
    }
  }

  function shortPasses({ bytes }: PacketSocket, { offset, size, length }: PacketBatch): void {
    for (let i = 0; i < length; i++) keys[i] = key(bytes, offset[i]!);
    for (let i = 0; i < length; i++) buckets[i] = hash(keys[i]!);
    for (let i = 0; i < length; i++) {
      const bucket = buckets[i]!;
      packets[bucket] = packets[bucket]! + 1;
      octets[bucket] = (octets[bucket]! + size[i]!) | 0;
    }
  }

  return long ? longPass : shortPasses;
}

/** IPv4 source address and ports, folded into a word. */
function key(bytes: Uint8Array, at: number): number {
  const source = (bytes[at + 26]! << 24) | (bytes[at + 27]! << 16) | (bytes[at + 28]! << 8) | bytes[at + 29]!;
  return source ^ ((bytes[at + 34]! << 24) | (bytes[at + 35]! << 16) | (bytes[at + 36]! << 8) | bytes[at + 37]!);
}

function hash(word: number): number {
  const mixed = Math.imul(word ^ (word >>> 15), 0x2c1b3c6d);
  return (mixed ^ (mixed >>> 12)) & (BUCKETS - 1);
}
