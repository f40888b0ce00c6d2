import type { MapContents } from '../ebpf/maps/contract.js';
import { checkInteger, PacketError } from '../errors.js';
import {
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_MINIMUM,
  PROTOCOL_ICMP,
  PROTOCOL_ICMP6,
  PROTOCOL_SCTP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
} from '../packet/flow-key.js';
import { type IpPrefix, parseIpPrefix } from '../packet/ip-address.js';

/** One port, or the first and the last of a range, 0 to 65535. */
export type Ports = number | readonly [first: number, last: number];

/**
 * Where a rule sends what it matches:
 *
 *   - `socket`: to the socket that has the rule
 *   - `stack`: where it would go without the socket: an exception from broader rules
 *   - `drop`: nowhere. Only where packets are the socket's alone (AF_XDP, V4 in zero-copy): others cannot take packets from the stack
 *   - a queue: to that receive queue of the device, and whoever receives there. Only by devices with a flow director: software that sees
 *     a packet already has it on its queue
 */
export type RuleTarget =
  | 'socket'
  | 'stack'
  | 'drop'
  | {
      /** Number of a receive queue of the device. */
      readonly queue: number;
    };

/**
 * "Only my packets" (Q1): what a packet's headers must say. A packet matches when every field that is given holds. Plain data, so
 * that it can be posted to a worker and written in JSON.
 *
 *     { protocol: 'udp', port: 53 }                          DNS, questions and answers, IPv4 and IPv6
 *     { vlan: 7, source: '10.0.0.0/8' }
 *     { etherType: 'arp' }
 *     { source: '10.1.2.3', to: 'drop' }                     but of this host nothing
 *     { protocol: 'tcp', bucket: [0, 4] }                    a quarter of all TCP connections
 *     { to: 'socket' }                                       all that no other rule matches
 *
 * When several rules match, the one that fixes most header bits wins, and of equals the one that stands first. Bits: EtherType 16, VLAN 12,
 * protocol 8, an address its prefix length, a port 16, a range 16 less the bits that count its ports, a bucket the bits that number it.
 *
 * `address` and `port` each hold for either end, independently of each other. Port fields match TCP, UDP and SCTP, and of a
 * fragmented packet the first fragment only: the others carry no ports.
 */
export interface FlowRule {
  /** EtherType behind all VLAN tags, 0x0600 to 0xffff. */
  readonly etherType?: number | 'ipv4' | 'ipv6' | 'arp';
  /** Identifier of the outermost VLAN tag, 0 to 4094. Without this field, tagged and untagged packets match. */
  readonly vlan?: number;
  /** IP protocol, 0 to 255; `icmp` means IPv4's and `icmp6` IPv6's. For IPv6, the one behind the extension headers. */
  readonly protocol?: number | 'tcp' | 'udp' | 'sctp' | 'icmp' | 'icmp6';
  /** IPv4 or IPv6 address, with a prefix length if you like: "10.0.0.0/8", "2001:db8::1". Bits behind the prefix do not count. */
  readonly source?: string;
  /** Address that the packet is sent to, in the same forms. */
  readonly destination?: string;
  /** Source or destination. */
  readonly address?: string;
  /** Port that the packet comes from. */
  readonly sourcePort?: Ports;
  /** Port that the packet is sent to. */
  readonly destinationPort?: Ports;
  /** Source or destination. */
  readonly port?: Ports;
  /**
   * One of 2 to 65536 buckets (a power of two) that the hash of a packet's addresses, protocol and ports falls into, as `[index, count]`. Both
   * directions of a connection are in one bucket, on either kernel; so are the fragments of a packet, by their addresses. What is not IP is in bucket 0.
   */
  readonly bucket?: readonly [index: number, count: number];
  /** Where the packet goes; `socket` by default. A rule with this field alone matches every packet. */
  readonly to?: RuleTarget;
}

/**
 * What an XDP program of the user's own redirects to the socket (K6), instead of one that the kernel makes: AF_XDP sockets only. Nothing is
 * attached for the socket. It is in the map from `bind` on, under the number of its queue, until it is closed or receives something else.
 */
export interface RedirectedPackets {
  /** A map of type `xskmap` of the same kernel, with an entry for each queue. It stays the caller's. */
  readonly xskmap: MapContents;
}

/**
 * What a filter expression accepts, in the language of tcpdump (pcap-filter(7)): `{ filter: 'udp port 53 and not net 10.0.0.0/8' }`. It is
 * looked at by software; devices that pick packets by themselves, as zero-copy on the soft kernel wants it, take rules.
 */
export interface FilteredPackets {
  /** The expression. It is about the packet as it was on the wire, VLAN tags included. */
  readonly filter: string;
}

/**
 * What a socket receives of the packets that nobody has redirected: all, none, those that match one of the rules, or those that a filter
 * expression accepts.
 */
export type SteeredPackets = 'all' | 'none' | readonly FlowRule[] | FilteredPackets;

/** What a socket receives. It is said when the socket is opened; there is no default. */
export type Receive = SteeredPackets | RedirectedPackets;

/** The first and the last port of a range. */
export type PortRange = readonly [first: number, last: number];

/** A {@link FlowRule} in numbers. */
export interface ParsedRule {
  readonly etherType?: number;
  readonly vlan?: number;
  readonly protocol?: number;
  /** What the name of the protocol says about the IP version: `icmp` 4, `icmp6` 6. */
  readonly protocolVersion?: 4 | 6;
  readonly source?: IpPrefix;
  readonly destination?: IpPrefix;
  readonly address?: IpPrefix;
  readonly sourcePort?: PortRange;
  readonly destinationPort?: PortRange;
  readonly port?: PortRange;
  readonly bucket?: readonly [index: number, count: number];
  /** Not there for the socket that has the rule. */
  readonly to?: Exclude<RuleTarget, 'socket'>;
}

/** The fields of a rule that say which packets it matches. */
export const MATCH_FIELDS = [
  'etherType',
  'vlan',
  'protocol',
  'source',
  'destination',
  'address',
  'sourcePort',
  'destinationPort',
  'port',
  'bucket',
] as const satisfies readonly (keyof FlowRule)[];

/** The fields of a rule. */
export const FLOW_RULE_FIELDS = [...MATCH_FIELDS, 'to'] as const;

/** Most buckets that flows are divided into. */
const MOST_BUCKETS = 65536;
/** Highest queue that a rule can name. */
const LAST_QUEUE = 65535;

const EXAMPLE = "for example { protocol: 'udp', port: 53 }";

const ETHERTYPES: Readonly<Record<string, number>> = {
  ipv4: ETHERTYPE_IPV4,
  ipv6: ETHERTYPE_IPV6,
  arp: ETHERTYPE_ARP,
};

const PROTOCOLS: Readonly<Record<string, number>> = {
  tcp: PROTOCOL_TCP,
  udp: PROTOCOL_UDP,
  sctp: PROTOCOL_SCTP,
  icmp: PROTOCOL_ICMP,
  icmp6: PROTOCOL_ICMP6,
};

/**
 * Checks a rule, from wherever it comes, and turns its texts into numbers.
 *
 * @param where what messages call the rule: "receive[2]"
 * @throws PacketError INVALID_OPTION that names the field, its value and what it may be. A field that is there but undefined is an
 *   error too: left out silently it would widen what the rule matches.
 */
export function parseRule(rule: unknown, where: string): ParsedRule {
  if (typeof rule !== 'object' || rule === null || Array.isArray(rule)) {
    throw invalid(
      `${where}: ${show(rule)} is not a rule, an object with fields such as ${FLOW_RULE_FIELDS.join(', ')}`,
      EXAMPLE,
    );
  }
  const parsed: { -readonly [Field in keyof ParsedRule]: ParsedRule[Field] } = {};
  const names = Object.keys(rule);
  if (names.length === 0) throw invalid(`${where}: a rule without fields; receive 'all' means every packet`, EXAMPLE);
  for (const name of names) {
    const value: unknown = (rule as Record<string, unknown>)[name];
    const field = `${where}.${name}`;
    switch (name) {
      case 'etherType':
        parsed.etherType = parseNumber(field, value, ETHERTYPES, ETHERTYPE_MINIMUM, 0xffff);
        break;
      case 'vlan':
        parsed.vlan = checkInteger(field, value, 0, 4094);
        break;
      case 'protocol':
        parsed.protocol = parseNumber(field, value, PROTOCOLS, 0, 0xff);
        if (value === 'icmp') parsed.protocolVersion = 4;
        if (value === 'icmp6') parsed.protocolVersion = 6;
        break;
      case 'source':
      case 'destination':
      case 'address':
        parsed[name] = parseAddress(field, value);
        break;
      case 'sourcePort':
      case 'destinationPort':
      case 'port':
        parsed[name] = parsePorts(field, value);
        break;
      case 'bucket':
        parsed.bucket = parseBucket(field, value);
        break;
      case 'to': {
        const to = parseTarget(field, value);
        if (to !== 'socket') parsed.to = to;
        break;
      }
      default:
        throw invalid(`${field}: there is no such field`, `a rule has ${FLOW_RULE_FIELDS.join(', ')}`);
    }
  }
  return parsed;
}

function parseNumber(
  field: string,
  value: unknown,
  names: Readonly<Record<string, number>>,
  minimum: number,
  maximum: number,
): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= minimum && value <= maximum) return value;
  if (typeof value === 'string' && Object.hasOwn(names, value)) return names[value]!;
  const known = Object.keys(names).join(', ');
  throw invalid(
    `${field}: ${show(value)} is none of ${known} and no whole number from ${minimum} to ${maximum}`,
    'use one of the names, or the number as packets carry it',
  );
}

function parseAddress(field: string, value: unknown): IpPrefix {
  const prefix = typeof value === 'string' ? parseIpPrefix(value) : undefined;
  if (prefix !== undefined) return prefix;
  throw invalid(
    `${field}: ${show(value)} is no IPv4 or IPv6 address, alone or with a prefix length from 0 to 32 or 128`,
    'for example "10.0.0.0/8" or "2001:db8::1"',
  );
}

function parsePorts(field: string, value: unknown): PortRange {
  if (!Array.isArray(value)) {
    const port = checkInteger(field, value, 0, 0xffff);
    return [port, port];
  }
  if (value.length !== 2) {
    throw invalid(`${field}: ${show(value)} is not a range, [first, last]`, 'for example [1024, 2047]');
  }
  const first = checkInteger(`${field}[0]`, value[0], 0, 0xffff);
  return [first, checkInteger(`${field}[1]`, value[1], first, 0xffff)];
}

function parseBucket(field: string, value: unknown): readonly [number, number] {
  if (!Array.isArray(value) || value.length !== 2) {
    throw invalid(`${field}: ${show(value)} is not a bucket, [index, count]`, 'for example [0, 4], the first of four');
  }
  const count = checkInteger(`${field}[1]`, value[1], 2, MOST_BUCKETS);
  if ((count & (count - 1)) !== 0) {
    throw invalid(
      `${field}[1]: ${count} is not a power of two`,
      'make more buckets, and give some sockets several of them: one rule each',
    );
  }
  return [checkInteger(`${field}[0]`, value[0], 0, count - 1), count];
}

function parseTarget(field: string, value: unknown): RuleTarget {
  if (value === 'socket' || value === 'stack' || value === 'drop') return value;
  if (typeof value === 'object' && value !== null && Object.keys(value).join() === 'queue') {
    return { queue: checkInteger(`${field}.queue`, (value as { queue: unknown }).queue, 0, LAST_QUEUE) };
  }
  throw invalid(
    `${field}: ${show(value)} is nowhere that packets can go`,
    "it is 'socket', 'stack', 'drop' or a queue of the device, { queue: 3 }",
  );
}

function show(value: unknown): string {
  if (typeof value === 'string') return `"${value}"`;
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`;
  return typeof value === 'object' && value !== null
    ? `an object with ${Object.keys(value).join(', ') || 'no fields'}`
    : String(value);
}

function invalid(message: string, remedy: string): PacketError {
  return new PacketError('INVALID_OPTION', message, { remedy });
}
