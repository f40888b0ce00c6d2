import { PacketError } from '../../errors.js';
import { readCapture } from '../../host/read-capture.js';
import { listCapturedPackets } from '../../wire/captured-packets.js';
import type { CommandLine } from '../options.js';

/** A packet of a capture. */
export interface NumberedPacket {
  /** Its number in the file, from 1. */
  readonly number: number;
  readonly bytes: Uint8Array;
}

/**
 * Reads the packets that `--capture` and `--only` name. What is wrong with the file otherwise is told on standard error.
 *
 * @throws PacketError INVALID_OPTION, SYSTEM_CALL, CAPTURE_CORRUPT, CAPTURE_UNSUPPORTED
 */
export async function readPackets(line: CommandLine, command: string): Promise<NumberedPacket[]> {
  const file = line.text('capture');
  if (file === undefined) {
    throw new PacketError('INVALID_OPTION', `${command}: no capture is named to take packets from`, {
      remedy: '--capture FILE, a pcap or pcapng file',
    });
  }
  const only = readNumbers(line.text('only'));
  const capture = await readCapture(file);
  const listed = listCapturedPackets(capture, false);
  const { numbers, offsets, lengths, damage, cut, tooShort } = listed;
  const note = (text: string) => process.stderr.write(`${command}: ${file}: ${text}\n`);
  if (damage !== undefined) note(`read up to the damage: ${damage.message}`);
  if (cut > 0) note(`${cut} packets were cut when they were captured`);
  if (tooShort > 0) note(`${tooShort} packets are shorter than an Ethernet header and left out`);
  const packets = numbers.map((number, index) => ({
    number,
    bytes: capture.subarray(offsets[index]!, offsets[index]! + lengths[index]!),
  }));
  const chosen = packets.filter(
    ({ number }) => only === undefined || only.some(([from, to]) => number >= from && number <= to),
  );
  if (chosen.length > 0) return chosen;
  throw new PacketError('INVALID_OPTION', `--only: ${file} has no packet ${line.text('only')}`, {
    remedy: `its packets have the numbers 1 to ${numbers.at(-1)}`,
  });
}

/** `3,10-20` as ranges. */
function readNumbers(text: string | undefined): [from: number, to: number][] | undefined {
  return text?.split(',').map((part) => {
    const [, from, to = from] = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(part) ?? [];
    if (from !== undefined && Number(from) <= Number(to)) return [Number(from), Number(to)];
    throw new PacketError('INVALID_OPTION', `--only: "${part}" is no number of a packet and no range`, {
      remedy: 'write numbers and ranges with commas between them: 3,10-20',
    });
  });
}
