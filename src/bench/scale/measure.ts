import { Arena } from '../../arena/arena.js';
import { PacketBatch } from '../../ring/packet-batch.js';
import { openSocket } from '../../socket/open-socket.js';
import type { PacketSocket } from '../../socket/packet-socket.js';
import type { NicOptions } from '../../soft-kernel/nic-options.js';
import { SoftKernel } from '../../soft-kernel/soft-kernel.js';
import { flowAddress } from '../../wire/traffic.js';
import { passes } from './passes.js';
import type { Point, PointMeasurement, Series } from './point.js';

/** Packets of one flow that follow each other. */
export const BURST = 64;
/** Descriptors of each ring where thousands of sockets share one arena. */
const SMALL_RING = 64;
const TURNS = 256;
const MOST_QUEUES = 4096;
const LONGEST_SILENCE_SECONDS = 10;

/** What a point needs: devices, sockets, and how much of a batch to take. */
interface Setting {
  readonly nic: Omit<NicOptions, 'name'>;
  open(kernel: SoftKernel): Promise<PacketSocket[]>;
  readonly batch: number;
}

/** Measures a point on an inline kernel: everything happens on this thread, the same way every time. */
export async function measurePoint({ series, value, settings }: Point): Promise<PointMeasurement> {
  const kernel = new SoftKernel({ arena: Arena.create(2 ** 31) });
  const setting = SETTINGS[series](value);
  await kernel.addNic({ name: 'soft0', ...setting.nic });
  const sockets = await setting.open(kernel);
  const work = series === 'passes' ? passes(value === 1) : touch;
  const batch = new PacketBatch(setting.batch);
  turn(sockets, batch, settings.warmUpSeconds, work);
  const nanoseconds: number[] = [];
  let packets = 0;
  const collect = (globalThis as { gc?: () => void }).gc;
  collect?.();
  const before = process.memoryUsage().heapUsed;
  for (let run = 0; run < settings.runs; run++) {
    const result = turn(sockets, batch, settings.seconds, work);
    nanoseconds.push(result.nanoseconds / result.packets);
    packets += result.packets;
  }
  collect?.();
  const heapBytesPerPacket = Math.max(0, process.memoryUsage().heapUsed - before) / packets;
  return { nanoseconds, heapBytesPerPacket };
}

type Work = (socket: PacketSocket, batch: PacketBatch) => void;
let sum = 0;

/** Reads each Ethernet header, as rxdrop does. */
function touch(socket: PacketSocket, { offset, length }: PacketBatch): void {
  const { bytes } = socket;
  let seen = 0;
  for (let i = 0; i < length; i++) seen += bytes[offset[i]!]! + bytes[offset[i]! + 6]! + bytes[offset[i]! + 12]!;
  sum = (sum + seen) | 0;
}

/** Goes round the sockets for some time. */
function turn(
  sockets: PacketSocket[],
  batch: PacketBatch,
  seconds: number,
  work: Work,
): { packets: number; nanoseconds: number } {
  const start = performance.now();
  let packets = 0;
  let at = 0;
  do {
    for (let i = 0; i < TURNS; i++) {
      const socket = sockets[at]!;
      if (++at === sockets.length) at = 0;
      if (socket.receive(batch) === 0) continue;
      packets += batch.length;
      work(socket, batch);
      socket.release(batch);
    }
    // Thousands of sockets take a while to get their first packets.
  } while (performance.now() - start < (packets > 0 ? seconds : LONGEST_SILENCE_SECONDS) * 1000);
  return { packets, nanoseconds: (performance.now() - start) * 1e6 };
}

const one = (
  nic: Omit<NicOptions, 'name'>,
  options: { batch?: number; frames?: number; queue?: number } = {},
): Setting => ({
  nic,
  batch: options.batch ?? 64,
  open: async (kernel) => [
    await openSocket({
      kernel,
      interface: 'soft0',
      mode: 'v4-zc',
      receive: options.queue === undefined ? 'all' : [{ protocol: 'udp' }],
      ...(options.queue !== undefined && { queue: options.queue }),
      buffer: { frames: options.frames ?? 4096, ...(options.frames !== undefined && { sendFrames: 0 }) },
    }),
  ],
});

const generator = (flows: number, size = 64) =>
  ({ kind: 'generator', size, flows, burst: flows === 1 ? 1 : BURST, packets: Math.max(1024, flows * BURST) }) as const;

const SETTINGS: Record<Series, (value: number) => Setting> = {
  'sockets-zc': (count) => ({
    // One queue more than sockets, for what no rule matches: also the single socket pays for its rule.
    nic: { queues: Math.max(2, Math.min(MOST_QUEUES, count + 1)), ring: SMALL_RING, wire: generator(count) },
    batch: 64,
    open: (kernel) => openMany(kernel, count, 'v4-zc'),
  }),
  'sockets-copy': (count) => ({
    nic: { wire: generator(count) },
    batch: 64,
    open: (kernel) => openMany(kernel, count, 'v4'),
  }),
  rules: (count) => ({
    nic: { queues: 2, wire: generator(Math.min(count, 1024)) },
    batch: 64,
    open: async (kernel) => {
      const receive = Array.from(
        { length: count },
        (_, flow) => ({ protocol: 'udp', source: flowAddress(flow) }) as const,
      );
      return [await openSocket({ kernel, interface: 'soft0', mode: 'v4-zc', queue: 1, receive })];
    },
  }),
  queues: (count) => one({ queues: count, wire: generator(64) }, { queue: count - 1 }),
  batch: (batch) => one({ wire: generator(64) }, { batch }),
  frames: (frames) => one({ wire: generator(64) }, { frames }),
  size: (size) => one({ wire: generator(64, size) }),
  passes: () => one({ wire: generator(64) }),
};

async function openMany(kernel: SoftKernel, count: number, mode: 'v4' | 'v4-zc'): Promise<PacketSocket[]> {
  const sockets: PacketSocket[] = [];
  for (let i = 0; i < count; i++) {
    // Queue 0 keeps what no rule matches. The last of 4096 sockets takes it, and so its flow, without a rule.
    const queue = (i + 1) % Math.max(2, Math.min(MOST_QUEUES, count + 1));
    sockets.push(
      await openSocket({
        kernel,
        interface: 'soft0',
        mode,
        ...(mode === 'v4-zc' && { queue }),
        receive:
          mode === 'v4-zc' && count === MOST_QUEUES && queue === 0
            ? 'all'
            : [{ protocol: 'udp', source: flowAddress(i) }],
        ring: SMALL_RING,
        buffer: { frames: 2 * SMALL_RING, sendFrames: 0 },
      }),
    );
  }
  return sockets;
}
