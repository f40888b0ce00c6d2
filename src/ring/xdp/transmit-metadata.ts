import type { PacketBuffer } from '../../packet-buffer/packet-buffer.js';
import { PACKET_METADATA, type PacketBatch } from '../packet-batch.js';
import { TRANSMIT_METADATA_BYTES } from './layout.js';

/** Bit of the metadata's first word: fill in a checksum (XDP_TXMD_FLAGS_CHECKSUM). */
const CHECKSUM = 1 << 1;

/**
 * Writes metadata in front of a packet that is to be sent, which asks for a checksum (linux/if_xdp.h, struct xsk_tx_metadata: 64-bit flags,
 * then 16-bit start and offset, native byte order), and marks the batch entry.
 *
 * @param start bytes from the packet's first to where summing starts, up to the packet's end
 * @param field bytes from there to the 16-bit checksum field, which holds what is to be summed in addition (a pseudo header)
 * @returns false when the packet leaves no room for it: it lies outside the buffer, or starts less than 24 bytes behind its frame's start, or
 *   the field lies outside the packet
 */
export function requestChecksum(
  buffer: PacketBuffer,
  batch: PacketBatch,
  index: number,
  start: number,
  field: number,
): boolean {
  const at = batch.offset[index]!;
  const inFrame = at & (buffer.frameSize - 1);
  if (!buffer.contains(at) || inFrame < TRANSMIT_METADATA_BYTES || (at & 3) !== 0) return false;
  if (start < 0 || field < 0 || start + field + 2 > batch.size[index]!) return false;
  const word = (at - TRANSMIT_METADATA_BYTES) >> 2;
  buffer.arena.i32[word] = CHECKSUM;
  buffer.arena.i32[word + 1] = 0;
  buffer.arena.i32[word + 2] = start | (field << 16);
  batch.flags[index] = batch.flags[index]! | PACKET_METADATA;
  return true;
}
