import { PacketError } from '../errors.js';
import { checkReceive, compileRule } from '../steering/compile-rules.js';
import {
  type FilteredPackets,
  type FlowRule,
  type ParsedRule,
  parseRule,
  type SteeredPackets,
} from '../steering/rules.js';

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
 * @throws PacketError INVALID_OPTION, FILTER_SYNTAX, FILTER_UNSUPPORTED, FLOW_TABLE_FULL for more than {@link MOST_RULES} rules
 */
export function parseReceive(receive: SteeredPackets): ParsedReceive {
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
  return rules.map((rule, index) => {
    const where = `receive[${index}]`;
    compileRule(rule, where); // finds fields that no packet can meet together
    return parseRule(rule, where);
  });
}
