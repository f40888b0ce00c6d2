import { Arena } from '../../arena/arena.js';
import { compiler } from '../../ebpf/compiler/compiler.js';
import { PACKET_RECORD_BYTES, PACKET_VERDICT } from '../../ebpf/execution.js';
import { XDP_HELPERS } from '../../ebpf/helpers/xdp-helpers.js';
import { interpreter } from '../../ebpf/interpreter/interpreter.js';
import { Machine } from '../../ebpf/machine.js';
import type { MapContents } from '../../ebpf/maps/contract.js';
import { prepareObject } from '../../ebpf/prepare-object.js';
import { assemble } from '../../ebpf/text/assemble.js';
import { PacketPlaces } from '../../ebpf/trial/packet-places.js';
import { LinuxKernel } from '../../linux-kernel/linux-kernel.js';
import type { XdpCase, XdpMeasurement } from './case.js';
import { XDP_PROGRAMS } from './programs.js';
import { makePackets, makePrefixes } from './traffic.js';

/** Packets of a batch: copies of the same one, as Linux has one that it runs the program on over and over. */
const BATCH = 64;
const MACHINE_BYTES = 2 ** 22;
/** Runs of Linux's program between looks at the clock. */
const REPEAT = 100_000;
const ORIGIN = { ingressInterface: 1, queue: 0 };

/** Runs a program `times` times, about; returns the nanoseconds of one. */
type TimedPacket = (times: number) => number;

/** Measures a case in this process. @throws PacketError as loading does */
export async function measure({ program, runner, seconds, runs }: XdpCase): Promise<XdpMeasurement> {
  const text = XDP_PROGRAMS[program];
  const prepared = runner === 'linux' ? await prepareLinux(text) : prepareEngine(text, runner);
  const verdicts = prepared.map(({ verdict }) => verdict);
  const nanoseconds: number[] = [];
  // The first run is for compilers and caches to warm up.
  for (let run = 0; run <= runs; run++) {
    const mean = measureOnce(
      prepared.map(({ time }) => time),
      seconds,
    );
    if (run > 0) nanoseconds.push(mean);
  }
  return { nanoseconds, verdicts };
}

interface PreparedPacket {
  readonly verdict: number;
  readonly time: TimedPacket;
}

/** The mean over the packets of the fastest slice of each: whatever else runs on the machine only adds. */
function measureOnce(packets: readonly TimedPacket[], seconds: number): number {
  let sum = 0;
  for (const time of packets) {
    const end = performance.now() + (seconds * 1000) / packets.length;
    let least = Number.POSITIVE_INFINITY;
    do least = Math.min(least, time(REPEAT));
    while (performance.now() < end);
    sum += least;
  }
  return sum / packets.length;
}

function prepareEngine(text: string, runner: 'compiler' | 'interpreter'): PreparedPacket[] {
  const packets = makePackets();
  const bytes = PacketPlaces.bytesOf(packets[0]!.length) * BATCH;
  const arena = Arena.create(2 * MACHINE_BYTES + packets.length * (bytes + 2 * BATCH * PACKET_RECORD_BYTES + 65536));
  const machine = new Machine(arena, { helpers: XDP_HELPERS, bytes: MACHINE_BYTES });
  const { executables, maps } = prepareObject(assemble(text), machine, runner === 'compiler' ? compiler : interpreter);
  for (const map of maps) fill(map);
  const executable = executables[0]!;
  return packets.map((packet) => {
    const places = new PacketPlaces(arena, ORIGIN, BATCH, bytes);
    places.fill(
      Array.from({ length: BATCH }, () => packet),
      0,
    );
    executable.run(places.records, BATCH);
    const verdict = arena.i32[(places.records >> 2) + PACKET_VERDICT]!;
    const time = (times: number): number => {
      const batches = Math.ceil(times / BATCH);
      const start = performance.now();
      for (let i = 0; i < batches; i++) executable.run(places.records, BATCH);
      return ((performance.now() - start) * 1e6) / (batches * BATCH);
    };
    return { verdict, time };
  });
}

async function prepareLinux(text: string): Promise<PreparedPacket[]> {
  const loaded = await new LinuxKernel().loadObject(assemble(text));
  for (const map of loaded.maps.values()) fill(map);
  const program = loaded.programs[0]!;
  return makePackets().map((packet) => ({
    verdict: program.test(packet).verdict,
    time: (times) => program.test(packet, times).nanoseconds,
  }));
}

function fill(map: MapContents): void {
  if (map.definition.name === 'prefixes') map.updateAll(makePrefixes());
}
