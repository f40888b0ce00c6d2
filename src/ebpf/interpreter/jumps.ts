import {
  BPF_JEQ,
  BPF_JGE,
  BPF_JGT,
  BPF_JLE,
  BPF_JLT,
  BPF_JNE,
  BPF_JSET,
  BPF_JSGE,
  BPF_JSGT,
  BPF_JSLE,
  BPF_JSLT,
  BPF_OPERATION_MASK,
} from '../opcodes.js';

/**
 * Whether a conditional jump is taken: compares two numbers of 64 bits, each in two words. Sign-extended words of 32 bits compare as the
 * words do, signed or unsigned, so that it serves BPF_JMP32, too (RFC 9669, section 4.3).
 */
export function isTaken(opcode: number, low: number, high: number, otherLow: number, otherHigh: number): boolean {
  switch (opcode & BPF_OPERATION_MASK) {
    case BPF_JEQ:
      return low === otherLow && high === otherHigh;
    case BPF_JNE:
      return low !== otherLow || high !== otherHigh;
    case BPF_JSET:
      return ((low & otherLow) | (high & otherHigh)) !== 0;
    case BPF_JGT:
      return isBelow(otherLow, otherHigh >>> 0, low, high >>> 0);
    case BPF_JGE:
      return !isBelow(low, high >>> 0, otherLow, otherHigh >>> 0);
    case BPF_JLT:
      return isBelow(low, high >>> 0, otherLow, otherHigh >>> 0);
    case BPF_JLE:
      return !isBelow(otherLow, otherHigh >>> 0, low, high >>> 0);
    case BPF_JSGT:
      return isBelow(otherLow, otherHigh, low, high);
    case BPF_JSGE:
      return !isBelow(low, high, otherLow, otherHigh);
    case BPF_JSLT:
      return isBelow(low, high, otherLow, otherHigh);
    case BPF_JSLE:
      return !isBelow(otherLow, otherHigh, low, high);
    default: // BPF_JA
      return true;
  }
}

/** Whether the first number is below the second; upper words are signed or unsigned as they come. */
function isBelow(low: number, high: number, otherLow: number, otherHigh: number): boolean {
  return high < otherHigh || (high === otherHigh && low >>> 0 < otherLow >>> 0);
}
