import { checkInteger } from '../errors.js';
import { checkChoice, checkOptionNames } from '../options.js';

/** How to wait for packets (Q7). */
export interface SocketWaitOptions {
  /** What to wait for; default `receive`. */
  readonly for?: 'receive' | 'send' | 'either';
  /**
   * `event` (default) sleeps until something happens. `hybrid` spins for `spinMicroseconds` first. `busy` never sleeps, and blocks
   * the event loop meanwhile.
   */
  readonly strategy?: 'event' | 'hybrid' | 'busy';
  /** For `hybrid`: microseconds, 0 to 1000000; default 50. */
  readonly spinMicroseconds?: number;
  /** Milliseconds. Default: no limit, except for `busy` and `waitBlocking`: 1000. */
  readonly timeoutMilliseconds?: number;
  /** Ends the wait: it rejects with the signal's reason. Not for `waitBlocking`. */
  readonly signal?: AbortSignal;
}

const PURPOSES = ['receive', 'send', 'either'] as const;
const STRATEGIES = ['event', 'hybrid', 'busy'] as const;
const OPTION_NAMES: readonly string[] = [
  'for',
  'strategy',
  'spinMicroseconds',
  'timeoutMilliseconds',
  'signal',
] satisfies (keyof SocketWaitOptions)[];
const MOST_SPIN_MICROSECONDS = 1e6;

/**
 * Checks everything but the time-out, which the kernels check. Waits that find packets come often: this takes 15 to 30 ns, the whole
 * of such a wait 140.
 *
 * @throws PacketError INVALID_OPTION
 */
export function checkWaitOptions(options: SocketWaitOptions): void {
  checkOptionNames('wait', options, OPTION_NAMES);
  if (options.for !== undefined) checkChoice('for', options.for, PURPOSES);
  if (options.strategy !== undefined) checkChoice('strategy', options.strategy, STRATEGIES);
  if (options.spinMicroseconds !== undefined) {
    checkInteger('spinMicroseconds', options.spinMicroseconds, 0, MOST_SPIN_MICROSECONDS);
  }
}
