import type { PacketOrigin } from '../../ebpf/trial/contract.js';
import type { CommandLine, OptionTable } from '../options.js';
import { EngineRunner } from './engine-runner.js';
import { MAP_HELP, readMapPaths } from './given-maps.js';
import { LinuxRunner } from './linux-runner.js';
import type { PacketRunner } from './packet-runner.js';
import type { NumberedPacket } from './packets.js';
import type { NamedProgram } from './program-file.js';
import { SET_HELP } from './variables.js';

/** Options of all commands that run a program on packets. */
export const TRIAL_OPTIONS: OptionTable = {
  capture: { type: 'string' },
  program: { type: 'string' },
  kernel: { type: 'string' },
  only: { type: 'string' },
  ingress: { type: 'string' },
  queue: { type: 'string' },
  set: { type: 'string', multiple: true },
  map: { type: 'string', multiple: true },
};

/** Their lines of help. */
export const TRIAL_HELP = `  --capture FILE    where the packets are from: pcap or pcapng, may be packed with gzip
  --only LIST       only packets with these numbers, such as 3,10-20
  --program NAME    which program, where the file has several
${SET_HELP}
  --kernel WHERE    soft (default): in the engine of this package; linux: by the Linux kernel, loaded there but attached nowhere (root)
  --ingress N       index of the interface that packets come in by, as the program sees it; default 1 (soft)
  --queue N         number of the receive queue, as the program sees it; default 0 (soft)
${MAP_HELP} (linux)`;

/** Where programs run. */
export interface TrialOptions {
  readonly isLinux: boolean;
  /** Where packets seem to have come from, in the engine. */
  readonly origin: PacketOrigin;
  /** Paths of pinned maps, by name of those in whose place they are, in Linux. */
  readonly maps: ReadonlyMap<string, string>;
}

/** Checks the options that say where to run. @throws PacketError INVALID_OPTION */
export function readTrialOptions(line: CommandLine): TrialOptions {
  const isLinux = line.choice('kernel', ['soft', 'linux']) === 'linux';
  if (isLinux) line.expectNone(['ingress', 'queue', 'trace'], 'with --kernel linux');
  else line.expectNone(['map'], 'without --kernel linux');
  const origin = {
    ingressInterface: line.integer('ingress', 1, 0, 2 ** 31 - 1),
    queue: line.integer('queue', 0, 0, 2 ** 31 - 1),
  };
  return { isLinux, origin, maps: readMapPaths(line) };
}

/** What runs the program, with room for each of the packets. @throws PacketError */
export async function openRunner(
  { isLinux, origin, maps }: TrialOptions,
  named: NamedProgram,
  packets: readonly NumberedPacket[],
): Promise<PacketRunner> {
  if (isLinux) return LinuxRunner.open(named, maps);
  const longest = packets.reduce((most, { bytes }) => Math.max(most, bytes.length), 0);
  return new EngineRunner(named, longest, origin);
}
