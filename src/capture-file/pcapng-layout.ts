/**
 * Layout of pcapng files (draft-ietf-opsawg-pcapng): blocks, each within its length written twice, in the byte order that the
 * section header tells.
 *
 *     any block            type(4) length(4) body... length(4)                   length: of all this, a multiple of 4
 *     section header       byteOrderMagic(4) major(2) minor(2) sectionLength(8) options
 *     interface            linkType(2) reserved(2) snapLength(4) options
 *     enhanced packet      interface(4) timeHigh(4) timeLow(4) length(4) originalLength(4) data padded to 4, options
 *     packet (obsolete)    interface(2) drops(2), otherwise the same
 *     simple packet        originalLength(4) data padded to 4
 *     option               code(2) length(2) value padded to 4
 */

export const BLOCK_INTERFACE = 1;
export const BLOCK_PACKET = 2;
export const BLOCK_SIMPLE_PACKET = 3;
export const BLOCK_ENHANCED_PACKET = 6;
/** Reads the same in both byte orders. */
export const BLOCK_SECTION_HEADER = 0x0a0d0d0a;

/** Type and length in front of a body. */
export const BLOCK_HEAD_BYTES = 8;
/** The length behind it. */
export const BLOCK_TAIL_BYTES = 4;

export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
export const PCAPNG_MAJOR = 1;

export const OPTION_END = 0;
/** Unit of an interface's timestamps: 1 byte; microseconds without it. */
export const OPTION_TIMESTAMP_RESOLUTION = 9;
/** Seconds to add to them: 8 bytes, signed. */
export const OPTION_TIMESTAMP_OFFSET = 14;
/** What `if_tsresol` says where it is absent. */
export const DEFAULT_TIMESTAMP_RESOLUTION = 6;
