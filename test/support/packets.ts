import { writeUdpPacket } from '../../src/packet/build-packet.js';

export interface UdpFlow {
  /** Bytes in memory; default 60. */
  readonly length?: number;
  readonly source?: string;
  readonly destination?: string;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  /** What the payload begins with. */
  readonly number?: number;
}

const PAYLOAD = 14 + 20 + 8;

/** A UDP/IPv4 packet that carries a number. */
export function udpPacket({
  length = 60,
  source = '10.0.0.1',
  destination = '10.0.0.2',
  sourcePort = 1000,
  destinationPort = 2000,
  number = 0,
}: UdpFlow = {}): Uint8Array {
  const payload = new Uint8Array(Math.max(4, length - PAYLOAD));
  new DataView(payload.buffer).setUint32(0, number);
  for (let i = 4; i < payload.length; i++) payload[i] = number * 31 + i * 7;
  const bytes = new Uint8Array(length);
  writeUdpPacket(bytes, 0, {
    length,
    destinationMac: '02:00:00:00:00:02',
    sourceMac: '02:00:00:00:00:01',
    source,
    destination,
    sourcePort,
    destinationPort,
    payload,
  });
  return bytes;
}

/** The number of a packet made by {@link udpPacket}. */
export function numberOf(bytes: Uint8Array, offset = 0): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(offset + PAYLOAD);
}
