import {
  ETHERNET_HEADER_BYTES,
  MINIMUM_LINK_HEADER_BYTES,
  SOCKADDR_LL_BYTES,
  type TransmitLayout,
  tpacketAlign,
} from '../v2/layout.js';

// TPACKET_V3 (linux/if_packet.h): received packets lie one behind the other in blocks, which change hands as a whole, when full
// or after a time. Little-endian words.
//
//   block:   | tpacket_block_desc 48 | packet | packet | ... |      packets start on multiples of 8 bytes
//   packet:  | tpacket3_hdr 48 | sockaddr_ll 20 | gap | packet from byte 82 |
//   to send: equal slots as in V2, with this header: | tpacket3_hdr 48 | packet from byte 48 |
//
//   tpacket_block_desc, words: 0 version | 1 offset of private data | 2 status | 3 packets | 4 offset of the first packet |
//   5 bytes used | 6, 7 sequence number (64 bits) | 8, 9 time of the first packet, s and ns | 10, 11 of the last one
//
//   tpacket3_hdr, words: 0 offset of the next packet from this one, 0 in the last | 1 seconds | 2 nanoseconds | 3 bytes here
//   (snaplen) | 4 length | 5 status | 6 mac (bits 0-15), net (16-31) | 7 hash | 8 VLAN TCI | 9 VLAN TPID (0-15) | 10, 11 padding

/** sizeof(struct tpacket_block_desc), and where a block's first packet starts. */
export const BLOCK_HEADER_BYTES = 48;
/** Packets in a block start on multiples of this many bytes. */
export const PACKET_ALIGNMENT = 8;
/** What the kernel writes into a block's version: enum tpacket_versions counts from 0. */
export const BLOCK_VERSION = 2;

// Words of the block's descriptor.
export const BLOCK_VERSION_WORD = 0;
export const BLOCK_PRIVATE = 1;
export const BLOCK_STATUS = 2;
export const BLOCK_PACKETS = 3;
export const BLOCK_FIRST = 4;
export const BLOCK_LENGTH = 5;
export const BLOCK_SEQUENCE = 6;
export const BLOCK_FIRST_TIME = 8;
export const BLOCK_LAST_TIME = 10;

/** Block status: handed over by the time-out. */
export const TP_STATUS_BLK_TMO = 1 << 5;

/** sizeof(struct tpacket3_hdr). */
export const HEADER_BYTES = 48;
/** Where sockaddr_ll starts, from the packet's header. */
export const LINK_ADDRESS_OFFSET = tpacketAlign(HEADER_BYTES);
/** Header and address together (TPACKET3_HDRLEN). */
export const TPACKET3_HDRLEN = LINK_ADDRESS_OFFSET + SOCKADDR_LL_BYTES;
/** Where payload and Ethernet header start, from the packet's header. */
export const NET_OFFSET = tpacketAlign(TPACKET3_HDRLEN + MINIMUM_LINK_HEADER_BYTES);
export const MAC_OFFSET = NET_OFFSET - ETHERNET_HEADER_BYTES;

// Words of a packet's header.
export const NEXT_OFFSET = 0;
export const SECONDS = 1;
export const NANOSECONDS = 2;
export const SNAPLEN = 3;
export const LENGTH = 4;
export const STATUS = 5;
export const MAC_NET = 6;
export const HASH = 7;
export const VLAN_TCI = 8;
export const VLAN_TPID = 9;
export const PADDING = 10;

export const V3_TRANSMIT: TransmitLayout = {
  statusWord: STATUS,
  lengthWord: LENGTH,
  handedOverWord: PADDING,
  nextOffsetWord: NEXT_OFFSET,
  dataOffset: TPACKET3_HDRLEN - SOCKADDR_LL_BYTES,
};
