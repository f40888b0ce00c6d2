import { PacketError } from '../../errors.js';
import {
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  FLOW_BUCKET,
  FLOW_DESTINATION,
  FLOW_ETHERTYPE_MASK,
  FLOW_HAS_PORTS,
  FLOW_LINK,
  FLOW_NETWORK,
  FLOW_PORTS,
  FLOW_PROTOCOL_MASK,
  FLOW_SOURCE,
  FLOW_VERSION_MASK,
  FLOW_VERSION_SHIFT,
  FLOW_VLAN_MASK,
  FLOW_VLAN_SHIFT,
} from '../../packet/flow-key.js';
import { compileParsedRule, type FlowTuple } from '../../steering/compile-rules.js';
import type { ParsedRule } from '../../steering/rules.js';
import {
  ETH_RX_NFC_IP4,
  ETHER_FLOW,
  FLOW_EXT,
  IPV4_LAYOUT,
  IPV4_USER_FLOW,
  IPV6_LAYOUT,
  IPV6_USER_FLOW,
  type IpLayout,
  MATCH_BYTES,
  PORT_FLOWS,
  SPEC_ETHERTYPE,
  SPEC_FLOW_TYPE,
  SPEC_IP_VERSION,
  SPEC_VLAN_TAG,
  TO_MASK,
} from './flow-spec.js';

/** What an n-tuple entry matches: as the kernel has it, and as a masked flow key, by which entries are compared. */
export interface NtupleMatch {
  /** {@link MATCH_BYTES}. */
  readonly bytes: Uint8Array;
  readonly tuple: FlowTuple;
}

/**
 * The n-tuple entries that a rule is: one for each IP version, protocol, direction and part of a port range that it leaves open.
 *
 * @param where what messages call the rule
 * @throws PacketError RULES_UNSUPPORTED for what entries cannot say: every packet, and buckets
 */
export function encodeRule(rule: ParsedRule, where: string): NtupleMatch[] {
  return compileParsedRule(rule, where).flatMap((tuple) => encodeTuple(tuple, where));
}

function encodeTuple(tuple: FlowTuple, where: string): NtupleMatch[] {
  const { mask, value } = tuple;
  if (mask[FLOW_BUCKET] !== 0) {
    throw unsupported(`${where}.bucket: a device's flow director knows no buckets`, 'leave it out, or flowDirector');
  }
  const etherType = mask[FLOW_LINK]! & FLOW_ETHERTYPE_MASK ? value[FLOW_LINK]! & FLOW_ETHERTYPE_MASK : undefined;
  const network = mask[FLOW_NETWORK]!;
  if (network === 0) {
    if (etherType === undefined && mask[FLOW_LINK] === 0) {
      throw unsupported(
        `${where}: a device's flow director has no entry for every packet`,
        '`ethtool -X INTERFACE start N equal 1` sends all that no entry matches to queue N',
      );
    }
    return [encodeEther(tuple, etherType)];
  }
  return versionsOf(tuple, etherType).flatMap((layout) => encodeIp(tuple, layout));
}

/** The IP versions that a tuple leaves open. */
function versionsOf({ mask, value }: FlowTuple, etherType: number | undefined): IpLayout[] {
  const said = (value[FLOW_NETWORK]! & FLOW_VERSION_MASK) >> FLOW_VERSION_SHIFT;
  const isSaid = (mask[FLOW_NETWORK]! & FLOW_VERSION_MASK) === FLOW_VERSION_MASK;
  return [IPV4_LAYOUT, IPV6_LAYOUT].filter(({ version }) => {
    const fits = etherType === undefined || etherType === (version === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
    return fits && (!isSaid || said === version);
  });
}

/** The entries for one IP version; without a protocol, ports are those of each that has them. */
function encodeIp(tuple: FlowTuple, layout: IpLayout): NtupleMatch[] {
  const { mask, value } = tuple;
  const network = mask[FLOW_NETWORK]!;
  const protocol = network & FLOW_PROTOCOL_MASK ? value[FLOW_NETWORK]! & FLOW_PROTOCOL_MASK : undefined;
  const withPorts = PORT_FLOWS.filter(
    (flow) => flow.layout === layout && flow.protocol === (protocol ?? flow.protocol),
  );
  if (protocol === undefined ? (network & FLOW_HAS_PORTS) !== 0 : withPorts.length > 0) {
    return withPorts.map((flow) => encodeMatch(tuple, flow.type, layout, flow.protocol));
  }
  const type = layout.version === 4 ? IPV4_USER_FLOW : IPV6_USER_FLOW;
  return [encodeMatch(tuple, type, layout, protocol)];
}

function encodeMatch(tuple: FlowTuple, type: number, layout: IpLayout, protocol: number | undefined): NtupleMatch {
  const { mask, value } = tuple;
  const { version, source, destination, ports } = layout;
  const match = new MatchWriter(type);
  for (let i = 0; i < (version === 4 ? 1 : 4); i++) {
    match.u32(source + 4 * i, value[FLOW_SOURCE + i]!, mask[FLOW_SOURCE + i]!);
    match.u32(destination + 4 * i, value[FLOW_DESTINATION + i]!, mask[FLOW_DESTINATION + i]!);
  }
  if (type === IPV4_USER_FLOW) match.u8(SPEC_IP_VERSION, ETH_RX_NFC_IP4, 0);
  if (type === IPV4_USER_FLOW || type === IPV6_USER_FLOW) {
    if (protocol !== undefined) match.u8(layout.protocol, protocol, 0xff);
  } else match.u32(ports, value[FLOW_PORTS]!, mask[FLOW_PORTS]!);
  match.vlan(tuple);
  return { bytes: match.bytes, tuple: narrowed(tuple, version, protocol) };
}

/** The tuple of one entry among those that a tuple becomes. */
function narrowed({ mask, value }: FlowTuple, version: number, protocol: number | undefined): FlowTuple {
  const entry = { mask: mask.slice(), value: value.slice() };
  entry.mask[FLOW_NETWORK]! |= FLOW_VERSION_MASK | (protocol === undefined ? 0 : FLOW_PROTOCOL_MASK);
  entry.value[FLOW_NETWORK]! |= (version << FLOW_VERSION_SHIFT) | (protocol ?? 0);
  return entry;
}

function encodeEther(tuple: FlowTuple, etherType: number | undefined): NtupleMatch {
  const match = new MatchWriter(ETHER_FLOW);
  if (etherType !== undefined) match.u16(SPEC_ETHERTYPE, etherType, 0xffff);
  match.vlan(tuple);
  return { bytes: match.bytes, tuple };
}

/** Writes fields in network byte order, each with its mask. */
class MatchWriter {
  readonly bytes = new Uint8Array(MATCH_BYTES);
  readonly #view = new DataView(this.bytes.buffer);

  constructor(type: number) {
    this.#view.setUint32(SPEC_FLOW_TYPE, type, true);
  }

  u8(at: number, value: number, mask: number): void {
    this.#view.setUint8(at, value);
    this.#view.setUint8(at + TO_MASK, mask);
  }

  u16(at: number, value: number, mask: number): void {
    this.#view.setUint16(at, value);
    this.#view.setUint16(at + TO_MASK, mask);
  }

  u32(at: number, value: number, mask: number): void {
    this.#view.setUint32(at, value);
    this.#view.setUint32(at + TO_MASK, mask);
  }

  vlan({ mask, value }: FlowTuple): void {
    if ((mask[FLOW_LINK]! & FLOW_VLAN_MASK) === 0) return;
    this.u16(SPEC_VLAN_TAG, (value[FLOW_LINK]! & FLOW_VLAN_MASK) >>> FLOW_VLAN_SHIFT, 0xfff);
    this.#view.setUint32(SPEC_FLOW_TYPE, (this.#view.getUint32(SPEC_FLOW_TYPE, true) | FLOW_EXT) >>> 0, true);
  }
}

function unsupported(message: string, remedy: string): PacketError {
  return new PacketError('RULES_UNSUPPORTED', message, { remedy });
}
