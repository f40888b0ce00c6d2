import { Arena } from '../../arena/arena.js';
import { PacketError } from '../../errors.js';
import type { PacketVersion } from '../../kernel/contract.js';
import { HostClock } from '../clock.js';
import { SoftKernel } from '../soft-kernel.js';
import type { SoftSocket } from '../soft-socket.js';
import { Doorbell, MOST_SOCKETS } from './doorbell.js';
import { KernelLoop } from './kernel-loop.js';
import {
  type CallMessage,
  KERNEL_METHODS,
  SOCKET_METHODS,
  type SocketNames,
  type StartMessage,
  type ThreadPort,
} from './protocol.js';

/** The kernel's thread: waits for the start message, then serves control calls while the kernel runs. */
export function serveKernel(port: ThreadPort): void {
  let server: KernelServer | undefined;
  port.listen((message) => {
    if (server === undefined) server = new KernelServer(port, message as StartMessage);
    else void server.call(message as CallMessage);
  });
}

type Methods = Record<string, (...args: unknown[]) => Promise<unknown>>;

class KernelServer {
  readonly #kernel: SoftKernel;
  readonly #loop: KernelLoop;

  constructor(
    private readonly port: ThreadPort,
    start: StartMessage,
  ) {
    const arena = Arena.adopt(start.arena);
    this.#kernel = new SoftKernel({ arena, clock: new HostClock() });
    this.#loop = new KernelLoop(this.#kernel, new Doorbell(arena, start.doorbell), arena.i32);
    void this.#loop.run();
  }

  async call({ id, socket, method, args }: CallMessage): Promise<void> {
    try {
      const result =
        socket === undefined ? await this.#kernelCall(method, args) : await this.#socketCall(socket, method, args);
      this.port.post({ id, result });
    } catch (error) {
      this.port.post({
        id,
        error: error instanceof PacketError ? error.toJSON() : String((error as Error)?.stack ?? error),
      });
    }
  }

  async #kernelCall(method: string, args: readonly unknown[]): Promise<unknown> {
    if (method === 'socket') return this.#newSocket(args[0] as PacketVersion);
    if (method === 'shutdown') {
      this.#loop.stop();
      return this.#kernel.close();
    }
    if (!(KERNEL_METHODS as readonly string[]).includes(method)) throw new Error(`no kernel call ${method}`);
    return (this.#kernel as unknown as Methods)[method]!(...args);
  }

  async #newSocket(version: PacketVersion): Promise<SocketNames> {
    const socket = await this.#kernel.socket(version);
    const { number } = socket;
    if (number >= MOST_SOCKETS) {
      await socket.close();
      throw new PacketError('ARENA_EXHAUSTED', `a kernel thread has at most ${MOST_SOCKETS} sockets`, {
        remedy: 'close some, or start another kernel',
      });
    }
    const id = this.#nextSocket++;
    this.#sockets.set(id, socket);
    return { id, number };
  }

  async #socketCall(id: number, method: string, args: readonly unknown[]): Promise<unknown> {
    const socket = this.#sockets.get(id);
    if (socket === undefined) {
      if (method === 'close' || method === 'unbind') return;
      throw new PacketError('SOCKET_CLOSED', 'the socket is closed');
    }
    if (!(SOCKET_METHODS as readonly string[]).includes(method)) throw new Error(`no socket call ${method}`);
    if (method === 'close') this.#loop.dismiss(socket);
    const result = await (socket as unknown as Methods)[method]!(...args);
    if (method === 'map') return { maps: result, event: socket.event };
    if (method === 'bind') this.#loop.activate(socket);
    if (method === 'close') this.#sockets.delete(id);
    return result;
  }

  /** Open sockets by their ids. */
  readonly #sockets = new Map<number, SoftSocket>();
  #nextSocket = 0;
}
