import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { interruptible } from '../../cli/bench.js';
import { CommandLine, type OptionTable } from '../../cli/options.js';
import { PacketError, type PacketErrorData } from '../../errors.js';
import type { Mode } from '../../kernel/contract.js';
import { DEFAULT_SETTINGS } from '../cell.js';
import { describeEnvironment } from '../environment.js';
import { describePinning, planPinning } from '../pinning.js';
import { alignColumns, digits, rounded } from '../rings/spread.js';
import { buildCPeer, C_PEER_MODES, type CPeer } from './c-peer.js';
import { cpusOf } from './cell.js';
import { type Command, FAR, Laboratory, NEAR } from './laboratory.js';
import { parseTrips, percentile, TRIP_WAITS, type Trips, type TripTask, type TripWait } from './trip.js';
import { LINUX_VERSIONS } from './versions.js';

const DEFAULT_COUNT = 20_000;
const MOST_COUNT = 100_000;
/** A round trip that waits for a V3 block to be retired at both ends takes some milliseconds; see `timeoutOf`. */
const MOST_MILLISECONDS_PER_TRIP = 10;
const GRACE_MILLISECONDS = 30_000;
const WARM_UP_TRIPS = 2000;

const HELP = `tp4 bench linux latency [options]    round trips of one 64-byte packet between two namespaces (root)

One end sends a packet, the other sends it back; both wait in the same way: busy (polling), hybrid (polling for 50 µs, then on the
event loop), event (on the event loop), sleep (blocking in poll(2)). The C program has busy and sleep.

  --versions LIST     of ${LINUX_VERSIONS.join(', ')}; default all
  --waits LIST        of ${TRIP_WAITS.join(', ')}; default all
  --count N           round trips of each kind, 100 to ${MOST_COUNT}; default ${DEFAULT_COUNT}
  --peers             the project's C program does the same (where there is a gcc)
  --json              figures as JSON on standard output
  --progress          say on standard error what is being measured, on a terminal the default
`;

const OPTIONS: OptionTable = {
  versions: { type: 'string' },
  waits: { type: 'string' },
  count: { type: 'string' },
  peers: { type: 'boolean' },
  json: { type: 'boolean' },
  progress: { type: 'boolean' },
};

/** Round trips of one kind. */
export interface LatencyResult {
  readonly version: Mode;
  readonly wait: TripWait;
  /** `ours` or `C`. */
  readonly program: 'ours' | 'C';
  readonly trips: number;
  /** Packets that did not come back within 200 ms. */
  readonly lost: number;
  readonly microseconds: { readonly p50: number; readonly p99: number; readonly p999: number };
}

/** A kind without figures, and why. */
export interface RefusedLatency {
  readonly version: Mode;
  readonly wait: TripWait;
  readonly program: 'ours' | 'C';
  readonly why: string;
}

interface LatencyPlan {
  readonly versions: readonly Mode[];
  readonly waits: readonly TripWait[];
  readonly count: number;
  readonly peers: boolean;
}

/** `tp4 bench linux latency`. Returns the exit code. @throws PacketError INVALID_OPTION, and what making the veth pair throws */
export async function benchLatency(args: readonly string[]): Promise<number> {
  const line = new CommandLine('tp4 bench linux latency', args, OPTIONS);
  if (line.has('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const plan = parseLatencyPlan(line);
  const progress = line.has('progress') || process.stderr.isTTY === true;
  const tell = progress ? (text: string) => void process.stderr.write(`${text}\n`) : () => {};
  return interruptible(async (signal) => {
    try {
      const { results, refused, pinning, withoutC } = await runLatency(plan, tell, signal);
      const { settings: _, ...environment } = describeEnvironment(DEFAULT_SETTINGS, pinning);
      const report = { environment: { ...environment, pinning: describePinning(pinning) }, results, refused };
      const text = line.has('json')
        ? JSON.stringify({ ...report, ...(withoutC !== undefined && { withoutC }) }, undefined, 2)
        : renderLatency(results, refused, withoutC);
      process.stdout.write(`${text}\n`);
      return results.length === 0 ? 1 : 0;
    } catch (error) {
      if (!signal.aborted) throw error;
      process.stderr.write('tp4 bench linux latency: interrupted\n');
      return 1;
    }
  });
}

/** @throws PacketError INVALID_OPTION */
function parseLatencyPlan(line: CommandLine): LatencyPlan {
  if (line.positionals.length > 0) {
    throw new PacketError('INVALID_OPTION', `"${line.positionals[0]}" is too many: the command takes options only`, {
      remedy: '--help lists them',
    });
  }
  return {
    versions: line.choices('versions', LINUX_VERSIONS) ?? LINUX_VERSIONS,
    waits: line.choices('waits', TRIP_WAITS) ?? TRIP_WAITS,
    count: line.integer('count', DEFAULT_COUNT, 100, MOST_COUNT),
    peers: line.has('peers'),
  };
}

async function runLatency(plan: LatencyPlan, tell: (text: string) => void, signal: AbortSignal) {
  const pinning = planPinning();
  const { near, far } = cpusOf({ pinning });
  const c = plan.peers ? await buildCPeer(signal) : undefined;
  const peer = typeof c === 'string' ? undefined : c;
  const results: LatencyResult[] = [];
  const refused: RefusedLatency[] = [];
  const laboratory = await Laboratory.create(signal);
  try {
    for (const version of plan.versions) {
      for (const wait of plan.waits) {
        const kind = { version, wait, count: plan.count };
        const ours = (role: 'ping' | 'echo'): Command => tripCommand(kind, role, role === 'ping' ? near : far);
        const pairs: ['ours' | 'C', (role: 'ping' | 'echo') => Command][] = [['ours', ours]];
        if (peer !== undefined && C_PEER_MODES.includes(version) && (wait === 'busy' || wait === 'sleep')) {
          pairs.push(['C', (role) => peerCommand(peer, kind, role, role === 'ping' ? near : far)]);
        }
        for (const [program, command] of pairs) {
          tell(`${version}, ${wait}, ${program}`);
          const trips = await measureTrips(laboratory, command, plan.count, signal);
          if (typeof trips === 'string') refused.push({ version, wait, program, why: trips });
          else results.push(toLatencyResult(version, wait, program, trips));
        }
      }
    }
  } finally {
    laboratory.close();
    await peer?.remove();
  }
  return { results, refused, pinning, withoutC: typeof c === 'string' ? c : undefined };
}

type Kind = Pick<TripTask, 'version' | 'wait' | 'count'>;

function tripCommand(kind: Kind, role: 'ping' | 'echo', cpu: number): Command {
  const script = fileURLToPath(new URL('./trip-process.js', import.meta.url));
  const task: TripTask = { ...kind, role, interface: (role === 'ping' ? NEAR : FAR).interface, cpu };
  return [process.execPath, script, JSON.stringify(task)];
}

function peerCommand({ program }: CPeer, { version, wait, count }: Kind, role: 'ping' | 'echo', cpu: number): Command {
  const how = wait === 'busy' ? 'busy' : 'poll';
  return [program, version, role, (role === 'ping' ? NEAR : FAR).interface, String(cpu), how, String(count)];
}

/** @returns the trips, or the sentence in which the socket was refused */
async function measureTrips(
  laboratory: Laboratory,
  command: (role: 'ping' | 'echo') => Command,
  count: number,
  signal: AbortSignal,
): Promise<Trips | string> {
  const echo = laboratory.start(FAR, command('echo'));
  try {
    echo.stderr!.resume();
    const [line] = (await once(createInterface(echo.stdout!), 'line', { signal })) as [string];
    if (line !== 'ready') return refusal(line);
    const timeoutMilliseconds = (count + WARM_UP_TRIPS) * MOST_MILLISECONDS_PER_TRIP + GRACE_MILLISECONDS;
    const lines = await laboratory.run(NEAR, command('ping'), { timeoutMilliseconds, signal });
    const refused = lines.find((one) => one.startsWith('refused '));
    return refused === undefined ? parseTrips(lines) : refusal(refused);
  } finally {
    echo.kill('SIGKILL');
  }
}

/** "refused", and a sentence or an error as JSON. */
function refusal(line: string): string {
  const text = line.replace(/^refused /, '');
  return text.startsWith('{') ? (JSON.parse(text) as PacketErrorData).message : text;
}

function toLatencyResult(version: Mode, wait: TripWait, program: 'ours' | 'C', trips: Trips): LatencyResult {
  const { nanoseconds, lost } = trips;
  const at = (share: number): number => rounded(percentile(nanoseconds, share) / 1000);
  const microseconds = { p50: at(0.5), p99: at(0.99), p999: at(0.999) };
  return { version, wait, program, trips: nanoseconds.length, lost, microseconds };
}

function renderLatency(
  results: readonly LatencyResult[],
  refused: readonly RefusedLatency[],
  withoutC: string | undefined,
): string {
  const rows = [['µs', 'p50', 'p99', 'p99.9', 'lost']];
  for (const { version, wait, program, microseconds, lost } of results) {
    const name = program === 'ours' ? `${version}, ${wait}` : '  C';
    rows.push([name, ...Object.values(microseconds).map(digits), String(lost)]);
  }
  return [
    'round trips of one 64-byte packet over a veth pair, microseconds',
    '',
    alignColumns(rows),
    '',
    ...refused.map(({ version, wait, program, why }) => `${version}, ${wait}, ${program}: refused: ${why}`),
    ...(withoutC === undefined ? [] : [`C: absent: ${withoutC}`]),
  ].join('\n');
}
