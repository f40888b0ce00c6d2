import { PacketError } from '../../errors.js';
import type { PacketVersion } from '../../kernel/contract.js';
import type { SoftSocket } from '../soft-socket.js';
import { MOST_SOCKETS } from './doorbell.js';
import type { KernelServer } from './kernel-server.js';
import {
  type CallMessage,
  type HostMessagePort,
  KERNEL_METHODS,
  SOCKET_METHODS,
  type SocketNames,
  type ThreadPort,
} from './protocol.js';

type Methods = Record<string, (...args: unknown[]) => Promise<unknown>>;

/**
 * An application thread as the kernel's thread sees it: serves its control calls. Its sockets can be named by nobody else (X1), and are
 * closed when it ends without closing them, whatever others on the same queue or packet buffer do (X4).
 */
export class ApplicationThread {
  /** Open sockets by their ids. */
  readonly #sockets = new Map<number, SoftSocket>();
  #nextSocket = 0;

  /** @param mayClose whether it may close the kernel */
  constructor(
    private readonly server: KernelServer,
    private readonly port: ThreadPort,
    private readonly mayClose: boolean,
  ) {}

  /** How many sockets it has. */
  get sockets(): number {
    return this.#sockets.size;
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
    const { server } = this;
    if (method === 'othersLeft' && this.mayClose) return server.othersLeft();
    if (method === 'leave') return this.#unbindSockets();
    if (server.closed) throw new PacketError('WRONG_STATE', 'the kernel is closed', { remedy: 'make another' });
    if (method === 'shutdown' && this.mayClose) return server.shutdown();
    if (method === 'admit') return server.admit(args[0] as HostMessagePort);
    if (method === 'socket') return this.#newSocket(args[0] as PacketVersion);
    if (!(KERNEL_METHODS as readonly string[]).includes(method)) throw new Error(`no kernel call ${method}`);
    return (server.kernel as unknown as Methods)[method]!(...args);
  }

  async #newSocket(version: PacketVersion): Promise<SocketNames> {
    const socket = this.server.kernel.softSocket(version);
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
      throw new PacketError('SOCKET_CLOSED', 'the socket is closed', { remedy: 'open another' });
    }
    if (!(SOCKET_METHODS as readonly string[]).includes(method)) throw new Error(`no socket call ${method}`);
    const { loop } = this.server;
    if (method === 'close') loop.dismiss(socket);
    const result = await (socket as unknown as Methods)[method]!(...args);
    if (method === 'map') return { maps: result, event: socket.event };
    if (method === 'bind') loop.activate(socket);
    if (method === 'close') this.#sockets.delete(id);
    return result;
  }

  async #unbindSockets(): Promise<void> {
    for (const socket of this.#sockets.values()) await socket.unbind();
  }

  /** The thread has gone: nobody else can close them. */
  async closeSockets(): Promise<void> {
    for (const socket of this.#sockets.values()) {
      this.server.loop.dismiss(socket);
      await socket.close();
    }
    this.#sockets.clear();
  }
}
