/**
 * Layout of pcap files (draft-ietf-opsawg-pcap), as the writer's machine ordered its bytes; the magic number tells which order.
 *
 *     file header, 24 bytes     magic(4) major(2) minor(2) reserved(8) snapLength(4) linkType(2) and flags(2)
 *     packet header, 16 bytes   seconds(4) fraction(4) length(4) originalLength(4)        then the data
 */

export const PCAP_FILE_HEADER_BYTES = 24;
export const PCAP_PACKET_HEADER_BYTES = 16;

/** The fraction counts microseconds. */
export const PCAP_MAGIC_MICROSECONDS = 0xa1b2c3d4;
/** The fraction counts nanoseconds. */
export const PCAP_MAGIC_NANOSECONDS = 0xa1b23c4d;
/** The "modified" format of old patched libpcaps, with other packet headers, of which several kinds carry this same number. */
export const PCAP_MAGIC_MODIFIED = 0xa1b2cd34;

export const PCAP_MAJOR = 2;
export const PCAP_MINOR = 4;

/** What tcpdump and Wireshark write for "whole packets". */
export const DEFAULT_SNAP_LENGTH = 262144;
