import type { PacketBatch } from '../ring/packet-batch.js';
import type { PacketSocket } from '../socket/packet-socket.js';
import type { PrefilledFrames } from './prefilled-frames.js';

/** The talk's three programs (R1). */
export const PROGRAM_NAMES = ['rxdrop', 'txpush', 'l2fwd'] as const;
export type ProgramName = (typeof PROGRAM_NAMES)[number];

/** What a program has done so far. */
export class Tally {
  packets = 0;
  /** Bytes of those packets in memory, that is without FCS. */
  bytes = 0;
  /** Exclusive or of the header words that were read; kept so that reading them is no dead code. */
  headers = 0;
}

/**
 * A program: takes so many turns, each of at most one batch, and counts. A batch that the socket did not take in one turn is
 * offered again in the next.
 */
export type Program = (
  socket: PacketSocket,
  batch: PacketBatch,
  turns: number,
  tally: Tally,
  frames: PrefilledFrames | undefined,
) => void;

/** Receives packets, reads each Ethernet header, gives the frames back. */
export function rxdrop(socket: PacketSocket, batch: PacketBatch, turns: number, tally: Tally): void {
  const { i32, u16 } = socket.buffer.arena;
  for (let turn = 0; turn < turns; turn++) {
    if (socket.receive(batch) === 0) continue;
    readHeaders(i32, u16, batch, tally);
    tally.packets += batch.length;
    socket.release(batch);
  }
}

/** Sends packets that were written beforehand, as fast as the interface takes them. */
export function txpush(
  socket: PacketSocket,
  batch: PacketBatch,
  turns: number,
  tally: Tally,
  frames: PrefilledFrames | undefined,
): void {
  for (let turn = 0; turn < turns; turn++) {
    if (batch.length === 0) {
      if (socket.allocate(batch) === 0) {
        socket.send(batch); // takes back what was sent
        continue;
      }
      tally.bytes += frames!.setSizes(batch);
    }
    tally.packets += socket.send(batch);
  }
}

/** Receives packets, swaps the Ethernet addresses of each in place, sends them on the interface they came from. */
export function l2fwd(socket: PacketSocket, batch: PacketBatch, turns: number, tally: Tally): void {
  const { i32, u16 } = socket.buffer.arena;
  for (let turn = 0; turn < turns; turn++) {
    if (batch.length === 0) {
      if (socket.receive(batch) === 0) continue;
      swapAddresses(i32, u16, batch, tally);
    }
    tally.packets += socket.send(batch);
  }
}

export const PROGRAMS: Readonly<Record<ProgramName, Program>> = { rxdrop, txpush, l2fwd };

/** Reads destination, source and type of every packet, and adds up the lengths. */
function readHeaders(i32: Int32Array, u16: Uint16Array, batch: PacketBatch, tally: Tally): void {
  const { offset, size, length } = batch;
  let headers = 0;
  let bytes = 0;
  for (let i = 0; i < length; i++) {
    const at = offset[i]!;
    bytes += size[i]!;
    if ((at & 3) === 0) {
      const word = at >> 2;
      headers ^= i32[word]! ^ i32[word + 1]! ^ i32[word + 2]! ^ (i32[word + 3]! & 0xffff);
    } else {
      // V3 places packets so that the IP header is aligned, not the Ethernet header.
      const half = at >> 1;
      headers ^=
        u16[half]! ^
        u16[half + 1]! ^
        u16[half + 2]! ^
        u16[half + 3]! ^
        u16[half + 4]! ^
        u16[half + 5]! ^
        u16[half + 6]!;
    }
  }
  tally.bytes += bytes;
  tally.headers ^= headers;
}

/** Swaps destination and source of every packet where it lies. Words are little-endian, as WebAssembly's memory is. */
function swapAddresses(i32: Int32Array, u16: Uint16Array, batch: PacketBatch, tally: Tally): void {
  const { offset, size, length } = batch;
  let bytes = 0;
  for (let i = 0; i < length; i++) {
    const at = offset[i]!;
    bytes += size[i]!;
    if ((at & 3) === 0) {
      // d0 d1 d2 d3 | d4 d5 s0 s1 | s2 s3 s4 s5  becomes  s0 s1 s2 s3 | s4 s5 d0 d1 | d2 d3 d4 d5
      const word = at >> 2;
      const first = i32[word]!;
      const second = i32[word + 1]!;
      const third = i32[word + 2]!;
      i32[word] = (second >>> 16) | (third << 16);
      i32[word + 1] = (third >>> 16) | (first << 16);
      i32[word + 2] = (first >>> 16) | (second << 16);
    } else {
      const half = at >> 1;
      for (let j = half; j < half + 3; j++) {
        const destination = u16[j]!;
        u16[j] = u16[j + 3]!;
        u16[j + 3] = destination;
      }
    }
  }
  tally.bytes += bytes;
}
