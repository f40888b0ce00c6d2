import type { XdpProgramName } from './programs.js';

/** Who runs a program: the engine's compiler or interpreter, or Linux, compiled by its own just-in-time compiler where that is on. */
export const RUNNERS = ['compiler', 'linux', 'interpreter'] as const;
export type Runner = (typeof RUNNERS)[number];

/** One case, for a process of its own. */
export interface XdpCase {
  readonly program: XdpProgramName;
  readonly runner: Runner;
  /** Length of each measured run. */
  readonly seconds: number;
  readonly runs: number;
}

/** What the process of a case reports. */
export interface XdpMeasurement {
  /** Nanoseconds a packet, one figure for each run: the mean over all packets. */
  readonly nanoseconds: readonly number[];
  /** What the program returned for each packet. */
  readonly verdicts: readonly number[];
}

/** How every case is measured. */
export interface XdpSettings {
  /** Length of each measured run. */
  readonly seconds: number;
  /** Measured runs of a process. */
  readonly runs: number;
  /** Processes of each case. */
  readonly processes: number;
}

export const DEFAULT_XDP_SETTINGS: XdpSettings = { seconds: 0.2, runs: 3, processes: 5 };
