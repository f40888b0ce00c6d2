import type { Pinning } from '../pinning.js';
import type { LoopLanguage } from './descriptor-runs.js';

/** The two kinds of ring: V4's, with an owner flag in each descriptor, and AF_XDP's, with separate producer and consumer. */
export const RING_FORMATS = ['owner', 'index'] as const;
export type RingFormat = (typeof RING_FORMATS)[number];

/** Which side does extra work for each descriptor (F2). */
export const PACES = ['symmetrical', 'slow application', 'slow kernel'] as const;
export type Pace = (typeof PACES)[number];

/** How everything in `tp4 bench rings` is measured. */
export interface RingsSettings {
  /** Descriptors of each ring. */
  readonly entries: number;
  /** Descriptors that a side hands over at a time. */
  readonly batch: number;
  /** The same for the slow side, one measurement each. */
  readonly slowBatches: readonly number[];
  /** Extra work for each descriptor, in steps of about one and a half nanoseconds. */
  readonly work: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly runs: number;
}

export const DEFAULT_RINGS_SETTINGS: RingsSettings = {
  entries: 1024,
  batch: 64,
  slowBatches: [64, 4],
  work: 30,
  seconds: 0.2,
  warmUpSeconds: 0.3,
  runs: 5,
};

/** Entries of the minimal loops' ring, in all languages. */
export const MINIMAL_ENTRIES = 4096;

/** Descriptors handed back together (F3). */
export const HAND_BACK = 512;

/**
 * One measurement, as plain data for a process of its own.
 *
 * - `exchange`: the real rings between two threads, received and released frames going round.
 * - `hand-back`: one thread, descriptors handed back {@link HAND_BACK} at a time.
 * - `minimal`: bare descriptors between two threads.
 */
export type RingsCase = {
  readonly format: RingFormat;
  readonly settings: RingsSettings;
  readonly pinning: Pinning;
} & (
  | { readonly kind: 'exchange'; readonly pace: Pace; readonly slowBatch: number }
  | { readonly kind: 'hand-back' }
  | { readonly kind: 'minimal'; readonly language: LoopLanguage }
);

/** What the process of a case reports. */
export interface RingsMeasurement {
  /** Nanoseconds of wall time per descriptor, one figure a run; for `hand-back` per hand-back. */
  readonly nanoseconds: readonly number[];
  /** `exchange`: what the extra work alone costs, in nanoseconds per descriptor. `hand-back` of an index ring: one index moved. */
  readonly reference: number;
  /** CPU time that the threads got as a part of what they wanted; well below 1, other processes disturbed the measurement. */
  readonly cpuShare: number;
}
