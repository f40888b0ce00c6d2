/** Numbers in the byte order of whoever wrote the file. Offsets may lie beyond 2^31. */

export function readUint16(bytes: Uint8Array, offset: number, bigEndian: boolean): number {
  const first = bytes[offset]!;
  const second = bytes[offset + 1]!;
  return bigEndian ? (first << 8) | second : (second << 8) | first;
}

export function readUint32(bytes: Uint8Array, offset: number, bigEndian: boolean): number {
  const first = bytes[offset]!;
  const second = bytes[offset + 1]!;
  const third = bytes[offset + 2]!;
  const fourth = bytes[offset + 3]!;
  const word = bigEndian
    ? (first << 24) | (second << 16) | (third << 8) | fourth
    : (fourth << 24) | (third << 16) | (second << 8) | first;
  return word >>> 0;
}

export function writeUint16(bytes: Uint8Array, offset: number, value: number, bigEndian: boolean): void {
  bytes[offset] = bigEndian ? value >>> 8 : value;
  bytes[offset + 1] = bigEndian ? value : value >>> 8;
}

export function writeUint32(bytes: Uint8Array, offset: number, value: number, bigEndian: boolean): void {
  writeUint16(bytes, offset, bigEndian ? value >>> 16 : value, bigEndian);
  writeUint16(bytes, offset + 2, bigEndian ? value : value >>> 16, bigEndian);
}
