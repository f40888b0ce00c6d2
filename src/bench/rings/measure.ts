import { Arena } from '../../arena/arena.js';
import type { SocketMaps } from '../../kernel/contract.js';
import { PacketArray } from '../../packet-array/packet-array.js';
import { PacketBuffer } from '../../packet-buffer/packet-buffer.js';
import type { FrameRings } from '../../ring/frame-rings.js';
import { PacketBatch } from '../../ring/packet-batch.js';
import { V4Rings } from '../../ring/v4/user.js';
import { XdpRings } from '../../ring/xdp/user.js';
import { allocateRings } from '../../soft-kernel/ring-memory.js';
import { pinnedThreads } from '../pinning.js';
import {
  HAND_BACK,
  MINIMAL_ENTRIES,
  type RingFormat,
  type RingsCase,
  type RingsMeasurement,
  type RingsSettings,
} from './case.js';
import { clearMinimalRing, MINIMAL_HEADER_BYTES, minimalConsumer } from './minimal-loops.js';
import { fillFrames, kernelRings, type PartnerReady, type PartnerTask, partnerThreads } from './partner.js';
import { type Run, type Runs, timedRun, undisturbed } from './runs.js';
import { work, workNanoseconds } from './work.js';

const ARENA_BYTES = 2 ** 26;
const PARTNER_BYTES = 2 ** 20;
const PAGE_BYTES = 4096;
/** Turns between looks at the clock. */
const TURNS = 256;

/** Measures one case in this process and on this thread, which it blocks. */
export async function measure(task: RingsCase): Promise<RingsMeasurement> {
  switch (task.kind) {
    case 'exchange':
      return exchange(task);
    case 'hand-back':
      return handBack(task.format, task.settings);
    case 'minimal':
      return minimal(task);
  }
}

/** Memory, rings and the application's side of them. */
function userSide(format: RingFormat, entries: number) {
  const arena = Arena.create(ARENA_BYTES);
  const buffer = PacketBuffer.create({ arena, frames: 4 * entries });
  const { maps } = allocateRings(arena, format === 'owner' ? 'v4' : 'xdp', { receive: entries, transmit: 0 });
  const parts = { buffer, maps, kicker: { kick() {} }, outcomes: false };
  const rings: FrameRings = format === 'owner' ? new V4Rings(parts) : new XdpRings(parts);
  rings.replenish();
  return { arena, buffer, maps, rings };
}

async function exchange(task: RingsCase & { kind: 'exchange' }): Promise<RingsMeasurement> {
  const { format, settings, pace, slowBatch } = task;
  const { arena, buffer, maps, rings } = userSide(format, settings.entries);
  const applicationWork = pace === 'slow application' ? settings.work : 0;
  const batch = new PacketBatch(pace === 'slow application' ? slowBatch : settings.batch);
  const partner = await startPartner(task, arena, {
    kind: 'exchange',
    memory: buffer.share(),
    maps,
    batch: pace === 'slow kernel' ? slowBatch : settings.batch,
    work: pace === 'slow kernel' ? settings.work : 0,
  });
  let value = 1;
  const turn = (): number => {
    let taken = 0;
    for (let i = 0; i < TURNS; i++) {
      const count = rings.receive(batch);
      if (count === 0) continue;
      if (applicationWork > 0) for (let k = 0; k < count; k++) value = work(applicationWork, value);
      rings.release(batch);
      taken += count;
    }
    return taken;
  };
  const reference = partner.workNanoseconds + workNanoseconds(applicationWork);
  try {
    return { ...timed(settings, turn), reference };
  } finally {
    await partner.stop();
  }
}

async function minimal(task: RingsCase & { kind: 'minimal' }): Promise<RingsMeasurement> {
  const { format, language, settings } = task;
  const arena = Arena.create(ARENA_BYTES);
  const { offset } = arena.allocate(MINIMAL_HEADER_BYTES + MINIMAL_ENTRIES * 16);
  const ring = { offset, entries: MINIMAL_ENTRIES, batch: settings.batch, language };
  clearMinimalRing(arena.i32, ring);
  const consumer = minimalConsumer(format, arena.memory, ring);
  const partner = await startPartner(task, arena, { kind: 'minimal', ring });
  try {
    return { ...timed(settings, () => consumer.move(TURNS)), reference: 0 };
  } finally {
    await partner.stop();
  }
}

type PartOfTask =
  | Omit<PartnerTask & { kind: 'exchange' }, 'arena' | 'stop' | 'format'>
  | Omit<PartnerTask & { kind: 'minimal' }, 'arena' | 'stop' | 'format'>;

async function startPartner({ format, pinning }: RingsCase, arena: Arena, part: PartOfTask) {
  const stop = arena.allocate(PAGE_BYTES).offset;
  Atomics.store(arena.i32, stop >> 2, 0);
  const thread = pinnedThreads(partnerThreads(), pinning).start();
  const ready = new Promise<PartnerReady>((resolve, reject) => {
    thread.listen((message) => resolve(message as PartnerReady));
    thread.ended(reject);
  });
  thread.post({ arena: arena.share(PARTNER_BYTES), stop, format, ...part } as PartnerTask);
  const { workNanoseconds: nanoseconds } = await ready;
  return {
    workNanoseconds: nanoseconds,
    async stop() {
      Atomics.store(arena.i32, stop >> 2, 1);
      await thread.terminate();
    },
  };
}

/** Nanoseconds per descriptor over the runs, with two threads spinning. */
function timed(settings: RingsSettings, turn: () => number): Runs {
  timedRun(settings.warmUpSeconds, 2, turn);
  return undisturbed(settings.runs, () => timedRun(settings.seconds, 2, turn));
}

/** F3: an owner ring marks every entry; an index ring moves one index, and posts frames only when it wants to receive more. */
function handBack(format: RingFormat, settings: RingsSettings): RingsMeasurement {
  const { arena, buffer, maps, rings } = userSide(format, 2 * HAND_BACK);
  const kernel = kernelRings(format, arena, buffer, maps);
  const array = new PacketArray(2 * HAND_BACK);
  const batch = new PacketBatch(HAND_BACK);
  const clock = clockNanoseconds();
  const spend = (seconds: number): Run => {
    const before = process.cpuUsage();
    const start = performance.now();
    const end = start + seconds * 1000;
    let spent = 0;
    let times = 0;
    let now = start;
    while (now < end) {
      fillFrames(kernel, array, HAND_BACK, 1, 0, 1);
      rings.receive(batch);
      const received = performance.now();
      rings.release(batch);
      now = performance.now();
      spent += now - received;
      times++;
    }
    const { user, system } = process.cpuUsage(before);
    return [(spent * 1e6) / times - clock, (user + system) / 1000 / (now - start)];
  };
  spend(settings.warmUpSeconds);
  const reference = format === 'index' ? indexMoveNanoseconds(arena.i32, maps) : 0;
  return { ...undisturbed(settings.runs, () => spend(settings.seconds)), reference };
}

/** What `receive` does at its end on an index ring: one store hands back however many descriptors were taken. */
function indexMoveNanoseconds(i32: Int32Array, { receive }: SocketMaps): number {
  const consumer = (receive?.consumer ?? 0) >> 2;
  const times = 1_000_000;
  const index = Atomics.load(i32, consumer);
  let start = 0;
  // The first time is for the compiler.
  for (let attempt = 0; attempt < 2; attempt++) {
    start = performance.now();
    for (let i = 0; i < times; i++) Atomics.store(i32, consumer, index);
  }
  return ((performance.now() - start) * 1e6) / times;
}

/** From one look at the clock to the next: taken off what is measured between two looks. */
function clockNanoseconds(): number {
  const times = 100_000;
  const start = performance.now();
  for (let i = 0; i < times; i++) performance.now();
  return ((performance.now() - start) * 1e6) / times;
}
