import type { PacketOrigin } from '../../ebpf/trial/contract.js';
import { ProgramTrial } from '../../ebpf/trial/program-trial.js';
import type { CommandLine, OptionTable } from '../options.js';
import type { NumberedPacket } from './packets.js';
import type { NamedProgram } from './program-file.js';

/** Options of all commands that run a program on packets. */
export const TRIAL_OPTIONS: OptionTable = {
  capture: { type: 'string' },
  program: { type: 'string' },
  only: { type: 'string' },
  ingress: { type: 'string' },
  queue: { type: 'string' },
};

/** Their lines of help. */
export const TRIAL_HELP = `  --capture FILE    where the packets are from: pcap or pcapng, may be packed with gzip
  --only LIST       only packets with these numbers, such as 3,10-20
  --program NAME    which program, where the file has several
  --ingress N       index of the interface that packets come in by, as the program sees it; default 1
  --queue N         number of the receive queue, as the program sees it; default 0`;

/** @throws PacketError INVALID_OPTION */
export function originOf(line: CommandLine): PacketOrigin {
  return {
    ingressInterface: line.integer('ingress', 1, 0, 2 ** 31 - 1),
    queue: line.integer('queue', 0, 0, 2 ** 31 - 1),
  };
}

/** A trial with room for each of the packets. @throws PacketError */
export function prepareTrial(
  { object, program }: NamedProgram,
  packets: readonly NumberedPacket[],
  origin: PacketOrigin,
): ProgramTrial {
  const longest = packets.reduce((most, { bytes }) => Math.max(most, bytes.length), 0);
  return new ProgramTrial(object, program, longest, origin);
}
