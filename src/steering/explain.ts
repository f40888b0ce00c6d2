import { MOST_CLASSIC_INSTRUCTIONS } from '../filter/classic/instruction.js';
import { compileRule } from './compile-rules.js';
import { FlowTable } from './flow-table.js';
import { classicProgram } from './programs/classic-program.js';
import { codeForQueues, codeForRules } from './programs/rule-code.js';
import { xdpProgram, xdpRedirect } from './programs/xdp-program.js';
import { inOrder } from './rule-order.js';
import { checkTargets, TAP_ABILITY } from './rule-targets.js';
import { type FlowRule, parseRule, type RuleTarget } from './rules.js';

/** One rule of a list. */
export interface ExplainedRule {
  /** In the list. */
  readonly index: number;
  readonly rule: FlowRule;
  readonly to: RuleTarget;
  /** Header bits that it fixes. */
  readonly bits: number;
  /** Entries that it takes in a flow director. */
  readonly entries: number;
}

/** What becomes of a list of rules. */
export interface Explanation {
  /** Those first that win over others. */
  readonly rules: readonly ExplainedRule[];
  /** As a flow director has them: entries, and combinations of fields, each of which costs a lookup. */
  readonly flowDirector: { readonly entries: number; readonly combinations: number };
  /** As the XDP program of AF_XDP sockets on Linux; the tables of rules that are many of a kind, in bytes. */
  readonly xdp: { readonly instructions: number; readonly tableBytes: number };
  /** As the filter of V2 and V3 sockets on Linux; `limit` instructions at most. */
  readonly socketFilter: { readonly instructions: number; readonly limit: number };
  /** Why sockets that hear copies cannot have these rules; absent when they can. */
  readonly notForCopies?: string;
}

/**
 * Says how a list of rules is ordered and what it is compiled to.
 *
 * @throws PacketError INVALID_OPTION for a wrong rule, FLOW_TABLE_FULL
 */
export function explainRules(rules: readonly FlowRule[]): Explanation {
  const parsed = rules.map((rule, index) => parseRule(rule, `receive[${index}]`));
  const table = tableOf(rules);
  const ordered = inOrder(parsed).map(({ index, bits }) => {
    const rule = rules[index]!;
    return { index, rule, to: rule.to ?? 'socket', bits, entries: compileRule(rule).length };
  });
  const { code, tables } = codeForQueues([{ queues: [0], rules: parsed }]);
  const notForCopies = whyNotForCopies(rules);
  return {
    rules: ordered,
    flowDirector: { entries: table.tuples, combinations: table.shapes },
    xdp: { instructions: xdpProgram(code, xdpRedirect(0)).length, tableBytes: tables.length },
    socketFilter: { instructions: classicProgram(codeForRules(parsed)).length, limit: MOST_CLASSIC_INSTRUCTIONS },
    ...(notForCopies !== undefined && { notForCopies }),
  };
}

/** A flow table in which each rule's target is its index. @throws PacketError INVALID_OPTION, FLOW_TABLE_FULL */
export function tableOf(rules: readonly FlowRule[]): FlowTable {
  const table = new FlowTable({ seed: 1, shapes: 4096 });
  for (const [index, rule] of rules.entries()) table.add(rule, index, `receive[${index}]`);
  return table;
}

function whyNotForCopies(rules: readonly FlowRule[]): string | undefined {
  try {
    checkTargets(rules, { who: 'the socket', ...TAP_ABILITY });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
