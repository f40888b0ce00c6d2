import type { ArgumentType, Helper } from '../helpers/contract.js';
import type { MapDefinition } from '../maps/contract.js';
import { isConstant } from './bounds.js';
import { describeValue } from './description.js';
import { checkContext } from './loads-and-stores.js';
import { checkAccess, checkAlignment, frameOf } from './memory-access.js';
import { FARTHEST } from './pointer-arithmetic.js';
import { type Identity, NumberValue, type Pointer, type Value } from './value.js';
import type { Walk } from './walk.js';

/** Helpers take sizes of 32 bits; they then return 0 for more than there is. */
const MOST_ALLOCATED = 0xffff_ffffn;

/** What the arguments of a call have told. */
export interface CallFacts {
  /** The map it is about. */
  readonly map: MapDefinition | undefined;
  /** The key where it is known: an index of an array. */
  readonly index: number | undefined;
  /** Of `allocation-size`. */
  readonly allocatedBytes: number;
  /** Of `reserved-memory`. */
  readonly released: Identity | undefined;
  /** Of `callback`: its first slot. */
  readonly callback: number | undefined;
}

/**
 * Checks the arguments of a call against the helper's table, and notes what it writes to the stack.
 *
 * @throws PacketError PROGRAM_REFUSED
 */
export function checkArguments(walk: Walk, helper: Helper): CallFacts {
  const facts: { -readonly [Name in keyof CallFacts]: CallFacts[Name] } = {
    map: undefined,
    index: undefined,
    allocatedBytes: 0,
    released: undefined,
    callback: undefined,
  };
  for (const [i, type] of helper.arguments.entries()) {
    const register = i + 1;
    const value = walk.read(register);
    const refuse: (wanted: string) => never = (wanted) =>
      walk.refuse(`register ${register} of ${helper.name} must be ${wanted}, not ${describeValue(value)}`);
    switch (type) {
      case 'anything':
        break;
      case 'context':
        if (value instanceof NumberValue || value.kind !== 'context') refuse('the context');
        else checkContext(walk, value);
        break;
      case 'map':
        if (value instanceof NumberValue || value.kind !== 'map' || value.orNull) refuse('a map');
        facts.map = value.map!;
        if (helper.mapTypes?.includes(facts.map.type) === false) {
          walk.refuse(`${helper.name} does not take maps of type ${facts.map.type} (${facts.map.name})`);
        }
        break;
      case 'map-key':
        facts.index = knownIndex(walk, value, facts.map!);
        checkMemory(walk, value, facts.map!.keySize, 'memory');
        break;
      case 'map-value':
        checkMemory(walk, value, facts.map!.valueSize, 'memory');
        break;
      case 'map-value-out':
        checkMemory(walk, value, facts.map!.valueSize, 'memory-out');
        break;
      case 'memory':
      case 'memory-or-null':
      case 'memory-out':
      case 'memory-in-out':
        checkSizedMemory(walk, helper, i, value);
        break;
      case 'size':
      case 'size-or-zero':
        break; // with the memory before it
      case 'memory-out-2':
      case 'memory-out-4':
      case 'memory-out-8': {
        const bytes = Number(type.slice(-1));
        checkMemory(walk, value, bytes, 'memory-out');
        checkAlignment(walk, value as Pointer, 0, bytes);
        break;
      }
      case 'allocation-size':
        if (!(value instanceof NumberValue) || !isConstant(value.bounds) || value.bounds.most > MOST_ALLOCATED) {
          refuse('a known size');
        }
        value.demand();
        facts.allocatedBytes = Number(value.bounds.most);
        break;
      case 'reserved-memory':
        if (value instanceof NumberValue || value.kind !== 'reserved memory' || value.orNull) refuse('reserved memory');
        if (value.offset !== 0 || !isConstant(value.variable)) refuse('the start of reserved memory');
        facts.released = value.identity;
        break;
      case 'constant-string':
        checkText(walk, value, refuse);
        break;
      case 'callback':
        if (value instanceof NumberValue || value.kind !== 'subprogram') refuse('a subprogram');
        facts.callback = value.place;
        break;
      case 'stack-or-null':
        if (value instanceof NumberValue ? !isZero(value) : value.kind !== 'stack') {
          refuse('a place on the stack, or 0');
        }
        if (value instanceof NumberValue) value.demand();
        break;
    }
  }
  return facts;
}

function isZero({ bounds }: NumberValue): boolean {
  return isConstant(bounds) && bounds.least === 0n;
}

/** Memory whose size the next argument says. */
function checkSizedMemory(walk: Walk, helper: Helper, i: number, memory: Value): void {
  const type = helper.arguments[i]!;
  const size = walk.read(i + 2);
  if (!(size instanceof NumberValue)) {
    walk.refuse(`register ${i + 2} of ${helper.name} must be a size, not ${describeValue(size)}`);
  }
  size.demand();
  const { signedLeast, signedMost } = size.bounds;
  if (signedLeast < 0n) {
    walk.refuse(`register ${i + 2} of ${helper.name} is a size that may be negative: ${describeValue(size)}`);
  }
  if (signedMost >= FARTHEST) {
    walk.refuse(`register ${i + 2} of ${helper.name} is a size without a limit: ${describeValue(size)}`);
  }
  if (helper.arguments[i + 1] === 'size' && signedLeast === 0n) {
    walk.refuse(`register ${i + 2} of ${helper.name} is a size that may be 0: ${describeValue(size)}`);
  }
  if (type === 'memory-or-null' && memory instanceof NumberValue && isZero(memory) && signedMost === 0n) {
    memory.demand();
    return;
  }
  checkMemory(walk, memory, Number(signedMost), type);
}

/** Memory of so many bytes, at most. */
function checkMemory(walk: Walk, value: Value, bytes: number, type: ArgumentType): void {
  const writes = type === 'memory-out' || type === 'memory-in-out';
  const reach = checkAccess(walk, value, 0, bytes, writes);
  if (type === 'memory-in-out') checkAccess(walk, value, 0, bytes, false);
  const pointer = value as Pointer;
  if (pointer.kind !== 'stack') return;
  const { stack } = frameOf(walk, pointer);
  const length = reach.last - reach.first;
  if (type !== 'memory-out') {
    if (walk.options.unwrittenStack === false && !stack.isWritten(reach.first, length)) {
      walk.refuse('a helper reads stack that was not written');
    }
    stack.noteRead(reach.first, length, walk.time);
  }
  if (!writes) return;
  if (reach.fixed && type === 'memory-out') stack.write(reach.first, length, undefined);
  else stack.forget(reach.first, length);
}

/** The index of an array's entry, where the key on the stack is a known number. */
function knownIndex(walk: Walk, key: Value, { type, keySize, maxEntries }: MapDefinition): number | undefined {
  if ((type !== 'array' && type !== 'percpu_array') || keySize !== 4) return undefined;
  if (key instanceof NumberValue || key.kind !== 'stack' || !isConstant(key.variable)) return undefined;
  const { first } = checkAccess(walk, key, 0, 4, false);
  const value = frameOf(walk, key).stack.read(first, 4, false, walk.time);
  if (!(value instanceof NumberValue) || !isConstant(value.bounds) || value.bounds.most >= maxEntries) return undefined;
  value.demand();
  return Number(value.bounds.most);
}

/** Text in a map that never changes, with a 0 behind it. */
function checkText(walk: Walk, value: Value, refuse: (wanted: string) => never): void {
  if (value instanceof NumberValue || value.kind !== 'map value' || value.map?.frozen !== true) {
    refuse('text in a frozen map');
  }
  const reach = checkAccess(walk, value, 0, 1, false);
  const ends = reach.fixed && (value.map.initialValue ?? new Uint8Array(1)).subarray(reach.first).includes(0);
  if (!ends && (value.map.initialValue?.length ?? 0) >= value.map.valueSize) refuse('text that ends in 0');
}
