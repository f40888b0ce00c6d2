import type { Instruction } from '../instruction.js';
import {
  BPF_ALU64,
  BPF_ARSH,
  BPF_CLASS_MASK,
  BPF_DIV,
  BPF_END,
  BPF_LSH,
  BPF_MOD,
  BPF_MOV,
  BPF_NEG,
  BPF_OPERATION_MASK,
  BPF_RSH,
  BPF_SOURCE_MASK,
  BPF_SUB,
  BPF_TO_LE,
  BPF_X,
  BPF_XOR,
} from '../opcodes.js';
import { type Bounds, constantBounds, isConstant, loadedBounds, lowerHalf, UNKNOWN, ZERO } from './bounds.js';
import { calculate32, calculate64, extendSign } from './bounds-arithmetic.js';
import { addToPointer } from './pointer-arithmetic.js';
import { NumberValue, type Value } from './value.js';
import type { Walk } from './walk.js';

/** Follows an instruction of BPF_ALU or BPF_ALU64. */
export function followArithmetic(walk: Walk, instruction: Instruction): void {
  const { opcode, destination, source, immediate } = instruction;
  const operation = opcode & BPF_OPERATION_MASK;
  const wide = (opcode & BPF_CLASS_MASK) === BPF_ALU64;
  if (operation === BPF_END) {
    followByteOrder(walk, instruction, wide);
    return;
  }
  if (operation === BPF_NEG) {
    followNegation(walk, destination, wide);
    return;
  }
  const isRegister = (opcode & BPF_SOURCE_MASK) === BPF_X;
  if (!isRegister) checkImmediate(walk, operation, immediate, wide);
  const right = isRegister ? walk.read(source) : new NumberValue(walk.constant(immediate));
  if (operation === BPF_MOV) {
    followMove(walk, instruction, wide, right);
    return;
  }
  const left = walk.read(destination);
  if (left instanceof NumberValue && right instanceof NumberValue) {
    followCalculation(walk, instruction, operation, wide, left, right, isRegister && source === destination);
    return;
  }
  if (left instanceof NumberValue || right instanceof NumberValue) {
    addToPointer(walk, operation, wide, destination, left, right);
    return;
  }
  if (operation !== BPF_SUB) walk.refuse(`two pointers cannot be calculated with, but for their distance`);
  walk.writeNumber(destination, wide ? UNKNOWN : loadedBounds(4, false));
}

function checkImmediate(walk: Walk, operation: number, immediate: number, wide: boolean): void {
  if ((operation === BPF_DIV || operation === BPF_MOD) && immediate === 0) walk.refuse('it divides by 0');
  if (operation !== BPF_LSH && operation !== BPF_RSH && operation !== BPF_ARSH) return;
  const bits = wide ? 64 : 32;
  if (immediate < 0 || immediate >= bits) walk.refuse(`${bits} bits cannot be shifted by ${immediate}`);
}

function followMove(walk: Walk, { destination, offset }: Instruction, wide: boolean, value: Value): void {
  if (wide && offset === 0) {
    walk.write(destination, value);
    return;
  }
  if (!(value instanceof NumberValue)) {
    walk.writeNumber(destination, wide ? UNKNOWN : loadedBounds(4, false));
    return;
  }
  const { bounds } = value;
  const extended = offset === 0 ? bounds : extendSign(bounds, offset);
  const moved = wide ? extended : lowerHalf(extended);
  // A number that stays the same stays the same object: what is learnt of one holds for both.
  if (moved === bounds) {
    walk.write(destination, value);
    return;
  }
  walk.writeNumber(destination, moved, value);
}

function followNegation(walk: Walk, destination: number, wide: boolean): void {
  const value = walk.read(destination);
  if (!(value instanceof NumberValue)) {
    walk.writeNumber(destination, wide ? UNKNOWN : loadedBounds(4, false));
    return;
  }
  const calculate = wide ? calculate64 : calculate32;
  walk.writeNumber(destination, calculate(BPF_SUB, ZERO, value.bounds, false), value);
}

function followByteOrder(walk: Walk, { opcode, destination, immediate }: Instruction, wide: boolean): void {
  const value = walk.read(destination);
  const known = loadedBounds(immediate / 8, false);
  if (!(value instanceof NumberValue) || !isConstant(value.bounds)) {
    walk.writeNumber(destination, known);
    return;
  }
  const swaps = wide || (opcode & BPF_SOURCE_MASK) !== BPF_TO_LE;
  walk.writeNumber(destination, constantBounds(changed(value.bounds, immediate, swaps)), value);
}

function changed({ least }: Bounds, size: number, swaps: boolean): bigint {
  const lower = BigInt.asUintN(size, least);
  if (!swaps) return lower;
  let swapped = 0n;
  for (let at = 0n; at < size; at += 8n) swapped = (swapped << 8n) | ((lower >> at) & 0xffn);
  return swapped;
}

function followCalculation(
  walk: Walk,
  { destination, offset }: Instruction,
  operation: number,
  wide: boolean,
  left: NumberValue,
  right: NumberValue,
  isSame: boolean,
): void {
  // A register less itself, or exclusive-or itself, is 0 whatever it holds.
  if (isSame && (operation === BPF_SUB || operation === BPF_XOR)) {
    walk.writeNumber(destination, ZERO);
    return;
  }
  const signed = offset === 1;
  const calculate = wide ? calculate64 : calculate32;
  const bounds = walk.result(left.bounds, right.bounds, () => calculate(operation, left.bounds, right.bounds, signed));
  walk.writeNumber(destination, bounds, left, right);
}
