import {
  BPF_ADD,
  BPF_AND,
  BPF_ARSH,
  BPF_DIV,
  BPF_LSH,
  BPF_MOD,
  BPF_MOV,
  BPF_MUL,
  BPF_NEG,
  BPF_OPERATION_MASK,
  BPF_OR,
  BPF_RSH,
  BPF_SUB,
  BPF_XOR,
} from '../opcodes.js';
import { divide } from './division.js';
import { add, negate } from './pairs.js';

/*
 * Arithmetic on 64 bits, which are two words of 32: `words[at]` the lower half, `words[at + 1]` the upper. The second operand comes as two
 * numbers of signed 32 bits. See RFC 9669, section 4.1.
 */

/**
 * Does an operation of BPF_ALU64, all but BPF_END: destination = destination operation (low, high).
 *
 * @param offset the instruction's: it makes division signed and moves sign-extending
 */
export function arithmetic64(
  words: Int32Array,
  at: number,
  opcode: number,
  low: number,
  high: number,
  offset: number,
): void {
  switch (opcode & BPF_OPERATION_MASK) {
    case BPF_ADD:
      add(words, at, low, high);
      break;
    case BPF_SUB:
      subtract(words, at, low, high);
      break;
    case BPF_MUL:
      multiply(words, at, low, high);
      break;
    case BPF_DIV:
    case BPF_MOD:
      divide(words, at, low, high, offset === 1, (opcode & BPF_OPERATION_MASK) === BPF_MOD);
      break;
    case BPF_OR:
      words[at] = words[at]! | low;
      words[at + 1] = words[at + 1]! | high;
      break;
    case BPF_AND:
      words[at] = words[at]! & low;
      words[at + 1] = words[at + 1]! & high;
      break;
    case BPF_XOR:
      words[at] = words[at]! ^ low;
      words[at + 1] = words[at + 1]! ^ high;
      break;
    case BPF_LSH:
      shiftLeft(words, at, low & 63);
      break;
    case BPF_RSH:
      shiftRight(words, at, low & 63, 0);
      break;
    case BPF_ARSH:
      shiftRight(words, at, low & 63, words[at + 1]! >> 31);
      break;
    case BPF_NEG:
      negate(words, at);
      break;
    case BPF_MOV:
      move(words, at, low, high, offset);
      break;
  }
}

function subtract(words: Int32Array, at: number, low: number, high: number): void {
  const borrow = words[at]! >>> 0 < low >>> 0 ? 1 : 0;
  words[at] = words[at]! - low;
  words[at + 1] = words[at + 1]! - high - borrow;
}

function multiply(words: Int32Array, at: number, low: number, high: number): void {
  const ownLow = words[at]!;
  const crossed = Math.imul(words[at + 1]!, low) + Math.imul(ownLow, high);
  words[at] = Math.imul(ownLow, low);
  words[at + 1] = upperProduct(ownLow, low) + crossed;
}

/** The upper 32 bits of the product of two unsigned words, from products of halves that a number holds exactly. */
function upperProduct(first: number, second: number): number {
  const firstLow = first & 0xffff;
  const firstHigh = first >>> 16;
  const secondLow = second & 0xffff;
  const secondHigh = second >>> 16;
  const middle = firstHigh * secondLow + ((firstLow * secondLow) >>> 16);
  const other = firstLow * secondHigh + (middle & 0xffff);
  return firstHigh * secondHigh + (middle >>> 16) + (other >>> 16);
}

/** @param bits 0 to 63 */
function shiftLeft(words: Int32Array, at: number, bits: number): void {
  if (bits >= 32) {
    words[at + 1] = words[at]! << (bits - 32);
    words[at] = 0;
  } else if (bits > 0) {
    words[at + 1] = (words[at + 1]! << bits) | (words[at]! >>> (32 - bits));
    words[at] = words[at]! << bits;
  }
}

/**
 * @param bits 0 to 63
 * @param fill what comes in from above: 0, or -1
 */
function shiftRight(words: Int32Array, at: number, bits: number, fill: number): void {
  const upper = words[at + 1]!;
  if (bits > 32) {
    words[at] = (upper >>> (bits - 32)) | (fill << (64 - bits));
    words[at + 1] = fill;
  } else if (bits === 32) {
    words[at] = upper;
    words[at + 1] = fill;
  } else if (bits > 0) {
    words[at] = (words[at]! >>> bits) | (upper << (32 - bits));
    words[at + 1] = (upper >>> bits) | (fill << (32 - bits));
  }
}

function move(words: Int32Array, at: number, low: number, high: number, bits: number): void {
  if (bits === 0) {
    words[at] = low;
    words[at + 1] = high;
    return;
  }
  words[at] = (low << (32 - bits)) >> (32 - bits);
  words[at + 1] = words[at]! >> 31;
}

/** Does an operation of BPF_ALU, all but BPF_END, on the lower word, and clears the upper one. */
export function arithmetic32(words: Int32Array, at: number, opcode: number, operand: number, offset: number): void {
  words[at] = result32(words[at]!, opcode, operand, offset);
  words[at + 1] = 0;
}

function result32(value: number, opcode: number, operand: number, offset: number): number {
  switch (opcode & BPF_OPERATION_MASK) {
    case BPF_ADD:
      return value + operand;
    case BPF_SUB:
      return value - operand;
    case BPF_MUL:
      return Math.imul(value, operand);
    case BPF_DIV:
      if (operand === 0) return 0;
      return offset === 1 ? Math.trunc(value / operand) : Math.floor((value >>> 0) / (operand >>> 0));
    case BPF_MOD:
      if (operand === 0) return value;
      return offset === 1 ? value % operand : (value >>> 0) % (operand >>> 0);
    case BPF_OR:
      return value | operand;
    case BPF_AND:
      return value & operand;
    case BPF_XOR:
      return value ^ operand;
    case BPF_LSH:
      return value << operand;
    case BPF_RSH:
      return value >>> operand;
    case BPF_ARSH:
      return value >> operand;
    case BPF_NEG:
      return -value;
    default: // BPF_MOV
      return offset === 0 ? operand : (operand << (32 - offset)) >> (32 - offset);
  }
}
