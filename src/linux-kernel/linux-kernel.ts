import { Arena } from '../arena/arena.js';
import { PacketError } from '../errors.js';
import type { InterfaceInfo, Kernel, KernelSocket, PacketVersion } from '../kernel/contract.js';
import { listInterfaces } from './interfaces.js';
import { type PacketRingHost, PacketRingSocket } from './packet-ring-socket.js';
import { repair } from './repair.js';
import { SystemCalls } from './system-calls.js';
import { XdpPrograms } from './xdp-program.js';
import { type XdpHost, XdpSocket } from './xdp-socket.js';

/** Options of the Linux kernel. */
export interface LinuxKernelOptions {
  /** Where rings are mapped and packet buffers must lie; default the thread's own arena. */
  readonly arena?: Arena;
}

/**
 * The kernel contract on the interfaces of a Linux machine, in the network namespace of this thread, which may be a container's (Q8), by system calls. Nothing
 * is loaded or opened before the first call. What it attaches to an interface is detached by closing, and by the
 * Linux kernel when the process ends in whatever way.
 */
export class LinuxKernel implements Kernel {
  /** Tells it from a soft kernel. */
  readonly name = 'linux';
  readonly arena: Arena;
  #host: (XdpHost & PacketRingHost) | undefined;
  #closed = false;

  constructor(options: LinuxKernelOptions = {}) {
    this.arena = options.arena ?? Arena.default();
  }

  /** @throws PacketError UNSUPPORTED_PLATFORM */
  async interfaces(): Promise<InterfaceInfo[]> {
    const { calls } = await this.#open();
    return listInterfaces(calls);
  }

  /** @throws PacketError MODE_UNSUPPORTED, NO_PRIVILEGE, UNSUPPORTED_PLATFORM, SYSTEM_CALL */
  async socket(version: PacketVersion): Promise<KernelSocket> {
    if (version === 'xdp') return this.xdpSocket();
    if (version !== 'v4') return PacketRingSocket.open(await this.#open(), version);
    throw new PacketError('MODE_UNSUPPORTED', 'Linux never merged AF_PACKET V4', {
      remedy: "AF_XDP is what it became ('xdp'); the soft kernel has V4",
    });
  }

  /** @internal `socket('xdp')` with the type that has what only Linux tells, such as the kicks' counts. */
  async xdpSocket(): Promise<XdpSocket> {
    return XdpSocket.open(await this.#open());
  }

  /** Closes every socket, and with them detaches every program. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    const { sockets, packetSockets } = this.#host ?? { sockets: [], packetSockets: [] };
    for (const socket of [...sockets, ...packetSockets]) await socket.close();
  }

  async #open(): Promise<XdpHost & PacketRingHost> {
    const calls = await SystemCalls.load();
    if (this.#closed) throw new PacketError('WRONG_STATE', 'the kernel is closed', { remedy: 'make another' });
    if (this.#host === undefined) repair(); // what programs left behind that were killed
    const { arena } = this;
    this.#host ??= { calls, arena, programs: new XdpPrograms(calls), sockets: new Set(), packetSockets: new Set() };
    return this.#host;
  }
}
