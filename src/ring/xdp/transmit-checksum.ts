import { addToChecksum, finishChecksum } from '../../packet/checksum.js';
import { TRANSMIT_METADATA_BYTES } from './layout.js';

// Flags of the metadata in front of a packet (transmit-metadata.ts has its layout), as far as the soft kernel knows them.
const CHECKSUM = 1 << 1;

/**
 * Does what the metadata in front of a packet asks for: fills in its checksum, in the packet. The application may change the metadata
 * meanwhile: each word is read once.
 *
 * @param address arena offset of the packet's first byte
 * @param inFrame bytes from its frame's start to there
 * @param bytes of the packet, all in that frame
 * @returns false where the request makes no sense: there is no room for metadata, it asks for more, or for something outside the packet
 */
export function fillInChecksum(
  i32: Int32Array,
  u8: Uint8Array,
  address: number,
  inFrame: number,
  bytes: number,
): boolean {
  if (inFrame < TRANSMIT_METADATA_BYTES || (address & 3) !== 0) return false;
  const word = (address - TRANSMIT_METADATA_BYTES) >> 2;
  const flags = i32[word]!;
  if ((flags & ~CHECKSUM) !== 0 || i32[word + 1] !== 0) return false;
  if (flags === 0) return true;
  const places = i32[word + 2]!;
  const start = places & 0xffff;
  const field = start + (places >>> 16);
  if (field + 2 > bytes) return false;
  const sum = finishChecksum(addToChecksum(0, u8, address + start, bytes - start));
  u8[address + field] = sum >> 8;
  u8[address + field + 1] = sum;
  return true;
}
