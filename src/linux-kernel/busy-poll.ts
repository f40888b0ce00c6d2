import { checkInteger, PacketError } from '../errors.js';
import type { BusyPoll, BusyPollRequest } from '../kernel/contract.js';
import { checkBoolean, checkOptionNames } from '../options.js';
import {
  EINVAL,
  ENOPROTOOPT,
  SO_BUSY_POLL,
  SO_BUSY_POLL_BUDGET,
  SO_PREFER_BUSY_POLL,
  SOL_SOCKET,
} from './constants.js';
import { Struct } from './struct.js';
import { type Meanings, systemCallError } from './system-call-error.js';
import type { SystemCalls } from './system-calls.js';

const OPTION_NAMES = ['microseconds', 'budget', 'prefer'] satisfies (keyof BusyPollRequest)[];
const MOST_MICROSECONDS = 1_000_000;
const MOST_BUDGET = 65535;

/**
 * Sets the busy polling options of a socket (socket(7)) and reads back what the kernel keeps.
 *
 * @throws PacketError INVALID_OPTION, MODE_UNSUPPORTED (the kernel is too old, or built without busy polling), NO_PRIVILEGE,
 *   SYSTEM_CALL
 */
export function setBusyPoll(calls: SystemCalls, descriptor: number, request: BusyPollRequest): BusyPoll {
  const { microseconds, budget, prefer } = checkBusyPoll(request);
  const set = (option: number, name: string, value: number, since: string): void => {
    const result = calls.setsockoptU32(descriptor, SOL_SOCKET, option, value);
    if (result < 0) throw systemCallError(`setsockopt ${name}`, -result, `set ${name} to ${value}`, meanings(since));
  };
  set(SO_BUSY_POLL, 'SO_BUSY_POLL', microseconds, 'built with CONFIG_NET_RX_BUSY_POLL');
  if (prefer) set(SO_PREFER_BUSY_POLL, 'SO_PREFER_BUSY_POLL', 1, 'from 5.11');
  if (budget !== undefined) set(SO_BUSY_POLL_BUDGET, 'SO_BUSY_POLL_BUDGET', budget, 'from 5.11');
  return {
    microseconds: readBack(calls, descriptor, SO_BUSY_POLL) ?? microseconds,
    budget: budget === undefined ? undefined : (readBack(calls, descriptor, SO_BUSY_POLL_BUDGET) ?? budget),
    prefer: readBack(calls, descriptor, SO_PREFER_BUSY_POLL) === 1,
  };
}

/** Checks a request before any call is made. @throws PacketError INVALID_OPTION */
function checkBusyPoll(request: BusyPollRequest): Omit<BusyPollRequest, 'prefer'> & { readonly prefer: boolean } {
  if (typeof request !== 'object' || request === null) {
    throw new PacketError('INVALID_OPTION', `busyPoll: ${String(request)} is not { microseconds, budget, prefer }`, {
      remedy: 'for example busyPoll: { microseconds: 50 }',
    });
  }
  checkOptionNames('busyPoll', request, OPTION_NAMES);
  checkBoolean('busyPoll.prefer', request.prefer);
  const { microseconds, budget, prefer = false } = request;
  checkInteger('busyPoll.microseconds', microseconds, 1, MOST_MICROSECONDS);
  if (budget !== undefined) checkInteger('busyPoll.budget', budget, 1, MOST_BUDGET);
  return { ...request, prefer };
}

function meanings(since: string): Meanings {
  const unknown = {
    code: 'MODE_UNSUPPORTED',
    why: 'this kernel does not know the option',
    remedy: `a kernel ${since}, or open the socket without it`,
  } as const;
  const refused = { code: 'INVALID_OPTION', why: 'the kernel refuses the value', remedy: 'try a smaller one' } as const;
  return { [ENOPROTOOPT]: unknown, [EINVAL]: refused };
}

/** @returns undefined where the kernel sets the option, but does not tell it */
function readBack(calls: SystemCalls, descriptor: number, option: number): number | undefined {
  const value = new Struct(4);
  return calls.getsockopt(descriptor, SOL_SOCKET, option, value) < 0 ? undefined : value.readU32(0);
}
