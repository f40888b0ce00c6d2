import type { Spread } from '../rings/spread.js';

/** What grows. */
export const SERIES = ['sockets-zc', 'sockets-copy', 'rules', 'queues', 'batch', 'frames', 'size', 'passes'] as const;
export type Series = (typeof SERIES)[number];

/** How long a point is measured. */
export interface ScaleSettings {
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly runs: number;
}

/** One measurement, as plain data. */
export interface Point {
  readonly series: Series;
  /** The value of what grows. */
  readonly value: number;
  readonly settings: ScaleSettings;
}

export interface PointMeasurement {
  /** Wall time per packet of each run: wire, device, driver, ring and application together, on one thread. */
  readonly nanoseconds: readonly number[];
  /** Heap growth over the measured runs, in bytes per packet. */
  readonly heapBytesPerPacket: number;
}

/** One row of the report. */
export interface ScaleResult {
  readonly series: Series;
  readonly value: number;
  readonly nsPerPacket: Spread;
  /** Against the first point of the series. */
  readonly ratio: number;
  readonly heapBytesPerPacket: number;
}

/** Values of each series, the first being what the others are compared with. */
export const VALUES: Record<Series, readonly number[]> = {
  'sockets-zc': [1, 16, 256, 1024, 4096],
  'sockets-copy': [1, 16, 256, 1024, 4096],
  rules: [1, 16, 256, 1024, 8192],
  queues: [2, 16, 256, 4096],
  batch: [64, 1, 4, 16, 256],
  frames: [4096, 1024, 16384, 65536],
  size: [64, 256, 512, 1024, 1500],
  passes: [1, 3],
};

/** What each series does, for people. */
export const DESCRIPTIONS: Record<Series, string> = {
  'sockets-zc': 'sockets in v4-zc, a queue and a flow-director rule each',
  'sockets-copy': 'sockets in v4 (copied), sharing one queue, a rule each',
  rules: 'flow-director rules, one v4-zc socket',
  queues: 'queues of the device, one busy',
  batch: 'packets a batch',
  frames: 'frames of the buffer',
  size: 'bytes a packet',
  passes: 'passes over a batch of 64: parse, classify and count in one long loop, or in three short ones (F12)',
};
