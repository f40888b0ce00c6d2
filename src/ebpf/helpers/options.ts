import type { RoutingTable } from '../routing/routing-table.js';

/** What helpers of XDP programs find around them. */
export interface XdpHelperOptions {
  /**
   * Gets what programs print (trace_printk, trace_vprintk), a line at a time, without a final line end. Nothing is printed unless given. It
   * must not throw.
   */
  readonly trace?: (line: string) => void;
  /** What fib_lookup and check_mtu know of interfaces, routes and neighbours. Nothing unless given. */
  readonly routes?: RoutingTable;
  /** The clock: nanoseconds since any start, up to 2^53. `performance.now()` unless given, which is exact to some microseconds. */
  readonly nanoseconds?: () => number;
  /** Random numbers, 0 to 2^32 - 1. `Math.random()` unless given. */
  readonly random?: () => number;
}

/** What helpers do without a clock of the caller's. */
export function processNanoseconds(): number {
  return Math.floor(performance.now() * 1e6);
}

/** What helpers do without random numbers of the caller's. */
export function randomWord(): number {
  return Math.floor(Math.random() * 2 ** 32);
}
