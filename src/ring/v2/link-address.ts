import { ETHERNET_HEADER_BYTES } from './layout.js';

const AF_PACKET = 17;
const ARPHRD_ETHER = 1;
/** sll_pkttype. */
const PACKET_HOST = 0;
const PACKET_BROADCAST = 1;
const PACKET_MULTICAST = 2;
const ETHERNET_ADDRESS_BYTES = 6;

/** First byte of the smallest type; smaller ones are lengths (IEEE 802.3), for which Linux says ETH_P_802_2. */
const SMALLEST_ETHERTYPE = 0x06;
/** htons(ETH_P_802_2), as a little-endian half-word. */
const ETH_P_802_2 = 0x0400;
/** htons(ETH_P_8021Q), htons(ETH_P_8021AD), as little-endian half-words. */
const VLAN_TAG = 0x0081;
const SERVICE_VLAN_TAG = 0xa888;

export const VLAN_TAG_BYTES = 4;
/** Where the tag is in a packet: behind the two addresses. */
const TAG_OFFSET = 2 * ETHERNET_ADDRESS_BYTES;

// The Ethernet header of a received packet starts 2 bytes behind a multiple of 4 (tp_mac is 66 or 82, with a VLAN tag 70 or 86),
// so that its fields are reached as words:
//
//   half-word at mac: destination 0-1 | word at mac + 2: destination 2-5 | + 6: source 0-3 | + 10: source 4-5, type

/** The last word of the Ethernet header: half of the source address, and the type, both as they are in memory. */
export function readTypeWord(i32: Int32Array, mac: number): number {
  return i32[(mac + 10) >> 2]!;
}

/**
 * Writes a struct sockaddr_ll (20 bytes, protocol in network order) for a received Ethernet packet.
 *
 * @param at arena byte offset of the structure, a multiple of 4
 * @param mac arena byte offset of the Ethernet header, 2 more than a multiple of 4
 * @param typeWord what {@link readTypeWord} gave for it
 */
export function writeLinkAddress(
  u16: Uint16Array,
  i32: Int32Array,
  at: number,
  mac: number,
  typeWord: number,
  interfaceIndex: number,
): void {
  const to = at >> 2;
  const from = (mac + 2) >> 2;
  const first = u16[mac >> 1]!;
  let kind = PACKET_HOST;
  if ((first & 1) !== 0) kind = first === 0xffff && i32[from] === -1 ? PACKET_BROADCAST : PACKET_MULTICAST;
  let protocol = typeWord >>> 16;
  if ((protocol & 0xff) < SMALLEST_ETHERTYPE) protocol = ETH_P_802_2;
  i32[to] = AF_PACKET | (protocol << 16);
  i32[to + 1] = interfaceIndex;
  i32[to + 2] = ARPHRD_ETHER | (kind << 16) | (ETHERNET_ADDRESS_BYTES << 24);
  i32[to + 3] = i32[from + 1]!;
  i32[to + 4] = typeWord & 0xffff;
}

/** Whether a packet of `bytes` bytes has a VLAN tag, which Linux takes out before sockets see the packet. */
export function hasVlanTag(typeWord: number, bytes: number): boolean {
  const type = typeWord >>> 16;
  return (type === VLAN_TAG || type === SERVICE_VLAN_TAG) && bytes >= ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES;
}

/** The tag of a packet that has one: its TPID in the upper half, its TCI in the lower. */
export function readVlanTag(u16: Uint16Array, mac: number): number {
  return (swap(u16[(mac + TAG_OFFSET) >> 1]!) << 16) | swap(u16[(mac + TAG_OFFSET + 2) >> 1]!);
}

/** Takes the tag out by moving the addresses over it: the packet now starts VLAN_TAG_BYTES later. */
export function removeVlanTag(u8: Uint8Array, mac: number): void {
  u8.copyWithin(mac + VLAN_TAG_BYTES, mac, mac + TAG_OFFSET);
}

/** TPID of a tag for which Linux gives none: ETH_P_8021Q. */
export const DEFAULT_TPID = 0x8100;

/** Whether a tag can be put into a packet of `bytes` bytes with `gap` bytes in front of it. */
export function canInsertVlanTag(gap: number, bytes: number): boolean {
  return gap >= VLAN_TAG_BYTES && bytes >= TAG_OFFSET;
}

/**
 * Puts a tag back that Linux has taken out, so that a packet is the same in every mode: it now starts VLAN_TAG_BYTES earlier,
 * in the gap that tp_mac leaves.
 */
export function insertVlanTag(u8: Uint8Array, mac: number, tpid: number, tci: number): void {
  const to = mac - VLAN_TAG_BYTES;
  u8.copyWithin(to, mac, mac + TAG_OFFSET);
  u8[to + TAG_OFFSET] = tpid >> 8;
  u8[to + TAG_OFFSET + 1] = tpid;
  u8[to + TAG_OFFSET + 2] = tci >> 8;
  u8[to + TAG_OFFSET + 3] = tci;
}

function swap(halfWord: number): number {
  return ((halfWord & 0xff) << 8) | (halfWord >> 8);
}
