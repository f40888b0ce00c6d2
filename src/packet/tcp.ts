import { writeUint16, writeUint32 } from './big-endian.js';
import { addToChecksum, finishChecksum } from './checksum.js';

/** A header without options (RFC 9293 section 3.1). */
export const TCP_HEADER_BYTES = 20;

/** Control bit: the sender has no more data (RFC 9293 section 3.1, as the following). */
export const TCP_FIN = 0x01;
/** Control bit: sequence numbers are synchronised; the first packet of a connection each way. */
export const TCP_SYN = 0x02;
/** Control bit: the connection is reset. */
export const TCP_RST = 0x04;
/** Control bit: what came so far is to be given to the application. */
export const TCP_PSH = 0x08;
/** Control bit: the acknowledgement number counts. */
export const TCP_ACK = 0x10;
/** Control bit: the urgent pointer counts. */
export const TCP_URG = 0x20;
/** Control bit: a mark of congestion has arrived (RFC 3168). */
export const TCP_ECE = 0x40;
/** Control bit: the sender has slowed down because of it (RFC 3168). */
export const TCP_CWR = 0x80;

const CHECKSUM = 16;

/** What a TCP header says, apart from options. */
export interface TcpHeader {
  /** 0 to 65535. */
  readonly sourcePort: number;
  /** 0 to 65535. */
  readonly destinationPort: number;
  /** Sequence number, 32 bits; default 0. */
  readonly sequence?: number;
  /** Acknowledgement number, 32 bits; default 0. */
  readonly acknowledgement?: number;
  /** Control bits {@link TCP_FIN} to {@link TCP_CWR}, any of them; default {@link TCP_ACK}. */
  readonly flags?: number;
  /** Bytes that the sender is ready to take, 16 bits, not scaled; default 65535. */
  readonly window?: number;
}

/**
 * Writes a header without options; its checksum is left 0 until {@link writeTcpChecksum} is called over the payload.
 *
 * @returns bytes written: {@link TCP_HEADER_BYTES}
 */
export function writeTcpHeader(bytes: Uint8Array, offset: number, header: TcpHeader): number {
  writeUint16(bytes, offset, header.sourcePort);
  writeUint16(bytes, offset + 2, header.destinationPort);
  writeUint32(bytes, offset + 4, header.sequence ?? 0);
  writeUint32(bytes, offset + 8, header.acknowledgement ?? 0);
  bytes[offset + 12] = 0x50; // five words
  bytes[offset + 13] = header.flags ?? TCP_ACK;
  writeUint16(bytes, offset + 14, header.window ?? 0xffff);
  writeUint32(bytes, offset + CHECKSUM, 0); // and the urgent pointer
  return TCP_HEADER_BYTES;
}

/**
 * Computes and writes the checksum of a segment whose other bytes are all in place.
 *
 * @param pseudoHeader its running sum, from `sumIpv4PseudoHeader` or `sumIpv6PseudoHeader`
 */
export function writeTcpChecksum(bytes: Uint8Array, offset: number, length: number, pseudoHeader: number): void {
  writeUint16(bytes, offset + CHECKSUM, 0);
  writeUint16(bytes, offset + CHECKSUM, finishChecksum(addToChecksum(pseudoHeader, bytes, offset, length)));
}
