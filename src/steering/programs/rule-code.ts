import type { ClassicInstruction } from '../../filter/classic/instruction.js';
import type { IpPrefix } from '../../packet/ip-address.js';
import type { ParsedRule, PortRange } from '../rules.js';
import {
  DESTINATION_PORT_WORD,
  DESTINATION_WORD,
  ETHERTYPE_WORD,
  type FieldsRead,
  NETWORK_WORD,
  PORT_KNOWN,
  SOURCE_PORT_WORD,
  SOURCE_WORD,
  TAGGED,
  VERSION_SHIFT,
  VLAN_WORD,
  writeHeaderReader,
} from './header-code.js';
import { type Label, MatchCode } from './match-code.js';

/** What the sockets of some receive queues want. */
export interface QueueRules {
  readonly queues: readonly number[];
  /** At least one. */
  readonly rules: readonly ParsedRule[];
}

/** What the sockets of some receive queues want, as a classic program that accepts it. */
export interface QueueFilter {
  readonly queues: readonly number[];
  readonly filter: readonly ClassicInstruction[];
}

/**
 * Rules between two looks at the queue: so few that no jump spans more than the 32767 instructions that eBPF allows, though the
 * longest rule takes some 100.
 */
const RULES_PER_SECTION = 64;

/** Code that accepts what matches at least one of the rules, for packets whose outermost VLAN tag the kernel tells beside. */
export function codeForRules(rules: readonly ParsedRule[]): MatchCode {
  const code = new MatchCode();
  writeHeaderReader(code, fieldsOf(rules), true);
  writeRules(code, rules);
  code.refuse();
  return code;
}

/** Code that accepts what the rules or the filter of its queue say, and all packets of queues without either. */
export function codeForQueues(lists: readonly QueueRules[], filters: readonly QueueFilter[] = []): MatchCode {
  const code = new MatchCode();
  const queues = [...lists, ...filters].flatMap((list) => list.queues);
  if (queues.length > 0) {
    const ruled = code.label();
    const free = code.label();
    code.metadata('queue');
    code.branchOneOf(queues, ruled, free);
    code.place(free);
    code.accept();
    code.place(ruled);
    for (const { queues, filter } of filters) writeFilter(code, filter, queues);
    if (lists.length > 0) writeHeaderReader(code, fieldsOf(lists.flatMap((list) => list.rules)), false);
    for (const list of lists) writeRules(code, list.rules, list.queues);
    code.refuse();
  } else {
    code.accept();
  }
  return code;
}

function fieldsOf(rules: readonly ParsedRule[]): FieldsRead {
  const any = (...fields: readonly (keyof ParsedRule)[]): boolean =>
    rules.some((rule) => fields.some((field) => rule[field] !== undefined));
  return {
    addresses: any('source', 'destination', 'address'),
    protocol: any('protocol'),
    ports: any('sourcePort', 'destinationPort', 'port'),
  };
}

/** Goes on behind the rules when none of them matches. @param queues for which they hold; all, if not given */
function writeRules(code: MatchCode, rules: readonly ParsedRule[], queues?: readonly number[]): void {
  for (let start = 0; start < rules.length; start += RULES_PER_SECTION) {
    const matched = code.label();
    const end = code.label();
    if (queues !== undefined) {
      const ours = code.label();
      code.metadata('queue');
      code.branchOneOf(queues, ours, end);
      code.place(ours);
    }
    const section = rules.slice(start, start + RULES_PER_SECTION);
    for (const [index, rule] of section.entries()) {
      const next = index === section.length - 1 ? end : code.label();
      writeRule(code, rule, matched, next);
      if (next !== end) code.place(next);
    }
    code.place(matched);
    code.accept();
    code.place(end);
  }
}

/** Accepts or refuses packets of the queues, and goes on with those of others. */
function writeFilter(code: MatchCode, filter: readonly ClassicInstruction[], queues: readonly number[]): void {
  const [ours, others, matched, end] = [code.label(), code.label(), code.label(), code.label()];
  code.metadata('queue');
  code.branchOneOf(queues, ours, others);
  code.place(ours);
  code.filter(filter, matched, end);
  code.place(matched);
  code.accept();
  code.place(end);
  code.refuse();
  code.place(others);
}

/** Writes a test that ends in one of two places. */
type Test = (code: MatchCode, yes: Label, no: Label) => void;

function writeRule(code: MatchCode, rule: ParsedRule, matched: Label, next: Label): void {
  const tests = testsOf(rule);
  for (const [index, test] of tests.entries()) {
    const yes = index === tests.length - 1 ? matched : code.label();
    test(code, yes, next);
    if (yes !== matched) code.place(yes);
  }
}

/** What a rule asks for, one test a field: all must hold. */
function testsOf(rule: ParsedRule): Test[] {
  const tests: Test[] = [];
  const { etherType, vlan, protocol, protocolVersion, source, destination, address } = rule;
  if (etherType !== undefined) tests.push(oneOf(ETHERTYPE_WORD, [etherType]));
  if (vlan !== undefined) tests.push(oneOf(VLAN_WORD, [TAGGED | vlan]));
  if (protocol !== undefined) {
    const versions = protocolVersion === undefined ? [4, 6] : [protocolVersion];
    tests.push(
      oneOf(
        NETWORK_WORD,
        versions.map((version) => (version << VERSION_SHIFT) | protocol),
      ),
    );
  }
  if (source !== undefined) tests.push(within(SOURCE_WORD, source));
  if (destination !== undefined) tests.push(within(DESTINATION_WORD, destination));
  if (address !== undefined) tests.push(either(within(SOURCE_WORD, address), within(DESTINATION_WORD, address)));
  if (rule.sourcePort !== undefined) tests.push(between(SOURCE_PORT_WORD, rule.sourcePort));
  if (rule.destinationPort !== undefined) tests.push(between(DESTINATION_PORT_WORD, rule.destinationPort));
  if (rule.port !== undefined) {
    tests.push(either(between(SOURCE_PORT_WORD, rule.port), between(DESTINATION_PORT_WORD, rule.port)));
  }
  return tests;
}

function oneOf(word: number, values: readonly number[]): Test {
  return (code, yes, no) => {
    code.recall(word);
    code.branchOneOf(values, yes, no);
  };
}

function either(first: Test, second: Test): Test {
  return (code, yes, no) => {
    const other = code.label();
    first(code, yes, other);
    code.place(other);
    second(code, yes, no);
  };
}

/** Unknown ports are 0, below all known ones. */
function between(word: number, [first, last]: PortRange): Test {
  if (first === last) return oneOf(word, [PORT_KNOWN | first]);
  return (code, yes, no) => {
    const low = code.label();
    code.recall(word);
    code.branch('at-least', PORT_KNOWN | first, low, no);
    code.place(low);
    code.branch('at-least', (PORT_KNOWN | last) + 1, no, yes);
  };
}

/** Whether the packet is of the address's IP version, and the address at `at` begins with the prefix. */
function within(at: number, prefix: IpPrefix): Test {
  return (code, yes, no) => {
    const words = Math.ceil(prefix.bits / 32);
    const equal = (value: number, isLast: boolean): void => {
      const rest = isLast ? yes : code.label();
      code.branch('equal', value >>> 0, rest, no);
      if (!isLast) code.place(rest);
    };
    code.recall(NETWORK_WORD);
    code.calculate('and', 7 << VERSION_SHIFT);
    equal(prefix.version << VERSION_SHIFT, words === 0);
    for (let i = 0; i < words; i++) {
      const mask = -1 << (32 - Math.min(prefix.bits - 32 * i, 32));
      code.recall(at + i);
      if (mask !== -1) code.calculate('and', mask >>> 0);
      equal(prefix.words[i]! & mask, i === words - 1);
    }
  };
}
