import { interruptible } from '../cli/bench.js';
import { CommandLine, type OptionTable } from '../cli/options.js';
import { PacketError } from '../errors.js';
import { checkChoice } from '../options.js';
import { DEFAULT_SETTINGS } from './cell.js';
import { type LinuxReport, renderLinuxEnvironment, renderLinuxNotes, renderLinuxTable } from './linux/report.js';
import { type LinuxListener, type LinuxPlan, runLinuxTable } from './linux/table.js';
import { LINUX_VERSIONS } from './linux/versions.js';
import { PROGRAM_NAMES } from './programs.js';
import { MeasuringFailed } from './run-cell.js';

const DEFAULT_SIZES = [64, 1500];
/** Smallest and largest packet of an interface with an MTU of 1500, with FCS. */
const SMALLEST = 64;
const LARGEST = 1518;

const HELP = `tp4 bench linux [rxdrop|txpush|l2fwd|all] [options]    the talk's table from the real kernel (root)
tp4 bench linux latency [options]                      round trips of one packet
tp4 bench linux soak [options]                         full rate, every packet and frame accounted for

Makes two network namespaces and a veth pair of its own, and measures there; no interface of the machine is touched.

  --versions LIST     of ${LINUX_VERSIONS.join(', ')}; default all
  --size LIST         bytes of a packet with its FCS, ${SMALLEST} to ${LARGEST}; default ${DEFAULT_SIZES.join(',')}
  --peers             the project's C program (where there is a gcc) and what is installed of tcpdump, xdp-bench, xdpsock and
                      dpdk-testpmd (AF_XDP, AF_PACKET) do the same in turns with ours
  --batch N           packets a batch, 1 to 4096; default ${DEFAULT_SETTINGS.batch}
  --ring N            entries of each ring, a power of two, 8 to 65536; default ${DEFAULT_SETTINGS.ring}
  --frames N          frames of the packet buffer, 64 to 524288; default ${DEFAULT_SETTINGS.frames}
  --frame-size BYTES  2048 or 4096; default ${DEFAULT_SETTINGS.frameSize}
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
  peers: { type: 'boolean' },
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

/** `tp4 bench linux`. Returns the exit code. @throws PacketError INVALID_OPTION, and what making the veth pair throws */
export async function benchLinux(args: readonly string[]): Promise<number> {
  const [first, ...rest] = args;
  if (first === 'latency') return (await import('./linux/latency.js')).benchLatency(rest);
  if (first === 'soak') return (await import('./linux/soak.js')).benchSoak(rest);
  const line = new CommandLine('tp4 bench linux', args, OPTIONS);
  if (line.has('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const plan = parseLinuxPlan(line);
  const json = line.has('json');
  const progress = line.has('progress') || process.stderr.isTTY === true;
  const listener: LinuxListener = {
    begun(environment) {
      if (!json) print(`${renderLinuxEnvironment(environment)}\n`);
    },
    measuring(what, index, total) {
      if (progress) process.stderr.write(`${index + 1} of ${total}: ${what}\n`);
    },
    group(group) {
      if (!json) print(`${renderLinuxTable(group, plan.peers)}\n`);
    },
  };
  return interruptible(async (signal) => {
    let report: LinuxReport;
    try {
      report = await runLinuxTable(plan, listener, signal);
    } catch (error) {
      if (!(error instanceof MeasuringFailed) && !signal.aborted) throw error;
      process.stderr.write(`tp4 bench linux: ${signal.aborted ? 'interrupted' : (error as Error).message}\n`);
      return 1;
    }
    if (json) print(JSON.stringify(report, undefined, 2));
    else if (report.results.length > 0) print(renderLinuxNotes(report));
    if (signal.aborted) process.stderr.write('tp4 bench linux: interrupted; what was measured so far is above\n');
    return signal.aborted || report.results.length === 0 ? 1 : 0;
  });
}

/** @throws PacketError INVALID_OPTION that names the option, its value and its range */
export function parseLinuxPlan(line: CommandLine): LinuxPlan {
  const [what = 'all', ...more] = line.positionals;
  if (more.length > 0) {
    throw new PacketError('INVALID_OPTION', `one program at a time: "${more[0]}" is too many`, {
      remedy: 'all stands for all three',
    });
  }
  const program = checkChoice('program', what, ['all', ...PROGRAM_NAMES, 'latency', 'soak'] as const);
  const versions = line.choices('versions', LINUX_VERSIONS) ?? LINUX_VERSIONS;
  if (!versions.includes('v3')) line.expectNone(['block-size'], 'without v3');
  const defaults = DEFAULT_SETTINGS;
  return {
    programs: PROGRAM_NAMES.filter((name) => program === 'all' || program === name),
    versions,
    sizes: line.integers('size', SMALLEST, LARGEST) ?? DEFAULT_SIZES,
    peers: line.has('peers'),
    settings: {
      ...defaults,
      batch: line.integer('batch', defaults.batch, 1, 4096),
      ring: line.powerOfTwo('ring', defaults.ring, 8, 65536),
      frames: line.integer('frames', defaults.frames, 64, 524288),
      frameSize: line.powerOfTwo('frame-size', defaults.frameSize, 2048, 4096),
      blockSize: line.powerOfTwo('block-size', defaults.blockSize, 4096, 2 ** 26),
      seconds: line.number('seconds', defaults.seconds, 0.01, 3600),
      warmUpSeconds: line.number('warm-up', defaults.warmUpSeconds, 0, 3600),
      runs: line.integer('runs', defaults.runs, 1, 100),
    },
  };
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
