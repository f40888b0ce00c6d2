import { STACK_FRAME_BYTES } from '../execution.js';
import { BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG } from '../maps/contract.js';
import { isConstant } from './bounds.js';
import { describeValue } from './description.js';
import { FARTHEST } from './pointer-arithmetic.js';
import type { Frame } from './state.js';
import { NumberValue, type Pointer, type Value } from './value.js';
import type { Walk } from './walk.js';

/** Bytes that an access may touch, counted from the start of the target; of stacks from the lower end of the frame. */
export interface Reach {
  readonly first: number;
  readonly last: number;
  /** Whether it is always at `first`. */
  readonly fixed: boolean;
}

/**
 * Checks that all bytes of an access lie inside what a pointer points into.
 *
 * @param offset of the instruction
 * @throws PacketError PROGRAM_REFUSED
 */
export function checkAccess(walk: Walk, value: Value, offset: number, bytes: number, writes: boolean): Reach {
  if (value instanceof NumberValue) {
    walk.refuse(`memory is accessed at a number (${describeValue(value)}), not at a pointer`);
  }
  if (value.orNull) walk.refuse(`${describeValue(value)} must be compared with 0 before its memory is accessed`);
  const reach = reachOf(walk, value, offset, bytes);
  const size = sizeOf(walk, value, writes);
  if (reach.first < 0 || reach.last > size) {
    const [from, to] = value.kind === 'stack' ? [reach.first - size, reach.last - size] : [reach.first, reach.last];
    walk.refuse(
      `an access of ${bytes} bytes at ${describeValue(value)} may touch bytes ${from} to ${to - 1}, ${roomOf(value, size)}`,
    );
  }
  if (value.kind === 'stack') walk.noteStack(frameOf(walk, value).subprogram, STACK_FRAME_BYTES - reach.first);
  return reach;
}

/** The frame that a pointer to a stack points into. */
export function frameOf(walk: Walk, { place }: Pointer): Frame {
  return walk.state.frames[place]!;
}

/** Checks that an access is at a multiple of its size. */
export function checkAlignment(
  walk: Walk,
  { kind, offset: start, variable }: Pointer,
  offset: number,
  bytes: number,
): void {
  const at = BigInt(start + offset) + variable.bits.value;
  const unknown = variable.bits.mask;
  if (((at | unknown) & BigInt(bytes - 1)) !== 0n) {
    walk.refuse(`an access of ${bytes} bytes in the ${kind} is not at a multiple of ${bytes}`);
  }
}

function reachOf(walk: Walk, pointer: Pointer, offset: number, bytes: number): Reach {
  const { variable } = pointer;
  const base = pointer.offset + offset + (pointer.kind === 'stack' ? STACK_FRAME_BYTES : 0);
  if (variable.signedLeast <= -FARTHEST || variable.signedMost >= FARTHEST) {
    walk.refuse(`${describeValue(pointer)} may be anywhere: limit the number before it is added`);
  }
  // A packet pointer's checked bytes count from where the unknown distance ends, which must not be in front of the packet.
  if (pointer.kind === 'packet' || pointer.kind === 'packet metadata') {
    if (variable.signedLeast < 0n) walk.refuse(`${describeValue(pointer)} may point in front of the packet`);
    return { first: base, last: base + bytes, fixed: isConstant(variable) };
  }
  const first = base + Number(variable.signedLeast);
  return { first, last: base + Number(variable.signedMost) + bytes, fixed: isConstant(variable) };
}

/** Bytes that may be accessed from a pointer's target. */
function sizeOf(walk: Walk, pointer: Pointer, writes: boolean): number {
  const { kind, map, bytes } = pointer;
  switch (kind) {
    case 'stack':
      return STACK_FRAME_BYTES;
    case 'packet':
    case 'packet metadata':
    case 'reserved memory':
      return bytes;
    case 'map key':
      if (writes) walk.refuse(`the key of an entry of map ${map!.name} cannot be written`);
      return map!.keySize;
    case 'map value':
      if (writes && (map!.frozen === true || (map!.flags & BPF_F_RDONLY_PROG) !== 0)) {
        walk.refuse(`programs may only read map ${map!.name}`);
      }
      if (!writes && (map!.flags & BPF_F_WRONLY_PROG) !== 0) walk.refuse(`programs may only write map ${map!.name}`);
      return map!.valueSize;
    default:
      return walk.refuse(`the ${kind} is no memory to access`);
  }
}

function roomOf({ kind }: Pointer, size: number): string {
  if (kind === 'stack') return `and a frame has bytes -${size} to -1`;
  if (kind === 'packet' || kind === 'packet metadata') {
    return `and ${size} bytes were compared with its end`;
  }
  return `and there are ${size} bytes`;
}
