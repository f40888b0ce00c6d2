import { BPF_ALU64, BPF_CLASS_MASK, BPF_SOURCE_MASK, BPF_TO_BE } from '../opcodes.js';

/**
 * Does BPF_END on the pair at `at`: to little-endian, which it is already, to big-endian, or in BPF_ALU64 a swap. What lies above the
 * `bits` lowest bits becomes 0 (RFC 9669, section 4.2).
 *
 * @param bits 16, 32 or 64
 */
export function changeByteOrder(words: Int32Array, at: number, opcode: number, bits: number): void {
  const swaps = (opcode & BPF_CLASS_MASK) === BPF_ALU64 || (opcode & BPF_SOURCE_MASK) === BPF_TO_BE;
  const low = words[at]!;
  const high = words[at + 1]!;
  if (bits === 64) {
    if (!swaps) return;
    words[at] = swap(high);
    words[at + 1] = swap(low);
    return;
  }
  const value = swaps ? swap(low) : low;
  words[at + 1] = 0;
  if (bits === 32) words[at] = value;
  else words[at] = swaps ? value >>> 16 : value & 0xffff;
}

/** The four bytes of a word the other way round. */
function swap(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}
