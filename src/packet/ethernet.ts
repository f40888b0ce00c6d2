import { writeUint16 } from './big-endian.js';
import { MAC_ADDRESS_BYTES, type MacAddress, writeMacAddress } from './mac-address.js';

/** Destination, source, EtherType (IEEE 802.3 clause 3). */
export const ETHERNET_HEADER_BYTES = 14;
/** A frame with its padding but without the frame check sequence is never shorter on a real wire. */
export const ETHERNET_MINIMUM_BYTES = 60;
/** The frame check sequence that follows each frame on a wire; no packet in memory carries it here. */
export const FRAME_CHECK_SEQUENCE_BYTES = 4;
/** Tag control information and the EtherType behind it (IEEE 802.1Q clause 9). */
export const VLAN_TAG_BYTES = 4;

/** Customer tag: the ordinary VLAN tag. */
export const TAG_PROTOCOL_CUSTOMER = 0x8100;
/** Service tag: the outer one of two (QinQ). */
export const TAG_PROTOCOL_SERVICE = 0x88a8;

/** A VLAN tag in front of the EtherType. */
export interface VlanTag {
  /** VLAN identifier, 0 to 4095; 0 only carries a priority. */
  readonly id: number;
  /** Priority code point, 0 to 7; default 0. */
  readonly priority?: number;
  /** Drop eligible indicator; default false. */
  readonly dropEligible?: boolean;
  /** Tag protocol identifier: 0x8100 for a customer tag (default), 0x88a8 for a service tag. */
  readonly protocol?: number;
}

const NO_TAGS: readonly VlanTag[] = [];

/**
 * Writes an Ethernet header with its VLAN tags, outermost first.
 *
 * @param etherType of what follows, 0x0600 to 0xffff
 * @returns bytes written
 */
export function writeEthernetHeader(
  bytes: Uint8Array,
  offset: number,
  destination: MacAddress,
  source: MacAddress,
  etherType: number,
  tags = NO_TAGS,
): number {
  writeMacAddress(bytes, offset, destination);
  writeMacAddress(bytes, offset + MAC_ADDRESS_BYTES, source);
  let at = offset + 2 * MAC_ADDRESS_BYTES;
  for (let i = 0; i < tags.length; i++) {
    const tag = tags[i]!;
    const control = ((tag.priority ?? 0) << 13) | (tag.dropEligible ? 0x1000 : 0) | (tag.id & 0xfff);
    writeUint16(bytes, at, tag.protocol ?? TAG_PROTOCOL_CUSTOMER);
    writeUint16(bytes, at + 2, control);
    at += VLAN_TAG_BYTES;
  }
  writeUint16(bytes, at, etherType);
  return at + 2 - offset;
}
