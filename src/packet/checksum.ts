/**
 * The internet checksum (RFC 1071): the complement of the ones' complement sum of 16-bit words in network byte order. IPv4 headers,
 * UDP, TCP and ICMP carry it. Over data that contains its own correct checksum it is 0.
 */

/**
 * Checksum of a run of bytes; an odd last byte counts as if a zero followed it.
 *
 * @param length in bytes, at most 65535
 * @returns 0 to 0xffff
 */
export function internetChecksum(bytes: Uint8Array, offset: number, length: number): number {
  return finishChecksum(addToChecksum(0, bytes, offset, length));
}

/**
 * Adds a run of bytes to a running sum (0 to begin with), so that a checksum may cover pieces that lie apart, such as a pseudo
 * header and a segment. Only the last piece may have an odd length.
 *
 * @param length in bytes; all pieces together at most 65535, the largest IP packet, so that the sum fits into 32 bits
 */
export function addToChecksum(sum: number, bytes: Uint8Array, offset: number, length: number): number {
  const evenEnd = offset + (length & ~1);
  for (let at = offset; at < evenEnd; at += 2) sum += (bytes[at]! << 8) | bytes[at + 1]!;
  return (length & 1) === 0 ? sum : sum + (bytes[evenEnd]! << 8);
}

/** Turns a running sum into the checksum, 0 to 0xffff. */
export function finishChecksum(sum: number): number {
  return ~fold(sum) & 0xffff;
}

/**
 * The checksum after one 16-bit word of the data has changed, without reading the rest (RFC 1624 equation 3).
 *
 * @param checksum as it stood in the packet
 * @param before value of the word, 0 to 0xffff
 * @param after its new value
 */
export function updateChecksum16(checksum: number, before: number, after: number): number {
  return finishChecksum((~checksum & 0xffff) + (~before & 0xffff) + after);
}

/** As {@link updateChecksum16}, for 4 bytes that start at an even place of the data: an IPv4 address, say. Signed or unsigned. */
export function updateChecksum32(checksum: number, before: number, after: number): number {
  const sum = (~checksum & 0xffff) + (~before >>> 16) + (~before & 0xffff) + (after >>> 16) + (after & 0xffff);
  return finishChecksum(sum);
}

/** Adds the carries of a sum below 2^32 back in: twice, as the first time may carry once more. */
function fold(sum: number): number {
  sum = (sum >>> 16) + (sum & 0xffff);
  return (sum >>> 16) + (sum & 0xffff);
}
