import type { Mode } from '../kernel/contract.js';
import type { Pinning } from './pinning.js';
import type { ProgramName } from './programs.js';

/** Where the soft kernel runs: with the application, or on a thread of its own as the talk's driver on another core. */
export const THREADS = ['inline', 'worker'] as const;
export type Threads = (typeof THREADS)[number];

/** How every cell of a table is measured. The defaults are the brief's headline settings. */
export interface BenchSettings {
  readonly threads: Threads;
  /** Packets a batch. */
  readonly batch: number;
  /** Descriptors (V2: frames) of each ring. */
  readonly ring: number;
  /** Frames of the packet buffer. */
  readonly frames: number;
  /** Bytes of a frame, and of a V2 or V3 ring's frame. */
  readonly frameSize: number;
  /** V3: bytes of a block. */
  readonly blockSize: number;
  /** Length of each measured run, and of the warm-up before the first. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly runs: number;
}

export const DEFAULT_SETTINGS: BenchSettings = {
  threads: 'worker',
  batch: 64,
  ring: 1024,
  frames: 4096,
  frameSize: 2048,
  blockSize: 256 * 1024,
  seconds: 0.5,
  warmUpSeconds: 0.4,
  runs: 5,
};

/** One cell of the table: a program, a mode and a kind of traffic. Plain data for a process of its own. */
export interface Cell {
  readonly program: ProgramName;
  readonly version: Mode;
  /** Bytes of each packet with its FCS; undefined where the traffic decides (a capture, a Linux interface). */
  readonly size: number | undefined;
  /** Interface spec, see src/host/interface-spec.ts. */
  readonly interface: string;
  readonly settings: BenchSettings;
  readonly pinning: Pinning;
}

/** What the process of a cell reports. */
export interface CellMeasurement {
  /** One per run. */
  readonly mpps: readonly number[];
  /** Mean packet in bytes, with FCS. */
  readonly meanSize: number;
  /** Packets lost during the measured runs, by place. */
  readonly lost: Readonly<Record<string, number>>;
  /**
   * CPU time that the spinning threads got, as a part of what they wanted: about 1 on a machine of one's own, less where other
   * processes take their share.
   */
  readonly cpuShare: number;
  /** Only on the Linux kernel: what the measured process cost per packet. */
  readonly cost?: CellCost;
}

/** What a packet costs on the Linux kernel. */
export interface CellCost {
  /** CPU time of the measured process in nanoseconds, user and system. */
  readonly cpuNanoseconds: number;
  /** Absent where the measured program does not say. */
  readonly systemCalls?: number;
}
