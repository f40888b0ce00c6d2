import { readUint16 } from './big-endian.js';

/**
 * Flow keys: the header fields by which packets are told apart (n-tuple rules, RSS, demultiplexing to sockets), read once per
 * packet into a few words. A rule is then a mask and a value over the same words.
 *
 *     word 0      link      bits 0-15 EtherType, bits 16-27 VLAN identifier, bit 28 "has a VLAN tag"
 *     word 1      network   bits 0-7 protocol, bits 8-11 IP version, bit 12 "has ports", bit 13 "is a fragment"
 *     word 2      ports     source in the upper, destination in the lower 16 bits
 *     words 3-6   source address, words 7-10 destination address
 *     word 11     bucket    a hash of the flow, where rules divide flows by it (steering/flow-bucket.ts); the parser leaves it alone
 *
 * Fields stand in their numeric value (host order): 10.0.0.1 is 0x0a000001 in the first word of an address, the other three
 * are 0; an IPv6 address fills four words, first bits first. What a packet does not have is 0.
 */

/** EtherType, VLAN identifier and {@link FLOW_TAGGED}. */
export const FLOW_LINK = 0;
/** Protocol, IP version, {@link FLOW_HAS_PORTS} and {@link FLOW_FRAGMENT}. */
export const FLOW_NETWORK = 1;
/** Source port in the upper, destination port in the lower 16 bits. */
export const FLOW_PORTS = 2;
/** First of the four words of the source address. */
export const FLOW_SOURCE = 3;
/** First of the four words of the destination address. */
export const FLOW_DESTINATION = 7;
/** The hash by which rules divide flows. */
export const FLOW_BUCKET = 11;
/** Words of a flow key. */
export const FLOW_KEY_WORDS = 12;

/** In {@link FLOW_LINK}: the EtherType behind all VLAN tags; 0 for IEEE 802.3 frames (a length) and truncated ones. */
export const FLOW_ETHERTYPE_MASK = 0xffff;
/** In {@link FLOW_LINK}: the identifier of the outermost VLAN tag starts at this bit. */
export const FLOW_VLAN_SHIFT = 16;
export const FLOW_VLAN_MASK = 0xfff << FLOW_VLAN_SHIFT;
/** In {@link FLOW_LINK}: there is a VLAN tag (identifier 0 only carries a priority). */
export const FLOW_TAGGED = 1 << 28;

/** In {@link FLOW_NETWORK}: IPv4 protocol, or the IPv6 next header behind the extension headers. */
export const FLOW_PROTOCOL_MASK = 0xff;
/** In {@link FLOW_NETWORK}: the IP version (4 or 6; 0 without a whole IP header) starts at this bit. */
export const FLOW_VERSION_SHIFT = 8;
export const FLOW_VERSION_MASK = 0xf << FLOW_VERSION_SHIFT;
/** In {@link FLOW_NETWORK}: the bit that versions 4 and 6 have in common. */
export const FLOW_IS_IP = 4 << FLOW_VERSION_SHIFT;
/** In {@link FLOW_NETWORK}: {@link FLOW_PORTS} was read (TCP, UDP, SCTP; not in fragments other than the first). */
export const FLOW_HAS_PORTS = 1 << 12;
/** In {@link FLOW_NETWORK}: part of a fragmented IP packet, the first part included. */
export const FLOW_FRAGMENT = 1 << 13;

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_IPV6 = 0x86dd;
/** Values below this in the place of the EtherType are IEEE 802.3 lengths. */
export const ETHERTYPE_MINIMUM = 0x0600;

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const PROTOCOL_ICMP6 = 58;
export const PROTOCOL_SCTP = 132;

/** {@link FLOW_KEY_WORDS} words. The caller owns it and uses it again for the next packet. */
export type FlowKey = Int32Array;

export function createFlowKey(): FlowKey {
  return new Int32Array(FLOW_KEY_WORDS);
}

// V8 loads an exported constant from its module's variable wherever it is used; a private one it folds into the code. Measured
// on Node 20: 15 ns a packet with the exported names in the parser, 8.5 with these.
const LINK = FLOW_LINK;
const NETWORK = FLOW_NETWORK;
const PORTS = FLOW_PORTS;
const SOURCE = FLOW_SOURCE;
const DESTINATION = FLOW_DESTINATION;
const HAS_PORTS = FLOW_HAS_PORTS;
const VERSION_4 = 4 << FLOW_VERSION_SHIFT;
const VERSION_6 = 6 << FLOW_VERSION_SHIFT;
const FRAGMENT = FLOW_FRAGMENT;
const TAGGED = FLOW_TAGGED;
const VLAN_SHIFT = FLOW_VLAN_SHIFT;
const LOWEST_ETHERTYPE = ETHERTYPE_MINIMUM;
const IPV4 = ETHERTYPE_IPV4;
const IPV6 = ETHERTYPE_IPV6;
const TCP = PROTOCOL_TCP;
const UDP = PROTOCOL_UDP;
const SCTP = PROTOCOL_SCTP;

const ETHERNET_HEADER = 14;
/** More than two tags is nobody's configuration, and each costs a hostile packet's reader a step. */
const MOST_VLAN_TAGS = 4;
/** RFC 8200 section 4.1 names six extension headers and one repetition; longer chains are left unread. */
const MOST_EXTENSION_HEADERS = 8;

/**
 * Reads a packet's flow key. Every word of `key` but the last is written. Reads only bytes from `offset` to `offset + length`, whatever the
 * headers claim; each length field is read once, so bytes that change meanwhile (zero-copy) do no harm. What is truncated or
 * not understood leaves its fields 0. The lengths in the IP headers are not consulted, nor checksums.
 *
 * @param bytes  memory that the packet lies in
 * @param offset of the Ethernet header in it, in bytes
 * @param length of the packet in bytes, without FCS; `offset + length` lies within `bytes`
 * @returns the IP version: 4, 6, or 0
 */
export function parseFlowKey(bytes: Uint8Array, offset: number, length: number, key: FlowKey): number {
  // Plain IPv4 (no options, no fragment) in one straight run of loads, small enough for the compiler to inline: a call of its
  // own costs 6 ns.
  if (
    length >= 38 &&
    bytes[offset + 12] === 0x08 &&
    bytes[offset + 13] === 0x00 &&
    bytes[offset + 14] === 0x45 &&
    ((bytes[offset + 20]! & 0x3f) | bytes[offset + 21]!) === 0
  ) {
    const protocol = bytes[offset + 23]!;
    if (protocol === TCP || protocol === UDP) {
      key[LINK] = IPV4;
      key[NETWORK] = HAS_PORTS | VERSION_4 | protocol;
      key[PORTS] =
        (bytes[offset + 34]! << 24) | (bytes[offset + 35]! << 16) | (bytes[offset + 36]! << 8) | bytes[offset + 37]!;
      key[SOURCE] =
        (bytes[offset + 26]! << 24) | (bytes[offset + 27]! << 16) | (bytes[offset + 28]! << 8) | bytes[offset + 29]!;
      key[SOURCE + 1] = 0;
      key[SOURCE + 2] = 0;
      key[SOURCE + 3] = 0;
      key[DESTINATION] =
        (bytes[offset + 30]! << 24) | (bytes[offset + 31]! << 16) | (bytes[offset + 32]! << 8) | bytes[offset + 33]!;
      key[DESTINATION + 1] = 0;
      key[DESTINATION + 2] = 0;
      key[DESTINATION + 3] = 0;
      return 4;
    }
  }
  return parseAny(bytes, offset, length, key);
}

function parseAny(bytes: Uint8Array, offset: number, length: number, key: FlowKey): number {
  if (length < ETHERNET_HEADER) return parseNothing(key, 0);
  const end = offset + length;
  let at = offset + ETHERNET_HEADER;
  let etherType = readUint16(bytes, offset + 12);
  let link = 0;
  for (let tags = 0; tags < MOST_VLAN_TAGS && isVlanTag(etherType) && end - at >= 4; tags++) {
    if (tags === 0) link = TAGGED | ((readUint16(bytes, at) & 0xfff) << VLAN_SHIFT);
    etherType = readUint16(bytes, at + 2);
    at += 4;
  }
  if (etherType === IPV4) return parseIpv4(bytes, at, end, key, link | IPV4);
  if (etherType === IPV6) return parseIpv6(bytes, at, end, key, link | IPV6);
  return parseNothing(key, etherType >= LOWEST_ETHERTYPE ? link | etherType : link);
}

/** Not IP, or not a whole header of it. */
function parseNothing(key: FlowKey, link: number): number {
  key.fill(0);
  key[LINK] = link;
  return 0;
}

// The address and port loads below are written out: which small functions the compiler still inlines depends on what other
// traffic it has seen, and calls double the cost of a packet.

/** RFC 791 section 3.1. */
function parseIpv4(bytes: Uint8Array, at: number, end: number, key: FlowKey, link: number): number {
  if (end - at < 20) return parseNothing(key, link);
  const first = bytes[at]!;
  const headerBytes = (first & 0xf) << 2;
  if (first >> 4 !== 4 || headerBytes < 20 || end - at < headerBytes) return parseNothing(key, link);
  key[LINK] = link;
  key[SOURCE] = (bytes[at + 12]! << 24) | (bytes[at + 13]! << 16) | (bytes[at + 14]! << 8) | bytes[at + 15]!;
  key[SOURCE + 1] = 0;
  key[SOURCE + 2] = 0;
  key[SOURCE + 3] = 0;
  key[DESTINATION] = (bytes[at + 16]! << 24) | (bytes[at + 17]! << 16) | (bytes[at + 18]! << 8) | bytes[at + 19]!;
  key[DESTINATION + 1] = 0;
  key[DESTINATION + 2] = 0;
  key[DESTINATION + 3] = 0;
  let network = VERSION_4 | bytes[at + 9]!;
  let ports = 0;
  const fragment = ((bytes[at + 6]! << 8) | bytes[at + 7]!) & 0x3fff; // "more fragments" and the offset
  if (fragment !== 0) network |= FRAGMENT;
  const next = at + headerBytes;
  if ((fragment & 0x1fff) === 0 && hasPorts(network & 0xff) && end - next >= 4) {
    network |= HAS_PORTS;
    ports = (bytes[next]! << 24) | (bytes[next + 1]! << 16) | (bytes[next + 2]! << 8) | bytes[next + 3]!;
  }
  key[NETWORK] = network;
  key[PORTS] = ports;
  return 4;
}

/** RFC 8200 sections 3 and 4. */
function parseIpv6(bytes: Uint8Array, at: number, end: number, key: FlowKey, link: number): number {
  if (end - at < 40 || bytes[at]! >> 4 !== 6) return parseNothing(key, link);
  key[LINK] = link;
  key[SOURCE] = (bytes[at + 8]! << 24) | (bytes[at + 9]! << 16) | (bytes[at + 10]! << 8) | bytes[at + 11]!;
  key[SOURCE + 1] = (bytes[at + 12]! << 24) | (bytes[at + 13]! << 16) | (bytes[at + 14]! << 8) | bytes[at + 15]!;
  key[SOURCE + 2] = (bytes[at + 16]! << 24) | (bytes[at + 17]! << 16) | (bytes[at + 18]! << 8) | bytes[at + 19]!;
  key[SOURCE + 3] = (bytes[at + 20]! << 24) | (bytes[at + 21]! << 16) | (bytes[at + 22]! << 8) | bytes[at + 23]!;
  key[DESTINATION] = (bytes[at + 24]! << 24) | (bytes[at + 25]! << 16) | (bytes[at + 26]! << 8) | bytes[at + 27]!;
  key[DESTINATION + 1] = (bytes[at + 28]! << 24) | (bytes[at + 29]! << 16) | (bytes[at + 30]! << 8) | bytes[at + 31]!;
  key[DESTINATION + 2] = (bytes[at + 32]! << 24) | (bytes[at + 33]! << 16) | (bytes[at + 34]! << 8) | bytes[at + 35]!;
  key[DESTINATION + 3] = (bytes[at + 36]! << 24) | (bytes[at + 37]! << 16) | (bytes[at + 38]! << 8) | bytes[at + 39]!;
  const protocol = bytes[at + 6]!;
  if (!hasPorts(protocol)) return parseExtensions(bytes, at + 40, end, key, protocol);
  if (end - at < 44) return setProtocol(key, VERSION_6 | protocol, 0);
  const ports = (bytes[at + 40]! << 24) | (bytes[at + 41]! << 16) | (bytes[at + 42]! << 8) | bytes[at + 43]!;
  return setProtocol(key, VERSION_6 | HAS_PORTS | protocol, ports);
}

/** Walks IPv6 extension headers up to the first header that is none, is cut off, or is one too many. */
function parseExtensions(bytes: Uint8Array, at: number, end: number, key: FlowKey, protocol: number): number {
  let network = VERSION_6;
  for (let headers = 0; headers < MOST_EXTENSION_HEADERS && isExtension(protocol) && end - at >= 8; headers++) {
    let headerBytes = 8;
    if (protocol === FRAGMENT_HEADER) {
      const fragment = readUint16(bytes, at + 2);
      // A fragment that is the whole packet (RFC 6946) is none.
      if ((fragment & 0xfff9) !== 0) network |= FRAGMENT;
      // What follows the header of a later fragment is anything.
      if ((fragment & 0xfff8) !== 0) return setProtocol(key, network | bytes[at]!, 0);
    } else if (protocol === AUTHENTICATION_HEADER) {
      headerBytes = (bytes[at + 1]! + 2) << 2; // words, less two (RFC 4302 section 2.2)
    } else {
      headerBytes = (bytes[at + 1]! + 1) << 3; // 8-byte units behind the first
    }
    if (end - at < headerBytes) break;
    protocol = bytes[at]!;
    at += headerBytes;
  }
  if (!hasPorts(protocol) || end - at < 4) return setProtocol(key, network | protocol, 0);
  return setProtocol(key, network | HAS_PORTS | protocol, (readUint16(bytes, at) << 16) | readUint16(bytes, at + 2));
}

function setProtocol(key: FlowKey, network: number, ports: number): number {
  key[NETWORK] = network;
  key[PORTS] = ports;
  return 6;
}

const FRAGMENT_HEADER = 44;
const AUTHENTICATION_HEADER = 51;

/** Hop-by-hop options, routing, fragment, authentication, destination options, mobility, host identity, shim6. */
function isExtension(protocol: number): boolean {
  switch (protocol) {
    case 0:
    case 43:
    case FRAGMENT_HEADER:
    case AUTHENTICATION_HEADER:
    case 60:
    case 135:
    case 139:
    case 140:
      return true;
    default:
      return false;
  }
}

/** Whether a protocol's header starts with a source and a destination port. */
export function hasPorts(protocol: number): boolean {
  return protocol === TCP || protocol === UDP || protocol === SCTP;
}

/** IEEE 802.1Q, IEEE 802.1ad (QinQ), and the number QinQ had before its standard. */
export function isVlanTag(etherType: number): boolean {
  return etherType === 0x8100 || etherType === 0x88a8 || etherType === 0x9100;
}
