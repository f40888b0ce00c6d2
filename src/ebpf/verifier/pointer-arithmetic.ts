import { BPF_ADD, BPF_SUB } from '../opcodes.js';
import { isConstant, loadedBounds } from './bounds.js';
import { calculate64 } from './bounds-arithmetic.js';
import { describeValue } from './description.js';
import { Identity, isPacketPointer, NumberValue, type Pointer, type Value } from './value.js';
import type { Walk } from './walk.js';

/** Pointers are kept this near to what they point into (BPF_MAX_VAR_OFF), so that no sum of them ever wraps. */
export const FARTHEST = 1 << 29;

/** Follows a calculation with a pointer and a number: adding the number to it, or subtracting it. */
export function addToPointer(
  walk: Walk,
  operation: number,
  wide: boolean,
  destination: number,
  left: Value,
  right: Value,
): void {
  if (!wide) {
    // Linux allows the 32-bit difference alone, and so do we.
    if (operation !== BPF_SUB) walk.refuse('pointers have 64 bits, and cannot be calculated with in 32');
    walk.writeNumber(destination, loadedBounds(4, false));
    return;
  }
  if (operation !== BPF_ADD && operation !== BPF_SUB) walk.refuse('pointers can only be added to and subtracted from');
  if (left instanceof NumberValue) {
    if (operation === BPF_SUB) walk.refuse('a pointer cannot be subtracted from a number');
    walk.write(destination, moved(walk, right as Pointer, left, operation));
    return;
  }
  walk.write(destination, moved(walk, left, right as NumberValue, operation));
}

function moved(walk: Walk, pointer: Pointer, by: NumberValue, operation: number): Pointer {
  const { kind, orNull } = pointer;
  if (orNull) walk.refuse(`${describeValue(pointer)} must be compared with 0 before it is calculated with`);
  // Linux's compilers to machine code need not know such code, so no other verifier lets it pass.
  if (kind === 'stack' && operation === BPF_SUB)
    walk.refuse('nothing can be subtracted from a pointer to the stack: add a negative number');
  by.demand();
  const isZero = isConstant(by.bounds) && by.bounds.least === 0n;
  if (kind === 'map' || kind === 'packet end' || kind === 'subprogram') {
    if (isZero && operation === BPF_ADD) return pointer;
    walk.refuse(`the ${kind} cannot be calculated with`);
  }
  const { signedLeast, signedMost } = by.bounds;
  if (signedLeast <= -FARTHEST || (isConstant(by.bounds) && signedMost >= FARTHEST)) {
    walk.refuse(`${describeValue(by)} is too far for a pointer: limit it before`);
  }
  if (isConstant(by.bounds)) {
    const offset = pointer.offset + Number(operation === BPF_ADD ? signedLeast : -signedLeast);
    if (Math.abs(offset) >= FARTHEST) walk.refuse(`${describeValue(pointer)} would be ${offset} bytes off`);
    return { ...pointer, offset };
  }
  const variable = calculate64(operation, pointer.variable, by.bounds, false);
  if (variable.signedLeast <= -FARTHEST) {
    walk.refuse(`${describeValue(pointer)} would be too far off: limit the number before`);
  }
  if (!isPacketPointer(pointer)) return { ...pointer, variable };
  // What was compared with the packet's end holds on for pointers farther to the front only.
  const keeps = operation === BPF_SUB && signedLeast >= 0n;
  return { ...pointer, variable, identity: new Identity(walk.slot), bytes: keeps ? pointer.bytes : 0 };
}
