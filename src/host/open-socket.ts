import { PacketError } from '../errors.js';
import type { Kernel } from '../kernel/contract.js';
import type { NapiOptions } from '../linux-kernel/napi-settings.js';
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
  /**
   * Linux: NAPI settings of the interface while the socket is open, for busy polling. They are put back when the socket is closed; after
   * `kill -9` by the next program that uses tpacket4 on Linux, or by `tp4 doctor --repair`.
   */
  readonly napi?: NapiOptions;
}

/**
 * Opens a packet socket: climbs down the modes asked for, takes the first that the interface supports, and says on
 * `socket.mode` what it got and why each better one was refused.
 *
 * @throws PacketError MODE_REFUSED when no mode will do (its message lists the reasons), NO_INTERFACE, INVALID_OPTION,
 *   NO_FRAMES when the buffer has no frame left for a receiver (V4, AF_XDP), ...
 */
export async function openSocket(options: OpenSocketOptions): Promise<PacketSocket> {
  checkObject(options);
  const { kernel, napi, ...others } = options;
  if (kernel !== undefined) return openWithNapi({ ...options, kernel });
  if (typeof options.interface !== 'string') {
    throw new PacketError('INVALID_OPTION', `interface: ${String(options.interface)} is not an interface name`);
  }
  const spec = parseInterfaceSpec(options.interface);
  if (spec.kernel === 'linux') return openWithNapi({ ...options, kernel: await linuxKernel() });
  if (napi !== undefined) throw noNapi();
  const soft = new SoftKernel(
    typeof options.buffer === 'object' && options.buffer !== null && 'arena' in options.buffer
      ? { arena: options.buffer.arena! }
      : {},
  );
  try {
    const { name } = await soft.addNic(await softNic(spec));
    return await openOnKernel({ ...others, kernel: soft, interface: name }, () => soft.close());
  } catch (error) {
    await soft.close();
    throw error;
  }
}

/** Sets the interface's NAPI up before the socket is there, and puts it back after the socket has been closed. */
async function openWithNapi(options: KernelSocketOptions & { readonly napi?: NapiOptions }): Promise<PacketSocket> {
  const { napi, ...others } = options;
  if (napi === undefined) return openOnKernel(others);
  if (options.kernel?.name !== 'linux') throw noNapi();
  const { withNapiSettings } = await import('../linux-kernel/napi-settings.js');
  const undo = withNapiSettings(options.interface, napi);
  try {
    return await openOnKernel(others, async () => undo());
  } catch (error) {
    undo();
    throw error;
  }
}

function noNapi(): PacketError {
  return new PacketError('INVALID_OPTION', 'napi: soft devices have no NAPI settings', { remedy: 'leave it out' });
}

function checkObject(options: unknown): void {
  if (typeof options === 'object' && options !== null) return;
  throw new PacketError('INVALID_OPTION', `openSocket: ${String(options)} is not an object with options`);
}

let linux: Promise<Kernel> | undefined;

/** Loaded when first asked for: programs on the soft kernel run on any operating system. */
function linuxKernel(): Promise<Kernel> {
  linux ??= import('../linux-kernel/linux-kernel.js').then(({ LinuxKernel }) => new LinuxKernel());
  return linux;
}
