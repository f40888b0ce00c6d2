import { PacketError } from '../../errors.js';
import { isFiltered } from '../../steering/filtered.js';
import { isRedirected } from '../../steering/redirected.js';
import { inOrder } from '../../steering/rule-order.js';
import type { ParsedRule, Receive } from '../../steering/rules.js';
import { encodeRule, type NtupleMatch } from './encode-rule.js';

/** An n-tuple entry that a socket wants. */
export interface WantedEntry {
  readonly match: NtupleMatch;
  /** Where packets that match go. */
  readonly queue: number;
  /** Header bits of its rule: of entries that match a packet, the one with most must decide. */
  readonly bits: number;
  /** What messages call it: "receive[2]". */
  readonly what: string;
}

/** A list of rules, divided between a device's flow director and the program of the socket's queue. */
export interface DirectedRules {
  /** Those first that win over others; no two match the same. */
  readonly entries: readonly WantedEntry[];
  /** What is left for the program: rules to queues become rules to the socket or to the stack. */
  readonly program: readonly ParsedRule[];
}

/** A flow director knows rules alone. @throws PacketError RULES_UNSUPPORTED for what would have no entry */
export function checkDirected(receive: Receive): void {
  const what = isFiltered(receive)
    ? 'a filter expression is'
    : isRedirected(receive)
      ? "what a program of one's own redirects is"
      : undefined;
  if (what === undefined) return;
  throw new PacketError('RULES_UNSUPPORTED', `receive: ${what} no entry of a device's flow director`, {
    remedy: 'rules say what it understands; or leave flowDirector out',
  });
}

/**
 * Divides rules. What a socket wants, or wants dropped, is sent to its queue, where its program decides and counts. So is what belongs to the stack,
 * where a broader rule would send it to another queue.
 *
 * @param queue the socket's
 * @throws PacketError RULES_UNSUPPORTED for rules that are no entries
 */
export function directRules(rules: readonly ParsedRule[], queue: number): DirectedRules {
  const ordered = inOrder(rules).map((one) => ({ ...one, queue: queueOf(one.rule, queue) }));
  const entries = new Map<string, WantedEntry>();
  for (const [place, { rule, index, bits, queue: target }] of ordered.entries()) {
    const isNeeded = rule.to !== 'stack' || ordered.slice(place + 1).some((below) => below.queue !== queue);
    if (!isNeeded) continue;
    const what = `receive[${index}]`;
    for (const match of encodeRule(rule, what)) {
      const key = matchKey(match.bytes);
      if (!entries.has(key)) entries.set(key, { match, queue: target, bits, what });
    }
  }
  return { entries: [...entries.values()], program: rules.map((rule) => forProgram(rule, queue)) };
}

function queueOf({ to }: ParsedRule, own: number): number {
  return typeof to === 'object' ? to.queue : own;
}

function forProgram(rule: ParsedRule, queue: number): ParsedRule {
  const { to, ...match } = rule;
  if (typeof to !== 'object') return rule;
  return to.queue === queue ? match : { ...match, to: 'stack' };
}

/** A text that two matches share when they are the same. */
export function matchKey(match: Uint8Array): string {
  return Buffer.from(match.buffer, match.byteOffset, match.byteLength).toString('hex');
}
