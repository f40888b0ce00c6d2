import { readUint16, readWord } from '../../packet/big-endian.js';
import { formatIpAddress, formatIpPrefix, ipAddressBytes, readIpAddress } from '../../packet/ip-address.js';
import type { FlowRule, Ports } from '../../steering/rules.js';
import {
  ETHER_FLOW,
  FLOW_EXT,
  FLOW_MAC_EXT,
  FLOW_RSS,
  IPV4_LAYOUT,
  IPV4_USER_FLOW,
  IPV6_LAYOUT,
  IPV6_USER_FLOW,
  type IpLayout,
  MATCH_BYTES,
  type NtupleEntry,
  PORT_FLOWS,
  SPEC_ETHERTYPE,
  SPEC_FLOW_TYPE,
  SPEC_HEADER,
  SPEC_IP_VERSION,
  SPEC_MASK,
  SPEC_VLAN_TAG,
  TO_MASK,
} from './flow-spec.js';

/** An entry as a rule says it. */
export interface DecodedEntry {
  /** What it matches; absent for what rules cannot say. */
  readonly rule?: FlowRule;
  /** Why there is no rule, as the end of a sentence: "MAC addresses count". */
  readonly why?: string;
}

type Draft = { -readonly [Field in keyof FlowRule]: FlowRule[Field] | undefined };

const PROTOCOL_NAMES: Readonly<Record<number, 'tcp' | 'udp' | 'sctp'>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' };
const ETHERTYPE_NAMES: Readonly<Record<number, 'ipv4' | 'ipv6' | 'arp'>> = {
  2048: 'ipv4',
  34525: 'ipv6',
  2054: 'arp',
};

/** Says what an entry matches as a rule, which is the case for all that {@link encodeRule} makes. */
export function decodeEntry({ match }: Pick<NtupleEntry, 'match'>): DecodedEntry {
  const reader = new MatchReader(match);
  const flags = reader.flowType;
  const type = (flags & ~(FLOW_EXT | FLOW_MAC_EXT | FLOW_RSS)) >>> 0;
  const rule: Draft = {};
  const flow = PORT_FLOWS.find((one) => one.type === type);
  if (flow !== undefined) {
    rule.protocol = PROTOCOL_NAMES[flow.protocol]!;
    reader.addresses(flow.layout, rule);
    rule.sourcePort = reader.ports(flow.layout.ports);
    rule.destinationPort = reader.ports(flow.layout.ports + 2);
  } else if (type === IPV4_USER_FLOW || type === IPV6_USER_FLOW) {
    const layout = type === IPV4_USER_FLOW ? IPV4_LAYOUT : IPV6_LAYOUT;
    reader.addresses(layout, rule);
    rule.protocol = reader.u8(layout.protocol);
    if (type === IPV4_USER_FLOW) reader.ignore(SPEC_IP_VERSION);
  } else if (type === ETHER_FLOW) {
    const etherType = reader.u16(SPEC_ETHERTYPE, 0xffff);
    if (etherType !== undefined) rule.etherType = ETHERTYPE_NAMES[etherType] ?? etherType;
  } else return { why: `its flow type is 0x${type.toString(16)}` };
  if ((flags & FLOW_EXT) !== 0) rule.vlan = reader.u16(SPEC_VLAN_TAG, 0x0fff);
  if ((flags & FLOW_RSS) !== 0) return { why: 'a context of RSS says the queue' };
  if ((flags & FLOW_MAC_EXT) !== 0) return { why: 'a MAC address counts' };
  const left = reader.unread();
  if (left !== undefined) return { why: `byte ${left} of its header counts` };
  return { rule: Object.fromEntries(Object.entries(rule).filter(([, value]) => value !== undefined)) };
}

/** Reads fields with their masks, and knows which bits that count nobody has read. */
class MatchReader {
  readonly #bytes: Uint8Array;
  /** Masks of what is not read yet. */
  readonly #left: Uint8Array;

  constructor(match: Uint8Array) {
    this.#bytes = match;
    this.#left = match.slice(SPEC_MASK, MATCH_BYTES);
  }

  get flowType(): number {
    return new DataView(this.#bytes.buffer, this.#bytes.byteOffset).getUint32(SPEC_FLOW_TYPE, true);
  }

  ignore(at: number): void {
    this.#take(at, 1);
  }

  u8(at: number): number | undefined {
    if (this.#bytes[at + TO_MASK] !== 0xff) return undefined;
    this.#take(at, 1);
    return this.#bytes[at];
  }

  u16(at: number, mask: number): number | undefined {
    if (readUint16(this.#bytes, at + TO_MASK) !== mask) return undefined;
    this.#take(at, 2);
    return readUint16(this.#bytes, at) & mask;
  }

  ports(at: number): Ports | undefined {
    const mask = readUint16(this.#bytes, at + TO_MASK);
    const size = 0x10000 - mask;
    if (mask === 0 || (size & (size - 1)) !== 0) return undefined;
    this.#take(at, 2);
    const first = readUint16(this.#bytes, at) & mask;
    return size === 1 ? first : [first, first + size - 1];
  }

  /** Both addresses; where none counts, the rule says the IP version by its EtherType. */
  addresses(layout: IpLayout, rule: Draft): void {
    rule.source = this.#prefix(layout.source, layout.version);
    rule.destination = this.#prefix(layout.destination, layout.version);
    if (rule.source === undefined && rule.destination === undefined) rule.etherType = `ipv${layout.version}`;
  }

  #prefix(at: number, version: 4 | 6): string | undefined {
    const bytes = ipAddressBytes(version);
    let bits = 0;
    let hasEnded = false;
    for (let i = 0; i < bytes; i += 4) {
      const mask = readWord(this.#bytes, at + TO_MASK + i);
      const ones = Math.clz32(~mask);
      if (mask !== (ones === 0 ? 0 : -1 << (32 - ones)) || (hasEnded && ones > 0)) return undefined;
      bits += ones;
      hasEnded ||= ones < 32;
    }
    if (bits === 0) return undefined;
    this.#take(at, bytes);
    const address = readIpAddress(this.#bytes, at, version);
    return bits === 8 * bytes ? formatIpAddress(address) : formatIpPrefix({ ...address, bits });
  }

  #take(at: number, length: number): void {
    this.#left.fill(0, at - SPEC_HEADER, at - SPEC_HEADER + length);
  }

  /** Offset of the first byte that counts and was not read. */
  unread(): number | undefined {
    const index = this.#left.findIndex((mask) => mask !== 0);
    return index < 0 ? undefined : index + SPEC_HEADER;
  }
}
