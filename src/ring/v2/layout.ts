// TPACKET_V2 (linux/if_packet.h): the ring is an array of equal slots (Linux: frames), each with its own header. Little-endian
// words; slots start on multiples of TPACKET_ALIGNMENT.
//
//   received:   | tpacket2_hdr 32 | sockaddr_ll 20 | gap | packet from byte 66: so that its payload is aligned to 16 |
//   to send:    | tpacket2_hdr 32 | packet from byte 32                                                              |
//
//   tpacket2_hdr, words: 0 status | 1 length | 2 bytes in the slot (snaplen) | 3 mac (bits 0-15), net (16-31): where the
//   Ethernet header and its payload start | 4 seconds | 5 nanoseconds | 6 VLAN TCI (0-15), TPID (16-31) | 7 padding
//
// Order between the two sides (DESIGN, JavaScript memory model): each side goes through the ring in order. Who hands over a
// batch writes all its status words plainly and the first one last, with one atomic store; who takes it reads that word with
// an atomic load. So that one load serves the whole batch (it costs 8.5 ns in Node 20), we note in the first slot's padding how
// many slots the batch has: the kernel as a positive number, the user as a negative one. Linux neither reads the padding nor
// writes anything but 0 there, which means 1: on Linux every status word is loaded atomically, as it must be, since Linux
// hands over slot by slot.

export const TPACKET_ALIGNMENT = 16;

/** Rounds up to a multiple of {@link TPACKET_ALIGNMENT} (TPACKET_ALIGN). */
export function tpacketAlign(bytes: number): number {
  return (bytes + TPACKET_ALIGNMENT - 1) & ~(TPACKET_ALIGNMENT - 1);
}

/** sizeof(struct tpacket2_hdr). */
export const HEADER_BYTES = 32;
export const SOCKADDR_LL_BYTES = 20;
export const ETHERNET_HEADER_BYTES = 14;
/** Bytes that Linux keeps for the link-layer header at least, when it places the payload (net/packet/af_packet.c). */
export const MINIMUM_LINK_HEADER_BYTES = 16;

/** Where sockaddr_ll starts in the slot of a received packet. */
export const LINK_ADDRESS_OFFSET = tpacketAlign(HEADER_BYTES);
/** Header and address together (TPACKET2_HDRLEN). */
export const TPACKET2_HDRLEN = LINK_ADDRESS_OFFSET + SOCKADDR_LL_BYTES;
/** Where the payload (network header) and the Ethernet header of a received packet start in its slot. */
export const NET_OFFSET = tpacketAlign(TPACKET2_HDRLEN + MINIMUM_LINK_HEADER_BYTES);
export const MAC_OFFSET = NET_OFFSET - ETHERNET_HEADER_BYTES;

// Words of the header.
export const STATUS = 0;
export const LENGTH = 1;
export const SNAPLEN = 2;
export const MAC_NET = 3;
export const SECONDS = 4;
export const NANOSECONDS = 5;
export const VLAN = 6;
/** Padding: how many slots were handed over with this one. */
export const HANDED_OVER = 7;

// Status of received packets.
export const TP_STATUS_KERNEL = 0;
export const TP_STATUS_USER = 1 << 0;
/** The packets before this one did not fit: some are lost. */
export const TP_STATUS_LOSING = 1 << 2;
/** The sender is this machine's stack or a virtual interface's, and has left the checksum to the device. */
export const TP_STATUS_CSUMNOTREADY = 1 << 3;
/** The VLAN tag was taken out of the packet and is in the header. */
export const TP_STATUS_VLAN_VALID = 1 << 4;
/** The tag's TPID, too; otherwise it is 0x8100. */
export const TP_STATUS_VLAN_TPID_VALID = 1 << 6;

// Status of packets to send. Linux may add TP_STATUS_TS_* (bits 29 to 31) to AVAILABLE.
export const TP_STATUS_AVAILABLE = 0;
export const TP_STATUS_SEND_REQUEST = 1 << 0;
export const TP_STATUS_SENDING = 1 << 1;
export const TP_STATUS_WRONG_FORMAT = 1 << 2;

/** Where things are in a slot to send: that is all in which the TX rings of V2 and V3 differ. Words, except `dataOffset`. */
export interface TransmitLayout {
  readonly statusWord: number;
  readonly lengthWord: number;
  /** How many slots were handed over with this one. */
  readonly handedOverWord: number;
  /** V3: tp_next_offset, which must be 0, since Linux knows no slots of variable length. V2 has no such word: -1. */
  readonly nextOffsetWord: number;
  /** Byte of the slot at which the packet starts (header length less sockaddr_ll, as PACKET_TX_HAS_OFF is off). */
  readonly dataOffset: number;
}

export const V2_TRANSMIT: TransmitLayout = {
  statusWord: STATUS,
  lengthWord: LENGTH,
  handedOverWord: HANDED_OVER,
  nextOffsetWord: -1,
  dataOffset: TPACKET2_HDRLEN - SOCKADDR_LL_BYTES,
};
