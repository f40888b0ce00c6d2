import { PacketError } from '../errors.js';
import type { Kernel } from '../kernel/contract.js';
import { type OpenSocketOptions as KernelSocketOptions, openSocket as openOnKernel } from '../socket/open-socket.js';
import type { PacketSocket } from '../socket/packet-socket.js';
import { SoftKernel } from '../soft-kernel/soft-kernel.js';
import { parseInterfaceSpec, softNic } from './interface-spec.js';

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
  const { kernel } = options;
  if (kernel !== undefined) return openOnKernel({ ...options, kernel });
  if (typeof options.interface !== 'string') {
    throw new PacketError('INVALID_OPTION', `interface: ${String(options.interface)} is not an interface name`);
  }
  const spec = parseInterfaceSpec(options.interface);
  if (spec.kernel === 'linux') return openOnKernel({ ...options, kernel: await linuxKernel() });
  const soft = new SoftKernel(
    options.buffer !== undefined && 'arena' in options.buffer ? { arena: options.buffer.arena! } : {},
  );
  try {
    const { name } = await soft.addNic(await softNic(spec));
    return await openOnKernel({ ...options, kernel: soft, interface: name }, () => soft.close());
  } catch (error) {
    await soft.close();
    throw error;
  }
}

let linux: Promise<Kernel> | undefined;

/** Loaded when first asked for: programs on the soft kernel run on any operating system. */
function linuxKernel(): Promise<Kernel> {
  linux ??= import('../linux-kernel/linux-kernel.js').then(({ LinuxKernel }) => new LinuxKernel());
  return linux;
}
