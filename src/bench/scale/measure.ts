import { Arena, MAXIMUM_ARENA_BYTES } from '../../arena/arena.js';
import { PacketBatch } from '../../ring/packet-batch.js';
import { type OpenSocketOptions, openSocket } from '../../socket/open-socket.js';
import type { PacketSocket } from '../../socket/packet-socket.js';
import { SoftKernel } from '../../soft-kernel/soft-kernel.js';
import type { FlowRule } from '../../steering/rules.js';
import { flowAddress } from '../../wire/traffic.js';
import { timedRun, undisturbed } from '../rings/runs.js';
import { type ScaleMeasurement, type ScalePoint, type ScaleSettings, SPARE_FRAMES } from './point.js';

const DEVICE = 'scale0';
const FRAME_BYTES = 2048;
/** For rings and pages of each socket and queue, and for the kernel's own. */
const SOCKET_BYTES = 64 * 1024;
const KERNEL_BYTES = 2 ** 28;
/** `receive` calls between looks at the clock. */
const TURNS = 64;

/** Measures one point in this process, with the soft kernel inline on this thread, which it blocks. */
export async function measure(point: ScalePoint, settings: ScaleSettings): Promise<ScaleMeasurement> {
  const kernel = new SoftKernel({ arena: Arena.create(arenaBytes(point)) });
  await kernel.addNic({
    name: DEVICE,
    queues: point.queues,
    ring: point.hardwareRing,
    // The wire waits for descriptors: lost packets are no part of what is measured.
    pause: true,
    moderation: { packets: point.moderation },
    wire: {
      kind: 'generator',
      size: point.size,
      flows: point.flows,
      burst: point.burst,
      packets: point.packets,
    },
  });
  const sockets: PacketSocket[] = [];
  for (let i = 0; i < point.sockets; i++) sockets.push(await openSocket(socketOptions(kernel, point, i)));
  const turn = receiver(sockets.slice(0, point.busy), point.batch);
  // Memory that was never touched costs much more: the warm-up goes around at least once.
  let packets = 0;
  const warmUp = (): number => {
    const taken = turn();
    packets += taken;
    return taken;
  };
  do timedRun(settings.warmUpSeconds, 1, warmUp);
  while (packets < 2 * point.packets);
  return undisturbed(settings.runs, () => timedRun(settings.seconds, 1, turn));
}

function arenaBytes({ sockets, queues, frames, packets, size, hardwareRing }: ScalePoint): number {
  const buffers = sockets * (frames * FRAME_BYTES + SOCKET_BYTES);
  const wire = packets * (size + 128);
  const device = Math.min(queues, sockets + 64) * (hardwareRing * 32 + 4096);
  return Math.min(MAXIMUM_ARENA_BYTES, KERNEL_BYTES + buffers + wire + device);
}

function socketOptions(kernel: SoftKernel, point: ScalePoint, index: number): OpenSocketOptions {
  const zeroCopy = point.mode.endsWith('-zc');
  const { queue, receive } = steer(point, index, zeroCopy);
  return {
    kernel,
    interface: DEVICE,
    mode: point.mode,
    receive,
    ring: point.ring,
    buffer: { frames: point.frames, frameSize: FRAME_BYTES, sendFrames: SPARE_FRAMES },
    ...(zeroCopy && { queue }),
  };
}

function steer(point: ScalePoint, index: number, zeroCopy: boolean): { queue: number; receive: 'all' | FlowRule[] } {
  switch (point.steering) {
    case 'all':
      return { queue: 0, receive: 'all' };
    case 'rss':
      return { queue: index, receive: 'all' };
    case 'one':
      return { queue: 1, receive: Array.from({ length: point.rules }, (_, flow) => ruleFor(flow)) };
    case 'rules':
      // Some queue must be left for packets without a rule: in zero-copy with a queue for each socket it is socket 0's.
      if (zeroCopy && index === 0 && point.sockets > 1) return { queue: 0, receive: 'all' };
      return { queue: point.sockets > 1 ? index : point.queues - 1, receive: [ruleFor(index)] };
  }
}

function ruleFor(flow: number): FlowRule {
  return { protocol: 'udp', source: flowAddress(flow) };
}

/** The application: visits its busy sockets in turn, reads every Ethernet header, gives the frames back. Returns packets. */
function receiver(sockets: readonly PacketSocket[], capacity: number): () => number {
  const batch = new PacketBatch(capacity);
  const { offset } = batch;
  const u8 = sockets[0]!.bytes;
  let next = 0;
  let seen = 0;
  return () => {
    let packets = 0;
    for (let i = 0; i < TURNS; i++) {
      const socket = sockets[next]!;
      const count = socket.receive(batch);
      for (let k = 0; k < count; k++) {
        const at = offset[k]!;
        seen = (seen + u8[at]! + u8[at + 6]! + u8[at + 12]!) | 0;
      }
      socket.release(batch);
      packets += count;
      if (++next === sockets.length) next = 0;
    }
    return packets;
  };
}
