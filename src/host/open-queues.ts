import type { Kernel } from '../kernel/contract.js';
import {
  type OpenQueuesOptions as KernelQueuesOptions,
  openQueues as openOnKernel,
  type QueueSockets,
} from '../socket/open-queues.js';
import { SoftKernel } from '../soft-kernel/soft-kernel.js';
import { findKernel } from './find-kernel.js';

/** What a program asks for that wants several queues at once; the kernel may be left to the interface's name. */
export interface OpenQueuesOptions extends Omit<KernelQueuesOptions, 'kernel'> {
  /** Default as for `openSocket`. */
  readonly kernel?: Kernel;
}

/**
 * Opens one socket per queue of an interface, over one packet buffer, all of them for this thread: all, or none and an error.
 * `runQueues` gives each queue a thread of its own instead.
 *
 * @throws PacketError NO_QUEUE, INVALID_OPTION, and as `openSocket`
 */
export async function openQueues(options: OpenQueuesOptions): Promise<QueueSockets> {
  const found = await findKernel(options, (soft) => new SoftKernel(soft));
  try {
    return await openOnKernel({ ...options, kernel: found.kernel, interface: found.interface }, found.release);
  } catch (error) {
    await found.release?.();
    throw error;
  }
}
