import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { Arena, type ArenaShare } from '../../arena/arena.js';
import type { MemoryRegistration, SocketMaps } from '../../kernel/contract.js';
import { PacketArray } from '../../packet-array/packet-array.js';
import { COPY_LIST_BYTES } from '../../ring/frame-kernel-rings.js';
import type { KernelRings } from '../../ring/kernel-rings.js';
import { V4KernelRings } from '../../ring/v4/kernel.js';
import { XdpKernelRings } from '../../ring/xdp/kernel.js';
import type { KernelThread, ThreadHost } from '../../soft-kernel/thread/protocol.js';
import type { RingFormat } from './case.js';
import { type MinimalRing, minimalProducer } from './minimal-loops.js';
import { work, workNanoseconds } from './work.js';

/** What the other thread is to do, until the word at `stop` (arena byte offset) is not 0. Plain data. */
export type PartnerTask = {
  readonly arena: ArenaShare;
  readonly stop: number;
  readonly format: RingFormat;
} & (
  | {
      readonly kind: 'exchange';
      readonly memory: MemoryRegistration;
      readonly maps: SocketMaps;
      readonly batch: number;
      /** Steps of extra work per descriptor. */
      readonly work: number;
    }
  | { readonly kind: 'minimal'; readonly ring: MinimalRing }
);

/** Its only message, sent before it begins: what its extra work costs per descriptor, in nanoseconds. */
export interface PartnerReady {
  readonly workNanoseconds: number;
}

/** Descriptors that the kernel's packet array holds: as many as a hardware ring would. */
const ARRAY_ENTRIES = 512;
/** Turns between looks at the stop word. */
const TURNS = 256;
const PACKET_BYTES = 60;

const PARTNER = 'tp4-bench-partner';

/** Starts the other thread; post it a {@link PartnerTask}. */
export function partnerThreads(): ThreadHost {
  return {
    start(): KernelThread {
      const worker = new Worker(new URL(import.meta.url), { name: PARTNER, argv: [PARTNER] });
      return {
        post: (message) => worker.postMessage(message),
        listen: (receive) => void worker.on('message', receive),
        ended(tell) {
          worker.on('error', tell);
        },
        terminate: async () => void (await worker.terminate()),
      };
    },
  };
}

/** The kernel side of a ring format on the shared arena. */
export function kernelRings(
  format: RingFormat,
  arena: Arena,
  memory: MemoryRegistration,
  maps: SocketMaps,
): KernelRings {
  const means = { i32: arena.i32, routines: arena.routines, copyList: arena.allocate(COPY_LIST_BYTES).offset };
  return format === 'owner'
    ? new V4KernelRings(means, memory, maps, false)
    : new XdpKernelRings(means, memory, maps, false);
}

/** Plays a driver: takes empty frames, has them filled at once, hands them over. @returns the extra work's last product */
export function fillFrames(
  rings: KernelRings,
  array: PacketArray,
  batch: number,
  turns: number,
  steps: number,
  seed: number,
): number {
  const end = rings.receive!;
  const { length, flags, mask } = array;
  let value = seed;
  for (let turn = 0; turn < turns; turn++) {
    if (array.outstanding < batch) end.populate(array, array.room);
    const count = Math.min(array.outstanding, batch);
    if (count === 0) continue;
    const { current } = array;
    for (let i = 0; i < count; i++) {
      const at = (current + i) & mask;
      length[at] = PACKET_BYTES;
      flags[at] = 0;
    }
    if (steps > 0) for (let i = 0; i < count; i++) value = work(steps, value);
    array.advance(count);
    end.flush(array, count);
  }
  return value;
}

function perform(task: PartnerTask, ready: (message: PartnerReady) => void): void {
  const arena = Arena.adopt(task.arena);
  const stop = task.stop >> 2;
  if (task.kind === 'minimal') {
    const producer = minimalProducer(task.format, arena.memory, task.ring);
    ready({ workNanoseconds: 0 });
    while (Atomics.load(arena.i32, stop) === 0) producer.move(TURNS);
    return;
  }
  const rings = kernelRings(task.format, arena, task.memory, task.maps);
  const array = new PacketArray(ARRAY_ENTRIES);
  ready({ workNanoseconds: workNanoseconds(task.work) });
  let value = 1;
  while (Atomics.load(arena.i32, stop) === 0) value = fillFrames(rings, array, task.batch, TURNS, task.work, value);
}

if (!isMainThread && parentPort !== null && process.argv.includes(PARTNER)) {
  const port = parentPort;
  port.once('message', (task: PartnerTask) => perform(task, (message) => port.postMessage(message)));
}
