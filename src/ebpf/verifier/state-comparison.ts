import { includesBounds, isConstant, isUnknown } from './bounds.js';
import type { StackMemory } from './stack-memory.js';
import type { Frame, State } from './state.js';
import { type Identity, NumberValue, type Value } from './value.js';

/** How two states are compared. */
export interface Comparison {
  /** All that is known counts, and not only what a verdict was found to depend on: for states whose ways are still being followed. */
  readonly exact: boolean;
  /** Registers that are read from here on, a bit for each, by frame. */
  readonly live: readonly number[];
  /** Whether it counts which bytes of the stack were written. */
  readonly written: boolean;
}

/** Which number or thing of the new state stands for which of the old one: always the same for the same. */
class Pairs {
  readonly #old: (NumberValue | Identity)[] = [];
  readonly #found: (NumberValue | Identity)[] = [];

  match(old: NumberValue | Identity, found: NumberValue | Identity): boolean {
    const index = this.#old.indexOf(old);
    if (index >= 0) return this.#found[index] === found;
    this.#old.push(old);
    this.#found.push(found);
    return true;
  }
}

/**
 * Whether all that can happen from the new state on can happen from the old one: then it need not be followed.
 *
 * @param time when the old state was kept: what its stack held and nobody has read since does not count, unless all does
 */
export function coversState(old: State, found: State, comparison: Comparison, time: number): boolean {
  if (old.frames.length !== found.frames.length || old.reserved.length !== found.reserved.length) return false;
  const pairs = new Pairs();
  for (const [i, identity] of old.reserved.entries()) if (!pairs.match(identity, found.reserved[i]!)) return false;
  for (let i = old.frames.length - 1; i >= 0; i--) {
    if (!coversFrame(old.frames[i]!, found.frames[i]!, comparison, i, time, pairs)) return false;
  }
  return true;
}

function coversFrame(
  old: Frame,
  found: Frame,
  comparison: Comparison,
  place: number,
  time: number,
  pairs: Pairs,
): boolean {
  const live = comparison.live[place]!;
  if (old.subprogram !== found.subprogram || old.callSite !== found.callSite) return false;
  if (old.isCallback !== found.isCallback || old.reserved !== found.reserved) return false;
  for (let register = 0; register < 10; register++) {
    if ((live & (1 << register)) === 0) continue;
    if (!coversValue(old.registers[register], found.registers[register], comparison.exact, pairs)) return false;
  }
  return coversStack(old.stack, found.stack, comparison, time, pairs);
}

function coversStack(
  old: StackMemory,
  found: StackMemory,
  { exact, written }: Comparison,
  time: number,
  pairs: Pairs,
): boolean {
  if (written && !found.hasWrittenAllOf(old)) return false;
  for (const { at, bytes, value, reads } of old.parts) {
    if (!exact && reads.last <= time) continue;
    const part = found.parts.find((candidate) => candidate.at === at && candidate.bytes === bytes);
    if (part !== undefined) {
      if (!coversValue(value, part.value, exact, pairs)) return false;
    } else if (!(value instanceof NumberValue) || !isAnyNumber(value, exact)) return false;
  }
  return true;
}

function isAnyNumber(value: NumberValue, exact: boolean): boolean {
  return (!exact && !value.precise) || isUnknown(value.bounds);
}

function coversValue(old: Value | undefined, found: Value | undefined, exact: boolean, pairs: Pairs): boolean {
  if (old === undefined) return true;
  if (found === undefined) return false;
  if (old instanceof NumberValue) {
    if (isAnyNumber(old, exact) && (!old.precise || !(found instanceof NumberValue))) return true;
    if (!(found instanceof NumberValue) || !includesBounds(old.bounds, found.bounds)) return false;
    return isConstant(old.bounds) || pairs.match(old, found);
  }
  if (found instanceof NumberValue || old.kind !== found.kind) return false;
  if (old.offset !== found.offset || old.place !== found.place || old.map !== found.map) return false;
  if (old.orNull !== found.orNull || !includesBounds(old.variable, found.variable)) return false;
  if (old.kind === 'packet' || old.kind === 'packet metadata') {
    return old.bytes <= found.bytes && pairs.match(old.identity, found.identity);
  }
  if (old.bytes !== found.bytes) return false;
  const isOne = old.orNull || old.kind === 'reserved memory';
  return !isOne || pairs.match(old.identity, found.identity);
}

/** What the verdict on the old state depended on, that on the new one depends on, too. */
export function inheritDemands(old: State, found: State, { live }: Comparison, time: number, now: number): void {
  for (const [i, frame] of old.frames.entries()) {
    const { registers, stack } = found.frames[i]!;
    for (let register = 0; register < 10; register++) {
      if ((live[i]! & (1 << register)) !== 0) demandLike(frame.registers[register], registers[register]);
    }
    for (const { at, bytes, value, reads } of frame.stack.parts) {
      if (reads.last <= time) continue;
      stack.noteRead(at, bytes, now);
      for (const part of stack.parts) {
        if (part.at < at + bytes && at < part.at + part.bytes) demandLike(value, part.value);
      }
    }
  }
}

function demandLike(old: Value | undefined, found: Value | undefined): void {
  if (old instanceof NumberValue && old.precise && found instanceof NumberValue) found.demand();
}

/** The verdict may depend on all that the state holds. */
export function demandAll({ frames }: State): void {
  for (const { registers, stack } of frames) {
    for (const value of registers) if (value instanceof NumberValue) value.demand();
    for (const { value } of stack.parts) if (value instanceof NumberValue) value.demand();
  }
}

/**
 * Before the same code runs again, gives up what is known of numbers that have changed since it ran last and that no verdict has depended on,
 * so that a state comes about that holds however often it runs.
 */
export function forgetChanged(state: State, before: State): void {
  for (const [i, frame] of state.frames.entries()) {
    const old = before.frames[i]!;
    const changed = new Map<NumberValue, NumberValue>();
    const compare = (value: Value | undefined, earlier: Value | undefined) => {
      if (!(value instanceof NumberValue) || !(earlier instanceof NumberValue)) return;
      if (value.precise || earlier.precise || includesBounds(earlier.bounds, value.bounds)) return;
      changed.set(value, NumberValue.unknown());
    };
    for (let register = 0; register < 10; register++) compare(frame.registers[register], old.registers[register]);
    for (const part of frame.stack.parts) {
      compare(part.value, old.stack.parts.find(({ at, bytes }) => at === part.at && bytes === part.bytes)?.value);
    }
    const change = (value: Value) => (value instanceof NumberValue ? (changed.get(value) ?? value) : value);
    for (let register = 0; register < 10; register++) {
      const value = frame.registers[register];
      if (value !== undefined) frame.registers[register] = change(value);
    }
    frame.stack.replace(change);
  }
}
