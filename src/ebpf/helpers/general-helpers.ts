import { EFAULT, EINVAL } from '../errno.js';
import { CONTROL_CPU } from '../execution.js';
import type { Machine } from '../machine.js';
import type { Helper } from './contract.js';
import { argument, giveBack, giveBackUnsigned, pointerArgument, smallArgument } from './registers.js';

const ktimeGetNs: Helper = {
  name: 'ktime_get_ns',
  number: 5,
  arguments: [],
  returns: 'number',
  /** Nanoseconds since this program started, as exact as its clock: some microseconds. */
  call(machine) {
    giveBackUnsigned(machine, Math.floor(performance.now() * 1e6));
  },
};

const getPrandomU32: Helper = {
  name: 'get_prandom_u32',
  number: 7,
  arguments: [],
  returns: 'number',
  call(machine) {
    giveBackUnsigned(machine, Math.floor(Math.random() * 2 ** 32));
  },
};

const getSmpProcessorId: Helper = {
  name: 'get_smp_processor_id',
  number: 8,
  arguments: [],
  returns: 'number',
  call(machine) {
    giveBack(machine, machine.arena.i32[(machine.control >> 2) + CONTROL_CPU]!);
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

/** Helpers that have nothing to do with maps or packets. */
export const GENERAL_HELPERS: readonly Helper[] = [ktimeGetNs, getPrandomU32, getSmpProcessorId, tailCall, csumDiff];

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
