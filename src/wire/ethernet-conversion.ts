import { LINKTYPE_ETHERNET, LINKTYPE_LINUX_SLL, LINKTYPE_LINUX_SLL2, LINKTYPE_RAW } from '../capture-file/contract.js';
import { ETHERNET_HEADER_BYTES } from '../packet/ethernet.js';
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from '../packet/flow-key.js';
import { MAC_ADDRESS_BYTES, writeMacAddress } from '../packet/mac-address.js';

/**
 * Packets of captures that were not taken on Ethernet, made fit for an Ethernet device. What stands in front of the network
 * header is replaced; the destination address, which the "cooked" headers do not keep, is made up.
 *
 *     Linux cooked, 16 bytes               kind(2) ARPHRD(2) addressLength(2) address(8) protocol(2)
 *     Linux cooked version 2, 20 bytes     protocol(2) reserved(2) interface(4) ARPHRD(2) kind(1) addressLength(1) address(8)
 *
 * Source: https://www.tcpdump.org/linktypes.html. All numbers are big-endian.
 */
const SLL_BYTES = 16;
const SLL_ADDRESS_LENGTH = 4;
const SLL_ADDRESS = 6;
const SLL_PROTOCOL = 14;
const SLL2_BYTES = 20;
const SLL2_PROTOCOL = 0;
const SLL2_ADDRESS_LENGTH = 11;
const SLL2_ADDRESS = 12;

const MADE_UP_DESTINATION = Uint8Array.of(2, 0, 0, 0, 0, 2);
const MADE_UP_SOURCE = Uint8Array.of(2, 0, 0, 0, 0, 1);

/** Bytes in front of the network header that are replaced, by link type; undefined where that cannot be done. */
function replacedBytes(linkType: number): number | undefined {
  switch (linkType) {
    case LINKTYPE_RAW:
      return 0;
    case LINKTYPE_LINUX_SLL:
      return SLL_BYTES;
    case LINKTYPE_LINUX_SLL2:
      return SLL2_BYTES;
    default:
      return undefined;
  }
}

/** Whether packets of a link type can be converted, or need not be. */
export function canBecomeEthernet(linkType: number): boolean {
  return linkType === LINKTYPE_ETHERNET || replacedBytes(linkType) !== undefined;
}

/** Bytes of a packet as Ethernet. Less than an Ethernet header when the packet is too short to be one. */
export function ethernetLength(linkType: number, length: number): number {
  if (linkType === LINKTYPE_ETHERNET) return length;
  const replaced = replacedBytes(linkType)!;
  // Raw packets tell IPv4 from IPv6 in their first byte.
  if (length < Math.max(replaced, 1)) return 0;
  return length - replaced + ETHERNET_HEADER_BYTES;
}

/**
 * Writes a packet of `ethernetLength` bytes at `offset`.
 * @param from of its captured bytes in `capture`, `length` of them
 */
export function writeAsEthernet(
  bytes: Uint8Array,
  offset: number,
  linkType: number,
  capture: Uint8Array,
  from: number,
  length: number,
): void {
  const replaced = linkType === LINKTYPE_ETHERNET ? 0 : replacedBytes(linkType)!;
  let to = offset;
  if (linkType !== LINKTYPE_ETHERNET) {
    writeMacAddress(bytes, to, MADE_UP_DESTINATION);
    writeSource(bytes, to + MAC_ADDRESS_BYTES, linkType, capture, from);
    writeType(bytes, to + 2 * MAC_ADDRESS_BYTES, linkType, capture, from);
    to += ETHERNET_HEADER_BYTES;
  }
  bytes.set(capture.subarray(from + replaced, from + length), to);
}

function writeSource(bytes: Uint8Array, offset: number, linkType: number, capture: Uint8Array, from: number): void {
  writeMacAddress(bytes, offset, MADE_UP_SOURCE);
  if (linkType === LINKTYPE_RAW) return;
  const version2 = linkType === LINKTYPE_LINUX_SLL2;
  const address = from + (version2 ? SLL2_ADDRESS : SLL_ADDRESS);
  const addressBytes = version2
    ? capture[from + SLL2_ADDRESS_LENGTH]!
    : (capture[from + SLL_ADDRESS_LENGTH]! << 8) | capture[from + SLL_ADDRESS_LENGTH + 1]!;
  if (addressBytes === MAC_ADDRESS_BYTES) writeMacAddress(bytes, offset, capture.subarray(address));
}

function writeType(bytes: Uint8Array, offset: number, linkType: number, capture: Uint8Array, from: number): void {
  if (linkType === LINKTYPE_RAW) {
    const type = capture[from]! >>> 4 === 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4;
    bytes[offset] = type >>> 8;
    bytes[offset + 1] = type;
    return;
  }
  const protocol = from + (linkType === LINKTYPE_LINUX_SLL2 ? SLL2_PROTOCOL : SLL_PROTOCOL);
  bytes[offset] = capture[protocol]!;
  bytes[offset + 1] = capture[protocol + 1]!;
}
