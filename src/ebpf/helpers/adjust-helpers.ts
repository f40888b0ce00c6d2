import { EACCES, EINVAL } from '../errno.js';
import {
  CONTEXT_DATA,
  CONTEXT_DATA_END,
  CONTEXT_DATA_META,
  PACKET_DATA,
  PACKET_DATA_END,
  PACKET_DATA_META,
  PACKET_FIRST,
  PACKET_LIMIT,
} from '../execution.js';
import type { Machine } from '../machine.js';
import type { Helper } from './contract.js';
import { argument, currentRecord, giveBack } from './registers.js';

/** A packet keeps at least an Ethernet header. */
const LEAST_BYTES = 14;
/** Metadata is whole words, and its length fits a byte. */
const MOST_METADATA_BYTES = 252;

const xdpAdjustHead: Helper = {
  name: 'xdp_adjust_head',
  number: 44,
  arguments: ['context', 'anything'],
  returns: 'number',
  movesPacket: true,
  call(machine) {
    giveBack(machine, adjustHead(machine, argument(machine, 2)));
  },
};

const xdpAdjustMeta: Helper = {
  name: 'xdp_adjust_meta',
  number: 54,
  arguments: ['context', 'anything'],
  returns: 'number',
  movesPacket: true,
  call(machine) {
    giveBack(machine, adjustMetadata(machine, argument(machine, 2)));
  },
};

const xdpAdjustTail: Helper = {
  name: 'xdp_adjust_tail',
  number: 65,
  arguments: ['context', 'anything'],
  returns: 'number',
  movesPacket: true,
  call(machine) {
    giveBack(machine, adjustTail(machine, argument(machine, 2)));
  },
};

/** Helpers that move the ends of the packet. */
export const ADJUST_HELPERS: readonly Helper[] = [xdpAdjustHead, xdpAdjustMeta, xdpAdjustTail];

/** Moves the packet's start by `distance` bytes; the metadata stays in front of it. */
function adjustHead(machine: Machine, distance: number): number {
  const { i32, u8 } = machine.arena;
  const record = currentRecord(machine);
  const metadata = i32[record + PACKET_DATA_META]!;
  const data = i32[record + PACKET_DATA]!;
  const moved = metadata + distance;
  if (moved < i32[record + PACKET_FIRST]!) return -EINVAL;
  if (data + distance > i32[record + PACKET_DATA_END]! - LEAST_BYTES) return -EINVAL;
  u8.copyWithin(moved, metadata, data);
  setStart(machine, moved, data + distance);
  return 0;
}

function adjustMetadata(machine: Machine, distance: number): number {
  const { i32 } = machine.arena;
  const record = currentRecord(machine);
  const data = i32[record + PACKET_DATA]!;
  const metadata = i32[record + PACKET_DATA_META]! + distance;
  if (metadata < i32[record + PACKET_FIRST]! || metadata > data) return -EINVAL;
  const bytes = data - metadata;
  if ((bytes & 3) !== 0 || bytes > MOST_METADATA_BYTES) return -EACCES;
  setStart(machine, metadata, data);
  return 0;
}

/** Moves the packet's end by `distance` bytes; what is new is zero. */
function adjustTail(machine: Machine, distance: number): number {
  const { i32, u8 } = machine.arena;
  const record = currentRecord(machine);
  const end = i32[record + PACKET_DATA_END]!;
  const moved = end + distance;
  if (moved > i32[record + PACKET_LIMIT]! || moved < i32[record + PACKET_DATA]! + LEAST_BYTES) return -EINVAL;
  if (distance > 0) u8.fill(0, end, moved);
  i32[record + PACKET_DATA_END] = moved;
  i32[(machine.context + CONTEXT_DATA_END) >> 2] = moved;
  return 0;
}

function setStart(machine: Machine, metadata: number, data: number): void {
  const { i32 } = machine.arena;
  const record = currentRecord(machine);
  i32[record + PACKET_DATA_META] = metadata;
  i32[record + PACKET_DATA] = data;
  i32[(machine.context + CONTEXT_DATA_META) >> 2] = metadata;
  i32[(machine.context + CONTEXT_DATA) >> 2] = data;
}
