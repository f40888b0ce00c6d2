import { ETHERNET_HEADER_BYTES } from './layout.js';

const AF_PACKET = 17;
const ARPHRD_ETHER = 1;
/** sll_pkttype. */
const PACKET_HOST = 0;
const PACKET_BROADCAST = 1;
const PACKET_MULTICAST = 2;
const ETHERNET_ADDRESS_BYTES = 6;

/** Smaller type fields are lengths (IEEE 802.3); Linux then says ETH_P_802_2. */
const SMALLEST_ETHERTYPE = 0x600;
/** htons(ETH_P_802_2), as a little-endian half-word. */
const ETH_P_802_2 = 0x0400;
/** htons(ETH_P_8021Q), htons(ETH_P_8021AD), as little-endian half-words. */
const VLAN_TAG = 0x0081;
const SERVICE_VLAN_TAG = 0xa888;

export const VLAN_TAG_BYTES = 4;
/** Where the tag is in a packet: behind the two addresses. */
const TAG_OFFSET = 2 * ETHERNET_ADDRESS_BYTES;

/**
 * Writes a struct sockaddr_ll (20 bytes, protocol in network order) for a received Ethernet packet.
 *
 * @param at arena byte offset of the structure, a multiple of 4
 * @param mac arena byte offset of the Ethernet header, even
 */
export function writeLinkAddress(
  u16: Uint16Array,
  i32: Int32Array,
  at: number,
  mac: number,
  interfaceIndex: number,
): void {
  const to = at >> 1;
  const from = mac >> 1;
  const first = u16[from]!;
  const second = u16[from + 1]!;
  const third = u16[from + 2]!;
  let kind = PACKET_HOST;
  if ((first & 1) !== 0) kind = (first & second & third) === 0xffff ? PACKET_BROADCAST : PACKET_MULTICAST;
  const type = u16[from + 6]!;
  u16[to] = AF_PACKET;
  u16[to + 1] = swap(type) < SMALLEST_ETHERTYPE ? ETH_P_802_2 : type;
  i32[(at >> 2) + 1] = interfaceIndex;
  u16[to + 4] = ARPHRD_ETHER;
  u16[to + 5] = kind | (ETHERNET_ADDRESS_BYTES << 8);
  u16[to + 6] = u16[from + 3]!;
  u16[to + 7] = u16[from + 4]!;
  u16[to + 8] = u16[from + 5]!;
  u16[to + 9] = 0;
}

/** Whether the packet at `mac` (even) of `bytes` bytes has a VLAN tag, which Linux takes out before sockets see the packet. */
export function hasVlanTag(u16: Uint16Array, mac: number, bytes: number): boolean {
  const type = u16[(mac >> 1) + 6]!;
  return (type === VLAN_TAG || type === SERVICE_VLAN_TAG) && bytes >= ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES;
}

/** The tag of a packet that has one: its TPID in the upper half, its TCI in the lower. */
export function readVlanTag(u16: Uint16Array, mac: number): number {
  return (swap(u16[(mac >> 1) + 6]!) << 16) | swap(u16[(mac >> 1) + 7]!);
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
