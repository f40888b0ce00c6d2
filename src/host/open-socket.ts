import { PacketError } from '../errors.js';
import type { Kernel } from '../kernel/contract.js';
import type { NapiOptions } from '../linux-kernel/napi-settings.js';
import { type OpenSocketOptions as KernelSocketOptions, openSocket as openOnKernel } from '../socket/open-socket.js';
import type { PacketSocket } from '../socket/packet-socket.js';
import { SoftKernel } from '../soft-kernel/soft-kernel.js';
import { type FoundInterface, findKernel } from './find-kernel.js';

/** What a program asks for; the kernel may be left to the interface's name. */
export interface OpenSocketOptions extends Omit<KernelSocketOptions, 'kernel'> {
  /**
   * Default: the Linux kernel, one for the whole process; or, for an interface such as `soft:generator,size=64`, a soft kernel
   * of the socket's own, which is closed with it.
   */
  readonly kernel?: Kernel;
  /** Name of an interface of that kernel, or a soft one to be made, as {@link parseInterfaceSpec} takes it: "soft:generator,size=64". */
  readonly interface: string;
  /**
   * Linux: NAPI settings of the interface while the socket is open, for busy polling. They are put back when the socket is closed; after
   * `kill -9` by the next program that uses tpacket4 on Linux, or by `tp4 doctor --repair`.
   */
  readonly napi?: NapiOptions;
}

/**
 * Opens a packet socket: climbs down the modes asked for, takes the first that the interface supports, and says on
 * `socket.mode` what it got and why each better one was refused: zero-copy where it can be, copies elsewhere, in one program (S4, Q3).
 *
 * @throws PacketError MODE_REFUSED when no mode will do (its message lists the reasons), NO_INTERFACE, INVALID_OPTION,
 *   NO_FRAMES when the buffer has no frame left for a receiver (V4, AF_XDP), ...
 */
export async function openSocket(options: OpenSocketOptions): Promise<PacketSocket> {
  const found = await findKernel(options, (soft) => new SoftKernel(soft));
  const { napi, ...common } = options;
  const undo: (() => void | Promise<void>)[] = found.release === undefined ? [] : [found.release];
  const release = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    // The interface's NAPI is set up before the socket is there, and put back after the socket has been closed.
    if (napi !== undefined) undo.push(await setNapi(found, napi));
    return await openOnKernel({ ...common, kernel: found.kernel, interface: found.interface }, release);
  } catch (error) {
    await release();
    throw error;
  }
}

async function setNapi(found: FoundInterface, napi: NapiOptions): Promise<() => void> {
  if (found.kernel.name === 'linux') {
    const { withNapiSettings } = await import('../linux-kernel/napi-settings.js');
    return withNapiSettings(found.interface, napi);
  }
  throw new PacketError('INVALID_OPTION', 'napi: soft devices have no NAPI settings', { remedy: 'leave it out' });
}
