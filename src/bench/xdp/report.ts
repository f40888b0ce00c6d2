import type { BenchEnvironment } from '../environment.js';
import { alignColumns, digits, type Spread } from '../rings/spread.js';
import type { XdpSettings } from './case.js';
import type { XdpProgramName } from './programs.js';
import type { StartUpMeasurement } from './start-up-process.js';

/** One program, as `--json` prints it: nanoseconds a packet, the spread over processes. */
export interface XdpResult {
  readonly program: XdpProgramName;
  readonly compiler: Spread;
  readonly interpreter: Spread;
  /** Absent without the right to load programs. */
  readonly linux?: Spread;
  /** The compiler's time as a multiple of Linux's, of processes that followed one another. */
  readonly ratioToLinux?: Spread;
}

/** What `tp4 bench xdp --json` prints. */
export interface XdpReport {
  readonly environment: Omit<BenchEnvironment, 'settings'> & {
    readonly settings: XdpSettings;
    /** Whether Linux compiles programs; absent where it does not say. */
    readonly justInTime?: boolean;
  };
  readonly modelled: string;
  readonly results: readonly XdpResult[];
  /** A program of 1,000 instructions, in a new process: reading its text, verifying it, compiling it up to its first verdict. */
  readonly startUpMilliseconds: Readonly<Record<keyof StartUpMeasurement, Spread>>;
}

export const MODELLED =
  'The same program, text and maps, on the same 16 packets of 60 bytes, one after the other. Linux runs it over and over on one ' +
  '(BPF_PROG_TEST_RUN), we on batches of 64 copies; both with all that is set up for a packet, and without a device. Of each ' +
  'packet the fastest of short slices counts, because what else runs on the machine only adds.';

/** The table for people. */
export function renderTable({ results, startUpMilliseconds }: XdpReport): string {
  const rows = [
    ['Nanoseconds a packet', 'compiled', 'Linux', 'ratio', 'least', 'most', 'interpreter'],
    ...results.map(({ program, compiler, linux, ratioToLinux, interpreter }) => [
      program,
      digits(compiler.median),
      linux === undefined ? '' : digits(linux.median),
      ...[ratioToLinux?.median, ratioToLinux?.min, ratioToLinux?.max].map((ratio) => ratio?.toFixed(2) ?? ''),
      digits(interpreter.median),
    ]),
  ];
  const steps = Object.entries(startUpMilliseconds).map(
    ([step, { median, min, max }]) => `${step} in ${digits(median)} ms (${digits(min)} to ${digits(max)})`,
  );
  return `${alignColumns(rows)}\n\n1,000 instructions in a new process: ${steps.join(', ')}`;
}

/** What the figures were taken on. */
export function renderEnvironment({ environment, modelled }: XdpReport): string {
  const { cpu, cpus, node, release, loadAverage, date, justInTime } = environment;
  const compiles = justInTime === undefined ? '' : `, its just-in-time compiler ${justInTime ? 'on' : 'off'}`;
  return `${modelled}\n${cpu}, ${cpus} CPUs, Node ${node}, Linux ${release}${compiles}, load ${loadAverage}, ${date}`;
}
