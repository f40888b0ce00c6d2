import { PacketError } from '../errors.js';
import { PROTOCOL_TCP } from '../packet/flow-key.js';
import { checkReceive, compileRule } from '../steering/compile-rules.js';
import { checkTargets, type TargetAbility } from '../steering/rule-targets.js';
import {
  type FilteredPackets,
  type FlowRule,
  MATCH_FIELDS,
  type ParsedRule,
  parseRule,
  type SteeredPackets,
} from '../steering/rules.js';
import { SSH_PORT } from './sessions.js';

/** {@link SteeredPackets} with rules in numbers. */
export type ParsedReceive = 'all' | 'none' | readonly ParsedRule[] | FilteredPackets;

/**
 * Most rules of one socket: each is a jump at least, and the kernel's verifier keeps no more of them in mind at once
 * (BPF_COMPLEXITY_LIMIT_JMP_SEQ in kernel/bpf/verifier.c). Rules of several fields reach its limits sooner.
 */
export const MOST_RULES = 8192;

/**
 * Checks and copies what a socket is to receive.
 *
 * @param ability what whoever receives can do with packets beside receiving them
 * @throws PacketError INVALID_OPTION, FILTER_SYNTAX, FILTER_UNSUPPORTED, RULES_UNSUPPORTED for targets out of reach, FLOW_TABLE_FULL for
 *   more than {@link MOST_RULES} rules
 */
export function parseReceive(receive: SteeredPackets, ability: TargetAbility): ParsedReceive {
  if (!Array.isArray(receive) || receive.length === 0) return checkReceive(receive) as 'all' | 'none' | FilteredPackets;
  const rules: readonly FlowRule[] = receive;
  if (rules.length > MOST_RULES) {
    throw new PacketError(
      'FLOW_TABLE_FULL',
      `receive: ${rules.length} rules, and the Linux kernel is given ${MOST_RULES} at most`,
      {
        remedy:
          "use fewer rules, with address prefixes and port ranges, or receive: 'all' and pick the packets in the program",
      },
    );
  }
  const parsed = rules.map((rule, index) => {
    const where = `receive[${index}]`;
    compileRule(rule, where); // finds fields that no packet can meet together
    return parseRule(rule, where);
  });
  checkTargets(receive, ability);
  return parsed;
}

/** Whether it takes what comes for an ssh server: everything, or everything but exceptions of which none leaves that to the stack. */
export function takesSessions(receive: ParsedReceive): boolean {
  if (!Array.isArray(receive)) return receive === 'all';
  const rules: readonly ParsedRule[] = receive;
  const takesAll = rules.some(
    (rule) => MATCH_FIELDS.every((field) => rule[field] === undefined) && rule.to !== 'stack',
  );
  return takesAll && !rules.some(leavesSsh);
}

function leavesSsh(rule: ParsedRule): boolean {
  if (rule.to !== 'stack') return false;
  const { to: _to, protocol = PROTOCOL_TCP, destinationPort, port, ...others } = rule;
  if (protocol !== PROTOCOL_TCP || Object.keys(others).length > 0) return false;
  return [destinationPort, port].every((range) => !range || (range[0] <= SSH_PORT && range[1] >= SSH_PORT));
}
