import { interruptible } from '../cli/bench.js';
import { CommandLine, type OptionTable } from '../cli/options.js';
import { PacketError } from '../errors.js';
import { DEFAULT_SETTINGS } from './cell.js';
import { describeEnvironment } from './environment.js';
import { measureInChild } from './rings/child.js';
import { MOST_ATTEMPTS } from './rings/runs.js';
import { rounded, spreadOf } from './rings/spread.js';
import { HEAP_MODES, HEAP_PROGRAMS, type HeapMeasurement } from './scale/heap.js';
import type { HeapTask } from './scale/heap-process.js';
import { PASSES } from './scale/passes.js';
import {
  AXES,
  type Axis,
  DEFAULT_SCALE_SETTINGS,
  pointsOf,
  type ScaleMeasurement,
  type ScalePoint,
  type ScaleSettings,
} from './scale/point.js';
import type { PointTask } from './scale/point-process.js';
import {
  type HeapResult,
  MODELLED,
  renderEnvironment,
  renderHeap,
  renderNotes,
  renderTable,
  type ScaleReport,
  type ScaleResult,
} from './scale/report.js';

const defaults = DEFAULT_SCALE_SETTINGS;

const HELP = `tp4 bench scale [options]    nanoseconds per packet on the soft kernel as one thing grows at a time

  --axes LIST      what grows, of
                     sockets   bound and busy, 1 to 4096: a queue each (v4-zc), sharing one (v4)
                     idle      bound, with 16 of them busy
                     burst     packets in a row for one of 256 sockets, growing shorter
                     moderation  packets that raise an interrupt, when each is for another of 256 sockets
                     rules     flow rules, 1 to 8192
                     queues    queue pairs of which one is busy, 2 to 4096
                     rss       queue pairs that RSS spreads to, a socket each, 1 to 64
                     batch     packets that the program receives at a time
                     frames    frames of the packet buffer
                     ring      descriptors of the ring
                     size      bytes of a packet
                     passes    one long pass over a batch against several short ones
                   default: all
  --heap           instead: what 10 million packets leave on the JavaScript heap, in each mode
  --packets N      with --heap: packets, 100000 to 1000000000; default 10000000
  --seconds S      length of a run, 0.01 to 60; default ${defaults.seconds}
  --warm-up S      before the first run, 0 to 60; default ${defaults.warmUpSeconds}
  --runs N         runs of each point, of which the median counts, 1 to 100; default ${defaults.runs}
  --json           figures as JSON on standard output
  --progress       say on standard error what is being measured, on a terminal the default
`;

const OPTIONS: OptionTable = {
  axes: { type: 'string' },
  heap: { type: 'boolean' },
  packets: { type: 'string' },
  seconds: { type: 'string' },
  'warm-up': { type: 'string' },
  runs: { type: 'string' },
  json: { type: 'boolean' },
  progress: { type: 'boolean' },
};

/** What to measure. */
export interface ScalePlan {
  readonly axes: readonly Axis[];
  readonly settings: ScaleSettings;
  /** Packets of each heap measurement; undefined: none is made. */
  readonly heapPackets: number | undefined;
}

/** Who hears of a bench while it runs. */
export interface ScaleListener {
  measuring?(text: string): void;
  /** All points of one axis and mode are done. */
  table?(results: readonly ScaleResult[]): void;
}

/** `tp4 bench scale`. Returns the exit code. @throws PacketError INVALID_OPTION */
export async function benchScale(args: readonly string[]): Promise<number> {
  const line = new CommandLine('tp4 bench scale', args, OPTIONS);
  if (line.has('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const plan = parseScalePlan(line);
  const json = line.has('json');
  const progress = line.has('progress') || process.stderr.isTTY === true;
  const listener: ScaleListener = {
    measuring(text) {
      if (progress) process.stderr.write(`${text}\n`);
    },
    table(results) {
      if (!json) print(`${renderTable(results)}\n`);
    },
  };
  return interruptible(async (signal) => {
    let report: ScaleReport;
    try {
      report = await runScaleBench(plan, listener, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
      process.stderr.write('tp4 bench scale: interrupted; what was measured so far is above\n');
      return 1;
    }
    if (json) {
      print(JSON.stringify(report, undefined, 2));
      return 0;
    }
    if (report.heap !== undefined) print(`${renderHeap(report.heap)}\n`);
    if (report.results.length > 0) print(renderNotes(report));
    print(renderEnvironment(report));
    return 0;
  });
}

/** @throws PacketError INVALID_OPTION that names the option, its value and its range */
export function parseScalePlan(line: CommandLine): ScalePlan {
  if (line.positionals.length > 0) {
    throw new PacketError('INVALID_OPTION', `"${line.positionals[0]}" is too many: the command takes options only`, {
      remedy: '--axes says what to measure',
    });
  }
  const heap = line.has('heap');
  const packets = line.integer('packets', 10_000_000, 100_000, 1e9);
  if (!heap) line.expectNone(['packets'], 'without --heap');
  if (line.text('axes') === undefined && heap) line.expectNone(['seconds', 'warm-up', 'runs'], 'with --heap alone');
  return {
    axes: line.choices('axes', AXES) ?? (heap ? [] : AXES),
    settings: {
      seconds: line.number('seconds', defaults.seconds, 0.01, 60),
      warmUpSeconds: line.number('warm-up', defaults.warmUpSeconds, 0, 60),
      runs: line.integer('runs', defaults.runs, 1, 100),
    },
    heapPackets: heap ? packets : undefined,
  };
}

/**
 * Measures every point in a process of its own, one after the other.
 *
 * @throws Error when a measuring process fails; the signal's reason when it is aborted
 */
export async function runScaleBench(
  plan: ScalePlan,
  listener: ScaleListener,
  signal: AbortSignal,
): Promise<ScaleReport> {
  const { settings } = plan;
  const { settings: _, pinning: __, ...machine } = describeEnvironment(DEFAULT_SETTINGS, { none: 'one thread' });
  const results: ScaleResult[] = [];
  for (const axis of plan.axes) {
    for (const tasks of tablesOf(axis, settings)) {
      const table: ScaleResult[] = [];
      for (const task of tasks) {
        listener.measuring?.(describeTask(task));
        const measurements: ScaleMeasurement[] = [];
        for (let i = 0; i < processesFor(axis); i++) measurements.push(await measurePoint(task, signal));
        table.push(toResult(task, measurements, table[0]));
      }
      results.push(...table);
      listener.table?.(table);
    }
  }
  const heap = plan.heapPackets === undefined ? undefined : await measureHeaps(plan.heapPackets, listener, signal);
  return {
    environment: { ...machine, pinning: 'one thread', settings },
    modelled: MODELLED,
    results,
    ...(heap !== undefined && { heap }),
  };
}

/** The points of an axis, a table for each mode. */
function tablesOf(axis: Axis, settings: ScaleSettings): PointTask[][] {
  if (axis === 'passes') return [PASSES.map((passes) => ({ settings, passes }))];
  const tables = new Map<string, PointTask[]>();
  for (const point of pointsOf(axis)) {
    const table = tables.get(point.mode) ?? [];
    table.push({ settings, point });
    tables.set(point.mode, table);
  }
  return [...tables.values()];
}

/** Which way a small program is compiled differs from process to process by more than its passes do. */
function processesFor(axis: Axis): number {
  return axis === 'passes' ? 3 : 1;
}

/** Building thousands of sockets takes its time, too. */
const SET_UP_MILLISECONDS = 60_000;

function measurePoint(task: PointTask, signal: AbortSignal): Promise<ScaleMeasurement> {
  const { warmUpSeconds, seconds, runs } = task.settings;
  return measureInChild<ScaleMeasurement>({
    script: new URL('./scale/point-process.js', import.meta.url),
    task,
    timeoutMilliseconds: (warmUpSeconds + seconds * runs * MOST_ATTEMPTS) * 2000 + SET_UP_MILLISECONDS,
    signal,
  });
}

function toResult(
  task: PointTask,
  measurements: readonly ScaleMeasurement[],
  first: ScaleResult | undefined,
): ScaleResult {
  const nsPerPacket = spreadOf(measurements.flatMap(({ nanoseconds }) => nanoseconds));
  const point: ScalePoint | undefined = 'point' in task ? task.point : undefined;
  return {
    axis: point?.axis ?? 'passes',
    mode: point?.mode,
    value: 'point' in task ? task.point.value : task.passes,
    nsPerPacket,
    ratio: first === undefined ? 1 : rounded(nsPerPacket.median / first.nsPerPacket.median),
    cpuShare: rounded(Math.min(...measurements.map(({ cpuShare }) => cpuShare))),
    ...(point !== undefined && { point }),
  };
}

function describeTask(task: PointTask): string {
  if ('passes' in task) return `passes: ${task.passes}`;
  const { axis, mode, value } = task.point;
  return `${axis}: ${value} (${mode})`;
}

async function measureHeaps(packets: number, listener: ScaleListener, signal: AbortSignal): Promise<HeapResult[]> {
  const results: HeapResult[] = [];
  for (const mode of HEAP_MODES) {
    for (const program of HEAP_PROGRAMS) {
      listener.measuring?.(`heap: ${mode}, ${program}`);
      const task: HeapTask = { mode, program, packets };
      const measurement = await measureInChild<HeapMeasurement>({
        script: new URL('./scale/heap-process.js', import.meta.url),
        task,
        flags: ['--expose-gc'],
        timeoutMilliseconds: packets / 100 + SET_UP_MILLISECONDS,
        signal,
      });
      const { allocatedBytes } = measurement;
      const bytesPerPacket = allocatedBytes === undefined ? undefined : rounded(allocatedBytes / measurement.packets);
      results.push({ mode, program, ...measurement, bytesPerPacket });
    }
  }
  return results;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
