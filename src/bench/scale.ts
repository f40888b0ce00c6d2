import { interruptible } from '../cli/bench.js';
import { CommandLine, type OptionTable } from '../cli/options.js';
import { PacketError } from '../errors.js';
import { DEFAULT_SETTINGS } from './cell.js';
import { type BenchEnvironment, describeEnvironment } from './environment.js';
import { planPinning } from './pinning.js';
import { measureInChild } from './rings/child.js';
import { alignColumns, digits, rounded, spreadOf } from './rings/spread.js';
import {
  DESCRIPTIONS,
  type PointMeasurement,
  type ScaleResult,
  type ScaleSettings,
  SERIES,
  type Series,
  VALUES,
} from './scale/point.js';

const DEFAULTS: ScaleSettings = { seconds: 0.2, warmUpSeconds: 0.6, runs: 5 };

const HELP = `tp4 bench scale [${SERIES.join('|')}] [options]

Cost per packet as something grows, on the soft kernel inline: wire, device, driver, rings and a program that reads each Ethernet
header, together on one thread. Default: every series.

  --most N        leave out points above this value
  --seconds S     length of a run, 0.01 to 60; default ${DEFAULTS.seconds}
  --warm-up S     before the first run, 0 to 60; default ${DEFAULTS.warmUpSeconds}
  --runs N        runs of each point, of which the median counts, 1 to 100; default ${DEFAULTS.runs}
  --json          figures as JSON on standard output
  --progress      say on standard error what is being measured, on a terminal the default
`;

const OPTIONS: OptionTable = {
  most: { type: 'string' },
  seconds: { type: 'string' },
  'warm-up': { type: 'string' },
  runs: { type: 'string' },
  json: { type: 'boolean' },
  progress: { type: 'boolean' },
};

const MODELLED =
  'Generated UDP packets of 64 bytes with their FCS unless the size grows; packets of one flow come in bursts of 64, flows take turns. ' +
  'Thousands of sockets have rings of 64 and 128 frames each, all others rings of 1024. DMA writes every byte.';

/** What `tp4 bench scale --json` prints. */
export interface ScaleReport {
  readonly environment: Omit<BenchEnvironment, 'settings'> & { readonly settings: ScaleSettings };
  readonly modelled: string;
  readonly results: readonly ScaleResult[];
}

/** `tp4 bench scale`. Returns the exit code. @throws PacketError INVALID_OPTION */
export async function benchScale(args: readonly string[]): Promise<number> {
  const line = new CommandLine('tp4 bench scale', args, OPTIONS);
  if (line.has('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const settings = {
    seconds: line.number('seconds', DEFAULTS.seconds, 0.01, 60),
    warmUpSeconds: line.number('warm-up', DEFAULTS.warmUpSeconds, 0, 60),
    runs: line.integer('runs', DEFAULTS.runs, 1, 100),
  };
  const series = wantedSeries(line.positionals);
  const most = line.integer('most', 65536, 1, 65536);
  const progress = line.has('progress') || process.stderr.isTTY === true;
  const tell = progress ? (text: string) => void process.stderr.write(`${text}\n`) : () => {};
  return interruptible(async (signal) => {
    const report = await runScaleBench(series, most, settings, tell, signal);
    process.stdout.write(`${line.has('json') ? JSON.stringify(report, undefined, 2) : render(report)}\n`);
    if (signal.aborted) process.stderr.write('tp4 bench scale: interrupted, this is what there was\n');
    return signal.aborted ? 1 : 0;
  });
}

function wantedSeries(names: readonly string[]): readonly Series[] {
  for (const name of names) {
    if ((SERIES as readonly string[]).includes(name)) continue;
    throw new PacketError('INVALID_OPTION', `"${name}" is not one of ${SERIES.join(', ')}`);
  }
  return names.length === 0 ? SERIES : (names as Series[]);
}

/** Measures everything, a process per point; when it is aborted, what was measured until then. @throws Error when a process fails */
export async function runScaleBench(
  series: readonly Series[],
  most: number,
  settings: ScaleSettings,
  tell: (text: string) => void,
  signal: AbortSignal,
): Promise<ScaleReport> {
  const { settings: _, ...machine } = describeEnvironment(DEFAULT_SETTINGS, planPinning());
  const results: ScaleResult[] = [];
  for (const one of series) {
    let first = 0;
    for (const value of VALUES[one].filter((candidate, at) => at === 0 || candidate <= most)) {
      if (signal.aborted) break;
      tell(`${one} ${value}`);
      try {
        const measurement = await measureInChild<PointMeasurement>({
          script: new URL('./scale/point-process.js', import.meta.url),
          task: { series: one, value, settings },
          flags: ['--expose-gc'],
          timeoutMilliseconds: (settings.warmUpSeconds + settings.seconds * settings.runs) * 2000 + 60_000,
          signal,
        });
        const nsPerPacket = spreadOf(measurement.nanoseconds);
        first ||= nsPerPacket.median;
        const heapBytesPerPacket = Number(measurement.heapBytesPerPacket.toFixed(4));
        results.push({
          series: one,
          value,
          nsPerPacket,
          ratio: rounded(nsPerPacket.median / first),
          heapBytesPerPacket,
        });
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    }
  }
  return { environment: { ...machine, settings }, modelled: MODELLED, results };
}

function render({ results, modelled, environment }: ScaleReport): string {
  const { runs, seconds } = environment.settings;
  const blocks = SERIES.filter((series) => results.some((result) => result.series === series)).map((series) => {
    const rows = results
      .filter((result) => result.series === series)
      .map(({ value, nsPerPacket: { median, min, max }, ratio, heapBytesPerPacket }) => [
        String(value),
        digits(median),
        `${digits(min)} – ${digits(max)}`,
        digits(ratio),
        heapBytesPerPacket.toFixed(3),
      ]);
    return `${DESCRIPTIONS[series]}\n${alignColumns([['', 'ns/packet', 'min – max', 'ratio', 'heap bytes/packet'], ...rows])}`;
  });
  return [
    `Cost per packet, soft kernel inline, median of ${runs} runs of ${seconds} s`,
    ...blocks,
    `Modelled: ${modelled}`,
  ].join('\n\n');
}
