import * as op from '../classic/opcodes.js';
import type { Value, ValueTable } from './value.js';

/** A comparison of two values, unsigned, as one jump makes it. `any-bits` holds when the two have a bit in common. */
export interface Test {
  readonly comparison: 'equal' | 'greater' | 'at-least' | 'any-bits';
  readonly left: Value;
  readonly right: Value;
  /** The same for equal tests. */
  readonly key: string;
}

/** When a packet matches, put together from tests. Parts are looked at in their order. */
export type Condition =
  | { readonly kind: 'test'; readonly test: Test }
  | { readonly kind: 'all' | 'any'; readonly parts: readonly Condition[] }
  | { readonly kind: 'not'; readonly operand: Condition }
  | { readonly kind: 'constant'; readonly holds: boolean };

/** Tag protocols of the tags that Linux takes out of packets. */
const TAKEN_TAGS = [0x8100, 0x88a8] as const;

export const ALWAYS: Condition = { kind: 'constant', holds: true };
export const NEVER: Condition = { kind: 'constant', holds: false };

export function all(...parts: readonly Condition[]): Condition {
  return parts.length === 1 ? parts[0]! : { kind: 'all', parts };
}

export function any(...parts: readonly Condition[]): Condition {
  return parts.length === 1 ? parts[0]! : { kind: 'any', parts };
}

export function not(operand: Condition): Condition {
  return operand.kind === 'not' ? operand.operand : { kind: 'not', operand };
}

/** Compares two values; what is known at once is no test. */
export function compare(values: ValueTable, comparison: Test['comparison'], left: Value, right: Value): Condition {
  if (left.kind === 'constant' && right.kind === 'constant') {
    return holds(comparison, left.value, right.value) ? ALWAYS : NEVER;
  }
  if (left.kind === 'constant') {
    // A constant compares from the right: it is part of the jump there.
    if (comparison === 'greater') return not(compare(values, 'at-least', right, left));
    if (comparison === 'at-least') return not(compare(values, 'greater', right, left));
    return compare(values, comparison, right, left);
  }
  const known = everySame(comparison, left, right);
  if (known !== undefined) return known ? ALWAYS : NEVER;
  // Bits of a mask are one jump: all of them clear, or a single one set.
  if (
    right.kind === 'constant' &&
    left.kind === 'calculate' &&
    left.operation === op.BPF_AND &&
    left.right.kind === 'constant'
  ) {
    const mask = left.right.value;
    const anyBits = (): Condition => compare(values, 'any-bits', left.left, left.right);
    if (comparison === 'equal' && right.value === 0) return not(anyBits());
    if (comparison === 'equal' && right.value === mask && (mask & (mask - 1)) === 0) return anyBits();
    if (comparison === 'greater' && right.value === 0) return anyBits();
  }
  return { kind: 'test', test: { comparison, left, right, key: `${left.id} ${comparison} ${right.id}` } };
}

/** What comes of a test whose left side is one of few values: tags that Linux takes out are of IEEE 802.1Q or 802.1ad. */
function everySame(comparison: Test['comparison'], left: Value, right: Value): boolean | undefined {
  if (left.kind !== 'beside' || left.at !== op.SKF_AD_VLAN_TPID || right.kind !== 'constant') return undefined;
  const first = holds(comparison, TAKEN_TAGS[0], right.value);
  return first === holds(comparison, TAKEN_TAGS[1], right.value) ? first : undefined;
}

/** The outcome of a test whose sides are known. */
export function holds(comparison: Test['comparison'], left: number, right: number): boolean {
  switch (comparison) {
    case 'equal':
      return left === right;
    case 'greater':
      return left > right;
    case 'at-least':
      return left >= right;
    case 'any-bits':
      return (left & right) !== 0;
  }
}
