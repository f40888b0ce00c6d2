import { PACKET_RECORD_BYTES } from '../execution.js';
import { XDP_HELPERS } from '../helpers/xdp-helpers.js';
import type { Program, ProgramObject } from '../program.js';
import type { PacketOrigin } from './contract.js';
import { openLaboratory } from './laboratory.js';
import { PacketPlaces } from './packet-places.js';

/** Memory for the packets of a batch, their room to grow included. */
const BATCH_BYTES = 2 ** 25;

/**
 * Measures a program: runs it on all packets over and over, each time on the packets as they were given, on maps that keep what it writes.
 *
 * @param seconds how long to go on at least; one pass is made at any rate
 * @returns nanoseconds of a packet: the median of the second half of all passes, when code has been compiled
 * @throws PacketError as `prepareObject` does
 */
export function measureProgram(
  object: ProgramObject,
  program: Program,
  packets: readonly Uint8Array[],
  origin: PacketOrigin,
  seconds: number,
): number {
  const bytes = packets.reduce((sum, { length }) => sum + PacketPlaces.bytesOf(length), 0);
  const longest = packets.reduce((most, { length }) => Math.max(most, length), 0);
  const { executables, places } = openLaboratory(object, {
    helpers: XDP_HELPERS,
    origin,
    packets: Math.min(packets.length, BATCH_BYTES / PACKET_RECORD_BYTES),
    packetBytes: Math.max(Math.min(bytes, BATCH_BYTES), PacketPlaces.bytesOf(longest)),
  });
  const executable = executables[object.programs.indexOf(program)]!;
  const passes: number[] = [];
  const end = performance.now() + seconds * 1000;
  do {
    let milliseconds = 0;
    for (let at = 0; at < packets.length; ) {
      const count = places.fill(packets, at);
      const start = performance.now();
      executable.run(places.records, count);
      milliseconds += performance.now() - start;
      at += count;
    }
    passes.push((milliseconds * 1e6) / packets.length);
  } while (performance.now() < end);
  const counted = passes.slice(passes.length >> 1).sort((a, b) => a - b);
  return counted[counted.length >> 1]!;
}
