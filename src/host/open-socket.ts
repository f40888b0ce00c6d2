import type { Kernel } from '../kernel/contract.js';
import { type OpenSocketOptions as KernelSocketOptions, openSocket as openOnKernel } from '../socket/open-socket.js';
import type { PacketSocket } from '../socket/packet-socket.js';
import { SoftKernel } from '../soft-kernel/soft-kernel.js';
import { findKernel } from './find-kernel.js';

/** What a program asks for; the kernel may be left to the interface's name. */
export interface OpenSocketOptions extends Omit<KernelSocketOptions, 'kernel'> {
  /**
   * Default: the Linux kernel, one for the whole process; or, for an interface such as `soft:generator,size=64`, a soft kernel
   * of the socket's own, which is closed with it.
   */
  readonly kernel?: Kernel;
}

/**
 * Opens a packet socket: climbs down the modes asked for, takes the first that the interface supports, and says on
 * `socket.mode` what it got and why each better one was refused.
 *
 * @throws PacketError MODE_REFUSED when no mode will do (its message lists the reasons), NO_INTERFACE, INVALID_OPTION, ...
 */
export async function openSocket(options: OpenSocketOptions): Promise<PacketSocket> {
  const found = await findKernel(options, (soft) => new SoftKernel(soft));
  try {
    return await openOnKernel({ ...options, kernel: found.kernel, interface: found.interface }, found.release);
  } catch (error) {
    await found.release?.();
    throw error;
  }
}
