import { writeUint16 } from './big-endian.js';
import { addToChecksum, finishChecksum } from './checksum.js';

/** Ports, length, checksum (RFC 768). */
export const UDP_HEADER_BYTES = 8;

const CHECKSUM = 6;

/**
 * Writes a header; its checksum is left 0 ("none", which IPv6 forbids) until {@link writeUdpChecksum} is called over the payload.
 *
 * @param length of header and payload in bytes, 8 to 65535
 * @returns bytes written: {@link UDP_HEADER_BYTES}
 */
export function writeUdpHeader(
  bytes: Uint8Array,
  offset: number,
  sourcePort: number,
  destinationPort: number,
  length: number,
): number {
  writeUint16(bytes, offset, sourcePort);
  writeUint16(bytes, offset + 2, destinationPort);
  writeUint16(bytes, offset + 4, length);
  writeUint16(bytes, offset + CHECKSUM, 0);
  return UDP_HEADER_BYTES;
}

/**
 * Computes and writes the checksum of a datagram whose other bytes are all in place.
 *
 * @param pseudoHeader its running sum, from `sumIpv4PseudoHeader` or `sumIpv6PseudoHeader`
 */
export function writeUdpChecksum(bytes: Uint8Array, offset: number, length: number, pseudoHeader: number): void {
  writeUint16(bytes, offset + CHECKSUM, 0);
  const checksum = finishChecksum(addToChecksum(pseudoHeader, bytes, offset, length));
  // 0 would mean "no checksum"; 0xffff is the same number in ones' complement arithmetic.
  writeUint16(bytes, offset + CHECKSUM, checksum === 0 ? 0xffff : checksum);
}
