import type { PacketBuffer } from '../../packet-buffer/packet-buffer.js';
import { PACKET_METADATA, type PacketBatch } from '../packet-batch.js';
import { TRANSMIT_METADATA_BYTES } from './layout.js';
import { NANOSECONDS_PER_SECOND, nanosecondsOf, secondsOf, writeTime } from './metadata-time.js';

// Metadata in front of a packet that is to be sent (linux/if_xdp.h, struct xsk_tx_metadata; native byte order):
//
//   byte 0          8               16
//     [ flags | start, field  | launch time ]   as the packet is posted: 64-bit flags, twice 16 bits, 64-bit nanoseconds
//     [       | time sent     |             ]   as the frame has come back: 64-bit nanoseconds
//
// Words of it.
export const FLAGS = 0;
export const CHECKSUM_AT = 2;
export const TIME_SENT = 2;
export const LAUNCH_TIME = 4;

// Bits of its flags: XDP_TXMD_FLAGS_TIMESTAMP, _CHECKSUM and, since Linux 6.14, _LAUNCH_TIME.
export const TIMESTAMP = 1 << 0;
export const CHECKSUM = 1 << 1;
export const LAUNCH = 1 << 2;

/** Word index of the metadata in front of a packet; 0 when the packet leaves no room for it: it starts less than 24 bytes behind its frame's start. */
function metadataWord(buffer: PacketBuffer, at: number): number {
  const inFrame = at & (buffer.frameSize - 1);
  if (!buffer.contains(at) || inFrame < TRANSMIT_METADATA_BYTES || (at & 3) !== 0) return 0;
  return (at - TRANSMIT_METADATA_BYTES) >> 2;
}

/** Adds a request to a packet's metadata, or makes it the first one, and marks the batch entry. @returns the metadata's word; 0 without room */
function request(buffer: PacketBuffer, batch: PacketBatch, index: number, flag: number): number {
  const word = metadataWord(buffer, batch.offset[index]!);
  if (word === 0) return 0;
  const { i32 } = buffer.arena;
  const marked = (batch.flags[index]! & PACKET_METADATA) !== 0;
  i32[word + FLAGS] = (marked ? i32[word + FLAGS]! : 0) | flag;
  i32[word + FLAGS + 1] = 0;
  batch.flags[index] = batch.flags[index]! | PACKET_METADATA;
  return word;
}

/**
 * Asks for a checksum.
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
  if (start < 0 || field < 0 || start + field + 2 > batch.size[index]!) return false;
  const word = request(buffer, batch, index, CHECKSUM);
  if (word !== 0) buffer.arena.i32[word + CHECKSUM_AT] = start | (field << 16);
  return word !== 0;
}

/** Asks when the packet is sent. @returns false when the packet leaves no room for it */
export function requestTimestamp(buffer: PacketBuffer, batch: PacketBatch, index: number): boolean {
  return request(buffer, batch, index, TIMESTAMP) !== 0;
}

/**
 * Asks the device to send the packet at a time of its clock.
 *
 * @param seconds whole ones, from 0 to 2^32 - 1
 * @param nanoseconds from 0 to 999,999,999
 * @returns false when the packet leaves no room for it, or there is no such time
 */
export function requestLaunchTime(
  buffer: PacketBuffer,
  batch: PacketBatch,
  index: number,
  seconds: number,
  nanoseconds: number,
): boolean {
  if (seconds >>> 0 !== seconds || !(nanoseconds >= 0 && nanoseconds < NANOSECONDS_PER_SECOND)) return false;
  const word = request(buffer, batch, index, LAUNCH);
  if (word === 0) return false;
  writeTime(buffer.arena.i32, word + LAUNCH_TIME, seconds, Math.floor(nanoseconds));
  return true;
}

/** Whether the packet asks when it is sent. */
export function asksForTimestamp(buffer: PacketBuffer, batch: PacketBatch, index: number): boolean {
  if ((batch.flags[index]! & PACKET_METADATA) === 0) return false;
  const word = metadataWord(buffer, batch.offset[index]!);
  return word !== 0 && (buffer.arena.i32[word + FLAGS]! & TIMESTAMP) !== 0;
}

/** Reads when a packet was sent that has asked for it, into the batch's columns. */
export function readTimestamp(buffer: PacketBuffer, batch: PacketBatch, index: number): void {
  const { i32 } = buffer.arena;
  const word = metadataWord(buffer, batch.offset[index]!) + TIME_SENT;
  const low = i32[word]!;
  const high = i32[word + 1]!;
  batch.seconds[index] = secondsOf(low, high);
  batch.nanoseconds[index] = nanosecondsOf(low, high);
}
