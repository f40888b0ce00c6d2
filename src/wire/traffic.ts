import { checkInteger, PacketError } from '../errors.js';
import { checkChoice } from '../options.js';
import { writeUdpPacket } from '../packet/build-packet.js';

/** Bytes of the frame check sequence, which sizes count (as on a wire) and packets in memory do not have. */
export const FCS_BYTES = 4;

/** What generated packets are like. Plain data. */
export interface TrafficOptions {
  /** Bytes of a packet with its FCS, 64 to 16000; or a list to go through in turn. Default 64. */
  readonly size?: number | readonly number[];
  /** How many distinct packets are made, 1 to 1048576; default 1024. They are sent round and round. */
  readonly packets?: number;
  /** Different 5-tuples among them, 1 to `packets`; default as many as packets, at most 1024. */
  readonly flows?: number;
  /** Packets of one flow that follow each other; default 1. */
  readonly burst?: number;
  /** Payload bytes: a count (default), zeros, or seeded random ones. */
  readonly pattern?: 'count' | 'zeros' | 'random';
  /** Destination address of all packets; default 02:00:00:00:00:02. */
  readonly destinationMac?: string;
  /** UDP destination port of all packets; flow n comes from {@link flowAddress}(n). Default 9 (discard). */
  readonly port?: number;
  /** For the pattern `random`: 0 to 2^31 - 1; default 1. The same seed gives the same packets. */
  readonly seed?: number;
}

const SMALLEST = 64;
const LARGEST = 16000;
const DEFAULT_PACKETS = 1024;
const PATTERNS = ['count', 'zeros', 'random'] as const;

/** Lengths in memory of the packets to be made, checked. @throws PacketError INVALID_OPTION */
export function packetLengths(options: TrafficOptions): number[] {
  const packets = checkInteger('packets', options.packets ?? DEFAULT_PACKETS, 1, 2 ** 20);
  const sizes = typeof options.size === 'object' ? options.size : [options.size ?? SMALLEST];
  if (sizes.length === 0)
    throw new PacketError('INVALID_OPTION', 'size: the list of sizes is empty', { remedy: 'give one size at least' });
  for (const size of sizes) checkInteger('size', size, SMALLEST, LARGEST);
  if (options.pattern !== undefined) checkChoice('pattern', options.pattern, PATTERNS);
  return Array.from({ length: packets }, (_, i) => sizes[i % sizes.length]! - FCS_BYTES);
}

/** UDP/IPv4 packets of many flows, checksums right. Writes packet `index` at `offset`. @throws PacketError INVALID_OPTION */
export function writeTrafficPacket(
  bytes: Uint8Array,
  offset: number,
  index: number,
  length: number,
  options: TrafficOptions,
): void {
  const packets = options.packets ?? DEFAULT_PACKETS;
  const flows = checkInteger('flows', options.flows ?? Math.min(packets, 1024), 1, packets);
  const burst = checkInteger('burst', options.burst ?? 1, 1, packets);
  const flow = Math.floor(index / burst) % flows;
  const seed = checkInteger('seed', options.seed ?? 1, 0, 2 ** 31 - 1);
  writeUdpPacket(bytes, offset, {
    length,
    destinationMac: options.destinationMac ?? '02:00:00:00:00:02',
    sourceMac: '02:00:00:00:00:01',
    source: flowAddress(flow),
    destination: '10.255.0.1',
    sourcePort: 1024 + (flow % 50000),
    destinationPort: checkInteger('port', options.port ?? 9, 0, 65535),
    identification: index & 0xffff,
    payload: options.pattern === 'random' ? { seed: seed + index } : (options.pattern ?? 'count'),
  });
}

/** The IPv4 source address of generated flow `flow`, 0 to 1048575, as text: what a rule for it names. */
export function flowAddress(flow: number): string {
  return `10.${Math.floor(flow / 62500) % 250}.${Math.floor(flow / 250) % 250}.${(flow % 250) + 1}`;
}
