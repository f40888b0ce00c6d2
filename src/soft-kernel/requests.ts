import type { MapContents } from '../ebpf/maps/contract.js';
import { checkInteger, PacketError } from '../errors.js';
import type { BindRequest, MemoryRegistration, Mode, PacketVersion, RingRequest } from '../kernel/contract.js';
import { checkReceive, compileRule } from '../steering/compile-rules.js';
import { checkRedirected, isRedirected, refuseRedirected } from '../steering/redirected.js';
import { checkTargets, TAP_ABILITY, type TargetAbility } from '../steering/rule-targets.js';
import type { FlowRule, Receive, SteeredPackets } from '../steering/rules.js';
import type { SoftMap } from './programs/soft-map.js';

// What applications ask for is copied and checked here, at the border, and trusted behind it. Types say nothing: whoever calls may
// be plain JavaScript, or mean harm.

/** Tuples that the rules of one call may come to: compiling one takes some 10 µs, during which no packet moves. */
const MOST_TUPLES = 65536;
/** Modes whose sockets have packets for themselves, and can be in a map of sockets. */
const REDIRECTED_MODES: readonly Mode[] = ['xdp-zc', 'xdp-copy', 'v4-zc'];
/** An hour. */
const LONGEST_RETIRE_MILLISECONDS = 3_600_000;

/** Any value as messages show it. */
export function show(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value); // a bigint, or something that contains itself
  }
}

/** @throws PacketError INVALID_OPTION */
export function expectObject(what: string, value: unknown): void {
  if (typeof value === 'object' && value !== null) return;
  throw new PacketError('INVALID_OPTION', `${what}: ${String(value)} is not an object`, {
    remedy: 'it is plain data: an object with named members',
  });
}

/** The four numbers of a registration, which may be a whole packet buffer; unchecked. @throws PacketError INVALID_OPTION */
export function copyMemory(memory: MemoryRegistration): MemoryRegistration {
  expectObject('packet buffer', memory);
  const { base, frames, frameSize, headroom } = memory;
  return { base, frames, frameSize, headroom };
}

/** Copies an argument, so that nobody can change it while or after it is checked. @throws PacketError INVALID_OPTION */
function copyArgument<T>(what: string, value: T): T {
  expectObject(what, value);
  try {
    return structuredClone(value);
  } catch (cause) {
    throw new PacketError('INVALID_OPTION', `${what}: it is not plain data`, {
      cause,
      remedy:
        'functions, kernels and sockets stay on their thread: give numbers, texts, lists, objects and shared memory',
    });
  }
}

/** @throws PacketError MODE_UNSUPPORTED */
export function checkVersion(version: unknown, versions: readonly PacketVersion[]): PacketVersion {
  const known = versions.find((one) => one === version);
  if (known !== undefined) return known;
  throw new PacketError('MODE_UNSUPPORTED', `there is no packet version ${String(version)}`, {
    remedy: `there are ${versions.join(', ')}`,
  });
}

/** Copies a request for rings. Sizes are checked when they are laid out. @throws PacketError INVALID_OPTION */
export function checkRingRequest(given: RingRequest): RingRequest {
  const request = copyArgument('rings', given);
  const { retireMilliseconds } = request;
  if (retireMilliseconds !== undefined) {
    checkInteger('retireMilliseconds', retireMilliseconds, 0, LONGEST_RETIRE_MILLISECONDS);
  }
  return request;
}

/** What a socket is to receive, checked; a map of sockets is that of the user's program. */
export type WantedPackets = SteeredPackets | SoftMap;

/** Checks that a map is one of the kernel's. @throws PacketError INVALID_OPTION */
export type ExpectMap = (map: MapContents, what: string) => SoftMap;

/** A request that has been checked. */
export interface CheckedBindRequest extends Omit<BindRequest, 'receive'> {
  readonly receive: WantedPackets;
}

/**
 * Copies and checks all of a request that does not depend on the device.
 *
 * @throws PacketError INVALID_OPTION, FLOW_TABLE_FULL, RULES_UNSUPPORTED, MODE_UNSUPPORTED
 */
export function checkBindRequest(given: BindRequest, expectMap: ExpectMap): CheckedBindRequest {
  expectObject('bind request', given);
  const receive = checkSteerRequest(given.receive, given.mode, expectMap);
  const request = copyArgument('bind request', { ...given, receive: 'none' as const });
  if (request.fanout !== undefined) {
    throw new PacketError('MODE_UNSUPPORTED', 'fanout: the soft kernel has no groups of sockets', {
      remedy: 'a socket for each queue (queue: 0, 1, ...), or rules that divide the packets',
    });
  }
  if (request.flowDirector && !request.mode.endsWith('-zc')) {
    throw new PacketError(
      'RULES_UNSUPPORTED',
      `flowDirector: a socket in mode ${request.mode} has no part in the device's`,
      {
        remedy: 'a zero-copy mode (xdp-zc, v4-zc), or leave it out',
      },
    );
  }
  if (request.queue !== undefined) checkInteger('queue', request.queue, 0, 65535);
  return { ...request, receive, segments: request.segments === true };
}

/** The same for what a bound socket is to receive from now on. @throws PacketError INVALID_OPTION, FLOW_TABLE_FULL, RULES_UNSUPPORTED */
export function checkSteerRequest(given: Receive, mode: Mode, expectMap: ExpectMap): WantedPackets {
  if (isRedirected(given)) {
    if (!REDIRECTED_MODES.includes(mode)) refuseRedirected(given, `a socket in mode ${mode}`);
    return expectMap(checkRedirected(given, 'receive').xskmap, 'receive.xskmap');
  }
  const receive = checkRules(typeof given === 'string' ? given : copyArgument('receive', given));
  checkTargets(receive, abilityOf(mode));
  return receive;
}

function abilityOf(mode: Mode): TargetAbility {
  const who = `a socket in mode ${mode}`;
  if (!REDIRECTED_MODES.includes(mode)) return { who, ...TAP_ABILITY };
  if (mode.endsWith('-zc')) return { who };
  return {
    who,
    noQueue: ['it sees packets that are on their queue already', 'use a zero-copy mode, or a socket on that queue'],
  };
}

/** Checks rule by rule, so that a list that asks for too much does not first use up time and memory. */
function checkRules(receive: SteeredPackets): SteeredPackets {
  if (!Array.isArray(receive) || receive.length === 0) return checkReceive(receive) as SteeredPackets;
  const rules: readonly FlowRule[] = receive;
  let tuples = 0;
  for (let i = 0; i < rules.length; i++) {
    tuples += compileRule(rules[i]!, `receive[${i}]`).length;
    if (tuples <= MOST_TUPLES) continue;
    throw new PacketError('FLOW_TABLE_FULL', `receive: its rules come to more than ${MOST_TUPLES} tuples`, {
      remedy: 'use fewer rules, or port ranges that start and end at powers of two: each part of a range takes a tuple',
    });
  }
  return receive;
}

/** A time-out in milliseconds; Infinity for none. @throws PacketError INVALID_OPTION */
export function checkTimeout(milliseconds: unknown): number {
  if (milliseconds === undefined) return Number.POSITIVE_INFINITY;
  if (typeof milliseconds === 'number' && !Number.isNaN(milliseconds)) return milliseconds;
  throw new PacketError('INVALID_OPTION', `timeoutMilliseconds: ${String(milliseconds)} is not a number`, {
    remedy: 'give milliseconds, or leave it out for no limit',
  });
}
