import * as op from '../classic/opcodes.js';
import { holds, type Test } from './condition.js';
import type { Value } from './value.js';

/** What came of a test on the way to a place in the program, and what was found before it. */
export interface Fact {
  readonly test: Test;
  readonly outcome: boolean;
  readonly before: Fact | undefined;
  /** Facts before it. */
  readonly depth: number;
}

const GREATEST = 0xffffffff;
/** So many tests back is looked: farther ones would make long lists of conditions slow, and decide little. */
const LOOK_BACK = 2000;

function isNear(fact: Fact | undefined, last: Fact | undefined): fact is Fact {
  return fact !== undefined && last !== undefined && last.depth - fact.depth < LOOK_BACK;
}

/** Adds what came of a test to what is known. */
export function withFact(before: Fact | undefined, test: Test, outcome: boolean): Fact {
  return { test, outcome, before, depth: before === undefined ? 0 : before.depth + 1 };
}

/** What is known on both of two ways. */
export function inCommon(first: Fact | undefined, second: Fact | undefined): Fact | undefined {
  let one = first;
  let other = second;
  while (one !== other) {
    if (one === undefined || other === undefined) return undefined;
    if (one.depth >= other.depth) one = one.before;
    else other = other.before;
  }
  return one;
}

/** Whether all that a test loads must be there after what is known, so that the test may be left out where its outcome does not matter. */
export function isCovered({ left, right }: Test, facts: Fact | undefined): boolean {
  const needed = Math.max(endOf(left), endOf(right));
  if (needed === 0) return true;
  for (let fact = facts; isNear(fact, facts); fact = fact.before) {
    // What can be anywhere covers itself alone.
    if (fact.test.left === left && fact.test.right === right) return true;
    const end = Math.max(endOf(fact.test.left), endOf(fact.test.right));
    if (end !== Number.POSITIVE_INFINITY && end >= needed) return true;
  }
  return false;
}

/** Bytes that a packet has at least if a value can be calculated; infinite where that depends on the packet. */
function endOf(value: Value): number {
  switch (value.kind) {
    case 'packet':
      return value.base === undefined ? value.at + value.size : Number.POSITIVE_INFINITY;
    case 'header-length':
      return value.at + 1;
    case 'negate':
      return endOf(value.operand);
    case 'calculate':
      if (value.right.kind !== 'constant' && (value.operation === op.BPF_DIV || value.operation === op.BPF_MOD)) {
        return Number.POSITIVE_INFINITY; // by 0, possibly
      }
      return Math.max(endOf(value.left), endOf(value.right));
    default:
      return 0;
  }
}

/**
 * What a test must come to after what is known, or undefined. Values that it compares have been calculated before then, so that leaving
 * it out does not leave out a load.
 */
export function decided(test: Test, facts: Fact | undefined): boolean | undefined {
  const { comparison, left, right } = test;
  if (right.kind !== 'constant') {
    for (let fact = facts; isNear(fact, facts); fact = fact.before) if (fact.test.key === test.key) return fact.outcome;
    return undefined;
  }
  const value = known(left, facts);
  if (value !== undefined) return holds(comparison, value, right.value);
  const wanted = right.value;
  let low = 0;
  let high = GREATEST;
  let set = 0;
  let clear = 0;
  for (let fact = facts; isNear(fact, facts); fact = fact.before) {
    if (fact.test.left !== left || fact.test.right.kind !== 'constant') continue;
    if (fact.test.key === test.key) return fact.outcome;
    const limit = fact.test.right.value;
    switch (fact.test.comparison) {
      case 'greater':
        if (fact.outcome) low = Math.max(low, limit + 1);
        else high = Math.min(high, limit);
        break;
      case 'at-least':
        if (fact.outcome) low = Math.max(low, limit);
        else high = Math.min(high, limit - 1);
        break;
      case 'any-bits':
        if (!fact.outcome) clear |= limit;
        else if ((limit & (limit - 1)) === 0) set |= limit;
        break;
      case 'equal':
        break;
    }
  }
  return withinBounds(comparison, wanted, low, high, set, clear);
}

function withinBounds(
  comparison: Test['comparison'],
  wanted: number,
  low: number,
  high: number,
  set: number,
  clear: number,
): boolean | undefined {
  switch (comparison) {
    case 'equal':
      return wanted < low || wanted > high || (wanted & clear) !== 0 || (~wanted & set) !== 0 ? false : undefined;
    case 'greater':
      return low > wanted ? true : high <= wanted ? false : undefined;
    case 'at-least':
      return low >= wanted ? (low > 0 ? true : undefined) : high < wanted ? false : undefined;
    case 'any-bits':
      return (wanted & set) !== 0 ? true : (wanted & ~clear) === 0 ? false : undefined;
  }
}

/** The number that a value must be. */
function known(value: Value, facts: Fact | undefined): number | undefined {
  if (value.kind === 'constant') return value.value;
  for (let fact = facts; isNear(fact, facts); fact = fact.before) {
    const { comparison, left, right } = fact.test;
    if (fact.outcome && comparison === 'equal' && left === value && right.kind === 'constant') return right.value;
  }
  if (value.kind !== 'calculate' || value.operation !== op.BPF_AND || value.right.kind !== 'constant') return undefined;
  const whole = known(value.left, facts);
  return whole === undefined ? undefined : (whole & value.right.value) >>> 0;
}
