import type { Mode } from '../kernel/contract.js';
import type { Cell, CellMeasurement } from './cell.js';
import type { BenchEnvironment } from './environment.js';
import type { ProgramName } from './programs.js';

/** Preamble and gap, which a wire needs between packets: Gbit/s counts them. */
export const WIRE_OVERHEAD_BYTES = 20;

/** One row of the table, as `--json` prints it. */
export interface BenchResult {
  readonly program: ProgramName;
  readonly version: Mode;
  /** Bytes of a packet with its FCS; the mean where packets differ. */
  readonly size: number;
  readonly interface: string;
  /** Where the soft kernel ran; `kernel` on an interface of the Linux kernel, which has threads of its own. */
  readonly threads: 'inline' | 'worker' | 'kernel';
  /** Millions of packets per second over the runs. */
  readonly mpps: { readonly median: number; readonly min: number; readonly max: number };
  /** Of the median, counting size plus 20 bytes of preamble and gap. */
  readonly gbps: number;
  /** Wall time of the measured program per packet, of the median. */
  readonly nsPerPacket: number;
  /** Packets lost during the measured runs, by place. */
  readonly lost: Readonly<Record<string, number>>;
  /** Only on the Linux kernel: CPU time of the measured process per packet, in nanoseconds; user and system, over all runs. */
  readonly cpuNsPerPacket?: number;
  /** Only on the Linux kernel: system calls of the data path per packet, over all runs. */
  readonly systemCallsPerPacket?: number;
}

/** A cell without figures, and why. */
export interface RefusedCell {
  readonly program: ProgramName;
  readonly version: Mode;
  readonly size: number | undefined;
  readonly interface: string;
  readonly code: string;
  readonly why: string;
  readonly remedy: string;
}

/** Everything that one call of the bench says. */
export interface BenchReport {
  readonly environment: BenchEnvironment;
  /** What was modelled and what was not. */
  readonly modelled: string;
  readonly results: readonly BenchResult[];
  /** Only there when a cell was refused. */
  readonly refused?: readonly RefusedCell[];
}

/** Figures of a cell from its runs. */
export function toResult(cell: Cell, { mpps, meanSize, lost, cost }: CellMeasurement): BenchResult {
  const sorted = [...mpps].sort((a, b) => a - b);
  const median = medianOf(sorted);
  const soft = cell.interface.startsWith('soft:');
  // What arrives on a real interface is as long as it is, whatever was asked for.
  const known = soft || cell.program === 'txpush' ? cell.size : undefined;
  const size = known ?? Number(meanSize.toFixed(1));
  return {
    program: cell.program,
    version: cell.version,
    size,
    interface: cell.interface,
    threads: soft ? cell.settings.threads : 'kernel',
    mpps: { median: rounded(median), min: rounded(sorted[0]!), max: rounded(sorted.at(-1)!) },
    gbps: rounded((median * (size + WIRE_OVERHEAD_BYTES) * 8) / 1000),
    nsPerPacket: median === 0 ? 0 : rounded(1000 / median),
    lost,
    ...(cost !== undefined && { cpuNsPerPacket: rounded(cost.cpuNanoseconds) }),
    ...(cost?.systemCalls !== undefined && { systemCallsPerPacket: rounded(cost.systemCalls) }),
  };
}

/** Of a sorted list that is not empty. */
function medianOf(sorted: readonly number[]): number {
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Four significant digits: more would be noise. */
function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
