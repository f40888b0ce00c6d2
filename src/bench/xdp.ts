import { readFileSync } from 'node:fs';
import { interruptible } from '../cli/bench.js';
import { CommandLine, type OptionTable } from '../cli/options.js';
import { PacketError } from '../errors.js';
import { DEFAULT_SETTINGS } from './cell.js';
import { describeEnvironment } from './environment.js';
import { measureInChild } from './rings/child.js';
import { spreadOf } from './rings/spread.js';
import { DEFAULT_XDP_SETTINGS, type Runner, type XdpCase, type XdpMeasurement, type XdpSettings } from './xdp/case.js';
import { XDP_PROGRAMS, type XdpProgramName } from './xdp/programs.js';
import { MODELLED, renderEnvironment, renderTable, type XdpReport, type XdpResult } from './xdp/report.js';
import type { StartUpMeasurement } from './xdp/start-up-process.js';

const defaults = DEFAULT_XDP_SETTINGS;

const HELP = `tp4 bench xdp [options]    XDP programs in this package's engine, against Linux where there is a right to load them (root)

Nanoseconds a packet of each program: compiled to WebAssembly, in Linux (BPF_PROG_TEST_RUN), and in the interpreter, and how
long a program of 1,000 instructions takes in a new process until it has run.

  --seconds S      length of a run, 0.05 to 60; default ${defaults.seconds}
  --runs N         runs in each process, 1 to 100; default ${defaults.runs}
  --processes N    processes for each case, in turns, 1 to 100; default ${defaults.processes}
  --json           figures as JSON on standard output
  --progress       say on standard error what is being measured, on a terminal the default
`;

const OPTIONS: OptionTable = {
  seconds: { type: 'string' },
  runs: { type: 'string' },
  processes: { type: 'string' },
  json: { type: 'boolean' },
  progress: { type: 'boolean' },
};

/** `tp4 bench xdp`. Returns the exit code. @throws PacketError INVALID_OPTION */
export async function benchXdp(args: readonly string[]): Promise<number> {
  const line = new CommandLine('tp4 bench xdp', args, OPTIONS);
  if (line.has('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  if (line.positionals.length > 0) {
    throw new PacketError('INVALID_OPTION', `"${line.positionals[0]}" is too many: the command takes options only`, {
      remedy: '--help lists them',
    });
  }
  const settings: XdpSettings = {
    seconds: line.number('seconds', defaults.seconds, 0.05, 60),
    runs: line.integer('runs', defaults.runs, 1, 100),
    processes: line.integer('processes', defaults.processes, 1, 100),
  };
  const progress = line.has('progress') || process.stderr.isTTY === true;
  const tell = progress ? (text: string) => void process.stderr.write(`${text}\n`) : () => {};
  return interruptible(async (signal) => {
    let report: XdpReport;
    try {
      report = await runXdpBench(settings, tell, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
      process.stderr.write('tp4 bench xdp: interrupted\n');
      return 1;
    }
    const text = line.has('json')
      ? JSON.stringify(report, undefined, 2)
      : `${renderTable(report)}\n\n${renderEnvironment(report)}`;
    process.stdout.write(`${text}\n`);
    return 0;
  });
}

/**
 * Measures every program, each case in processes of its own.
 *
 * @param tell hears what is being measured
 * @throws Error when a measuring process fails; the signal's reason when it is aborted
 */
export async function runXdpBench(
  settings: XdpSettings,
  tell: (text: string) => void,
  signal: AbortSignal,
): Promise<XdpReport> {
  const { settings: _, pinning: __, ...machine } = describeEnvironment(DEFAULT_SETTINGS, { none: 'one thread' });
  const justInTime = linuxCompiles();
  const results: XdpResult[] = [];
  for (const program of Object.keys(XDP_PROGRAMS) as XdpProgramName[]) {
    tell(program);
    results.push(await measureProgram(program, settings, signal, process.getuid?.() === 0));
  }
  tell('start-up');
  const startUps: StartUpMeasurement[] = [];
  for (let i = 0; i < settings.processes; i++) {
    const script = new URL('./xdp/start-up-process.js', import.meta.url);
    startUps.push(await measureInChild<StartUpMeasurement>({ script, task: {}, timeoutMilliseconds: 60_000, signal }));
  }
  return {
    environment: { ...machine, pinning: 'one thread', settings, ...(justInTime !== undefined && { justInTime }) },
    modelled: MODELLED,
    results,
    startUpMilliseconds: {
      assembled: spreadOf(startUps.map(({ assembled }) => assembled)),
      verified: spreadOf(startUps.map(({ verified }) => verified)),
      compiled: spreadOf(startUps.map(({ compiled }) => compiled)),
    },
  };
}

/** Processes of the runners take turns, so that what changes on the machine meets all of them. */
async function measureProgram(
  program: XdpProgramName,
  settings: XdpSettings,
  signal: AbortSignal,
  withLinux: boolean,
): Promise<XdpResult> {
  const [compiled, linux, interpreted, ratios]: number[][] = [[], [], [], []];
  for (let i = 0; i < settings.processes; i++) {
    const ours = await measureCase({ program, runner: 'compiler', ...settings }, signal);
    compiled!.push(ours);
    if (withLinux) {
      const theirs = await measureCase({ program, runner: 'linux', ...settings }, signal);
      linux!.push(theirs);
      ratios!.push(ours / theirs);
    }
    interpreted!.push(await measureCase({ program, runner: 'interpreter', ...settings }, signal));
  }
  return {
    program,
    compiler: spreadOf(compiled!),
    interpreter: spreadOf(interpreted!),
    ...(withLinux && { linux: spreadOf(linux!), ratioToLinux: spreadOf(ratios!) }),
  };
}

/** Nanoseconds a packet: the median of a process's runs. */
async function measureCase(task: XdpCase & { readonly runner: Runner }, signal: AbortSignal): Promise<number> {
  const script = new URL('./xdp/case-process.js', import.meta.url);
  const timeoutMilliseconds = 60_000 + (task.runs + 1) * task.seconds * 4000;
  return spreadOf((await measureInChild<XdpMeasurement>({ script, task, timeoutMilliseconds, signal })).nanoseconds)
    .median;
}

/** Whether Linux compiles programs, rather than interprets them; undefined where it does not say. */
function linuxCompiles(): boolean | undefined {
  try {
    return readFileSync('/proc/sys/net/core/bpf_jit_enable', 'utf8').trim() !== '0';
  } catch {
    return undefined;
  }
}
