/**
 * Where the fields of an n-tuple entry lie (struct ethtool_rx_flow_spec in linux/ethtool.h), 168 bytes. What packets carry stands in
 * network byte order, the rest in the machine's.
 *
 *       0  flow type: which headers, and flags
 *       4  header: what the fields must be    52 bytes, by flow type
 *      56  extension: what they must be       20 bytes: MAC address, VLAN EtherType and tag, data
 *      76  header: which bits count           like the header; a bit that is set counts
 *     128  extension: which bits count
 *     152  ring cookie: the queue, or what else to do
 *     160  location in the device's table; of entries that match a packet, the lowest decides
 */
export const SPEC_BYTES = 168;
export const SPEC_FLOW_TYPE = 0;
export const SPEC_HEADER = 4;
export const SPEC_MASK = 76;
export const SPEC_COOKIE = 152;
export const SPEC_LOCATION = 160;
/** From a field of the header or extension to its mask. */
export const TO_MASK = SPEC_MASK - SPEC_HEADER;
/** Flow type, header, extension and masks: what an entry matches. */
export const MATCH_BYTES = SPEC_COOKIE;

/** Offsets in the extension: the MAC address that packets are sent to, the VLAN tag. */
export const SPEC_MAC = 56 + 2;
export const SPEC_VLAN_ETHERTYPE = 56 + 8;
export const SPEC_VLAN_TAG = 56 + 10;

/** Flow types (linux/ethtool.h). */
export const TCP_V4_FLOW = 0x01;
export const UDP_V4_FLOW = 0x02;
export const SCTP_V4_FLOW = 0x03;
export const TCP_V6_FLOW = 0x05;
export const UDP_V6_FLOW = 0x06;
export const SCTP_V6_FLOW = 0x07;
export const IPV4_USER_FLOW = 0x0d;
export const IPV6_USER_FLOW = 0x0e;
export const ETHER_FLOW = 0x12;
/** Flags beside the flow type: VLAN tag or data count, the MAC address counts, a context of RSS says the queue. */
export const FLOW_EXT = 0x80000000;
export const FLOW_MAC_EXT = 0x40000000;
export const FLOW_RSS = 0x20000000;

/** Where IP fields lie for one version: in struct ethtool_tcpip4_spec and usrip4_spec, tcpip6_spec and usrip6_spec. */
export interface IpLayout {
  readonly version: 4 | 6;
  readonly source: number;
  readonly destination: number;
  /** With ports: source and destination port, two bytes each. Without: the first four bytes behind the IP header. */
  readonly ports: number;
  /** Without ports only: the protocol. */
  readonly protocol: number;
}

export const IPV4_LAYOUT: IpLayout = { version: 4, source: 4, destination: 8, ports: 12, protocol: 18 };
export const IPV6_LAYOUT: IpLayout = { version: 6, source: 4, destination: 20, ports: 36, protocol: 41 };
/** In usrip4_spec: the IP version as ETH_RX_NFC_IP4, whose mask must be 0. */
export const SPEC_IP_VERSION = 17;
export const ETH_RX_NFC_IP4 = 1;
/** In struct ethhdr: the EtherType, behind the MAC addresses. */
export const SPEC_ETHERTYPE = 4 + 12;

/** Flow types with ports, by protocol and version. */
export const PORT_FLOWS: readonly { readonly type: number; readonly protocol: number; readonly layout: IpLayout }[] = [
  { type: TCP_V4_FLOW, protocol: 6, layout: IPV4_LAYOUT },
  { type: UDP_V4_FLOW, protocol: 17, layout: IPV4_LAYOUT },
  { type: SCTP_V4_FLOW, protocol: 132, layout: IPV4_LAYOUT },
  { type: TCP_V6_FLOW, protocol: 6, layout: IPV6_LAYOUT },
  { type: UDP_V6_FLOW, protocol: 17, layout: IPV6_LAYOUT },
  { type: SCTP_V6_FLOW, protocol: 132, layout: IPV6_LAYOUT },
];

/** Ring cookies that are no queue. */
export const RX_CLS_FLOW_DISC = 0xffff_ffff_ffff_ffffn;
export const RX_CLS_FLOW_WAKE = 0xffff_ffff_ffff_fffen;
/** Told with the size of a table: the driver picks locations itself when it is given {@link RX_CLS_LOC_ANY}. */
export const RX_CLS_LOC_SPECIAL = 0x80000000;
export const RX_CLS_LOC_ANY = 0xffffffff;

/** What a device does with a packet that matches: to a queue, nowhere; or something that rules do not say. */
export type EntryAction = { readonly queue: number } | 'drop' | 'other';

/** One entry of a device's table. */
export interface NtupleEntry {
  /** The first {@link MATCH_BYTES} of its struct ethtool_rx_flow_spec. */
  readonly match: Uint8Array;
  readonly action: EntryAction;
  readonly location: number;
}

/** The 64-bit ring cookie of an action. */
export function cookieOf(action: Exclude<EntryAction, 'other'>): bigint {
  return action === 'drop' ? RX_CLS_FLOW_DISC : BigInt(action.queue);
}

/** Reads an entry as the kernel tells it: 168 bytes. */
export function readEntry(spec: Uint8Array): NtupleEntry {
  const view = new DataView(spec.buffer, spec.byteOffset, spec.byteLength);
  const cookie = view.getBigUint64(SPEC_COOKIE, true);
  const isContext = (view.getUint32(SPEC_FLOW_TYPE, true) & FLOW_RSS) !== 0;
  // The upper half numbers a virtual function (ethtool_get_flow_spec_ring_vf).
  const isQueue = cookie < 2n ** 32n && !isContext;
  const action = isQueue ? { queue: Number(cookie) } : cookie === RX_CLS_FLOW_DISC ? 'drop' : 'other';
  return { match: spec.slice(0, MATCH_BYTES), action, location: view.getUint32(SPEC_LOCATION, true) };
}
