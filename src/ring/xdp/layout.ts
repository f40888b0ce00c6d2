// AF_XDP's rings (linux/if_xdp.h): a producer word, a consumer word and a flags word, each on a cache line of its own, and the
// descriptors. Little-endian. The indices run freely, modulo 2^32. One atomic store of an index hands a whole batch over (F2, F3).
//
//   fill, completion: 8 bytes an entry: [ address low | address high ]                          of the frame
//   RX, TX:          16 bytes an entry: [ address low | address high | length | options ]      of the packet's first byte
//
// Addresses count from the start of the packet buffer.

export const ADDRESS_BYTES = 8;
export const DESCRIPTOR_BYTES = 16;
/** Options bit: the packet continues in the next descriptor (XDP_PKT_CONTD). */
export const PACKET_CONTINUED = 1;
/** Options bit: there is metadata in front of the packet (XDP_TX_METADATA). */
export const HAS_METADATA = 2;
/** Bytes of that metadata, where a socket was opened for it: struct xsk_tx_metadata as of Linux 6.14. */
export const TRANSMIT_METADATA_BYTES = 24;
/** Where the soft kernel puts the words of a ring; on Linux XDP_MMAP_OFFSETS says. */
export const PRODUCER_OFFSET = 0;
export const CONSUMER_OFFSET = 64;
export const FLAGS_OFFSET = 128;
export const ENTRIES_OFFSET = 192;
