import { checkInteger } from '../../errors.js';
import type { DescriptorWatch, SystemCalls } from '../system-calls.js';

/** Timers of the event loop fire at once when they are set for longer. */
const LONGEST_WAIT_MILLISECONDS = 2 ** 31 - 1;

/**
 * Waits until one of some descriptors is readable, or the time is over; not at all where there is something already.
 *
 * @param isReadable whether there is something
 * @throws PacketError INVALID_OPTION for a time out of range
 */
export async function waitForRecords(
  calls: SystemCalls,
  descriptors: readonly number[],
  timeoutMilliseconds: number,
  isReadable: () => boolean,
): Promise<void> {
  checkInteger('timeoutMilliseconds', timeoutMilliseconds, 0, LONGEST_WAIT_MILLISECONDS);
  if (isReadable() || timeoutMilliseconds === 0) return;
  const watches: DescriptorWatch[] = [];
  let timer: NodeJS.Timeout | undefined;
  await new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMilliseconds);
    for (const descriptor of descriptors) {
      watches.push(calls.watch(descriptor, { readable: true, writable: false }, () => setImmediate(resolve)));
    }
  });
  clearTimeout(timer);
  for (const watch of watches) watch.close();
}
