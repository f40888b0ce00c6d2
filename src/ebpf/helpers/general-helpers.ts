import { EFAULT, EINVAL } from '../errno.js';
import { CONTROL_CPU } from '../execution.js';
import type { Machine } from '../machine.js';
import type { Helper } from './contract.js';
import { argument, giveBack, giveBackUnsigned, pointerArgument, smallArgument } from './registers.js';

const getSmpProcessorId: Helper = {
  name: 'get_smp_processor_id',
  number: 8,
  arguments: [],
  returns: 'number',
  call(machine) {
    giveBack(machine, machine.arena.i32[(machine.control >> 2) + CONTROL_CPU]!);
  },
};

const getNumaNodeId: Helper = {
  name: 'get_numa_node_id',
  number: 42,
  arguments: [],
  returns: 'number',
  /** All memory is equally near. */
  call(machine) {
    giveBack(machine, 0);
  },
};

/** The engines do it: other code runs. */
const tailCall: Helper = {
  name: 'tail_call',
  number: 12,
  arguments: ['context', 'map', 'anything'],
  returns: 'nothing',
  mapTypes: ['prog_array'],
  call: undefined,
};

const csumDiff: Helper = {
  name: 'csum_diff',
  number: 28,
  arguments: ['memory-or-null', 'size-or-zero', 'memory-or-null', 'size-or-zero', 'anything'],
  returns: 'number',
  call(machine) {
    giveBack(machine, checksumDifference(machine));
  },
};

const strncmp: Helper = {
  name: 'strncmp',
  number: 182,
  arguments: ['memory', 'size', 'constant-string'],
  returns: 'number',
  call(machine) {
    giveBack(machine, compareText(machine));
  },
};

/** Helpers that have nothing to do with maps or packets. @param random numbers from 0 to 2^32 - 1 */
export function generalHelpers(random: () => number): Helper[] {
  return [
    {
      name: 'get_prandom_u32',
      number: 7,
      arguments: [],
      returns: 'number',
      call: (machine) => giveBackUnsigned(machine, random()),
    },
    getSmpProcessorId,
    getNumaNodeId,
    tailCall,
    csumDiff,
    strncmp,
  ];
}

/**
 * The ones' complement sum of what is new less what is old, on top of the seed, folded to 16 bits as Linux does since 6.13. Sums are those
 * of words as they lie in memory, so that the result goes into a header as it is.
 */
function checksumDifference(machine: Machine): number {
  const oldBytes = smallArgument(machine, 2);
  const newBytes = smallArgument(machine, 4);
  if (oldBytes < 0 || newBytes < 0 || ((oldBytes | newBytes) & 3) !== 0) return -EINVAL;
  const from = oldBytes === 0 ? 0 : pointerArgument(machine, 1, oldBytes);
  const to = newBytes === 0 ? 0 : pointerArgument(machine, 3, newBytes);
  if (from < 0 || to < 0) return -EFAULT;
  const seed = argument(machine, 5);
  return fold((seed & 0xffff) + (seed >>> 16) + sum(machine, to, newBytes, 0) + sum(machine, from, oldBytes, 0xffff));
}

/** Sum of 16-bit words, each with the bits of `flipped` turned over; at most 2^45. */
function sum({ arena }: Machine, first: number, bytes: number, flipped: number): number {
  let total = 0;
  for (let at = first; at < first + bytes; at += 2) total += (arena.u8[at]! | (arena.u8[at + 1]! << 8)) ^ flipped;
  return total;
}

function fold(total: number): number {
  while (total > 0xffff) total = (total % 0x10000) + Math.floor(total / 0x10000);
  return total;
}

/** Below 0, 0 or above 0, as text in memory, of so many bytes at most, comes before a constant text, is it, or comes behind it. */
function compareText(machine: Machine): number {
  const bytes = smallArgument(machine, 2);
  const first = bytes < 0 ? -1 : pointerArgument(machine, 1, bytes);
  const constant = pointerArgument(machine, 3, 1);
  if (first < 0 || constant < 0) return -EFAULT;
  const { u8 } = machine.arena;
  for (let i = 0; i < bytes; i++) {
    if (pointerArgument(machine, 3, i + 1) < 0) return -EFAULT;
    const difference = u8[first + i]! - u8[constant + i]!;
    if (difference !== 0 || u8[first + i] === 0) return difference;
  }
  return 0;
}
