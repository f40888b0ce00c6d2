import type { Mode } from '../../kernel/contract.js';
import type { BenchEnvironment } from '../environment.js';
import { PROGRAM_NAMES, type ProgramName } from '../programs.js';
import type { BenchReport, BenchResult, RefusedCell } from '../result.js';
import { alignColumns, digits } from '../rings/spread.js';

/** One row of the Linux table: what `tp4 bench` says, and what was seen from outside. */
export interface LinuxResult extends BenchResult {
  /** CPU time of the traffic source in nanoseconds per packet it sent; absent for txpush, whose sink is the kernel. */
  readonly farCpuNsPerPacket?: number;
  /** Time of software interrupts in nanoseconds per packet that crossed the pair; a part of the processes' CPU time. */
  readonly softirqNsPerPacket: number;
}

/** The same of a program of others, beside ours. */
export interface PeerResult extends LinuxResult {
  /** `C` for the project's own C program, else the tool's name. `version` is the mode of ours that it stands beside. */
  readonly peer: string;
  /** Our rate ÷ theirs, and our CPU time per packet ÷ theirs; absent where one of the two is not there. */
  readonly rateRatio?: number;
  readonly cpuRatio?: number;
}

/** A peer without figures, and why. */
export interface RefusedPeer {
  readonly peer: string;
  readonly program: ProgramName;
  readonly version: Mode;
  readonly size: number;
  readonly why: string;
}

/** What `--peers` adds. */
export interface PeersReport {
  /** Versions of the peers by name; those that are not there say so. */
  readonly versions: Readonly<Record<string, string>>;
  readonly results: readonly PeerResult[];
  readonly refused: readonly RefusedPeer[];
}

/** Everything that one call of `tp4 bench linux` says: the schema of `tp4 bench`, extended. */
export interface LinuxReport extends BenchReport {
  readonly results: readonly LinuxResult[];
  readonly peers?: PeersReport;
}

/** Rows of one table: packets of one size. */
export interface LinuxGroup {
  readonly size: number;
  readonly results: readonly LinuxResult[];
  readonly refused: readonly RefusedCell[];
  readonly peers: readonly PeerResult[];
  readonly refusedPeers: readonly RefusedPeer[];
}

/** What the figures stand for, and what they do not. */
export const MODELLED =
  'linux: nothing is modelled. A veth pair joins two network namespaces of this machine: each packet is real memory traffic of ' +
  "its CPUs, there is no device and no wire. rxdrop and l2fwd are fed by the kernel's live-frames test run at the far end; what " +
  'txpush and l2fwd send is counted by the far interface and dropped by the stack behind it. CPU ns is the CPU time of the measured ' +
  "process (user and system) per packet; a busy-polling program uses all of its CPU, so it follows the rate. The source's CPU time is " +
  'per packet that reached the near end. The kernel receives on the CPU of whoever sends, in a software interrupt: its time is part ' +
  "of the sender's CPU time, of the source for rxdrop, of the program for txpush.";

const COLUMNS = ['', 'Mpps', 'min – max', 'Gbit/s', 'ns/packet', 'CPU ns', 'source CPU ns', 'calls/packet'] as const;
const RATIOS = ['ours ÷', 'CPU ours ÷'] as const;

/** The talk's table from a real kernel, for packets of one size, as lines of text. */
export function renderLinuxTable(group: LinuxGroup, withPeers: boolean): string {
  const head = [...COLUMNS, ...(withPeers ? RATIOS : []), 'lost'];
  const rows: string[][] = [head];
  const notes: string[] = [];
  for (const program of PROGRAM_NAMES) {
    const inProgram = <Row extends { program: ProgramName }>(list: readonly Row[]): Row[] => {
      return list.filter((one) => one.program === program);
    };
    const results = inProgram(group.results);
    const refused = inProgram(group.refused);
    if (results.length + refused.length === 0) continue;
    rows.push([program]);
    const peers = inProgram(group.peers);
    for (const result of results) {
      rows.push(row(`  ${result.version}`, result, withPeers ? ['', ''] : []));
      for (const peer of peers.filter(({ version, peer: name }) => version === result.version && name === 'C')) {
        rows.push(row('    C', peer, ratios(peer)));
      }
    }
    for (const peer of peers.filter(({ peer: name }) => name !== 'C')) {
      rows.push(row(`  ${peer.peer}`, peer, ratios(peer)));
    }
    for (const { version, why } of refused) notes.push(`${program} ${version}: refused: ${why}`);
    for (const { peer, version, why } of inProgram(group.refusedPeers)) {
      notes.push(`${program} ${version}, ${peer}: refused: ${why}`);
    }
  }
  const table = alignColumns(rows.map((cells) => head.map((_, column) => cells[column] ?? '')));
  return [`veth: packets of ${group.size} bytes`, '', table, ...notes].join('\n');
}

function row(name: string, result: LinuxResult, more: readonly string[]): string[] {
  const { mpps, gbps, nsPerPacket, cpuNsPerPacket, farCpuNsPerPacket, systemCallsPerPacket, lost } = result;
  const optional = (value: number | undefined): string => (value === undefined ? '' : digits(value));
  return [
    name,
    digits(mpps.median),
    `${digits(mpps.min)} – ${digits(mpps.max)}`,
    digits(gbps),
    digits(nsPerPacket),
    optional(cpuNsPerPacket),
    optional(farCpuNsPerPacket),
    systemCallsPerPacket === undefined ? '' : systemCallsPerPacket.toFixed(3),
    ...more,
    Object.entries(lost)
      .map(([place, count]) => `${count.toLocaleString('en-US')} ${place}`)
      .join(', '),
  ];
}

function ratios({ rateRatio, cpuRatio }: PeerResult): string[] {
  return [rateRatio, cpuRatio].map((value) => (value === undefined ? '' : value.toFixed(2)));
}

/** The lines above the tables: machine and settings. */
export function renderLinuxEnvironment({ settings, ...environment }: BenchEnvironment): string {
  return [
    `tpacket4 ${environment.tpacket4}, Node ${environment.node}, Linux ${environment.release} ${environment.arch}, ` +
      `${environment.cpus} × ${environment.cpu}; ${environment.pinning}`,
    `batches of ${settings.batch}, rings of ${settings.ring}, ${settings.frames} frames of ${settings.frameSize} bytes; ` +
      `median of ${settings.runs} runs of ${settings.seconds} s after ${settings.warmUpSeconds} s of warm-up`,
  ].join('\n');
}

/** A cell whose process got less of its CPU than this was disturbed by other processes. */
const UNDISTURBED = 0.95;

/** The lines below the tables. */
export function renderLinuxNotes({ environment, modelled, peers }: LinuxReport): string {
  const { cpuShare = 1 } = environment;
  const disturbed = `Disturbed: other processes used the CPUs; in the worst cell the program got ${Math.round(cpuShare * 100)} % of its.`;
  return [
    'Sizes count the 4-byte FCS; Gbit/s counts 20 bytes of preamble and gap more.',
    `Modelled: ${modelled}`,
    ...(peers === undefined
      ? []
      : [
          'ours ÷: our rate by the peer’s (more is better for us); CPU ours ÷: our CPU time per packet by the peer’s (less is better).',
          ...Object.entries(peers.versions).map(([name, version]) => `${name}: ${version}`),
        ]),
    ...(cpuShare < UNDISTURBED ? [disturbed] : []),
  ].join('\n');
}
