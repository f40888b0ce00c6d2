import { type BenchListener, type BenchPlan, runBench, type Traffic } from '../bench/bench.js';
import { type BenchSettings, type Cell, DEFAULT_SETTINGS, THREADS } from '../bench/cell.js';
import { PROGRAM_NAMES } from '../bench/programs.js';
import type { BenchReport } from '../bench/result.js';
import { MeasuringFailed } from '../bench/run-cell.js';
import { renderEnvironment, renderNotes, renderTable } from '../bench/table.js';
import { PacketError } from '../errors.js';
import { parseInterfaceSpec } from '../host/interface-spec.js';
import { readCapture } from '../host/read-capture.js';
import type { Mode } from '../kernel/contract.js';
import { checkChoice } from '../options.js';
import { listCapturedPackets } from '../wire/captured-packets.js';
import { CommandLine, type OptionTable } from './options.js';

const HELP = `tp4 bench [rxdrop|txpush|l2fwd|all] [options]    the talk's comparison: V2, V3, V4 and V4 with zero-copy
tp4 bench filters [EXPRESSION...] [options]      cost per packet of filter expressions, libpcap and Linux beside
tp4 bench linux [options]                        the same table from the real kernel, over a veth pair of its own (root)
tp4 bench rings [options]                        owner ring against index rings, between two threads
tp4 bench rules [options]                        cost per packet as the rules of a socket grow, Linux beside
tp4 bench scale [options]                        cost per packet as sockets, rules, queues, batches and sizes grow
tp4 bench xdp [options]                          XDP programs compiled to WebAssembly, against Linux

rxdrop receives and drops, txpush sends, l2fwd receives, swaps the MAC addresses and sends. Default: all three; with a Linux
interface rxdrop, because the others send there: they, or all, must be named.

  --versions LIST     of v2, v3, v4, v4-zc, xdp-copy, xdp-zc, xdp-generic; default v2,v3,v4,v4-zc (Linux: all it has)
  --size LIST         bytes of a packet with its FCS, 64 to 16000; default 64,1500
  --interface SPEC    where, may be given several times; default soft:generator
                        soft:generator[,size=,packets=,flows=,burst=,pattern=,rate=,...]   generated traffic
                        soft:pcap=FILE[,pace=max|recorded,loop=N|forever,rate=]            a capture; default: full speed, forever
                        soft:none                                                          a silent wire
                        eth0                                                               a Linux interface (root)
  --threads WHERE     inline: the soft kernel on the program's thread; worker (default): on a thread of its own
  --batch N           packets a batch, 1 to 4096; default ${DEFAULT_SETTINGS.batch}
  --ring N            entries of each ring, a power of two, 8 to 65536; default ${DEFAULT_SETTINGS.ring}
  --frames N          frames of the packet buffer, 64 to 524288; default ${DEFAULT_SETTINGS.frames}
  --frame-size BYTES  a power of two, 2048 to 65536; default ${DEFAULT_SETTINGS.frameSize}
  --block-size BYTES  of a V3 block, a power of two, 4096 to 67108864; default ${DEFAULT_SETTINGS.blockSize}
  --seconds S         length of a run, 0.01 to 3600; default ${DEFAULT_SETTINGS.seconds}
  --warm-up S         before the first run, 0 to 3600; default ${DEFAULT_SETTINGS.warmUpSeconds}
  --runs N            runs of a cell, of which the median counts, 1 to 100; default ${DEFAULT_SETTINGS.runs}
  --json              figures as JSON on standard output
  --progress          say on standard error what is being measured, on a terminal the default
`;

const OPTIONS: OptionTable = {
  versions: { type: 'string' },
  size: { type: 'string' },
  interface: { type: 'string', multiple: true },
  threads: { type: 'string' },
  batch: { type: 'string' },
  ring: { type: 'string' },
  frames: { type: 'string' },
  'frame-size': { type: 'string' },
  'block-size': { type: 'string' },
  seconds: { type: 'string' },
  'warm-up': { type: 'string' },
  runs: { type: 'string' },
  json: { type: 'boolean' },
  progress: { type: 'boolean' },
};

const VERSIONS: readonly Mode[] = ['v2', 'v3', 'v4', 'v4-zc', 'xdp-copy', 'xdp-zc', 'xdp-generic'];
const DEFAULT_SIZES = [64, 1500];
const OTHER_BENCHES = ['filters', 'linux', 'rings', 'rules', 'scale', 'xdp'] as const;

/** `tp4 bench`. Returns the exit code. @throws PacketError INVALID_OPTION and others */
export async function bench(args: readonly string[]): Promise<number> {
  const [first, ...rest] = args;
  if (first === 'filters') return (await import('../bench/filters.js')).benchFilters(rest);
  if (first === 'rings') return (await import('../bench/rings.js')).benchRings(rest);
  if (first === 'rules') return (await import('./bench-rules.js')).benchRules(rest);
  if (first === 'linux') return (await import('../bench/linux.js')).benchLinux(rest);
  if (first === 'xdp') return (await import('../bench/xdp.js')).benchXdp(rest);
  if (first === 'scale') return (await import('../bench/scale.js')).benchScale(rest);
  const line = new CommandLine('tp4 bench', args, OPTIONS);
  if (line.has('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const plan = toPlan(line);
  await checkCaptures(plan);
  const json = line.has('json');
  const progress = line.has('progress') || process.stderr.isTTY === true;
  return interruptible((signal) => runAndPrint(plan, { json, progress }, signal));
}

function toPlan(line: CommandLine): BenchPlan {
  const traffic = toTraffic(line);
  const onLinux = traffic.some(({ interface: text }) => parseInterfaceSpec(text).kernel === 'linux');
  const [what = onLinux ? 'rxdrop' : 'all', ...more] = line.positionals;
  if (more.length > 0) {
    throw new PacketError('INVALID_OPTION', `one program at a time: "${more[0]}" is too many`, {
      remedy: 'all stands for all three',
    });
  }
  const program = checkChoice('program', what, ['all', ...PROGRAM_NAMES, ...OTHER_BENCHES] as const);
  const programs = PROGRAM_NAMES.filter((name) => program === 'all' || program === name);
  const versions = line.choices('versions', VERSIONS);
  if (traffic.every(({ interface: text }) => parseInterfaceSpec(text).kernel === 'linux')) {
    line.expectNone(['threads'], 'on Linux interfaces');
    if (!programs.includes('txpush')) line.expectNone(['size'], 'where others send the packets');
  }
  if (versions?.includes('v3') === false) line.expectNone(['block-size'], 'without v3');
  return {
    programs,
    versions,
    traffic,
    settings: toSettings(line),
  };
}

function toTraffic(line: CommandLine): Traffic[] {
  const interfaces = line.texts('interface');
  const sizes = line.integers('size', 64, 16000);
  return (interfaces.length === 0 ? ['soft:generator'] : interfaces).flatMap((text) => {
    const spec = parseInterfaceSpec(text);
    if (spec.kernel === 'linux') return (sizes ?? [undefined]).map((size) => ({ interface: text, size }));
    const { wire } = spec;
    if (wire.kind === 'pcap') {
      if (sizes !== undefined)
        throw new PacketError('INVALID_OPTION', `--size: the packets of ${text} have their own sizes`, {
          remedy: 'leave --size out, or measure the capture in a run of its own',
        });
      return [{ interface: text, size: undefined }];
    }
    if (wire.kind === 'generator' && wire.size !== undefined) {
      if (sizes !== undefined) {
        throw new PacketError('INVALID_OPTION', `--size: "${text}" has a size already`, {
          remedy: 'give it in one place',
        });
      }
      return [{ interface: text, size: typeof wire.size === 'number' ? wire.size : undefined }];
    }
    return (sizes ?? DEFAULT_SIZES).map((size) => ({ interface: text, size }));
  });
}

/**
 * Reads every capture once: better now than in each of the processes that measure.
 * @throws PacketError SYSTEM_CALL, CAPTURE_CORRUPT, CAPTURE_UNSUPPORTED
 */
async function checkCaptures({ traffic }: BenchPlan): Promise<void> {
  for (const { interface: text } of traffic) {
    const spec = parseInterfaceSpec(text);
    if (spec.kernel !== 'soft' || spec.wire.kind !== 'pcap') continue;
    const { damage, cut } = listCapturedPackets(
      await readCapture(spec.wire.file),
      spec.wire.replay.asEthernet === true,
    );
    if (damage !== undefined)
      process.stderr.write(`tp4 bench: ${text}: replayed up to the damage: ${damage.message}\n`);
    if (cut > 0) process.stderr.write(`tp4 bench: ${text}: ${cut} packets were cut when they were captured\n`);
  }
}

function toSettings(line: CommandLine): BenchSettings {
  const defaults = DEFAULT_SETTINGS;
  return {
    threads: line.choice('threads', THREADS) ?? defaults.threads,
    batch: line.integer('batch', defaults.batch, 1, 4096),
    ring: line.powerOfTwo('ring', defaults.ring, 8, 65536),
    frames: line.integer('frames', defaults.frames, 64, 524288),
    frameSize: line.powerOfTwo('frame-size', defaults.frameSize, 2048, 65536),
    blockSize: line.powerOfTwo('block-size', defaults.blockSize, 4096, 2 ** 26),
    seconds: line.number('seconds', defaults.seconds, 0.01, 3600),
    warmUpSeconds: line.number('warm-up', defaults.warmUpSeconds, 0, 3600),
    runs: line.integer('runs', defaults.runs, 1, 100),
  };
}

/** Runs a plan; tables are printed as they are done, JSON at the end. Returns the exit code. */
export async function runAndPrint(
  plan: BenchPlan,
  { json, progress }: { json: boolean; progress: boolean },
  signal: AbortSignal,
): Promise<number> {
  const status = new StatusLine(progress);
  const listener: BenchListener = {
    begun(environment) {
      if (!json) print(`${renderEnvironment(environment)}\n`);
    },
    measuring(cell, index, total) {
      status.show(`${index + 1} of ${total}: ${cell.program} ${cell.version}, ${describeTraffic(cell)}`);
    },
    group(group) {
      status.clear();
      if (!json) print(`${renderTable(group)}\n`);
    },
  };
  let report: BenchReport;
  try {
    report = await runBench(plan, listener, signal);
  } catch (error) {
    if (!(error instanceof MeasuringFailed)) throw error;
    process.stderr.write(`tp4 bench: ${error.message}\n`);
    return 1;
  } finally {
    status.clear();
  }
  if (json) print(JSON.stringify(report, undefined, 2));
  else if (report.results.length > 0) print(renderNotes(report));
  if (signal.aborted) {
    process.stderr.write('tp4 bench: interrupted; what was measured so far is above\n');
    return 1;
  }
  for (const { program, version, interface: name, why, remedy } of report.refused ?? []) {
    process.stderr.write(`tp4 bench: ${program} ${version} on ${name}: ${why} (${remedy})\n`);
  }
  return report.results.length === 0 || tellIdle(report) ? 1 : 0;
}

/** Names what was measured without a packet moving, which is no measurement; returns whether there is any. */
function tellIdle({ results }: BenchReport): boolean {
  const idle = results.filter(({ mpps }) => mpps.median === 0);
  for (const { program, version, interface: name } of idle) {
    process.stderr.write(`tp4 bench: ${program} ${version} on ${name}: no packet moved\n`);
  }
  return idle.length > 0;
}

function describeTraffic({ interface: name, size }: Cell): string {
  return size === undefined ? name : `${name}, ${size} bytes`;
}

/** Calls back with a signal that Ctrl-C (or SIGTERM) aborts; a second one ends the process. */
export async function interruptible(work: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  process.once('SIGINT', abort);
  process.once('SIGTERM', abort);
  try {
    return await work(controller.signal);
  } finally {
    process.off('SIGINT', abort);
    process.off('SIGTERM', abort);
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** One line on standard error that is written over again on a terminal; elsewhere a line each. */
class StatusLine {
  readonly #terminal = process.stderr.isTTY === true;
  #shown = false;

  constructor(private readonly wanted: boolean) {}

  show(text: string): void {
    if (!this.wanted) return;
    process.stderr.write(this.#terminal ? `\r\x1b[K${text}` : `${text}\n`);
    this.#shown = this.#terminal;
  }

  clear(): void {
    if (this.#shown) process.stderr.write('\r\x1b[K');
    this.#shown = false;
  }
}
