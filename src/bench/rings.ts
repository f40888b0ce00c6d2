import { interruptible } from '../cli/bench.js';
import { CommandLine, type OptionTable } from '../cli/options.js';
import { PacketError } from '../errors.js';
import { DEFAULT_SETTINGS } from './cell.js';
import { describeEnvironment } from './environment.js';
import { describePinning, planPinning } from './pinning.js';
import { buildCTwin } from './rings/c-twin.js';
import {
  DEFAULT_RINGS_SETTINGS,
  HAND_BACK,
  RING_FORMATS,
  type RingFormat,
  type RingsCase,
  type RingsMeasurement,
  type RingsSettings,
} from './rings/case.js';
import { measureInChild } from './rings/child.js';
import { planCases } from './rings/plan.js';
import {
  type ExchangeResult,
  type HandBackResult,
  type MinimalResult,
  MODELLED,
  type RingsReport,
  renderEnvironment,
  renderTables,
} from './rings/report.js';
import { MOST_ATTEMPTS } from './rings/runs.js';
import { rounded, spreadOf } from './rings/spread.js';

const defaults = DEFAULT_RINGS_SETTINGS;

const HELP = `tp4 bench rings [options]    owner ring (V4) against index rings (AF_XDP), between two threads

Frames go round between an application and a kernel side, at the same pace and with one side slowed down by extra work (F2);
${HAND_BACK} descriptors are handed back together (F3); and minimal loops run in TypeScript, with their runs
in WebAssembly, too, and, where there is a gcc, in C.

  --ring N            descriptors of each ring, a power of two, 64 to 65536; default ${defaults.entries}
  --batch N           descriptors handed over at a time, 1 to 4096, half a ring at most; default ${defaults.batch}
  --slow-batch LIST   the same for the slow side; default ${defaults.slowBatches.join(',')}
  --work N            the slow side's extra work per descriptor, in steps of some 1.5 ns, 1 to 100000; default ${defaults.work}
  --seconds S         length of a run, 0.01 to 60; default ${defaults.seconds}
  --warm-up S         before the first run, 0 to 60; default ${defaults.warmUpSeconds}
  --runs N            runs of each case, of which the median counts, 1 to 100; default ${defaults.runs}
  --json              figures as JSON on standard output
  --progress          say on standard error what is being measured, on a terminal the default
`;

const OPTIONS: OptionTable = {
  ring: { type: 'string' },
  batch: { type: 'string' },
  'slow-batch': { type: 'string' },
  work: { type: 'string' },
  seconds: { type: 'string' },
  'warm-up': { type: 'string' },
  runs: { type: 'string' },
  json: { type: 'boolean' },
  progress: { type: 'boolean' },
};

/** `tp4 bench rings`. Returns the exit code. @throws PacketError INVALID_OPTION */
export async function benchRings(args: readonly string[]): Promise<number> {
  const line = new CommandLine('tp4 bench rings', args, OPTIONS);
  if (line.has('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const settings = parseRingsSettings(line);
  const progress = line.has('progress') || process.stderr.isTTY === true;
  return interruptible(async (signal) => {
    const tell = progress ? (text: string) => void process.stderr.write(`${text}\n`) : () => {};
    let report: RingsReport;
    try {
      report = await runRingsBench(settings, tell, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
      process.stderr.write('tp4 bench rings: interrupted\n');
      return 1;
    }
    const text = line.has('json')
      ? JSON.stringify(report, undefined, 2)
      : `${renderEnvironment(report)}\n\n${renderTables(report)}`;
    process.stdout.write(`${text}\n`);
    return 0;
  });
}

/** @throws PacketError INVALID_OPTION that names the option, its value and its range */
export function parseRingsSettings(line: CommandLine): RingsSettings {
  if (line.positionals.length > 0) {
    throw new PacketError('INVALID_OPTION', `"${line.positionals[0]}" is too many: the command takes options only`, {
      remedy: '--help lists them',
    });
  }
  const entries = line.powerOfTwo('ring', defaults.entries, 64, 65536);
  const most = Math.min(4096, entries >> 1);
  return {
    entries,
    batch: line.integer('batch', Math.min(defaults.batch, most), 1, most),
    slowBatches: line.integers('slow-batch', 1, most) ?? defaults.slowBatches.map((batch) => Math.min(batch, most)),
    work: line.integer('work', defaults.work, 1, 100_000),
    seconds: line.number('seconds', defaults.seconds, 0.01, 60),
    warmUpSeconds: line.number('warm-up', defaults.warmUpSeconds, 0, 60),
    runs: line.integer('runs', defaults.runs, 1, 100),
  };
}

/**
 * Measures everything, one process after the other.
 *
 * @param tell hears what is being measured
 * @throws Error when a measuring process fails; the signal's reason when it is aborted
 */
export async function runRingsBench(
  settings: RingsSettings,
  tell: (text: string) => void,
  signal: AbortSignal,
): Promise<RingsReport> {
  const pinning = planPinning();
  const { settings: _, ...machine } = describeEnvironment(DEFAULT_SETTINGS, pinning);
  const exchange: ExchangeResult[] = [];
  const handBack: HandBackResult[] = [];
  const minimal: MinimalResult[] = [];
  const cases = planCases(settings, pinning);
  for (const [index, task] of cases.entries()) {
    tell(`${index + 1} of ${cases.length}: ${describeCase(task)}`);
    const measurement = await measureInChild<RingsMeasurement>({
      script: new URL('./rings/case-process.js', import.meta.url),
      task,
      timeoutMilliseconds: (settings.warmUpSeconds + settings.seconds * settings.runs * MOST_ATTEMPTS) * 2000 + 30_000,
      signal,
    });
    if (task.kind === 'exchange') exchange.push(exchangeResult(task, measurement));
    else if (task.kind === 'hand-back') handBack.push(handBackResult(task, measurement));
    else minimal.push(minimalResult(task.format, task.language, measurement));
  }
  tell('the minimal loops in C');
  const twin = await buildCTwin(signal);
  if (typeof twin !== 'string') {
    try {
      for (const format of RING_FORMATS) {
        const inC = minimalResult(format, 'c', await twin.measure(format, settings, pinning, signal));
        const last = minimal.findLastIndex(({ ring }) => ring === format);
        for (const [at, ours] of minimal.entries()) {
          if (ours.ring !== format) continue;
          minimal[at] = { ...ours, ratioToC: rounded(ours.mdescriptors / inC.mdescriptors) };
        }
        minimal.splice(last + 1, 0, inC);
      }
    } finally {
      await twin.remove();
    }
  }
  return {
    environment: { ...machine, pinning: describePinning(pinning), settings },
    modelled: MODELLED,
    exchange,
    handBack,
    minimal,
    ...(typeof twin === 'string' && { withoutC: twin }),
  };
}

function describeCase(task: RingsCase): string {
  const ring = `${task.format} ring`;
  switch (task.kind) {
    case 'exchange':
      return `${ring}, ${task.pace}, batches of ${task.slowBatch}`;
    case 'hand-back':
      return `${ring}, handing back`;
    case 'minimal':
      return `${ring}, minimal loops, ${task.language}`;
  }
}

function exchangeResult(
  { format, pace, slowBatch }: RingsCase & { kind: 'exchange' },
  { nanoseconds, reference, cpuShare }: RingsMeasurement,
): ExchangeResult {
  const nsPerDescriptor = spreadOf(nanoseconds);
  return {
    ring: format,
    pace,
    slowBatch,
    nsPerDescriptor,
    mdescriptors: rounded(1000 / nsPerDescriptor.median),
    workNanoseconds: rounded(reference),
    ringNanoseconds: rounded(nsPerDescriptor.median - reference),
    cpuShare: rounded(cpuShare),
  };
}

function handBackResult({ format }: RingsCase, measurement: RingsMeasurement): HandBackResult {
  const { nanoseconds, reference, cpuShare } = measurement;
  return {
    ring: format,
    descriptors: HAND_BACK,
    nanoseconds: spreadOf(nanoseconds),
    ...(format === 'index' && { indexMoveNanoseconds: rounded(reference) }),
    cpuShare: rounded(cpuShare),
  };
}

function minimalResult(
  ring: RingFormat,
  language: MinimalResult['language'],
  { nanoseconds, cpuShare }: RingsMeasurement,
): MinimalResult {
  const nsPerDescriptor = spreadOf(nanoseconds);
  const mdescriptors = rounded(1000 / nsPerDescriptor.median);
  return { ring, language, nsPerDescriptor, mdescriptors, cpuShare: rounded(cpuShare) };
}
