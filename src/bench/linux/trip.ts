import type { Mode } from '../../kernel/contract.js';

/** How the two ends wait for the packet. */
export const TRIP_WAITS = ['busy', 'hybrid', 'event', 'sleep'] as const;
export type TripWait = (typeof TRIP_WAITS)[number];

/** What one end of a round trip has to do. Plain data for a process of its own. */
export interface TripTask {
  /** Sends a packet and waits for it to come back, or sends back what comes. */
  readonly role: 'ping' | 'echo';
  readonly interface: string;
  readonly version: Mode;
  readonly wait: TripWait;
  /** Round trips to measure. */
  readonly count: number;
  /** -1 leaves the place to the scheduler. */
  readonly cpu: number;
}

/** Round trips as they were measured. */
export interface Trips {
  /** Nanoseconds each, in ascending order. */
  readonly nanoseconds: readonly number[];
  /** Packets that did not come back in time, and were sent again. */
  readonly lost: number;
}

/** The value below which a share of a sorted list lies; 0 of an empty one. */
export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** Reads the line that both our process and the C program write: `trips LOST NANOSECONDS...`. @throws Error when there is none */
export function parseTrips(lines: readonly string[]): Trips {
  const line = lines.find((one) => one.startsWith('trips '));
  if (line === undefined) throw new Error(`no round trips were reported: ${lines.join('; ')}`);
  const [lost = 0, ...nanoseconds] = line.split(' ').slice(1).map(Number);
  return { lost, nanoseconds };
}
