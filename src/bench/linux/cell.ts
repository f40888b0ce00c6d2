import { fileURLToPath } from 'node:url';
import { FCS_BYTES } from '../../wire/traffic.js';
import type { Cell } from '../cell.js';
import type { ProgramName } from '../programs.js';
import { BEGAN, type CommandRunner, MeasuringFailed } from '../run-cell.js';
import { FAR, type Laboratory, NEAR } from './laboratory.js';
import { type Sample, takeSample } from './observer.js';

/** What was seen from outside while a cell's runs lasted. */
export interface Observation {
  /** CPU time of the process at the far end in nanoseconds, per packet it sent; absent where none runs there. */
  readonly farCpuNanoseconds: number | undefined;
  /**
   * Time of software interrupts on all CPUs in nanoseconds, per packet that crossed the pair in either direction. A part of the
   * processes' CPU time: the kernel receives on behalf of whoever sends.
   */
  readonly softirqNanoseconds: number;
  /** Packets that the pair itself refused, by place. */
  readonly lost: Readonly<Record<string, number>>;
}

/** Where the two processes of a cell run; -1 leaves the place to the scheduler. */
export function cpusOf({ pinning }: Pick<Cell, 'pinning'>): { near: number; far: number } {
  return 'none' in pinning ? { near: -1, far: -1 } : { near: pinning.application, far: pinning.kernel };
}

/** Starts what floods the near end, where the program receives. It stops when its standard input ends, or is killed. */
export function startSource(laboratory: Laboratory, program: ProgramName, size: number, cpu: number) {
  if (program === 'txpush') return undefined;
  const script = fileURLToPath(new URL('./source-process.js', import.meta.url));
  const words = [FAR.interface, NEAR.mac, FAR.mac, size - FCS_BYTES, cpu].map(String);
  return laboratory.start(FAR, [process.execPath, script, ...words], 'open');
}

/** Hears of each line that a measuring process writes. */
export type LineListener = (line: string) => void;

/**
 * Lets one measuring process work at the near end, with the traffic its program needs, and looks at both ends from the moment it
 * says that it has begun until its last line.
 *
 * @param work runs that process with the runner it is given, and hands the listener on
 * @throws MeasuringFailed when the source of traffic fails
 */
export async function observeCell<Outcome>(
  laboratory: Laboratory,
  cell: Cell,
  work: (run: CommandRunner, onLine: LineListener) => Promise<Outcome>,
): Promise<{ outcome: Outcome; observation: Observation }> {
  const source = startSource(laboratory, cell.program, cell.size ?? 64, cpusOf(cell).far);
  let complaint = '';
  source?.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint += text;
  });
  try {
    let first = takeSample(laboratory, undefined, source?.pid);
    let last = first;
    const onLine = (line: string): void => {
      last = takeSample(laboratory, undefined, source?.pid);
      if (line === BEGAN) first = last;
    };
    const run: CommandRunner = (command, args, options) => laboratory.run(NEAR, [command, ...args], options);
    const outcome = await work(run, onLine);
    if (source !== undefined && source.exitCode !== null) {
      throw new MeasuringFailed(`the source of traffic failed: ${complaint.trim()}`);
    }
    return { outcome, observation: observe(first, last, source !== undefined) };
  } finally {
    source?.kill('SIGKILL');
  }
}

/** What happened between two samples. */
export function observe(first: Sample, last: Sample, withSource: boolean): Observation {
  const toNear = last.near.received - first.near.received;
  const toFar = last.far.received - first.far.received;
  const lost: Record<string, number> = {};
  const nearQueue = last.far.sendDropped - first.far.sendDropped;
  const farQueue = last.near.sendDropped - first.near.sendDropped;
  if (nearQueue > 0) lost['veth-near-queue'] = nearQueue;
  if (farQueue > 0) lost['veth-far-queue'] = farQueue;
  return {
    farCpuNanoseconds: withSource ? (last.farNanoseconds - first.farNanoseconds) / Math.max(1, toNear) : undefined,
    softirqNanoseconds: (last.softirqNanoseconds - first.softirqNanoseconds) / Math.max(1, toNear + toFar),
    lost,
  };
}
