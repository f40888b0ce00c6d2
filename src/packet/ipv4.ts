import { writeUint16 } from './big-endian.js';
import { addToChecksum, internetChecksum } from './checksum.js';
import { type IpAddress, writeIpAddress } from './ip-address.js';

/** A header without options (RFC 791 section 3.1). */
export const IPV4_HEADER_BYTES = 20;

const CHECKSUM = 10;
const SOURCE = 12;
const BOTH_ADDRESSES_BYTES = 8;

/** What an IPv4 header says; byte counts include the header itself. */
export interface Ipv4Header {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly protocol: number;
  /** Header and payload in bytes, 20 to 65535. */
  readonly totalLength: number;
  /** Default 64, as Linux sends. */
  readonly timeToLive?: number;
  /** Differentiated services and congestion notification, 0 to 255; default 0. */
  readonly trafficClass?: number;
  /** Default 0, which a packet that must not be fragmented may carry (RFC 6864). */
  readonly identification?: number;
  /** Default true. */
  readonly dontFragment?: boolean;
}

/**
 * Writes a header without options, with its checksum.
 *
 * @returns bytes written: {@link IPV4_HEADER_BYTES}
 */
export function writeIpv4Header(bytes: Uint8Array, offset: number, header: Ipv4Header): number {
  bytes[offset] = 0x45; // version 4, five words
  bytes[offset + 1] = header.trafficClass ?? 0;
  writeUint16(bytes, offset + 2, header.totalLength);
  writeUint16(bytes, offset + 4, header.identification ?? 0);
  writeUint16(bytes, offset + 6, (header.dontFragment ?? true) ? 0x4000 : 0);
  bytes[offset + 8] = header.timeToLive ?? 64;
  bytes[offset + 9] = header.protocol;
  writeUint16(bytes, offset + CHECKSUM, 0);
  writeIpAddress(bytes, offset + SOURCE, header.source);
  writeIpAddress(bytes, offset + SOURCE + 4, header.destination);
  writeUint16(bytes, offset + CHECKSUM, internetChecksum(bytes, offset, IPV4_HEADER_BYTES));
  return IPV4_HEADER_BYTES;
}

/**
 * Sum over the pseudo header that UDP and TCP checksums cover (RFC 768, RFC 9293 section 3.1): addresses, protocol, length.
 *
 * @param offset of the IPv4 header
 * @param length of the UDP datagram or TCP segment in bytes
 * @returns a running sum for {@link addToChecksum}
 */
export function sumIpv4PseudoHeader(bytes: Uint8Array, offset: number, protocol: number, length: number): number {
  return addToChecksum(protocol + length, bytes, offset + SOURCE, BOTH_ADDRESSES_BYTES);
}
