import type { Arena } from '../arena/arena.js';
import { PacketError } from '../errors.js';
import type { Kernel } from '../kernel/contract.js';
import type { SoftSystem } from '../soft-kernel/system.js';
import { parseInterfaceSpec, softNic } from './interface-spec.js';

/** Where an interface is found. */
export interface FoundInterface {
  readonly kernel: Kernel;
  /** Its name there. */
  readonly interface: string;
  /** Undoes what was made for this caller alone. */
  readonly release: (() => Promise<void>) | undefined;
}

/**
 * The kernel that an interface's name asks for: the one given; else the Linux kernel, one for the whole process; or, for a name such
 * as `soft:generator,size=64`, a soft kernel of the caller's own with that device.
 *
 * @param startSoft makes that soft kernel
 * @throws PacketError INVALID_OPTION
 */
export async function findKernel(
  options: { readonly kernel?: Kernel; readonly interface: string; readonly buffer?: object },
  startSoft: (options: { readonly arena?: Arena }) => SoftSystem,
): Promise<FoundInterface> {
  if (typeof options !== 'object' || options === null) {
    throw new PacketError('INVALID_OPTION', `${String(options)} is not an object with options`, {
      remedy: "say at least { interface, receive: 'all' }",
    });
  }
  const { kernel, interface: name, buffer } = options;
  if (kernel !== undefined) return { kernel, interface: name, release: undefined };
  if (typeof name !== 'string') {
    throw new PacketError('INVALID_OPTION', `interface: ${String(name)} is not an interface name`, {
      remedy: "a name such as 'veth0' or 'soft:generator,size=64'",
    });
  }
  const spec = parseInterfaceSpec(name);
  if (spec.kernel === 'linux') return { kernel: await linuxKernel(), interface: name, release: undefined };
  const arena = (buffer as { readonly arena?: Arena } | null | undefined)?.arena;
  const soft = startSoft(arena === undefined ? {} : { arena });
  try {
    const added = await soft.addNic(await softNic(spec));
    return { kernel: soft, interface: added.name, release: () => soft.close() };
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
