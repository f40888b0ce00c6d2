import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { interruptible } from '../../cli/bench.js';
import { CommandLine, type OptionTable } from '../../cli/options.js';
import { PacketError, type PacketErrorData } from '../../errors.js';
import { checkChoice } from '../../options.js';
import { DEFAULT_SETTINGS } from '../cell.js';
import { planPinning } from '../pinning.js';
import { MeasuringFailed } from '../run-cell.js';
import { cpusOf, startSource } from './cell.js';
import { FAR, type InterfaceCounters, Laboratory, NEAR } from './laboratory.js';
import {
  type Account,
  accountsOf,
  heapGrowth,
  isFlat,
  type SoakEnd,
  type SoakMoment,
  type SoakTask,
} from './soak-figures.js';
import { LINUX_VERSIONS } from './versions.js';

const DEFAULT_SECONDS = 120;
const DEFAULT_INTERVAL_SECONDS = 10;
const SIZE = 64;
/** The last packets, the close and the last words take much less. */
const END_MILLISECONDS = 30_000;

const HELP = `tp4 bench linux soak [options]    l2fwd at full rate, every packet and frame accounted for (root)

Ends with exit code 1 when a packet is neither received nor dropped at a known place, a frame of the buffer is missing, or the
heap grows.

  --mode MODE         one of ${LINUX_VERSIONS.join(', ')}; default xdp-copy
  --seconds S         1 to 86400; default ${DEFAULT_SECONDS}
  --interval S        between two looks at the heap, 0.1 to 3600; default ${DEFAULT_INTERVAL_SECONDS}
  --json              figures as JSON on standard output
`;

const OPTIONS: OptionTable = {
  mode: { type: 'string' },
  seconds: { type: 'string' },
  interval: { type: 'string' },
  json: { type: 'boolean' },
};

/** Everything that a soak says. */
export interface SoakReport {
  readonly version: string;
  readonly seconds: number;
  readonly moments: readonly SoakMoment[];
  readonly heapGrowthBytes: number;
  readonly accounts: readonly Account[];
  readonly frames: number;
  readonly freeFrames: number;
  readonly good: boolean;
}

/** `tp4 bench linux soak`. Returns the exit code. @throws PacketError INVALID_OPTION, and what the kernel refuses */
export async function benchSoak(args: readonly string[]): Promise<number> {
  const line = new CommandLine('tp4 bench linux soak', args, OPTIONS);
  if (line.has('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  if (line.positionals.length > 0) {
    throw new PacketError('INVALID_OPTION', `"${line.positionals[0]}" is too many: the command takes options only`, {
      remedy: '--help lists them',
    });
  }
  const seconds = line.number('seconds', DEFAULT_SECONDS, 1, 86_400);
  const task: SoakTask = {
    interface: NEAR.interface,
    version: checkChoice('--mode', line.text('mode') ?? 'xdp-copy', LINUX_VERSIONS),
    settings: DEFAULT_SETTINGS,
    intervalSeconds: line.number('interval', DEFAULT_INTERVAL_SECONDS, 0.1, 3600),
    cpu: cpusOf({ pinning: planPinning() }).near,
  };
  const json = line.has('json');
  const tell = (moment: SoakMoment): void => {
    if (!json) process.stdout.write(`${renderMoment(moment)}\n`);
  };
  return interruptible(async (signal) => {
    try {
      const report = await runSoak(task, seconds, tell, signal);
      process.stdout.write(`${json ? JSON.stringify(report, undefined, 2) : renderSoak(report)}\n`);
      return report.good ? 0 : 1;
    } catch (error) {
      if (!signal.aborted) throw error;
      process.stderr.write('tp4 bench linux soak: interrupted\n');
      return 1;
    }
  });
}

async function runSoak(
  task: SoakTask,
  seconds: number,
  tell: (moment: SoakMoment) => void,
  signal: AbortSignal,
): Promise<SoakReport> {
  const laboratory = await Laboratory.create(signal);
  let source: ChildProcess | undefined;
  let program: ChildProcess | undefined;
  try {
    const before = { near: laboratory.counters(NEAR), far: laboratory.counters(FAR) };
    const script = fileURLToPath(new URL('./soak-process.js', import.meta.url));
    program = laboratory.start(NEAR, [process.execPath, '--expose-gc', script, JSON.stringify(task)], 'open');
    const soaking = new SoakingProcess(program, tell);
    await within(soaking.ready, signal);
    source = startSource(laboratory, 'l2fwd', SIZE, cpusOf({ pinning: planPinning() }).far)!;
    await Promise.race([sleep(seconds * 1000, undefined, { signal }), soaking.end]);
    let sentBySource = '';
    source.stdout!.setEncoding('utf8').on('data', (text: string) => {
      sentBySource += text;
    });
    const stopped = once(source, 'close');
    source.stdin!.end();
    await within(stopped, signal);
    program.stdin!.end();
    const end = await within(soaking.end, signal);
    const near = difference(laboratory.counters(NEAR), before.near);
    const far = difference(laboratory.counters(FAR), before.far);
    const accounts = accountsOf(Number(sentBySource), end, near, far);
    const { moments } = soaking;
    const good =
      accounts.every(({ balanced }) => balanced) && end.received > 0 && end.free === end.frames && isFlat(moments);
    return {
      version: task.version,
      seconds,
      moments,
      heapGrowthBytes: heapGrowth(moments),
      accounts,
      frames: end.frames,
      freeFrames: end.free,
      good,
    };
  } finally {
    for (const child of [source, program]) child?.kill('SIGKILL');
    laboratory.close();
  }
}

/** What the soaking process writes, as it writes it. */
class SoakingProcess {
  readonly moments: SoakMoment[] = [];
  /** Resolves when the socket is open. */
  readonly ready: Promise<void>;
  /** Resolves at its end. Rejects when it is refused, or ends without a word. */
  readonly end: Promise<SoakEnd>;

  constructor(child: ChildProcess, tell: (moment: SoakMoment) => void) {
    let complaint = '';
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      complaint += text;
    });
    const lines = createInterface(child.stdout!);
    this.end = new Promise((resolve, reject) => {
      lines.on('line', (line) => {
        if (line.startsWith('refused ')) {
          reject(PacketError.fromJSON(JSON.parse(line.slice('refused '.length)) as PacketErrorData));
        } else if (line !== 'ready') {
          const said = JSON.parse(line) as SoakMoment | SoakEnd;
          if ('frames' in said) return resolve(said);
          this.moments.push(said);
          tell(said);
        }
      });
      child.on('close', () => reject(new MeasuringFailed(`the soaking process failed: ${complaint.trim()}`)));
    });
    this.end.catch(() => {}); // whoever waits for it hears of it
    const ready = new Promise<void>((resolve) => {
      lines.on('line', (line) => {
        if (line === 'ready') resolve();
      });
    });
    this.ready = Promise.race([ready, this.end.then(() => {})]);
    this.ready.catch(() => {});
  }
}

/** @throws the signal's reason when it is aborted; MeasuringFailed when it takes too long */
async function within<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const timer = new AbortController();
  const either = AbortSignal.any([signal, timer.signal]);
  const late = sleep(END_MILLISECONDS, undefined, { signal: either }).then(() => {
    throw new MeasuringFailed('a process of the soak does not answer');
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.abort();
    late.catch(() => {});
  }
}

function difference(after: InterfaceCounters, before: InterfaceCounters): InterfaceCounters {
  return {
    received: after.received - before.received,
    receiveDropped: after.receiveDropped - before.receiveDropped,
    sent: after.sent - before.sent,
    sendDropped: after.sendDropped - before.sendDropped,
  };
}

function renderMoment({ seconds, packets, heapBytes }: SoakMoment): string {
  return `${seconds.toFixed(1).padStart(7)} s  ${packets.toLocaleString('en-US').padStart(14)} packets  heap ${(heapBytes / 2 ** 20).toFixed(2)} MiB`;
}

function renderSoak({ version, accounts, frames, freeFrames, heapGrowthBytes, good }: SoakReport): string {
  const lines = accounts.map(({ what, sent, received, drops, balanced }) => {
    const count = (value: number): string => value.toLocaleString('en-US');
    const parts = [count(received), ...Object.entries(drops).map(([place, value]) => `${count(value)} ${place}`)];
    return `${what}: ${count(sent)} = ${parts.join(' + ')}: ${balanced ? 'balanced' : 'NOT BALANCED'}`;
  });
  return [
    '',
    ...lines,
    `frames of the buffer: ${freeFrames} of ${frames} free after the close`,
    `heap: ${(heapGrowthBytes / 1024).toFixed(0)} KiB of growth over the second half`,
    `${version}: ${good ? 'nothing lost, nothing leaked' : 'FAILED'}`,
  ].join('\n');
}
