import { EFAULT, EINVAL } from '../errno.js';
import { PACKET_DATA, PACKET_DATA_END } from '../execution.js';
import type { Machine } from '../machine.js';
import { copyBytes } from '../small-copies.js';
import type { Helper } from './contract.js';
import { currentRecord, giveBack, pointerArgument, smallArgument } from './registers.js';

/** Linux knows no longer packets; an offset or a length beyond it is a fault. */
const LONGEST_PACKET = 0xffff;

const xdpGetBuffLen: Helper = {
  name: 'xdp_get_buff_len',
  number: 188,
  arguments: ['context'],
  returns: 'number',
  call(machine) {
    giveBack(machine, packetBytes(machine));
  },
};

const xdpLoadBytes: Helper = {
  name: 'xdp_load_bytes',
  number: 189,
  arguments: ['context', 'anything', 'memory-out', 'size'],
  returns: 'number',
  call(machine) {
    giveBack(machine, copyPacket(machine, false));
  },
};

const xdpStoreBytes: Helper = {
  name: 'xdp_store_bytes',
  number: 190,
  arguments: ['context', 'anything', 'memory', 'size'],
  returns: 'number',
  call(machine) {
    giveBack(machine, copyPacket(machine, true));
  },
};

/** Helpers that read and write the packet where it is. */
export const PACKET_HELPERS: readonly Helper[] = [xdpGetBuffLen, xdpLoadBytes, xdpStoreBytes];

/** Bytes of the packet that the program runs on. */
export function packetBytes(machine: Machine): number {
  const { i32 } = machine.arena;
  const record = currentRecord(machine);
  return i32[record + PACKET_DATA_END]! - i32[record + PACKET_DATA]!;
}

/** Copies as many bytes as register 4 says between the packet, from the offset in register 2, and memory. */
function copyPacket(machine: Machine, isStore: boolean): number {
  const offset = smallArgument(machine, 2);
  const bytes = smallArgument(machine, 4);
  if (offset < 0 || bytes < 0 || offset > LONGEST_PACKET || bytes > LONGEST_PACKET) return -EFAULT;
  if (offset + bytes > packetBytes(machine)) return -EINVAL;
  const memory = pointerArgument(machine, 3, bytes);
  if (memory < 0) return -EFAULT;
  const { i32, u8 } = machine.arena;
  const inPacket = i32[currentRecord(machine) + PACKET_DATA]! + offset;
  copyBytes(u8, isStore ? inPacket : memory, isStore ? memory : inPacket, bytes);
  return 0;
}
