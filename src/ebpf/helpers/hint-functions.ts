import { EFAULT, ENODATA } from '../errno.js';
import {
  HINT_HASH,
  HINT_TIME,
  HINT_VLAN,
  HINTS_HASH,
  HINTS_HASH_TYPE,
  HINTS_PRESENT,
  HINTS_TIME,
  HINTS_VLAN,
  PACKET_HINTS,
} from '../execution.js';
import type { Machine } from '../machine.js';
import type { Helper } from './contract.js';
import { currentRecord, giveBack, registerAt } from './registers.js';

/*
 * Kernel functions that read hints (net/core/xdp.c). All return 0, or -ENODATA where the device has no such hint for the packet. The kernel
 * gives the protocol of a VLAN tag in network byte order, and its control information in host byte order.
 */

const rxTimestamp: Helper = {
  name: 'bpf_xdp_metadata_rx_timestamp',
  number: undefined,
  arguments: ['context', 'memory-out-8'],
  returns: 'number',
  gplOnly: true,
  call(machine) {
    const hints = hintsWith(machine, HINT_TIME);
    const to = target(machine, 2, 8);
    if (hints < 0 || to < 0) return giveBack(machine, hints < 0 ? -ENODATA : -EFAULT);
    const { i32, u8 } = machine.arena;
    writeBytes(u8, to, i32[hints + HINTS_TIME]!, 4);
    writeBytes(u8, to + 4, i32[hints + HINTS_TIME + 1]!, 4);
    giveBack(machine, 0);
  },
};

const rxHash: Helper = {
  name: 'bpf_xdp_metadata_rx_hash',
  number: undefined,
  arguments: ['context', 'memory-out-4', 'memory-out-4'],
  returns: 'number',
  gplOnly: true,
  call(machine) {
    const hints = hintsWith(machine, HINT_HASH);
    const hash = target(machine, 2, 4);
    const type = target(machine, 3, 4);
    if (hints < 0 || hash < 0 || type < 0) return giveBack(machine, hints < 0 ? -ENODATA : -EFAULT);
    const { i32, u8 } = machine.arena;
    writeBytes(u8, hash, i32[hints + HINTS_HASH]!, 4);
    writeBytes(u8, type, i32[hints + HINTS_HASH_TYPE]!, 4);
    giveBack(machine, 0);
  },
};

const rxVlanTag: Helper = {
  name: 'bpf_xdp_metadata_rx_vlan_tag',
  number: undefined,
  arguments: ['context', 'memory-out-2', 'memory-out-2'],
  returns: 'number',
  gplOnly: true,
  call(machine) {
    const hints = hintsWith(machine, HINT_VLAN);
    const protocol = target(machine, 2, 2);
    const tag = target(machine, 3, 2);
    if (hints < 0 || protocol < 0 || tag < 0) return giveBack(machine, hints < 0 ? -ENODATA : -EFAULT);
    const { i32, u8 } = machine.arena;
    const value = i32[hints + HINTS_VLAN]!;
    writeBytes(u8, protocol, (value >>> 24) | ((value >>> 8) & 0xff00), 2);
    writeBytes(u8, tag, value & 0xffff, 2);
    giveBack(machine, 0);
  },
};

/** Kernel functions that read hints. */
export const HINT_FUNCTIONS: readonly Helper[] = [rxTimestamp, rxHash, rxVlanTag];

/** Word index of the packet's hints, where there is the one asked for; -1 otherwise. */
function hintsWith(machine: Machine, bit: number): number {
  const { i32 } = machine.arena;
  const hints = i32[currentRecord(machine) + PACKET_HINTS]! >> 2;
  return hints > 0 && (i32[hints + HINTS_PRESENT]! & bit) !== 0 ? hints : -1;
}

/** An argument as a pointer to bytes that the program may write; -1 where it may not. */
function target(machine: Machine, register: number, bytes: number): number {
  const { i32 } = machine.arena;
  const at = registerAt(machine, register);
  return machine.mayWrite(i32[at]!, i32[at + 1]!, bytes) ? i32[at]! : -1;
}

/** Programs' pointers need not be aligned. */
function writeBytes(u8: Uint8Array, to: number, value: number, bytes: number): void {
  for (let i = 0; i < bytes; i++) u8[to + i] = value >>> (8 * i);
}
