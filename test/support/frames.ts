/** EtherType for experiments (IEEE 802): no stack answers it. */
const EXPERIMENTAL = 0x88b5;
/** Where the number stands in a numbered frame, big-endian. */
export const NUMBER_OFFSET = 16;

/** Writes an Ethernet frame of `size` bytes that carries a number, and content that follows from it. */
export function writeNumberedFrame(bytes: Uint8Array, offset: number, size: number, number: number): void {
  bytes.fill(0xff, offset, offset + 6);
  bytes.fill(0x02, offset + 6, offset + 12);
  bytes[offset + 12] = EXPERIMENTAL >> 8;
  bytes[offset + 13] = EXPERIMENTAL & 0xff;
  bytes[offset + 14] = 0;
  bytes[offset + 15] = 0;
  for (let i = 0; i < 4; i++) bytes[offset + NUMBER_OFFSET + i] = number >>> (24 - 8 * i);
  for (let i = NUMBER_OFFSET + 4; i < size; i++) bytes[offset + i] = (number * 31 + i * 7) & 0xff;
}

/** The number of a frame, or -1 when its header, length or content is not as written. */
export function readNumberedFrame(bytes: Uint8Array, offset: number, size: number, expectedSize: number): number {
  if (size !== expectedSize || bytes[offset + 12] !== EXPERIMENTAL >> 8 || bytes[offset + 13] !== (EXPERIMENTAL & 0xff))
    return -1;
  let number = 0;
  for (let i = 0; i < 4; i++) number = (number << 8) | bytes[offset + NUMBER_OFFSET + i]!;
  for (let i = NUMBER_OFFSET + 4; i < size; i++) if (bytes[offset + i] !== ((number * 31 + i * 7) & 0xff)) return -1;
  return number >>> 0;
}
