import type { Instruction } from '../instruction.js';
import {
  BPF_CLASS_MASK,
  BPF_JEQ,
  BPF_JGE,
  BPF_JGT,
  BPF_JLE,
  BPF_JLT,
  BPF_JMP,
  BPF_JNE,
  BPF_OPERATION_MASK,
  BPF_SOURCE_MASK,
  BPF_X,
} from '../opcodes.js';
import { includesBounds, isConstant, ZERO } from './bounds.js';
import { type Learnt, learn } from './bounds-comparison.js';
import { copyState, replaceValues, type State } from './state.js';
import { isPacketPointer, NumberValue, PACKET_START, type Pointer, type Value } from './value.js';
import type { Walk } from './walk.js';

/** Farthest byte of a packet that a comparison with its end teaches something about. */
const MOST_PACKET_BYTES = 0xffff;

/** Follows a conditional jump: returns the slot to go on at, and leaves the other way to be followed later where both are possible. */
export function followJump(walk: Walk, instruction: Instruction): number {
  const { opcode, destination, source, offset, immediate } = instruction;
  const operation = opcode & BPF_OPERATION_MASK;
  const wide = (opcode & BPF_CLASS_MASK) === BPF_JMP;
  const left = walk.read(destination);
  const isRegister = (opcode & BPF_SOURCE_MASK) === BPF_X;
  const right = isRegister ? walk.read(source) : new NumberValue(walk.constant(immediate));
  const next = walk.slot + 1;
  const target = next + offset;
  if (left instanceof NumberValue && right instanceof NumberValue) {
    const [taken, passed] = walk.result(left.bounds, right.bounds, () => [
      learn(operation, left.bounds, right.bounds, wide, true),
      learn(operation, left.bounds, right.bounds, wide, false),
    ]);
    if (taken === undefined || passed === undefined) {
      left.demand();
      right.demand();
      teach(walk.state, left, right, taken ?? passed);
      return taken === undefined ? next : target;
    }
    const other = copyState(walk.state);
    teach(other, left, right, taken);
    teach(walk.state, left, right, passed);
    walk.forks.push({ state: other, slot: target });
    return next;
  }
  if (wide) {
    const decided = comparedWithZero(walk, operation, left, right, target, next);
    if (decided !== undefined) return decided;
  }
  const other = copyState(walk.state);
  if (wide) compareWithEnd(walk.state, other, operation, left, right);
  walk.forks.push({ state: other, slot: target });
  return next;
}

/** Puts what was learnt of two numbers in their place. */
function teach(state: State, left: NumberValue, right: NumberValue, learnt: Learnt): void {
  if (learnt === undefined) return;
  const [forLeft, forRight] = learnt;
  const newLeft = includesBounds(forLeft, left.bounds) ? left : new NumberValue(forLeft, left, right);
  const newRight = includesBounds(forRight, right.bounds) ? right : new NumberValue(forRight, right, left);
  if (newLeft === left && newRight === right) return;
  replaceValues(state, (value) => {
    if (value === left) return newLeft;
    return value === right ? newRight : value;
  });
}

/** A comparison of a pointer with 0: the slot to go on at, or undefined where it is none, or nothing is known of the pointer. */
function comparedWithZero(
  walk: Walk,
  operation: number,
  left: Value,
  right: Value,
  target: number,
  next: number,
): number | undefined {
  if (operation !== BPF_JEQ && operation !== BPF_JNE) return undefined;
  const [pointer, number] = left instanceof NumberValue ? [right, left] : [left, right];
  if (pointer instanceof NumberValue || !(number instanceof NumberValue)) return undefined;
  if (!isConstant(number.bounds) || number.bounds.least !== 0n) return undefined;
  number.demand();
  const [whenNull, otherwise] = operation === BPF_JEQ ? [target, next] : [next, target];
  if (!pointer.orNull) return isNeverNull(pointer) ? otherwise : undefined;
  const nullState = copyState(walk.state);
  const zero = new NumberValue(ZERO);
  replaceValues(nullState, (value) => (value === pointer ? zero : value));
  nullState.reserved = nullState.reserved.filter((identity) => identity !== pointer.identity);
  const present = { ...pointer, orNull: false };
  replaceValues(walk.state, (value) => (value === pointer ? present : value));
  walk.forks.push({ state: nullState, slot: whenNull });
  return otherwise;
}

function isNeverNull({ kind, offset, variable }: Pointer): boolean {
  const isObject = kind === 'map' || kind === 'map value' || kind === 'map key' || kind === 'reserved memory';
  return isObject && offset === 0 && variable === ZERO;
}

const MIRRORED = new Map([
  [BPF_JGT, BPF_JLT],
  [BPF_JLT, BPF_JGT],
  [BPF_JGE, BPF_JLE],
  [BPF_JLE, BPF_JGE],
]);

/** A comparison of a packet pointer with the packet's end, or of metadata with its start, says how many bytes lie between. */
function compareWithEnd(passed: State, taken: State, operation: number, left: Value, right: Value): void {
  if (left instanceof NumberValue || right instanceof NumberValue) return;
  if (ends(left, right)) compare(passed, taken, operation, left);
  else if (ends(right, left)) compare(passed, taken, MIRRORED.get(operation) ?? operation, right);
}

/** Whether what `pointer` points into ends at `end`. */
function ends(pointer: Pointer, end: Pointer): boolean {
  if (pointer.kind === 'packet') return end.kind === 'packet end';
  const isStart = end.kind === 'packet' && end.offset === 0 && end.identity === PACKET_START && end.variable === ZERO;
  return pointer.kind === 'packet metadata' && isStart;
}

function compare(passed: State, taken: State, operation: number, pointer: Pointer): void {
  switch (operation) {
    case BPF_JGT:
      extend(passed, pointer, pointer.offset);
      return;
    case BPF_JGE:
      extend(passed, pointer, pointer.offset + 1);
      return;
    case BPF_JLT:
      extend(taken, pointer, pointer.offset + 1);
      return;
    case BPF_JLE:
      extend(taken, pointer, pointer.offset);
      return;
  }
}

/** So many bytes behind the unknown part of a pointer are in the packet: for all pointers with the same unknown part. */
function extend(state: State, { kind, offset, variable, identity }: Pointer, bytes: number): void {
  if (offset < 0 || variable.most + BigInt(offset) > MOST_PACKET_BYTES) return;
  replaceValues(state, (value) => {
    if (value instanceof NumberValue || !isPacketPointer(value) || value.kind !== kind) return value;
    return value.identity === identity && value.bytes < bytes ? { ...value, bytes } : value;
  });
}
