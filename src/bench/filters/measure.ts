import { Arena, PAGE_BYTES } from '../../arena/arena.js';
import { type Engine, PACKET_RECORD_BYTES, XDP_DROP, XDP_PASS } from '../../ebpf/execution.js';
import { XDP_HELPERS } from '../../ebpf/helpers/xdp-helpers.js';
import { Machine } from '../../ebpf/machine.js';
import { prepareObject } from '../../ebpf/prepare-object.js';
import type { Program } from '../../ebpf/program.js';
import { PacketPlaces } from '../../ebpf/trial/packet-places.js';
import { PacketError } from '../../errors.js';
import type { ClassicInstruction } from '../../filter/classic/instruction.js';
import { ClassicInterpreter } from '../../filter/classic/interpreter.js';
import { filterProgram } from '../../filter/ebpf/filter-program.js';
import { loadProgram } from '../../linux-kernel/programs/program-loading.js';
import { TestRuns } from '../../linux-kernel/programs/test-run.js';
import { SystemCalls } from '../../linux-kernel/system-calls.js';

const MACHINE_BYTES = 2 ** 20;
/** Packets that Linux runs a program on, and how often on each. */
const TESTED = 200;
const REPEAT = 5000;

/** A packet within bytes that it does not own. */
export type Packets = readonly Uint8Array[];

/** Calls a pass over all packets until the time is over. @returns nanoseconds of a packet in the best one */
function bestPass(packets: number, seconds: number, pass: () => void): number {
  let best = Number.POSITIVE_INFINITY;
  const end = performance.now() + seconds * 1000;
  do {
    const start = performance.now();
    pass();
    best = Math.min(best, performance.now() - start);
  } while (performance.now() < end);
  return (best * 1e6) / packets;
}

/** Our interpreter of classic BPF. @returns nanoseconds of a packet, and how many are accepted */
export function measureClassic(
  program: readonly ClassicInstruction[],
  packets: Packets,
  seconds: number,
): { nanoseconds: number; accepted: number } {
  const interpreter = new ClassicInterpreter(program);
  // All in one piece of memory, as frames of an arena are.
  const bytes = new Uint8Array(packets.reduce((sum, { length }) => sum + length, 0));
  const offsets = new Int32Array(packets.length + 1);
  for (const [i, packet] of packets.entries()) {
    bytes.set(packet, offsets[i]);
    offsets[i + 1] = offsets[i]! + packet.length;
  }
  let accepted = 0;
  const nanoseconds = bestPass(packets.length, seconds, () => {
    accepted = 0;
    for (let i = 0; i < packets.length; i++) {
      if (interpreter.run(bytes, offsets[i]!, offsets[i + 1]! - offsets[i]!) !== 0) accepted++;
    }
  });
  return { nanoseconds, accepted };
}

/** The filter as eBPF in one of our engines. @returns nanoseconds of a packet */
export function measureEngine(
  engine: Engine,
  classic: readonly ClassicInstruction[],
  packets: Packets,
  seconds: number,
): number {
  const program = toProgram(classic);
  const packetBytes = packets.reduce((sum, { length }) => sum + PacketPlaces.bytesOf(length), 0);
  const recordBytes = packets.length * PACKET_RECORD_BYTES;
  const arena = Arena.create(MACHINE_BYTES + packetBytes + recordBytes + 16 * PAGE_BYTES);
  const machine = new Machine(arena, { helpers: XDP_HELPERS, bytes: MACHINE_BYTES });
  const origin = { ingressInterface: 1, queue: 0 };
  const places = new PacketPlaces(arena, origin, packets.length, packetBytes);
  const { executables } = prepareObject({ programs: [program], maps: [] }, machine, engine);
  // Filters leave packets as they are: they are put in their places once.
  const count = places.fill(packets, 0);
  return bestPass(count, seconds, () => executables[0]!.run(places.records, count));
}

/** The same program in Linux, as its own compiler has made it. @returns nanoseconds of a packet; a sentence when it cannot be loaded */
export async function measureLinux(classic: readonly ClassicInstruction[], packets: Packets): Promise<number | string> {
  const step = Math.max(1, Math.floor(packets.length / TESTED));
  const tested = packets.filter(({ length }, index) => index % step === 0 && length >= 14);
  try {
    const calls = await SystemCalls.load();
    const runs = new TestRuns(calls);
    const descriptor = loadProgram(calls, toProgram(classic), []);
    try {
      const sum = tested.reduce((total, packet) => total + runs.run(descriptor, packet, REPEAT).nanoseconds, 0);
      return sum / tested.length;
    } finally {
      calls.close(descriptor);
    }
  } catch (error) {
    if (error instanceof PacketError) return error.message;
    throw error;
  }
}

function toProgram(classic: readonly ClassicInstruction[]): Program {
  return filterProgram(classic, { accepted: XDP_PASS, refused: XDP_DROP });
}
