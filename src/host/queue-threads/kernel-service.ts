import { PacketError } from '../../errors.js';
import type { Kernel, KernelSocket, KernelStatistics, PacketVersion } from '../../kernel/contract.js';
import type { Answer, Call, MapAnswer, SocketAnswer } from './protocol.js';
import { packError } from './thread-error.js';

/** The control calls that may cross, so that a message can call nothing else. */
const SOCKET_METHODS: ReadonlySet<string> = new Set([
  ...[
    'registerMemory',
    'createRings',
    'busyPoll',
    'transmitMetadata',
    'map',
    'bind',
    'steer',
    'statistics',
    'unbind',
    'close',
  ],
]);

/** Makes the control calls of one queue's thread on the kernel of this one, and owns the sockets that it opens. */
export class KernelService {
  readonly #kernel: Kernel;
  readonly #sockets = new Map<number, KernelSocket>();
  #next = 0;
  /** Of the socket that was last opened; what it had counted when the thread let go of it. */
  #last: KernelSocket | undefined;
  #counted: KernelStatistics | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  async answer({ socket, method, args }: Call): Promise<Answer> {
    try {
      return {
        result: socket === undefined ? await this.#kernelCall(method, args) : await this.#call(socket, method, args),
      };
    } catch (error) {
      return { error: packError(error) };
    }
  }

  async #kernelCall(method: string, args: readonly unknown[]): Promise<unknown> {
    if (method === 'interfaces') return this.#kernel.interfaces();
    if (method !== 'socket') throw new Error(`no kernel call ${method}`);
    const socket = await this.#kernel.socket(args[0] as PacketVersion);
    if (socket.dataPath === undefined) {
      await socket.close();
      throw new PacketError(
        'MODE_UNSUPPORTED',
        `the ${this.#kernel.name} kernel moves ${socket.version} packets on its own thread only`,
        { remedy: 'a ThreadedSoftKernel, or openQueues, which keeps all sockets on one thread' },
      );
    }
    const id = this.#next++;
    this.#sockets.set(id, socket);
    this.#last = socket;
    this.#counted = undefined;
    const busyPoll = socket.busyPoll !== undefined;
    const transmitMetadata = socket.transmitMetadata !== undefined;
    return { id, version: socket.version, busyPoll, transmitMetadata } satisfies SocketAnswer;
  }

  async #call(id: number, method: string, args: readonly unknown[]): Promise<unknown> {
    const socket = this.#sockets.get(id);
    if (socket === undefined || !SOCKET_METHODS.has(method)) throw new Error(`no socket call ${method} of ${id}`);
    const call = (socket as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>)[method]!;
    if (method === 'unbind' && socket === this.#last) this.#counted ??= await socket.statistics();
    const result = await call.apply(socket, [...args]);
    if (method === 'map') return { maps: result, path: socket.dataPath!() } as MapAnswer;
    return result;
  }

  /** The kernel's counts of the socket that the thread has last opened, as of its end once it is closed. */
  async statistics(): Promise<KernelStatistics> {
    return this.#counted ?? (await this.#last?.statistics()) ?? { received: 0, sent: 0, drops: {} };
  }

  /** Closes what the thread has left open. */
  async close(): Promise<void> {
    this.#counted ??= await this.#last?.statistics();
    for (const socket of this.#sockets.values()) await socket.close();
  }
}
