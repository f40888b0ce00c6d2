import { Arena, MAXIMUM_ARENA_BYTES } from '../arena/arena.js';
import { PacketError } from '../errors.js';
import { parseInterfaceSpec, type SoftInterface, softNic } from '../host/interface-spec.js';
import { nodeThreads } from '../host/node-threads.js';
import type { Kernel } from '../kernel/contract.js';
import { KERNEL_HEADROOM_BYTES } from '../packet-buffer/packet-buffer.js';
import { PacketBatch } from '../ring/packet-batch.js';
import { openSocket } from '../socket/open-socket.js';
import type { PacketSocket } from '../socket/packet-socket.js';
import type { NicOptions } from '../soft-kernel/nic-options.js';
import { SoftKernel } from '../soft-kernel/soft-kernel.js';
import type { SoftSystem } from '../soft-kernel/system.js';
import { ThreadedSoftKernel } from '../soft-kernel/thread/threaded-kernel.js';
import type { ReplayOptions } from '../wire/replay.js';
import { FCS_BYTES } from '../wire/traffic.js';
import type { Cell, CellMeasurement } from './cell.js';
import { pinnedThreads, pinThisThread } from './pinning.js';
import { captureWriter, type PacketWriter, PrefilledFrames, trafficWriter } from './prefilled-frames.js';
import { PROGRAMS, type ProgramName, Tally } from './programs.js';

/** Turns between looks at the clock: some ten microseconds at full speed. */
const TURNS = 32;

const KERNEL_BYTES = 2 ** 28;
const SPARE_BYTES = 2 ** 28;

/**
 * Measures one cell in this process and on this thread; blocks it.
 *
 * @param began called when the warm-up is over
 * @throws PacketError when the socket cannot be had
 */
export async function measure(cell: Cell, began: () => void): Promise<CellMeasurement> {
  const spec = parseInterfaceSpec(cell.interface);
  const soft = spec.kernel === 'soft' ? await trafficOf(spec, cell) : undefined;
  const kernel = soft === undefined ? await linuxKernel() : softKernel(cell, soft.bytes);
  try {
    const name = soft === undefined ? cell.interface : (await (kernel as SoftSystem).addNic(soft.nic)).name;
    if (soft === undefined && 'application' in cell.pinning) pinThisThread(cell.pinning.application);
    const { ring, frames, frameSize, blockSize } = cell.settings;
    const socket = await openSocket({
      kernel,
      interface: name,
      mode: cell.version,
      receive: cell.program === 'txpush' ? 'none' : 'all',
      ring,
      blockSize,
      buffer: { frames, frameSize },
    });
    const prefilled =
      cell.program === 'txpush'
        ? new PrefilledFrames(socket, soft?.write ?? trafficWriter({ size: cell.size ?? 64 }))
        : undefined;
    const device = soft === undefined ? undefined : () => (kernel as SoftSystem).deviceStatistics(name);
    return await run(cell, socket, prefilled, device, began);
  } finally {
    await kernel.close();
  }
}

async function run(
  { program: name, settings }: Cell,
  socket: PacketSocket,
  frames: PrefilledFrames | undefined,
  device: (() => Promise<Record<string, number>>) | undefined,
  began: () => void,
): Promise<CellMeasurement> {
  const program = PROGRAMS[name];
  const batch = new PacketBatch(settings.batch);
  const tally = new Tally();
  const spend = (seconds: number): number => {
    const start = performance.now();
    const end = start + seconds * 1000;
    let now = start;
    while (now < end) {
      program(socket, batch, TURNS, tally, frames);
      now = performance.now();
    }
    return now - start;
  };
  spend(settings.warmUpSeconds);
  const lostBefore = await losses(socket, device);
  const { packets: packetsBefore, bytes: bytesBefore } = tally;
  const kicksBefore = socket.rings.counters.kicks;
  began();
  const mpps: number[] = [];
  const cpuBefore = process.cpuUsage();
  let wall = 0;
  for (let i = 0; i < settings.runs; i++) {
    const before = tally.packets;
    const milliseconds = spend(settings.seconds);
    wall += milliseconds;
    mpps.push((tally.packets - before) / milliseconds / 1000);
  }
  const { user, system } = process.cpuUsage(cpuBefore);
  const threads = device !== undefined && settings.threads === 'worker' ? 2 : 1;
  const packets = tally.packets - packetsBefore;
  const kicks = socket.rings.counters.kicks - kicksBefore;
  const meanSize = packets === 0 ? 0 : (tally.bytes - bytesBefore) / packets + FCS_BYTES;
  const lost = difference(await losses(socket, device), lostBefore);
  socket.release(batch);
  await socket.close();
  const cpuShare = (user + system) / 1000 / (wall * threads);
  if (device !== undefined) return { mpps, meanSize, lost, cpuShare };
  const systemCalls = kicks / Math.max(1, packets);
  return {
    mpps,
    meanSize,
    lost,
    cpuShare,
    cost: { cpuNanoseconds: ((user + system) * 1000) / Math.max(1, packets), systemCalls },
  };
}

/** Everything lost so far, by place: what the socket knows of, and the device. */
async function losses(
  socket: PacketSocket,
  device: (() => Promise<Record<string, number>>) | undefined,
): Promise<Record<string, number>> {
  const { drops, unsendable } = await socket.statistics();
  const counters = (await device?.()) ?? {};
  return {
    ...drops,
    unsendable,
    'nic-no-descriptor': counters.rx_no_descriptor ?? drops['nic-no-descriptor'] ?? 0,
    'nic-oversize': counters.rx_oversize ?? drops['nic-oversize'] ?? 0,
  };
}

function difference(after: Record<string, number>, before: Record<string, number>): Record<string, number> {
  const result: Record<string, number> = {};
  for (const [place, count] of Object.entries(after)) {
    const lost = count - (before[place] ?? 0);
    if (lost > 0) result[place] = lost;
  }
  return result;
}

function softKernel({ settings, pinning }: Cell, trafficBytes: number): SoftSystem {
  const kernelBytes = KERNEL_BYTES + trafficBytes;
  const wanted = kernelBytes + 2 * settings.frames * settings.frameSize + SPARE_BYTES;
  const arena = Arena.create(Math.min(wanted, MAXIMUM_ARENA_BYTES));
  if (settings.threads === 'inline') return new SoftKernel({ arena });
  return new ThreadedSoftKernel({ host: pinnedThreads(nodeThreads(), pinning), arena, kernelBytes });
}

async function linuxKernel(): Promise<Kernel> {
  const { LinuxKernel } = await import('../linux-kernel/linux-kernel.js');
  return new LinuxKernel();
}

/** What a soft interface's traffic is for a program. */
interface Traffic {
  readonly nic: NicOptions;
  /** What txpush sends. */
  readonly write: PacketWriter;
  /** Arena bytes that the wire needs beyond the ordinary. */
  readonly bytes: number;
}

async function trafficOf(spec: SoftInterface, { program, size, settings }: Cell): Promise<Traffic> {
  const sized = spec.wire.kind === 'generator' && size !== undefined ? { ...spec.wire, size } : spec.wire;
  const nic = await softNic({ ...spec, wire: sized });
  const { wire } = nic;
  switch (wire?.kind) {
    case 'generator': {
      checkRoom(wire.size ?? 64, settings.frameSize);
      const bytes = (wire.packets ?? 1024) * 16_384;
      return { nic: silentFor(program, nic), write: trafficWriter(wire), bytes };
    }
    case 'replay': {
      // A measurement wants what the device can take, without end, unless the interface says otherwise.
      const paced = wire.packetsPerSecond !== undefined || wire.speed !== undefined;
      const replay: ReplayOptions = { loop: true, ...(!paced && { pace: 'max' }), ...wire };
      return {
        nic: silentFor(program, { ...nic, wire: replay }),
        write: captureWriter(replay),
        bytes: 2 * wire.capture.length,
      };
    }
    default: {
      const traffic = { size: size ?? 64 };
      checkRoom(traffic.size, settings.frameSize);
      return { nic, write: trafficWriter(traffic), bytes: 0 };
    }
  }
}

/** A sender's wire brings nothing: what would arrive would only cost the kernel's thread time. */
function silentFor(program: ProgramName, nic: NicOptions): NicOptions {
  return program === 'txpush' ? { ...nic, wire: { kind: 'none' } } : nic;
}

function checkRoom(size: number | readonly number[], frameSize: number): void {
  const largest = typeof size === 'number' ? size : Math.max(...size);
  const room = frameSize - KERNEL_HEADROOM_BYTES;
  if (largest - FCS_BYTES <= room) return;
  throw new PacketError(
    'INVALID_OPTION',
    `size: ${largest} does not fit frames of ${frameSize} bytes, which have room for ${room}`,
    {
      remedy: 'use larger frames (--frame-size)',
    },
  );
}
