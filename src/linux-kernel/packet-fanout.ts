import { checkInteger, PacketError } from '../errors.js';
import type { Fanout, FanoutFlag, FanoutType } from '../kernel/contract.js';
import { checkChoice, checkOptionNames } from '../options.js';
import {
  EINVAL,
  ENOSPC,
  PACKET_FANOUT,
  PACKET_FANOUT_CPU,
  PACKET_FANOUT_FLAG_DEFRAG,
  PACKET_FANOUT_FLAG_IGNORE_OUTGOING,
  PACKET_FANOUT_FLAG_ROLLOVER,
  PACKET_FANOUT_HASH,
  PACKET_FANOUT_LB,
  PACKET_FANOUT_QM,
  PACKET_FANOUT_RND,
  PACKET_FANOUT_ROLLOVER,
  SOL_PACKET,
} from './constants.js';
import { systemCallError } from './system-call-error.js';
import type { SystemCalls } from './system-calls.js';

const OPTION_NAMES = ['group', 'type', 'flags'] satisfies (keyof Fanout)[];

const TYPES: Readonly<Record<FanoutType, number>> = {
  hash: PACKET_FANOUT_HASH,
  'load-balance': PACKET_FANOUT_LB,
  cpu: PACKET_FANOUT_CPU,
  rollover: PACKET_FANOUT_ROLLOVER,
  random: PACKET_FANOUT_RND,
  queue: PACKET_FANOUT_QM,
};

const FLAGS: Readonly<Record<FanoutFlag, number>> = {
  rollover: PACKET_FANOUT_FLAG_ROLLOVER,
  defragment: PACKET_FANOUT_FLAG_DEFRAG,
};

/**
 * The option's value: the group in the lower half, type and flags in the upper.
 *
 * @param ignoreOutgoing in a group it is the group that hears, so it must be told, too (since Linux 5.19)
 * @throws PacketError INVALID_OPTION
 */
export function fanoutValue(fanout: Fanout, ignoreOutgoing: boolean): number {
  if (typeof fanout !== 'object' || fanout === null) {
    throw new PacketError('INVALID_OPTION', `fanout: ${String(fanout)} is not an object with a group and a type`, {
      remedy: "for example fanout: { group: 1, type: 'hash' }",
    });
  }
  checkOptionNames('fanout', fanout, OPTION_NAMES);
  const { group, type, flags = [] } = fanout;
  const number = checkInteger('fanout.group', group, 0, 65535);
  let typeAndFlags = find('fanout.type', type, TYPES) | (ignoreOutgoing ? PACKET_FANOUT_FLAG_IGNORE_OUTGOING : 0);
  if (!Array.isArray(flags)) {
    throw new PacketError('INVALID_OPTION', `fanout.flags: ${String(flags)} is not a list`, {
      remedy: "for example flags: ['rollover']",
    });
  }
  for (const flag of flags) typeAndFlags |= find('fanout.flags', flag, FLAGS);
  if (type === 'rollover' && flags.includes('rollover')) {
    throw new PacketError('INVALID_OPTION', "fanout.flags: 'rollover' says nothing new beside the type of that name", {
      remedy: 'leave the flag out',
    });
  }
  return (number | (typeAndFlags << 16)) >>> 0;
}

function find<Name extends string>(option: string, value: Name, values: Readonly<Record<Name, number>>): number {
  return values[checkChoice(option, value, Object.keys(values) as Name[])];
}

/** Lets a bound socket join its group. @throws PacketError INVALID_OPTION (another type or interface), SYSTEM_CALL */
export function joinFanout(calls: SystemCalls, descriptor: number, value: number): void {
  const result = calls.setsockoptU32(descriptor, SOL_PACKET, PACKET_FANOUT, value);
  if (result >= 0) return;
  const group = value & 0xffff;
  throw systemCallError('setsockopt PACKET_FANOUT', -result, `join fanout group ${group}`, {
    [EINVAL]: {
      code: 'INVALID_OPTION',
      why: 'its sockets work on another interface, or have another type or other flags',
      remedy: 'another group number, or the same fanout and ignoreOutgoing for all of its sockets',
    },
    [ENOSPC]: {
      code: 'INVALID_OPTION',
      why: 'it has as many sockets as the kernel allows',
      remedy: 'another group number',
    },
  });
}
