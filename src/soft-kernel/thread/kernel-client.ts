import type { Arena } from '../../arena/arena.js';
import { PacketError } from '../../errors.js';
import type { InterfaceInfo, KernelSocket, PacketVersion } from '../../kernel/contract.js';
import type { NicOptions } from '../nic-options.js';
import type { SoftSystem, StackStatistics } from '../system.js';
import type { VethOptions } from '../veth-options.js';
import { Doorbell } from './doorbell.js';
import type { AnswerMessage, HostMessagePort, KernelShare, SocketNames, ThreadPort } from './protocol.js';
import { ThreadSocket } from './thread-socket.js';

/** Bytes of the arena that a thread gets for its packet buffers, unless told otherwise. */
const SHARED_ARENA_BYTES = 2 ** 26;

interface Call {
  readonly method: string;
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
}

/**
 * A soft kernel that runs on another thread, as this thread sees it. Control calls are messages on a line of this thread's own;
 * rings and frames are shared memory, and while traffic flows nothing else is needed.
 */
export abstract class KernelClient implements SoftSystem {
  /** Tells it from the Linux kernel. */
  readonly name = 'soft';
  readonly arena: Arena;
  readonly #line: ThreadPort;
  readonly #doorbell: Doorbell;
  readonly #doorbellOffset: number;
  readonly #calls = new Map<number, Call>();
  #nextCall = 0;
  readonly #sockets = new Set<ThreadSocket>();
  #closing: Promise<void> | undefined;
  #dead: Error | undefined;
  #closed = false;
  #hungUp = false;

  /** @param doorbell arena byte offset */
  protected constructor(arena: Arena, doorbell: number, line: ThreadPort) {
    this.arena = arena;
    this.#doorbellOffset = doorbell;
    this.#doorbell = new Doorbell(arena, doorbell);
    this.#line = line;
  }

  /** @internal a control call to the other thread */
  call<Result>(socket: number | undefined, method: string, ...args: unknown[]): Promise<Result> {
    return this.request(socket, method, args);
  }

  /** The same; hands over message ports that are among the arguments. */
  protected request<Result>(
    socket: number | undefined,
    method: string,
    args: readonly unknown[],
    transfer: readonly HostMessagePort[] = [],
  ): Promise<Result> {
    if (this.#dead !== undefined) return Promise.reject(this.#dead);
    if (this.#closed) {
      // The kernel has let go of its sockets when it was closed.
      if (method === 'unbind' || (method === 'close' && this.#hungUp)) return Promise.resolve(undefined as Result);
      if (method !== 'close')
        return Promise.reject(new PacketError('WRONG_STATE', 'the kernel is closed', { remedy: 'make another' }));
    }
    return new Promise((resolve, reject) => {
      const id = this.#nextCall++;
      try {
        this.#line.post({ id, socket, method, args }, transfer);
      } catch (cause) {
        throw new PacketError('INVALID_OPTION', `${method}: what it was called with is not plain data`, {
          cause,
          remedy:
            'functions, kernels and sockets stay on their thread: give numbers, texts, lists, objects and shared memory',
        });
      }
      this.#calls.set(id, { method, resolve, reject });
      this.#doorbell.wake();
    });
  }

  /** Takes an answer to a call. */
  protected answer(message: AnswerMessage): void {
    const call = this.#calls.get(message.id);
    if (call === undefined) return;
    this.#calls.delete(message.id);
    if ('error' in message) {
      call.reject(typeof message.error === 'string' ? new Error(message.error) : PacketError.fromJSON(message.error));
    } else {
      call.resolve(message.result as never);
    }
  }

  /** The kernel is no more: no call will be answered. */
  protected hangUp(reason: Error): void {
    this.#hungUp = true;
    if (!this.#closed) this.#dead = reason;
    for (const { method, resolve, reject } of this.#calls.values()) {
      if (this.#closed && (method === 'unbind' || method === 'close')) resolve(undefined as never);
      else reject(reason);
    }
    this.#calls.clear();
    for (const socket of this.#sockets) socket.wake();
  }

  /** The kernel has let go of this thread's sockets: they are only to be closed. */
  protected letGo(): void {
    this.#closed = true;
    for (const socket of this.#sockets) socket.wake();
  }

  /** @internal whether nothing will ever happen any more on its sockets */
  get ended(): boolean {
    return this.#closed || this.#dead !== undefined;
  }

  /** Whether its thread has ended unexpectedly. */
  protected get dead(): boolean {
    return this.#dead !== undefined;
  }

  /** Whether it is closed, and all of its sockets are. */
  protected get vacant(): boolean {
    return this.#closed && this.#sockets.size === 0;
  }

  /** Called when the last socket of a closed kernel is closed. */
  protected abstract vacated(): void;

  /**
   * Lets another application thread open sockets on this kernel: post what this returns to it, once, with its port in the list of
   * what is transferred, and give it to {@link JoinedSoftKernel} there:
   *
   *     const share = await kernel.share();
   *     new Worker(program, { workerData: share, transferList: [share.port] });
   *
   * The part of the arena that it carries is that thread's until it has ended; then `kernel.arena.free(share.arena.region)`.
   *
   * @param arenaBytes bytes of this thread's arena that the other gets for its packet buffers; default 64 MiB
   * @throws PacketError ARENA_EXHAUSTED, INVALID_OPTION, WRONG_STATE when the kernel is closed
   */
  async share(arenaBytes: number = SHARED_ARENA_BYTES): Promise<KernelShare> {
    const arena = this.arena.share(arenaBytes);
    const { port1, port2 } = new MessageChannel();
    try {
      await this.request(undefined, 'admit', [port1], [port1]);
    } catch (error) {
      port2.close();
      this.arena.free(arena.region);
      throw error;
    }
    return { arena, doorbell: this.#doorbellOffset, port: port2 };
  }

  interfaces(): Promise<InterfaceInfo[]> {
    return this.call(undefined, 'interfaces');
  }

  addNic(options: NicOptions): Promise<InterfaceInfo> {
    return this.call(undefined, 'addNic', options);
  }

  addVeth(options: VethOptions): Promise<[InterfaceInfo, InterfaceInfo]> {
    return this.call(undefined, 'addVeth', options);
  }

  deviceStatistics(device: string): Promise<Record<string, number>> {
    return this.call(undefined, 'deviceStatistics', device);
  }

  stackStatistics(device: string): Promise<StackStatistics> {
    return this.call(undefined, 'stackStatistics', device);
  }

  recording(device: string): Promise<Uint8Array> {
    return this.call(undefined, 'recording', device);
  }

  setLink(device: string, up: boolean): Promise<void> {
    return this.call(undefined, 'setLink', device, up);
  }

  setStuck(device: string, queue: number, stuck: boolean): Promise<void> {
    return this.call(undefined, 'setStuck', device, queue, stuck);
  }

  async socket(version: PacketVersion): Promise<KernelSocket> {
    const names = await this.call<SocketNames>(undefined, 'socket', version);
    const socket: ThreadSocket = new ThreadSocket(this, this.#doorbellOffset, names, version, () =>
      this.#forget(socket),
    );
    this.#sockets.add(socket);
    return socket;
  }

  #forget(socket: ThreadSocket): void {
    if (this.#sockets.delete(socket) && this.vacant) this.vacated();
  }

  close(): Promise<void> {
    this.#closing ??= this.shutdown();
    return this.#closing;
  }

  protected abstract shutdown(): Promise<void>;

  /** `await using`: {@link KernelClient.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
