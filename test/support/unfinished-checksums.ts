import { writeTcpPacket, writeUdpPacket } from '../../src/packet/build-packet.js';
import { addToChecksum, finishChecksum } from '../../src/packet/checksum.js';
import type { PacketBatch } from '../../src/ring/packet-batch.js';

/** Bytes of Ethernet and IPv4 headers. */
export const TRANSPORT = 34;

const addresses = {
  ...{ destinationMac: '02:00:00:00:00:0b', sourceMac: '02:00:00:00:00:0a', sourcePort: 1234, destinationPort: 5678 },
  ...{ source: '10.0.0.1', destination: '10.0.0.2', payload: { seed: 7 } },
} as const;

/** Whole packets with right checksums, some of odd length; where the checksum is, from the transport header; its protocol. */
export const checksumPackets = [60, 61, 777, 1514].flatMap((length) =>
  (['udp', 'tcp'] as const).map((protocol) => {
    const bytes = new Uint8Array(length);
    const write = protocol === 'udp' ? writeUdpPacket : writeTcpPacket;
    write(bytes, 0, { ...addresses, length });
    return protocol === 'udp' ? { bytes, field: 6, number: 17 } : { bytes, field: 16, number: 6 };
  }),
);

/** The sum of the pseudo header, not complemented, as the kernel wants to find it in the field. */
function pseudoHeaderSum(packet: Uint8Array, protocol: number): number {
  const length = packet[16]! * 256 + packet[17]! - 20;
  return ~finishChecksum(addToChecksum(protocol + length, packet, 26, 8)) & 0xffff;
}

/** Writes packet `which`, its checksum yet to be filled in, into entry `i` of an allocated batch. */
export function writeUnfinished(memory: Uint8Array, batch: PacketBatch, i: number, which: number): void {
  const { bytes, field, number } = checksumPackets[which]!;
  const at = batch.offset[i]!;
  const sum = pseudoHeaderSum(bytes, number);
  memory.set(bytes, at);
  memory[at + TRANSPORT + field] = sum >> 8;
  memory[at + TRANSPORT + field + 1] = sum & 0xff;
  batch.size[i] = bytes.length;
}
