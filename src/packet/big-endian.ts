/**
 * Numbers in network byte order (RFC 791 appendix B): the byte of most weight first. Readers of bytes behind the end of the array
 * get 0 for them; that an offset lies within the packet is the caller's business.
 */

/** Reads 2 bytes: 0 to 0xffff. */
export function readUint16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! << 8) | bytes[offset + 1]!;
}

/** Reads 4 bytes: 0 to 0xffffffff. Where a bit pattern is enough (addresses, keys), {@link readWord} is cheaper. */
export function readUint32(bytes: Uint8Array, offset: number): number {
  return readWord(bytes, offset) >>> 0;
}

/** Reads 4 bytes as a signed 32-bit integer, which V8 keeps out of the heap more often than an unsigned one. */
export function readWord(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!;
}

/** Writes the lower 16 bits of a number. */
export function writeUint16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 8;
  bytes[offset + 1] = value;
}

/** Writes the lower 32 bits of a number, signed or not. */
export function writeUint32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 24;
  bytes[offset + 1] = value >>> 16;
  bytes[offset + 2] = value >>> 8;
  bytes[offset + 3] = value;
}
