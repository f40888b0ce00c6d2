import { Arena } from '../../arena/arena.js';
import type { Mode } from '../../kernel/contract.js';
import { PacketBatch } from '../../ring/packet-batch.js';
import { openSocket } from '../../socket/open-socket.js';
import type { PacketSocket } from '../../socket/packet-socket.js';
import { SoftKernel } from '../../soft-kernel/soft-kernel.js';

export const HEAP_PROGRAMS = ['receive', 'send'] as const;
export type HeapProgram = (typeof HEAP_PROGRAMS)[number];

export const HEAP_MODES = ['v2', 'v3', 'v4', 'v4-zc', 'xdp-copy', 'xdp-zc'] as const satisfies readonly Mode[];

/** What so many packets left on the heap. */
export interface HeapMeasurement {
  readonly packets: number;
  /** Bytes allocated while they moved. Undefined when the collector ran meanwhile, so that they cannot be told. */
  readonly allocatedBytes: number | undefined;
  /** Bytes more that are in use afterwards, garbage collected. */
  readonly grownBytes: number;
}

const ARENA_BYTES = 2 ** 28;
const BATCH = 64;
const PACKET_BYTES = 60;
/** Before counting: until the compilers are done, who allocate for themselves. */
const WARM_UP_PACKETS = 3_000_000;

/**
 * Counts what the data path allocates: nothing per packet (brief: "Rules that keep it fast and safe"). Device, kernel and
 * application run on this thread; Node must run with `--expose-gc`.
 */
export async function measureHeap(mode: Mode, program: HeapProgram, packets: number): Promise<HeapMeasurement> {
  const kernel = new SoftKernel({ arena: Arena.create(ARENA_BYTES) });
  await kernel.addNic({ name: 'heap0', wire: program === 'receive' ? { kind: 'generator' } : { kind: 'none' } });
  const receive = program === 'receive' ? 'all' : 'none';
  const socket = await openSocket({ kernel, interface: 'heap0', mode, receive });
  const move = program === 'receive' ? receiver(socket) : sender(socket);
  move(WARM_UP_PACKETS);
  const before = collected();
  const running = process.memoryUsage().heapUsed;
  const moved = move(packets);
  const allocated = process.memoryUsage().heapUsed - running;
  const grownBytes = collected() - before;
  await kernel.close();
  // Less in use than before can only be the collector's work.
  return { packets: moved, allocatedBytes: allocated >= 0 ? allocated : undefined, grownBytes };
}

function collected(): number {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) throw new Error('node runs without --expose-gc');
  gc();
  gc();
  return process.memoryUsage().heapUsed;
}

function receiver(socket: PacketSocket): (packets: number) => number {
  const batch = new PacketBatch(BATCH);
  return (packets) => {
    let moved = 0;
    while (moved < packets) {
      moved += socket.receive(batch);
      socket.release(batch);
    }
    return moved;
  };
}

function sender(socket: PacketSocket): (packets: number) => number {
  const batch = new PacketBatch(BATCH);
  const { size } = batch;
  return (packets) => {
    let moved = 0;
    while (moved < packets) {
      if (batch.length === 0) {
        socket.allocate(batch);
        for (let i = 0; i < batch.length; i++) size[i] = PACKET_BYTES;
      }
      moved += socket.send(batch);
    }
    return moved;
  };
}
