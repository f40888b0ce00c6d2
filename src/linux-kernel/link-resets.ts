import { readFileSync } from 'node:fs';
import type { LinuxInterface } from './interfaces.js';

/** Longest time for which a link is waited for. Gigabit copper negotiates for one to three seconds. */
const PATIENCE_MILLISECONDS = 5000;
const INTERVAL_MILLISECONDS = 10;

/**
 * Some drivers (igb and others of Intel's) reset the device when an XDP program is attached or detached. The link is down for a
 * moment, and what is sent meanwhile is completed and lost. So whoever attaches waits for the carrier, for a bounded time. A link
 * that was down before is not waited for.
 */
export class LinkResets {
  /** When an interface was last seen to have a carrier before its program was changed, by interface index. */
  readonly #up = new Map<number, number>();

  /** Before a program is attached or detached. */
  expect({ name, index }: LinuxInterface): void {
    if (hasCarrier(name)) this.#up.set(index, performance.now());
  }

  /** Waits until the link is as it was before, or the patience is over: then it is down for another reason. */
  async settled({ name, index }: LinuxInterface): Promise<void> {
    const up = this.#up.get(index);
    if (up === undefined) return;
    while (!hasCarrier(name) && performance.now() < up + PATIENCE_MILLISECONDS) {
      await new Promise((resolve) => setTimeout(resolve, INTERVAL_MILLISECONDS));
    }
  }
}

/** Whether the device sees a signal. An interface that is down says EINVAL, one that is gone has no such file. */
function hasCarrier(name: string): boolean {
  try {
    return readFileSync(`/sys/class/net/${name}/carrier`, 'utf8').trim() === '1';
  } catch {
    return false;
  }
}
