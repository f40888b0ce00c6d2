import { setImmediate as turn } from 'node:timers/promises';
import { PacketError } from '../../errors.js';
import { LinuxKernel } from '../../linux-kernel/linux-kernel.js';
import { PacketBuffer } from '../../packet-buffer/packet-buffer.js';
import { PacketBatch } from '../../ring/packet-batch.js';
import { openSocket } from '../../socket/open-socket.js';
import { pinThisThread } from '../pinning.js';
import { l2fwd, Tally } from '../programs.js';
import type { SoakEnd, SoakMoment, SoakTask } from './soak-figures.js';

// `node --expose-gc soak-process.js TASK`: forwards what comes until standard input ends, then what is still there. Writes "ready",
// then a SoakMoment a line, at last a SoakEnd. A refused socket is "refused" and the error as JSON.

/** Turns between looks at the clock, and how long to work between looks at standard input, in milliseconds. */
const TURNS = 32;
const SLICE_MILLISECONDS = 100;
/** Nothing more comes once nothing has come for so long. */
const QUIET_MILLISECONDS = 300;

const task = JSON.parse(process.argv[2] ?? '') as SoakTask;
try {
  if (task.cpu >= 0) pinThisThread(task.cpu);
  await soak(task);
} catch (error) {
  if (!(error instanceof PacketError)) throw error;
  process.stdout.write(`refused ${JSON.stringify(error.toJSON())}\n`);
}

async function soak({ interface: name, version, settings, intervalSeconds }: SoakTask): Promise<void> {
  const { frames, frameSize, ring, blockSize } = settings;
  const kernel = new LinuxKernel();
  const open = { kernel, interface: name, mode: version, receive: 'all', ring, blockSize } as const;
  // A buffer that outlives the socket: its frames are counted after the close.
  const buffer = PacketBuffer.create({ arena: kernel.arena, frames, frameSize });
  const socket = await openSocket({ ...open, buffer });
  const batch = new PacketBatch(settings.batch);
  const tally = new Tally();
  let stopping = false;
  process.stdin.on('end', () => {
    stopping = true;
  });
  process.stdin.resume();
  write('ready');
  const start = performance.now();
  let quietSince = start;
  let next = start + intervalSeconds * 1000;
  for (;;) {
    const end = performance.now() + SLICE_MILLISECONDS;
    const before = tally.packets;
    while (performance.now() < end) l2fwd(socket, batch, TURNS, tally);
    await turn();
    const now = performance.now();
    if (tally.packets > before || batch.length > 0 || !stopping) quietSince = now;
    if (now - quietSince > QUIET_MILLISECONDS) break;
    if (now < next) continue;
    next += intervalSeconds * 1000;
    globalThis.gc?.();
    const { heapUsed } = process.memoryUsage();
    const moment: SoakMoment = { seconds: (now - start) / 1000, packets: tally.packets, heapBytes: heapUsed };
    write(JSON.stringify(moment));
  }
  const { received, sent, kernelReceived, kernelSent, drops, unsendable } = await socket.statistics();
  await socket.close();
  const free = buffer.free('receive') + buffer.free('send');
  const end: SoakEnd = { received, sent, kernelReceived, kernelSent, drops, unsendable, frames, free };
  write(JSON.stringify(end));
  process.stdin.destroy();
}

function write(line: string): void {
  process.stdout.write(`${line}\n`);
}
