import { checkInteger } from '../errors.js';
import { checkChoice, checkOptionNames } from '../options.js';
import { checkNumber } from './numbers.js';
import type { WireOptions } from './options.js';

/** What goes wrong on a wire, as probabilities per packet from 0 (default) to 1. */
export interface FaultProbabilities {
  /** The packet is lost. */
  readonly drop?: number;
  /** One bit of it is flipped, in a copy. */
  readonly corrupt?: number;
  /** It is cut to any length from an Ethernet header on. */
  readonly truncate?: number;
  /** It comes twice. */
  readonly duplicate?: number;
  /**
   * It is held back until 1 to 4 others have overtaken it, or for a millisecond if none comes; one packet at a time. Duplicated
   * packets keep their place.
   */
  readonly reorder?: number;
}

/** A wire with faults. Plain data. Wires with faults may be nested, for other faults in the other direction. */
export interface FaultOptions extends FaultProbabilities {
  /** Which wire it is. */
  readonly kind: 'fault';
  /** The wire that has the faults. */
  readonly wire: WireOptions;
  /** Whole number from 0 to 2^31 - 1; default 1. The same seed gives the same packets the same faults. */
  readonly seed?: number;
  /** Which packets meet them: those that the device receives, those that it transmits, or both (default). */
  readonly direction?: 'receive' | 'transmit' | 'both';
  /** The link comes and goes, beginning with up: each 1 to 1e12 nanoseconds. What is sent to the device meanwhile is lost. */
  readonly flap?: {
    /** How long the link stays up each time. */
    readonly upNanoseconds: number;
    /** How long it then stays down. */
    readonly downNanoseconds: number;
  };
}

const PROBABILITIES = ['drop', 'corrupt', 'truncate', 'duplicate', 'reorder'] as const;
const DIRECTIONS = ['receive', 'transmit', 'both'] as const;

/** @throws PacketError INVALID_OPTION */
export function checkFaultOptions(options: FaultOptions): void {
  for (const fault of PROBABILITIES) checkNumber(fault, options[fault] ?? 0, 0, 1);
  checkInteger('seed', options.seed ?? 1, 0, 2 ** 31 - 1);
  const { direction = 'both', flap } = options;
  checkChoice('direction', direction, DIRECTIONS);
  if (flap === undefined) return;
  checkOptionNames('flap', flap, ['upNanoseconds', 'downNanoseconds']);
  checkNumber('flap.upNanoseconds', flap.upNanoseconds, 1, 1e12);
  checkNumber('flap.downNanoseconds', flap.downNanoseconds, 1, 1e12);
}

/** Whether packets of a direction can meet any fault. */
export function hasFaults(options: FaultOptions, direction: 'receive' | 'transmit'): boolean {
  const { direction: chosen = 'both' } = options;
  return (chosen === 'both' || chosen === direction) && PROBABILITIES.some((fault) => (options[fault] ?? 0) > 0);
}
