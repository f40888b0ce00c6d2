import type { Mode } from '../../kernel/contract.js';

/** What grows along a table. */
export const AXES = [
  'sockets',
  'idle',
  'burst',
  'moderation',
  'rules',
  'queues',
  'rss',
  'batch',
  'frames',
  'ring',
  'size',
  'passes',
] as const;
export type Axis = (typeof AXES)[number];

/** How every point is measured. */
export interface ScaleSettings {
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly runs: number;
}

export const DEFAULT_SCALE_SETTINGS: ScaleSettings = { seconds: 0.1, warmUpSeconds: 0.4, runs: 5 };

/** How packets find their socket. */
export type Steering =
  /** Everything of the only queue is for the only socket. */
  | 'all'
  /** A rule for each flow; flow n is socket n's. */
  | 'rules'
  /** Every rule is the only socket's. */
  | 'one'
  /** RSS, a socket for each queue. */
  | 'rss';

/** One point: a soft NIC, sockets and traffic. Plain data for a process of its own. */
export interface ScalePoint {
  readonly axis: Exclude<Axis, 'passes'>;
  readonly mode: Mode;
  /** Where on the axis. */
  readonly value: number;
  readonly steering: Steering;
  readonly sockets: number;
  /** Sockets that traffic comes for; the others are bound and get none. */
  readonly busy: number;
  /** Flow rules in all; with `rules` one a socket. */
  readonly rules: number;
  readonly queues: number;
  /** Packets that `receive` takes at most. */
  readonly batch: number;
  /** Descriptors of each socket's receive ring, and of each hardware ring. */
  readonly ring: number;
  readonly hardwareRing: number;
  /** Frames of each socket's packet buffer. */
  readonly frames: number;
  /** Bytes with FCS. */
  readonly size: number;
  /** Packets of one flow that follow each other. */
  readonly burst: number;
  readonly flows: number;
  /** Packets of a queue that raise its interrupt; fewer wait 50 µs of the kernel's clock at most. */
  readonly moderation: number;
  /** Distinct packets that the wire cycles. */
  readonly packets: number;
}

/** What its process reports. */
export interface ScaleMeasurement {
  /** Wall time per packet, one figure a run: device, driver, kernel and application together, on one thread. */
  readonly nanoseconds: readonly number[];
  readonly cpuShare: number;
}

/** A soft NIC with one queue and one socket that receives everything, by the brief's headline settings; the points differ from it. */
const PLAIN = {
  mode: 'v4-zc',
  steering: 'all',
  sockets: 1,
  busy: 1,
  rules: 0,
  queues: 1,
  batch: 64,
  ring: 1024,
  hardwareRing: 512,
  frames: 4096,
  size: 64,
  burst: 1,
  flows: 1024,
  packets: 1024,
  moderation: 1,
} as const satisfies Omit<ScalePoint, 'axis' | 'value'>;

/** Sockets that are busy in turn have small rings, or their frames would not fit the arena. */
const SOCKET_RING = 64;
const SOCKET_BURST = 64;
const MOST_SOCKETS = 4096;

const SOCKETS = [1, 16, 256, 1024, MOST_SOCKETS];
const RULES = [1, 16, 256, 1024, 8192];

/** The points of an axis, in the order of its tables: those of one mode follow each other. */
export function pointsOf(axis: Exclude<Axis, 'passes'>): ScalePoint[] {
  switch (axis) {
    case 'sockets':
      return MODES.flatMap((mode) => SOCKETS.map((sockets) => manySockets({ axis, mode, value: sockets }, sockets)));
    case 'idle':
      return MODES.flatMap((mode) =>
        [16, 256, MOST_SOCKETS].map((sockets) => manySockets({ axis, mode, value: sockets }, sockets, 16)),
      );
    case 'burst':
      return MODES.flatMap((mode) =>
        [SOCKET_BURST, 16, 4, 1].map((burst) => manySockets({ axis, mode, value: burst }, 256, 256, burst)),
      );
    case 'moderation':
      return [1, 4, 16, 32].map((moderation) => ({
        ...manySockets({ axis, mode: 'v4-zc', value: moderation }, 256, 256, 1),
        moderation,
      }));
    case 'rules':
      return MODES.flatMap((mode) => RULES.map((rules) => manyRules({ axis, mode, value: rules }, rules)));
    case 'queues':
      return [2, 16, 256, 4096].map((queues) => ({
        ...PLAIN,
        axis,
        value: queues,
        steering: 'rules' as const,
        queues,
        rules: 1,
        flows: 1,
      }));
    case 'rss':
      return [1, 4, 16, 64].map((queues) => ({
        ...PLAIN,
        axis,
        value: queues,
        steering: 'rss' as const,
        queues,
        sockets: queues,
        busy: queues,
        ring: SOCKET_RING,
        hardwareRing: SOCKET_RING,
        frames: SOCKET_RING + SPARE_FRAMES,
        burst: 16,
        packets: 16384,
      }));
    case 'batch':
      return [1, 4, 16, 64, 256].map((batch) => ({ ...PLAIN, axis, value: batch, batch }));
    case 'frames':
      return [2048, 4096, 16384, 65536].map((frames) => ({ ...PLAIN, axis, value: frames, frames }));
    case 'ring':
      return [64, 256, 1024, 4096, 16384].map((ring) => ({
        ...PLAIN,
        axis,
        value: ring,
        ring,
        hardwareRing: Math.min(ring, 8192),
        frames: ring + SPARE_FRAMES,
      }));
    case 'size':
      return MODES.flatMap((mode) =>
        [64, 128, 256, 512, 1024, 1500].map((size) => ({ ...PLAIN, axis, mode, value: size, size })),
      );
  }
}

const MODES = ['v4-zc', 'v4'] as const;
/** A packet buffer keeps some frames for sending. */
export const SPARE_FRAMES = 8;

/** Sockets with a rule each: in zero-copy with a queue each, in copy mode on one queue. */
function manySockets(
  where: Pick<ScalePoint, 'axis' | 'mode' | 'value'>,
  sockets: number,
  busy = sockets,
  burst = SOCKET_BURST,
): ScalePoint {
  return {
    ...PLAIN,
    ...where,
    steering: 'rules',
    sockets,
    busy,
    rules: sockets,
    queues: where.mode === 'v4-zc' ? Math.max(2, sockets) : 1,
    ring: SOCKET_RING,
    hardwareRing: where.mode === 'v4-zc' ? SOCKET_RING : PLAIN.hardwareRing,
    frames: SOCKET_RING + SPARE_FRAMES,
    burst,
    flows: busy,
    // As many for one socket as for many: what is measured is the sockets, not the memory that the wire is read from.
    packets: where.axis === 'sockets' ? MOST_SOCKETS * SOCKET_BURST : Math.max(PLAIN.packets, busy * burst),
  };
}

/** One socket with many rules; every packet is of another flow than the one before, so that each is looked up. */
function manyRules(where: Pick<ScalePoint, 'axis' | 'mode' | 'value'>, rules: number): ScalePoint {
  return {
    ...PLAIN,
    ...where,
    steering: 'one',
    rules,
    queues: where.mode === 'v4-zc' ? 2 : 1,
    flows: Math.min(rules, 1024),
  };
}
