import {
  BPF_ADD,
  BPF_AND,
  BPF_ARSH,
  BPF_B,
  BPF_DIV,
  BPF_DW,
  BPF_H,
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
  BPF_LSH,
  BPF_MOD,
  BPF_MOV,
  BPF_MUL,
  BPF_OR,
  BPF_RSH,
  BPF_SUB,
  BPF_W,
  BPF_XOR,
} from '../opcodes.js';

/** Operation of arithmetic and the offset that belongs to it. */
export interface ArithmeticWord {
  readonly operation: number;
  /** 1 for the signed division and remainder, otherwise 0. */
  readonly offset: 0 | 1;
}

/** Operators of arithmetic as the kernel prints them. */
export const ARITHMETIC_WORDS: ReadonlyMap<string, ArithmeticWord> = new Map([
  ['+=', { operation: BPF_ADD, offset: 0 }],
  ['-=', { operation: BPF_SUB, offset: 0 }],
  ['*=', { operation: BPF_MUL, offset: 0 }],
  ['/=', { operation: BPF_DIV, offset: 0 }],
  ['s/=', { operation: BPF_DIV, offset: 1 }],
  ['|=', { operation: BPF_OR, offset: 0 }],
  ['&=', { operation: BPF_AND, offset: 0 }],
  ['<<=', { operation: BPF_LSH, offset: 0 }],
  ['>>=', { operation: BPF_RSH, offset: 0 }],
  ['%=', { operation: BPF_MOD, offset: 0 }],
  ['s%=', { operation: BPF_MOD, offset: 1 }],
  ['^=', { operation: BPF_XOR, offset: 0 }],
  ['=', { operation: BPF_MOV, offset: 0 }],
  ['s>>=', { operation: BPF_ARSH, offset: 0 }],
]);

/** Comparisons of conditional jumps. */
export const JUMP_WORDS: ReadonlyMap<string, number> = new Map([
  ['==', BPF_JEQ],
  ['>', BPF_JGT],
  ['>=', BPF_JGE],
  ['&', BPF_JSET],
  ['!=', BPF_JNE],
  ['s>', BPF_JSGT],
  ['s>=', BPF_JSGE],
  ['<', BPF_JLT],
  ['<=', BPF_JLE],
  ['s<', BPF_JSLT],
  ['s<=', BPF_JSLE],
]);

/** Sizes of memory accesses, by the bits in their name: `u32`, `s32`. */
export const SIZES: ReadonlyMap<number, number> = new Map([
  [8, BPF_B],
  [16, BPF_H],
  [32, BPF_W],
  [64, BPF_DW],
]);

/** Operations that atomic instructions have, as their names have them: `atomic_fetch_add`. */
export const ATOMIC_WORDS: ReadonlyMap<string, number> = new Map([
  ['add', BPF_ADD],
  ['or', BPF_OR],
  ['and', BPF_AND],
  ['xor', BPF_XOR],
]);

/** The key under which a table has a value, or undefined. */
export function wordOf<Key, Value>(
  table: ReadonlyMap<Key, Value>,
  matches: (value: Value) => boolean,
): Key | undefined {
  for (const [key, value] of table) if (matches(value)) return key;
  return undefined;
}
