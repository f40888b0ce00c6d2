import { PacketError } from '../errors.js';
import {
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  FLOW_BUCKET,
  FLOW_DESTINATION,
  FLOW_ETHERTYPE_MASK,
  FLOW_HAS_PORTS,
  FLOW_IS_IP,
  FLOW_KEY_WORDS,
  FLOW_LINK,
  FLOW_NETWORK,
  FLOW_PORTS,
  FLOW_PROTOCOL_MASK,
  FLOW_SOURCE,
  FLOW_TAGGED,
  FLOW_VERSION_MASK,
  FLOW_VERSION_SHIFT,
  FLOW_VLAN_MASK,
  FLOW_VLAN_SHIFT,
  type FlowKey,
  hasPorts,
  isVlanTag,
} from '../packet/flow-key.js';
import type { IpPrefix } from '../packet/ip-address.js';
import { checkFiltered, isFiltered } from './filtered.js';
import { checkRedirected, isRedirected } from './redirected.js';
import { type FlowRule, MATCH_FIELDS, type ParsedRule, type PortRange, parseRule, type Receive } from './rules.js';

/**
 * A masked n-tuple: a packet matches when `(key[i] & mask[i]) === value[i]` for every word of its flow key. What steering hardware,
 * the flow table and generated XDP programs understand.
 */
export interface FlowTuple {
  readonly mask: FlowKey;
  readonly value: FlowKey;
}

/**
 * Expands a rule into masked n-tuples; a packet matches the rule when it matches at least one of them. "Either way" becomes two
 * tuples, a port range one for each prefix it consists of (30 at most; the worst rules, with three ranges, become some 2000). No
 * tuple appears twice, though several may match one packet.
 *
 * @param where what messages call the rule
 * @throws PacketError INVALID_OPTION for invalid fields, and for fields that no packet can meet together
 */
export function compileRule(rule: FlowRule, where = 'rule'): FlowTuple[] {
  return compileParsedRule(parseRule(rule, where), where, rule);
}

/**
 * {@link compileRule} for a rule in numbers.
 *
 * @param shown the rule as messages show its fields
 * @throws PacketError INVALID_OPTION for fields that no packet can meet together
 */
export function compileParsedRule(rule: ParsedRule, where = 'rule', shown: FlowRule | ParsedRule = rule): FlowTuple[] {
  let tuples: FlowTuple[] = [{ mask: new Int32Array(FLOW_KEY_WORDS), value: new Int32Array(FLOW_KEY_WORDS) }];
  for (const field of MATCH_FIELDS) {
    const alternatives = alternativesOf(rule, field);
    if (alternatives === undefined) continue;
    tuples = combine(tuples, alternatives);
    if (tuples.length === 0) {
      throw new PacketError(
        'INVALID_OPTION',
        `${where}.${field}: no packet can have ${JSON.stringify(shown[field])} here together with the rule's other fields`,
        { remedy: 'leave one of them out, or make two rules of it: a packet that meets either is received' },
      );
    }
  }
  return tuples;
}

/**
 * Checks what a socket is to receive.
 *
 * @param option what messages call it
 * @throws PacketError INVALID_OPTION; an empty list of rules is one, because 'none' says it better. FILTER_SYNTAX, FILTER_UNSUPPORTED
 */
export function checkReceive(receive: unknown, option = 'receive'): Receive {
  if (receive === 'all' || receive === 'none') return receive;
  if (isRedirected(receive)) return checkRedirected(receive, option);
  if (isFiltered(receive)) return checkFiltered(receive, option);
  if (!Array.isArray(receive) || receive.length === 0) {
    const found =
      typeof receive === 'string' ? `"${receive}"` : Array.isArray(receive) ? 'an empty list' : String(receive);
    throw new PacketError(
      'INVALID_OPTION',
      `${option}: ${found} is neither 'all' nor 'none' nor a list of rules nor a filter`,
      {
        remedy: `say what the socket is to receive, for example ${option}: [{ protocol: 'udp', port: 53 }]`,
      },
    );
  }
  for (const [index, rule] of receive.entries()) compileRule(rule, `${option}[${index}]`);
  return receive;
}

/** Conditions that hold together: for word, mask and value, in threes. */
type Conditions = readonly number[];

/** What a field asks for: at least one of these must hold. */
function alternativesOf(rule: ParsedRule, field: (typeof MATCH_FIELDS)[number]): Conditions[] | undefined {
  if (rule[field] === undefined) return undefined;
  switch (field) {
    case 'etherType':
      // Flow keys carry the EtherType behind the tags.
      if (isVlanTag(rule.etherType!)) return [];
      return [[FLOW_LINK, FLOW_ETHERTYPE_MASK, rule.etherType!]];
    case 'vlan':
      return [[FLOW_LINK, FLOW_TAGGED | FLOW_VLAN_MASK, FLOW_TAGGED | (rule.vlan! << FLOW_VLAN_SHIFT)]];
    case 'protocol': {
      const version = rule.protocolVersion;
      // Without "is IP", protocol 0 would match all that is not IP.
      const versionMask = version === undefined ? FLOW_IS_IP : FLOW_VERSION_MASK;
      const versionValue = version === undefined ? FLOW_IS_IP : version << FLOW_VERSION_SHIFT;
      return [[FLOW_NETWORK, FLOW_PROTOCOL_MASK | versionMask, rule.protocol! | versionValue]];
    }
    case 'source':
      return [addressConditions(FLOW_SOURCE, rule.source!)];
    case 'destination':
      return [addressConditions(FLOW_DESTINATION, rule.destination!)];
    case 'address':
      return [addressConditions(FLOW_SOURCE, rule.address!), addressConditions(FLOW_DESTINATION, rule.address!)];
    case 'sourcePort':
      return portConditions(16, rule.sourcePort!);
    case 'destinationPort':
      return portConditions(0, rule.destinationPort!);
    case 'port':
      return [...portConditions(16, rule.port!), ...portConditions(0, rule.port!)];
    case 'bucket':
      return [[FLOW_BUCKET, rule.bucket![1] - 1, rule.bucket![0]]];
  }
}

function addressConditions(at: number, prefix: IpPrefix): Conditions {
  const conditions = [FLOW_NETWORK, FLOW_VERSION_MASK, prefix.version << FLOW_VERSION_SHIFT];
  for (let i = 0; i < prefix.words.length; i++) {
    const bits = Math.min(Math.max(prefix.bits - 32 * i, 0), 32);
    const mask = bits === 0 ? 0 : -1 << (32 - bits);
    conditions.push(at + i, mask, prefix.words[i]! & mask);
  }
  return conditions;
}

/** The fewest prefixes that make up a range of ports. */
function portConditions(shift: number, [first, last]: PortRange): Conditions[] {
  const alternatives: Conditions[] = [];
  for (let port = first; port <= last; ) {
    // The largest aligned block that starts here and does not go beyond the end.
    let size = port === 0 ? 0x10000 : port & -port;
    while (port + size - 1 > last) size >>= 1;
    const mask = (0x10000 - size) << shift;
    alternatives.push([FLOW_NETWORK, FLOW_HAS_PORTS, FLOW_HAS_PORTS, FLOW_PORTS, mask, port << shift]);
    port += size;
  }
  return alternatives;
}

function combine(tuples: readonly FlowTuple[], alternatives: readonly Conditions[]): FlowTuple[] {
  const combined: FlowTuple[] = [];
  const seen = new Set<string>();
  for (const tuple of tuples) {
    for (const conditions of alternatives) {
      const both = intersect(tuple, conditions);
      if (both === undefined) continue;
      if (alternatives.length > 1) {
        const name = `${both.mask} ${both.value}`;
        if (seen.has(name)) continue;
        seen.add(name);
      }
      combined.push(both);
    }
  }
  return combined;
}

/** What meets both; undefined when nothing can. */
function intersect(tuple: FlowTuple, conditions: Conditions): FlowTuple | undefined {
  const mask = tuple.mask.slice();
  const value = tuple.value.slice();
  for (let i = 0; i < conditions.length; i += 3) {
    const word = conditions[i]!;
    const addedMask = conditions[i + 1]!;
    const addedValue = conditions[i + 2]!;
    if (((value[word]! ^ addedValue) & mask[word]! & addedMask) !== 0) return undefined;
    mask[word]! |= addedMask;
    value[word]! |= addedValue;
  }
  return isPossible(mask, value) ? { mask, value } : undefined;
}

/** Whether the fields of different words go together in a flow key. */
function isPossible(mask: FlowKey, value: FlowKey): boolean {
  const networkMask = mask[FLOW_NETWORK]!;
  const network = value[FLOW_NETWORK]!;
  if ((mask[FLOW_LINK]! & FLOW_ETHERTYPE_MASK) !== 0) {
    const etherType = value[FLOW_LINK]! & FLOW_ETHERTYPE_MASK;
    const version = etherType === ETHERTYPE_IPV4 ? 4 : etherType === ETHERTYPE_IPV6 ? 6 : 0;
    if (((network ^ (version << FLOW_VERSION_SHIFT)) & networkMask & FLOW_VERSION_MASK) !== 0) return false;
    if (version === 0 && (network & FLOW_HAS_PORTS) !== 0) return false;
  }
  const protocolKnown = (networkMask & FLOW_PROTOCOL_MASK) !== 0;
  return !protocolKnown || (network & FLOW_HAS_PORTS) === 0 || hasPorts(network & FLOW_PROTOCOL_MASK);
}
