import { Arena } from '../../src/arena/arena.js';
import type { Binding, Mode } from '../../src/kernel/contract.js';
import { LinuxKernel } from '../../src/linux-kernel/linux-kernel.js';
import type { XdpSocket } from '../../src/linux-kernel/xdp-socket.js';
import { PacketBuffer } from '../../src/packet-buffer/packet-buffer.js';
import { XdpRings } from '../../src/ring/xdp/user.js';
import type { Receive } from '../../src/steering/rules.js';

export interface XdpSessionOptions {
  readonly interface: string;
  readonly mode: Mode;
  readonly receive: Receive;
  readonly queue?: number;
  readonly buffer?: PacketBuffer;
  readonly frames?: number;
  readonly entries?: number;
  readonly segments?: boolean;
  /** Sockets of one kernel share registrations and programs. */
  readonly kernel?: LinuxKernel;
}

/** A kernel socket with the user side of its rings: what a packet socket is made of, without its choices. */
export interface XdpSession {
  readonly kernel: LinuxKernel;
  readonly socket: XdpSocket;
  readonly rings: XdpRings;
  readonly buffer: PacketBuffer;
  readonly binding: Binding;
  close(): Promise<void>;
}

/** Opens a socket by the contract's calls, in their order; leaves nothing behind when one of them is refused. */
export async function openXdp(options: XdpSessionOptions): Promise<XdpSession> {
  const arena = options.buffer?.arena ?? options.kernel?.arena ?? Arena.create(2 ** 26);
  const kernel = options.kernel ?? new LinuxKernel({ arena });
  const entries = options.entries ?? 2048;
  const buffer = options.buffer ?? PacketBuffer.create({ arena, frames: options.frames ?? 8192 });
  const socket = await kernel.xdpSocket();
  let rings: XdpRings | undefined;
  const close = async (): Promise<void> => {
    await socket.unbind();
    rings?.close();
    rings = undefined;
    await socket.close();
  };
  try {
    await socket.registerMemory(buffer);
    await socket.createRings({ receive: entries, transmit: entries, fill: entries, completion: entries });
    const maps = await socket.map();
    const made = new XdpRings({ buffer, maps, kicker: socket, outcomes: false });
    rings = made;
    made.replenish();
    const binding = await socket.bind({
      interface: options.interface,
      mode: options.mode,
      receive: options.receive,
      segments: options.segments ?? false,
      ...(options.queue === undefined ? {} : { queue: options.queue }),
    });
    made.largestPacket = binding.largestPacket;
    return { kernel, socket, rings: made, buffer, binding, close };
  } catch (error) {
    await close();
    throw error;
  }
}
