import { writeUint16, writeUint32 } from './big-endian.js';
import { addToChecksum } from './checksum.js';
import { type IpAddress, writeIpAddress } from './ip-address.js';

/** The fixed header (RFC 8200 section 3). */
export const IPV6_HEADER_BYTES = 40;

const SOURCE = 8;
const BOTH_ADDRESSES_BYTES = 32;

/** What an IPv6 header says. */
export interface Ipv6Header {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly nextHeader: number;
  /** What follows the fixed header, in bytes, 0 to 65535. */
  readonly payloadLength: number;
  /** Default 64, as Linux sends. */
  readonly hopLimit?: number;
  /** Differentiated services and congestion notification, 0 to 255; default 0. */
  readonly trafficClass?: number;
  /** 0 to 0xfffff; default 0. */
  readonly flowLabel?: number;
}

/**
 * Writes the fixed header.
 *
 * @returns bytes written: {@link IPV6_HEADER_BYTES}
 */
export function writeIpv6Header(bytes: Uint8Array, offset: number, header: Ipv6Header): number {
  const first = (6 << 28) | ((header.trafficClass ?? 0) << 20) | ((header.flowLabel ?? 0) & 0xfffff);
  writeUint32(bytes, offset, first);
  writeUint16(bytes, offset + 4, header.payloadLength);
  bytes[offset + 6] = header.nextHeader;
  bytes[offset + 7] = header.hopLimit ?? 64;
  writeIpAddress(bytes, offset + SOURCE, header.source);
  writeIpAddress(bytes, offset + SOURCE + 16, header.destination);
  return IPV6_HEADER_BYTES;
}

/**
 * Sum over the pseudo header that UDP, TCP and ICMPv6 checksums cover (RFC 8200 section 8.1): addresses, length, protocol. It
 * holds without a routing header only, whose last address would count as the destination.
 *
 * @param offset of the IPv6 header
 * @param protocol of the upper layer, which is not the next header where extension headers stand between
 * @param length of the datagram or segment in bytes, at most 65535
 * @returns a running sum for {@link addToChecksum}
 */
export function sumIpv6PseudoHeader(bytes: Uint8Array, offset: number, protocol: number, length: number): number {
  return addToChecksum(protocol + length, bytes, offset + SOURCE, BOTH_ADDRESSES_BYTES);
}
