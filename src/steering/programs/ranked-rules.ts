import { hasExceptions, inOrder } from '../rule-order.js';
import type { ParsedRule } from '../rules.js';

/** What is done with a packet, in the lower bits of a {@link RankedRule}'s value. */
export const ACCEPT = 0;
export const REFUSE = 1;
export const DROP = 2;
/** Bits of it. */
export const ACTION_MASK = 3;

/** A rule of a list, with its place in the order of those that win and what it does. */
export interface RankedRule {
  readonly rule: ParsedRule;
  /** 4 times its rank, 0 for the rule that wins over all others, and one of {@link ACCEPT}, {@link REFUSE}, {@link DROP}. */
  readonly value: number;
}

/** The rules of a list, those first that win. Where all do the same it does not matter which wins: they stay as they are, and of one rank. */
export function rankedRules(rules: readonly ParsedRule[]): RankedRule[] {
  if (!hasExceptions(rules)) return rules.map((rule) => ({ rule, value: ACCEPT }));
  return inOrder(rules).map(({ rule }, rank) => ({ rule, value: 4 * rank + actionOf(rule) }));
}

function actionOf({ to }: ParsedRule): number {
  if (to === undefined) return ACCEPT;
  // What is for another queue a device has taken there. Where it has not, the packet is not this socket's.
  return to === 'drop' ? DROP : REFUSE;
}
