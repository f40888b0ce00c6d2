import { setTimeout as sleep } from 'node:timers/promises';
import type { Cell, CellMeasurement } from '../cell.js';
import { runCommand } from '../rings/child.js';
import { cpusOf, type Observation, observe, startSource } from './cell.js';
import { type Laboratory, NEAR } from './laboratory.js';
import { type Sample, takeSample } from './observer.js';
import { TOOLS, type Tool } from './tools.js';

/** What a tool needs to come up before it works, and how long it may take to end. */
const START_MILLISECONDS = 1500;
const END_MILLISECONDS = 3000;
const VERSION_MILLISECONDS = 5000;
/** Most of what a tool says that is kept. */
const MOST_OUTPUT = 100_000;

/** A tool that is there, and which one it is. */
export interface FoundTool {
  readonly tool: Tool;
  readonly version: string;
}

/** Looks for the tools. @returns those that are there, and the names of the absent ones */
export async function findTools(signal: AbortSignal): Promise<{ found: FoundTool[]; absent: string[] }> {
  const found: FoundTool[] = [];
  const absent: string[] = [];
  for (const tool of TOOLS) {
    const [command, ...args] = tool.version;
    try {
      const lines = await runCommand(command, args, { timeoutMilliseconds: VERSION_MILLISECONDS, signal });
      found.push({ tool, version: lines[0]?.trim() || 'version unknown' });
    } catch (error) {
      signal.throwIfAborted();
      // It may well be there and have no such option.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') absent.push(tool.name);
      else found.push({ tool, version: 'version unknown' });
    }
  }
  return { found, absent };
}

/**
 * Lets a tool work at the near end for the time of a cell's runs, and measures it from outside, by the interfaces' counters.
 *
 * @returns undefined where the tool has no such program; a sentence where it does not work
 */
export async function runTool(
  laboratory: Laboratory,
  tool: Tool,
  cell: Cell,
  signal: AbortSignal,
): Promise<{ measurement: CellMeasurement; observation: Observation } | string | undefined> {
  const { program, size = 64, settings } = cell;
  const { near, far } = cpusOf(cell);
  const command = tool.command(program, NEAR.interface, near);
  if (command === undefined) return undefined;
  const source = startSource(laboratory, program, size, far);
  const pinned = near < 0 ? command : (['taskset', '-c', String(near), ...command] as const);
  const child = laboratory.start(NEAR, pinned, 'open');
  let output = '';
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = `${output}${text}`.slice(-MOST_OUTPUT);
    });
  }
  const ended = new Promise<void>((resolve) => {
    child.on('error', () => resolve());
    child.on('close', () => resolve());
  });
  try {
    await sleep(START_MILLISECONDS + settings.warmUpSeconds * 1000, undefined, { signal });
    const samples = [takeSample(laboratory, child.pid, source?.pid)];
    for (let i = 0; i < settings.runs && child.exitCode === null; i++) {
      await sleep(settings.seconds * 1000, undefined, { signal });
      samples.push(takeSample(laboratory, child.pid, source?.pid));
    }
    if (child.exitCode !== null) return `it ended at once: ${lastLine(output)}`;
    child.kill('SIGINT');
    await Promise.race([ended, sleep(END_MILLISECONDS, undefined, { signal })]);
    const share = program === 'rxdrop' ? tool.share(output) : 1;
    const observation = observe(samples[0]!, samples.at(-1)!, source !== undefined);
    return { measurement: measurementOf(cell, samples, share, size), observation };
  } finally {
    source?.kill('SIGKILL');
    child.kill('SIGKILL');
    await ended;
  }
}

function measurementOf(cell: Cell, samples: readonly Sample[], share: number, size: number): CellMeasurement {
  const packets = ({ near, far }: Sample): number => (cell.program === 'rxdrop' ? near.received * share : far.received);
  const mpps = samples.slice(1).map((sample, i) => {
    const before = samples[i]!;
    return (packets(sample) - packets(before)) / (sample.time - before.time) / 1000;
  });
  const [first, last] = [samples[0]!, samples.at(-1)!];
  const cpu = last.nearNanoseconds - first.nearNanoseconds;
  const total = Math.max(1, packets(last) - packets(first));
  const lost =
    cell.program === 'rxdrop' && share < 1 ? { 'receive-ring-full': Math.round((total * (1 - share)) / share) } : {};
  return {
    mpps,
    meanSize: size,
    lost: lost as Record<string, number>,
    cpuShare: cpu / ((last.time - first.time) * 1e6),
    cost: { cpuNanoseconds: cpu / total },
  };
}

function lastLine(output: string): string {
  return output.trim().split('\n').at(-1) ?? '';
}
