import type { ClassicInstruction } from '../../filter/classic/instruction.js';
import type { IpPrefix } from '../../packet/ip-address.js';
import type { ParsedRule, PortRange } from '../rules.js';
import {
  BUCKET_WORD,
  DESTINATION_PORT_WORD,
  DESTINATION_WORD,
  ETHERTYPE_WORD,
  type FieldsRead,
  FREE_WORD,
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
import { ACCEPT, ACTION_MASK, DROP, type RankedRule, REFUSE, rankedRules } from './ranked-rules.js';
import { RuleTables } from './rule-tables.js';

/** The value of the best rule so far. */
const FOUND_WORD = FREE_WORD;
const NOTHING_FOUND = 0xffffffff;

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

/** Code for XDP, and the tables that it looks into: the one value of its map `tables`, if there are any. */
export interface SteeringCode {
  readonly code: MatchCode;
  readonly tables: Uint8Array;
}

/** Code that accepts what the rules say, for packets whose outermost VLAN tag the kernel tells beside. */
export function codeForRules(rules: readonly ParsedRule[]): MatchCode {
  const code = new MatchCode();
  writeHeaderReader(code, fieldsOf(rules), true);
  writeRules(code, rankedRules(rules), terminal, ACTION_MASK);
  code.refuse();
  return code;
}

/**
 * Code that accepts what the rules or the filter of its queue say, and all packets of queues without either.
 *
 * @param map number of the map for tables, in the program's list
 */
export function codeForQueues(
  lists: readonly QueueRules[],
  filters: readonly QueueFilter[] = [],
  map = 1,
): SteeringCode {
  const code = new MatchCode();
  const tables = new RuleTables();
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
    for (const { queues, rules } of lists) writeList(code, queues, rankedRules(rules), tables, map);
    code.refuse();
  } else {
    code.accept();
  }
  return { code, tables: tables.contents };
}

function fieldsOf(rules: readonly ParsedRule[]): FieldsRead {
  const any = (...fields: readonly (keyof ParsedRule)[]): boolean =>
    rules.some((rule) => fields.some((field) => rule[field] !== undefined));
  return {
    addresses: any('source', 'destination', 'address', 'bucket'),
    protocol: any('protocol', 'bucket'),
    ports: any('sourcePort', 'destinationPort', 'port', 'bucket'),
    bucket: any('bucket'),
  };
}

/** The rules of some queues: one after the other, and those that are many of a kind by tables. Goes on behind when none matches. */
function writeList(
  code: MatchCode,
  queues: readonly number[],
  rules: readonly RankedRule[],
  tables: RuleTables,
  map: number,
): void {
  const { lookups, left } = tables.take(rules);
  if (lookups.length === 0) {
    writeRules(code, left, terminal, ACTION_MASK, queues);
    return;
  }
  const [ours, first, decide, end] = [code.label(), code.label(), code.label(), code.label()];
  code.set(NOTHING_FOUND);
  code.store(FOUND_WORD);
  writeRules(
    code,
    left,
    (code, value) => {
      code.set(value);
      code.store(FOUND_WORD);
      code.jump(first);
    },
    -1,
    queues,
  );
  code.place(first);
  code.metadata('queue');
  code.branchOneOf(queues, ours, end);
  code.place(ours);
  for (const { table, least } of lookups) {
    const goOn = code.label();
    code.recall(FOUND_WORD);
    // As good as anything that is there, or better.
    code.branch('at-least', (least | ACTION_MASK) + 1, goOn, decide);
    code.place(goOn);
    code.lookup(map, table, FOUND_WORD);
  }
  const [found, accept, other, drop, refuse] = Array.from({ length: 5 }, () => code.label());
  code.place(decide);
  code.recall(FOUND_WORD);
  code.branch('equal', NOTHING_FOUND, end, found!);
  code.place(found!);
  code.calculate('and', ACTION_MASK);
  code.branch('equal', ACCEPT, accept!, other!);
  code.place(other!);
  code.branch('equal', DROP, drop!, refuse!);
  for (const [label, value] of [
    [accept, ACCEPT],
    [drop, DROP],
    [refuse, REFUSE],
  ] as const) {
    code.place(label!);
    terminal(code, value);
  }
  code.place(end);
}

/** Ends as a rule's value says. */
function terminal(code: MatchCode, value: number): void {
  const action = value & ACTION_MASK;
  if (action === ACCEPT) code.accept();
  else if (action === DROP) code.drop();
  else code.refuse();
}

/**
 * Tests rules one after the other. Goes on behind them when none matches.
 *
 * @param matched writes what is to be done when a rule with this value, under the mask, matches
 * @param queues for which they hold; all, if not given
 */
function writeRules(
  code: MatchCode,
  rules: readonly RankedRule[],
  matched: (code: MatchCode, value: number) => void,
  valueMask: number,
  queues?: readonly number[],
): void {
  for (let start = 0; start < rules.length; start += RULES_PER_SECTION) {
    const end = code.label();
    if (queues !== undefined) {
      const ours = code.label();
      code.metadata('queue');
      code.branchOneOf(queues, ours, end);
      code.place(ours);
    }
    const section = rules.slice(start, start + RULES_PER_SECTION);
    const ends = new Map<number, Label>();
    for (const [index, { rule, value }] of section.entries()) {
      const outcome = value & valueMask;
      const yes = ends.get(outcome) ?? code.label();
      ends.set(outcome, yes);
      const next = index === section.length - 1 ? end : code.label();
      writeRule(code, rule, yes, next);
      if (next !== end) code.place(next);
    }
    for (const [value, label] of ends) {
      code.place(label);
      matched(code, value);
    }
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
  if (tests.length === 0) code.jump(matched);
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
  if (rule.bucket !== undefined) tests.push(masked(BUCKET_WORD, rule.bucket[1] - 1, rule.bucket[0]));
  return tests;
}

function oneOf(word: number, values: readonly number[]): Test {
  return (code, yes, no) => {
    code.recall(word);
    code.branchOneOf(values, yes, no);
  };
}

function masked(word: number, mask: number, value: number): Test {
  return (code, yes, no) => {
    code.recall(word);
    code.calculate('and', mask);
    code.branch('equal', value, yes, no);
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
