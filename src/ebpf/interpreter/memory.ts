import type { Arena } from '../../arena/arena.js';
import type { Machine } from '../machine.js';
import { BPF_B, BPF_DW, BPF_H, BPF_MEMSX, BPF_MODE_MASK, BPF_SIZE_MASK, BPF_W } from '../opcodes.js';

/**
 * The arena offset of an access of `bytes` at a pointer plus the instruction's offset, or -1 where the program may not do that. The sum wraps
 * at 64 bits.
 */
export function reachedAddress(
  machine: Machine,
  low: number,
  high: number,
  offset: number,
  bytes: number,
  writes: boolean,
): number {
  const sum = (low >>> 0) + offset;
  const upper = (high + Math.floor(sum / 2 ** 32)) | 0;
  const address = sum | 0;
  const isGood = writes ? machine.mayWrite(address, upper, bytes) : machine.reaches(address, upper, bytes);
  return isGood ? address : -1;
}

/** Reads 32 bits, little-endian, at any address. */
export function readWord({ u8, i32 }: Arena, address: number): number {
  if ((address & 3) === 0) return i32[address >> 2]!;
  return u8[address]! | (u8[address + 1]! << 8) | (u8[address + 2]! << 16) | (u8[address + 3]! << 24);
}

/** Writes 32 bits, little-endian, at any address. */
export function writeWord({ u8, i32 }: Arena, address: number, value: number): void {
  if ((address & 3) === 0) {
    i32[address >> 2] = value;
    return;
  }
  u8[address] = value;
  u8[address + 1] = value >> 8;
  u8[address + 2] = value >> 16;
  u8[address + 3] = value >> 24;
}

/** Does a load of BPF_LDX from an address that was checked, into the pair at `at`. */
export function load(arena: Arena, words: Int32Array, at: number, opcode: number, address: number): void {
  const { u8 } = arena;
  let value: number;
  let unusedBits = 0;
  switch (opcode & BPF_SIZE_MASK) {
    case BPF_DW:
      words[at] = readWord(arena, address);
      words[at + 1] = readWord(arena, address + 4);
      return;
    case BPF_W:
      value = readWord(arena, address);
      break;
    case BPF_H:
      value = u8[address]! | (u8[address + 1]! << 8);
      unusedBits = 16;
      break;
    default: // BPF_B
      value = u8[address]!;
      unusedBits = 24;
  }
  const extends_ = (opcode & BPF_MODE_MASK) === BPF_MEMSX;
  words[at] = extends_ ? (value << unusedBits) >> unusedBits : value;
  words[at + 1] = extends_ ? words[at]! >> 31 : 0;
}

/** Does a store of BPF_ST or BPF_STX to an address that was checked. */
export function store(arena: Arena, opcode: number, address: number, low: number, high: number): void {
  const { u8 } = arena;
  switch (opcode & BPF_SIZE_MASK) {
    case BPF_DW:
      writeWord(arena, address, low);
      writeWord(arena, address + 4, high);
      break;
    case BPF_W:
      writeWord(arena, address, low);
      break;
    case BPF_H:
      u8[address] = low;
      u8[address + 1] = low >> 8;
      break;
    case BPF_B:
      u8[address] = low;
      break;
  }
}
