import {
  CONTEXT_BYTES,
  CONTEXT_DATA,
  CONTEXT_DATA_END,
  CONTEXT_DATA_META,
  CONTEXT_EGRESS_IFINDEX,
  STACK_FRAME_BYTES,
} from '../execution.js';
import type { Instruction } from '../instruction.js';
import { accessBytes } from '../instruction-form.js';
import { BPF_ATOMIC, BPF_CLASS_MASK, BPF_CMPXCHG, BPF_FETCH, BPF_MEMSX, BPF_MODE_MASK, BPF_STX } from '../opcodes.js';
import { constantBounds, isConstant, loadedBounds } from './bounds.js';
import { describeValue } from './description.js';
import { checkAccess, checkAlignment, frameOf, type Reach } from './memory-access.js';
import { createPointer, isPacketPointer, NumberValue, type Pointer, type PointerKind, type Value } from './value.js';
import type { Walk } from './walk.js';

/** Follows BPF_LDX. */
export function followLoad(walk: Walk, { opcode, destination, source, offset }: Instruction): void {
  const bytes = accessBytes(opcode);
  const signed = (opcode & BPF_MODE_MASK) === BPF_MEMSX;
  walk.write(destination, loaded(walk, walk.read(source), offset, bytes, signed));
}

/** Follows BPF_ST and BPF_STX. */
export function followStore(walk: Walk, instruction: Instruction): void {
  const { opcode, destination, source, offset, immediate } = instruction;
  const bytes = accessBytes(opcode);
  const fromRegister = (opcode & BPF_CLASS_MASK) === BPF_STX;
  if (fromRegister && (opcode & BPF_MODE_MASK) === BPF_ATOMIC) {
    followAtomic(walk, instruction, bytes);
    return;
  }
  const stored = fromRegister ? walk.read(source) : new NumberValue(walk.constant(immediate));
  store(walk, walk.read(destination), offset, bytes, stored);
}

function followAtomic(walk: Walk, { destination, source, offset, immediate }: Instruction, bytes: number): void {
  const target = walk.read(destination);
  walk.read(source);
  if (immediate === BPF_CMPXCHG) walk.read(0);
  const isMemory = !(target instanceof NumberValue) && !isPacketPointer(target) && target.kind !== 'context';
  if (!(target instanceof NumberValue)) {
    if (!isMemory) {
      walk.refuse(`atomic operations work on stack, map values and reserved memory, not on the ${target.kind}`);
    }
    checkAlignment(walk, target, offset, bytes);
  }
  const before = loaded(walk, target, offset, bytes, false);
  store(walk, target, offset, bytes, undefined);
  if (immediate === BPF_CMPXCHG) walk.write(0, before);
  else if ((immediate & BPF_FETCH) !== 0) walk.write(source, before);
}

function loaded(walk: Walk, value: Value, offset: number, bytes: number, signed: boolean): Value {
  const unknown = () => new NumberValue(loadedBounds(bytes, signed));
  if (value instanceof NumberValue || value.kind !== 'context') {
    const reach = checkAccess(walk, value, offset, bytes, false);
    const pointer = value as Pointer;
    noteAccess(walk, pointer, reach, bytes);
    if (pointer.kind === 'stack') return loadedFromStack(walk, pointer, offset, reach, bytes, signed) ?? unknown();
    return (pointer.kind === 'map value' ? frozenValue(pointer, reach, bytes, signed) : undefined) ?? unknown();
  }
  return loadedFromContext(walk, value, offset, bytes, signed) ?? unknown();
}

/** What a load of a field of struct xdp_md gives: a pointer, or undefined for a number. */
function loadedFromContext(
  walk: Walk,
  context: Pointer,
  offset: number,
  bytes: number,
  signed: boolean,
): Value | undefined {
  checkContext(walk, context);
  if (bytes !== 4 || (offset & 3) !== 0 || offset < 0 || offset >= CONTEXT_BYTES) {
    walk.refuse(`the context has fields of 4 bytes at 0 to ${CONTEXT_BYTES - 4}; ${bytes} bytes at ${offset} are none`);
  }
  if (offset === CONTEXT_EGRESS_IFINDEX && walk.program.place !== 'xdp/devmap') {
    walk.refuse('egress_ifindex is there for programs of a devmap (place xdp/devmap) alone');
  }
  walk.noteAccess('context', bytes, offset);
  const kind = POINTERS.get(offset);
  if (kind === undefined) return undefined;
  if (signed) walk.refuse('a pointer cannot be loaded with its sign extended');
  return createPointer(kind);
}

const POINTERS = new Map<number, PointerKind>([
  [CONTEXT_DATA, 'packet'],
  [CONTEXT_DATA_END, 'packet end'],
  [CONTEXT_DATA_META, 'packet metadata'],
]);

/** The context is used as it was given. */
export function checkContext(walk: Walk, context: Pointer): void {
  if (context.offset !== 0 || !isConstant(context.variable)) {
    walk.refuse(`${describeValue(context)}: the context is used as it was given`);
  }
}

function loadedFromStack(
  walk: Walk,
  pointer: Pointer,
  offset: number,
  reach: Reach,
  bytes: number,
  signed: boolean,
): Value | undefined {
  checkAlignment(walk, pointer, offset, bytes);
  const { stack } = frameOf(walk, pointer);
  const length = reach.last - reach.first;
  if (walk.options.unwrittenStack === false && !stack.isWritten(reach.first, length)) {
    walk.refuse(`stack is read that was not written (bytes ${reach.first - STACK_FRAME_BYTES} on)`);
  }
  if (reach.fixed) return stack.read(reach.first, bytes, signed, walk.time);
  stack.noteRead(reach.first, length, walk.time);
  return undefined;
}

/** What a map that never changes holds, or undefined where that is not known. */
function frozenValue({ map }: Pointer, reach: Reach, bytes: number, signed: boolean): Value | undefined {
  if (map?.frozen !== true || map.initialValue === undefined || map.maxEntries !== 1 || !reach.fixed) return undefined;
  let number = 0n;
  for (let i = bytes - 1; i >= 0; i--) number = (number << 8n) | BigInt(map.initialValue[reach.first + i] ?? 0);
  return new NumberValue(constantBounds(signed ? BigInt.asIntN(bytes * 8, number) : number));
}

/** @param stored undefined for what is not known */
function store(walk: Walk, value: Value, offset: number, bytes: number, stored: Value | undefined): void {
  if (!(value instanceof NumberValue) && value.kind === 'context') walk.refuse('the context cannot be written');
  const reach = checkAccess(walk, value, offset, bytes, true);
  const pointer = value as Pointer;
  noteAccess(walk, pointer, reach, bytes);
  if (pointer.kind !== 'stack') return;
  checkAlignment(walk, pointer, offset, bytes);
  const { stack } = frameOf(walk, pointer);
  if (!reach.fixed) {
    stack.forget(reach.first, reach.last - reach.first);
    return;
  }
  if (stored !== undefined && !(stored instanceof NumberValue)) {
    if (bytes < 8)
      walk.refuse(`of a pointer (${describeValue(stored)}) ${bytes} bytes alone cannot be stored on the stack`);
    // Whose stack it is would have to be followed for as long as the caller's frame is there.
    if (stored.kind === 'stack' && pointer.place < walk.state.frames.length - 1) {
      walk.refuse("a pointer to the stack cannot be stored in a caller's frame");
    }
  }
  stack.write(reach.first, bytes, stored);
}

/** @param reach as `checkAccess` gave it */
function noteAccess(walk: Walk, pointer: Pointer, reach: Reach, bytes: number): void {
  const isOwn = pointer.kind !== 'stack' || pointer.place === walk.state.frames.length - 1;
  const start = pointer.kind === 'stack' ? STACK_FRAME_BYTES : 0;
  const isSteady = reach.fixed && isOwn && pointer.kind !== 'reserved memory';
  walk.noteAccess(pointer.kind, bytes, isSteady ? reach.first - start : undefined);
}
