import type { Arena } from '../arena/arena.js';
import { VethDriver } from '../driver/veth-driver.js';
import { checkInteger, PacketError } from '../errors.js';
import { checkOptionNames } from '../options.js';
import { parseMacAddress } from '../packet/mac-address.js';
import type { Device } from './device.js';
import { show } from './requests.js';

/** A veth pair, as plain data: two devices, each the other's wire (K5). */
export interface VethOptions {
  /** Interface names of the two ends. */
  readonly names: readonly [string, string];
  /** Queue pairs of each end, 1 to 4096; default 1. Idle ones cost nothing. */
  readonly queues?: number;
  /** Largest packet in bytes without Ethernet header, 68 to 16000, of both ends or of each; default 1500. */
  readonly mtu?: number | readonly [number, number];
  /** Link-layer addresses; default 02:00:00:00:00:0a and 02:00:00:00:00:0b. */
  readonly macs?: readonly [string, string];
}

const DEFAULT_MTU = 1500;
const EXAMPLES = {
  names: "'veth0', 'veth1'",
  mtu: '1500, 9000',
  macs: "'02:00:00:00:00:0a', '02:00:00:00:00:0b'",
};
const DEFAULT_MACS = ['02:00:00:00:00:0a', '02:00:00:00:00:0b'] as const;

/**
 * Builds a pair on two devices, which must share a page pool, and attaches each end to its device. The names have been checked.
 *
 * @throws PacketError INVALID_OPTION, ARENA_EXHAUSTED
 */
export function buildVeth(arena: Arena, devices: readonly [Device, Device], options: VethOptions): void {
  checkOptionNames('addVeth', options, ['names', 'queues', 'mtu', 'macs'] satisfies (keyof VethOptions)[]);
  const queues = checkInteger('queues', options.queues ?? 1, 1, 4096);
  const { mtu = DEFAULT_MTU } = options;
  const mtus = typeof mtu === 'number' ? ([mtu, mtu] as const) : pair('mtu', mtu);
  const macs = pair('macs', options.macs ?? DEFAULT_MACS);
  const end = (side: 0 | 1) => ({
    name: options.names[side],
    mtu: checkInteger('mtu', mtus[side], 68, 16000),
    mac: checkMac(macs[side]),
    ordinary: (queue: number) => devices[side].ordinaryEnds(queue, queue === queues),
  });
  const [first, second] = VethDriver.pair(arena, queues, end(0), end(1));
  devices[0].attach(first);
  devices[1].attach(second);
}

/** The two names of a pair. @throws PacketError INVALID_OPTION, INTERFACE_EXISTS when they are the same */
export function checkVethNames({ names }: VethOptions): readonly [string, string] {
  const [first, second] = pair('names', names);
  if (first === second) {
    throw new PacketError('INTERFACE_EXISTS', `names: both ends of the veth pair are called ${first}`, {
      remedy: 'choose two names',
    });
  }
  return [first, second];
}

function pair<T>(option: keyof typeof EXAMPLES, value: readonly [T, T]): readonly [T, T] {
  if (Array.isArray(value) && value.length === 2) return value;
  throw new PacketError('INVALID_OPTION', `${option}: ${show(value)} is not a pair, one for each end`, {
    remedy: `for example ${option}: [${EXAMPLES[option]}]`,
  });
}

function checkMac(mac: string): string {
  if (typeof mac === 'string' && parseMacAddress(mac) !== undefined) return mac;
  throw new PacketError('INVALID_OPTION', `macs: ${show(mac)} is not a link-layer address`, {
    remedy: `for example macs: [${EXAMPLES.macs}]`,
  });
}
