import { Arena, type ArenaShare, type Region } from '../../arena/arena.js';
import { PacketError } from '../../errors.js';
import type {
  Binding,
  BindRequest,
  BlockingWaitOptions,
  Direction,
  InterfaceInfo,
  KernelSocket,
  KernelStatistics,
  MemoryRegistration,
  PacketVersion,
  RingRequest,
  SocketMaps,
  WaitOptions,
} from '../../kernel/contract.js';
import { checkOptionNames } from '../../options.js';
import { NEED_WAKEUP } from '../../ring/frame-rings.js';
import type { Receive } from '../../steering/rules.js';
import type { NicOptions } from '../nic-options.js';
import { checkTimeout, copyMemory } from '../requests.js';
import type { SoftSystem, StackStatistics } from '../system.js';
import type { VethOptions } from '../veth-options.js';
import { allocateDoorbell, Doorbell } from './doorbell.js';
import type { AnswerMessage, KernelThread, SocketNames, ThreadHost } from './protocol.js';

/** Address space that the kernel's thread gets for rings, page pool and devices, unless told otherwise. */
const KERNEL_ARENA_BYTES = 2 ** 28;

export interface ThreadedSoftKernelOptions {
  /** How to start a thread; on Node `nodeThreads()`. */
  readonly host: ThreadHost;
  /** The arena to share; default the thread's own. */
  readonly arena?: Arena;
  /** Bytes of it that the kernel may use; default 256 MiB. */
  readonly kernelBytes?: number;
}

/**
 * The soft kernel on a thread of its own, as the talk's driver runs on another core: the same contract, the same programs. Control
 * calls are messages; rings and frames are shared memory, and while traffic flows nothing else is needed.
 */
export class ThreadedSoftKernel implements SoftSystem {
  readonly name = 'soft';
  readonly arena: Arena;
  readonly #thread: KernelThread;
  readonly #doorbell: Doorbell;
  readonly #doorbellRegion: Region;
  readonly #share: ArenaShare;
  readonly #calls = new Map<number, { resolve: (result: never) => void; reject: (error: Error) => void }>();
  #nextCall = 0;
  readonly #sockets = new Set<ThreadSocket>();
  #closing: Promise<void> | undefined;
  #dead: Error | undefined;
  #closed = false;

  /** @throws PacketError INVALID_OPTION, ARENA_EXHAUSTED */
  constructor(options: ThreadedSoftKernelOptions) {
    checkOptionNames('ThreadedSoftKernel', options, ['host', 'arena', 'kernelBytes']);
    if (typeof options.host?.start !== 'function') {
      throw new PacketError('INVALID_OPTION', `host: ${String(options.host)} cannot start threads`, {
        remedy: 'on Node: new ThreadedSoftKernel({ host: nodeThreads() })',
      });
    }
    this.arena = options.arena ?? Arena.default();
    this.#doorbellRegion = allocateDoorbell(this.arena);
    this.#doorbell = new Doorbell(this.arena, this.#doorbellRegion.offset);
    this.#share = this.arena.share(options.kernelBytes ?? KERNEL_ARENA_BYTES);
    this.#thread = options.host.start();
    this.#thread.listen((message) => this.#answer(message as AnswerMessage));
    this.#thread.ended((reason) => this.#die(reason));
    this.#thread.post({ arena: this.#share, doorbell: this.#doorbellRegion.offset });
  }

  /** @internal a control call to the other thread */
  call<Result>(socket: number | undefined, method: string, ...args: unknown[]): Promise<Result> {
    if (this.#dead !== undefined) return Promise.reject(this.#dead);
    if (this.#closed) {
      // The kernel has let go of its sockets when it was closed.
      if (method === 'unbind' || method === 'close') return Promise.resolve(undefined as Result);
      return Promise.reject(new PacketError('WRONG_STATE', 'the kernel is closed'));
    }
    return new Promise((resolve, reject) => {
      const id = this.#nextCall++;
      try {
        this.#thread.post({ id, socket, method, args });
      } catch (cause) {
        throw new PacketError('INVALID_OPTION', `${method}: what it was called with is not plain data`, { cause });
      }
      this.#calls.set(id, { resolve, reject });
      this.#doorbell.wake();
    });
  }

  #answer(message: AnswerMessage): void {
    const call = this.#calls.get(message.id);
    if (call === undefined) return;
    this.#calls.delete(message.id);
    if ('error' in message) {
      call.reject(typeof message.error === 'string' ? new Error(message.error) : PacketError.fromJSON(message.error));
    } else {
      call.resolve(message.result as never);
    }
  }

  #die(reason: Error): void {
    if (this.#closed) return; // as it should
    this.#dead = reason;
    for (const { reject } of this.#calls.values()) reject(reason);
    this.#calls.clear();
    for (const socket of this.#sockets) socket.wake();
  }

  /** Whether nothing will ever happen any more on its sockets. */
  get ended(): boolean {
    return this.#closed || this.#dead !== undefined;
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
    const socket: ThreadSocket = new ThreadSocket(this, this.#doorbell, names, version, () => this.#forget(socket));
    this.#sockets.add(socket);
    return socket;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#dead === undefined) await this.call(undefined, 'shutdown');
    this.#closed = true;
    for (const socket of this.#sockets) socket.wake();
    await this.#thread.terminate();
    this.#freeMemory();
  }

  #forget(socket: ThreadSocket): void {
    if (this.#sockets.delete(socket)) this.#freeMemory();
  }

  /** Not before the last socket is closed: its rings lie there, and their frames are to be collected. */
  #freeMemory(): void {
    if (!this.#closed || this.#sockets.size > 0) return;
    this.arena.free(this.#share.region);
    this.arena.free(this.#doorbellRegion);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** A socket of the kernel on the other thread. */
class ThreadSocket implements KernelSocket {
  readonly #id: number;
  readonly #number: number;
  #maps: SocketMaps | undefined;
  #event = 0;
  readonly #i32: Int32Array;

  constructor(
    private readonly kernel: ThreadedSoftKernel,
    private readonly doorbell: Doorbell,
    { id, number }: SocketNames,
    readonly version: PacketVersion,
    private readonly onClose: () => void,
  ) {
    this.#id = id;
    this.#number = number;
    this.#i32 = kernel.arena.i32;
  }

  async registerMemory(memory: MemoryRegistration): Promise<void> {
    await this.kernel.call(this.#id, 'registerMemory', copyMemory(memory));
  }

  createRings(rings: RingRequest): Promise<void> {
    return this.kernel.call(this.#id, 'createRings', rings);
  }

  async map(): Promise<SocketMaps> {
    const { maps, event } = await this.kernel.call<{ maps: SocketMaps; event: number }>(this.#id, 'map');
    this.#maps = maps;
    this.#event = event >> 2;
    return maps;
  }

  bind(request: BindRequest): Promise<Binding> {
    return this.kernel.call(this.#id, 'bind', request);
  }

  steer(receive: Receive): Promise<void> {
    return this.kernel.call(this.#id, 'steer', receive);
  }

  kick(_direction: Direction): void {
    this.doorbell.kick(this.#number);
  }

  /** Makes whoever waits on this socket look again. */
  wake(): void {
    if (this.#maps === undefined) return;
    Atomics.add(this.#i32, this.#event, 1);
    Atomics.notify(this.#i32, this.#event);
  }

  /** Before sleeping: a kernel that has stopped polling must look at the rings once more. */
  #kickIfAsked(): void {
    if (this.#maps === undefined) throw new PacketError('WRONG_STATE', 'map comes before wait');
    const { wakeReceive, wakeTransmit } = this.#maps;
    const asked = Atomics.load(this.#i32, wakeReceive >> 2) | Atomics.load(this.#i32, wakeTransmit >> 2);
    if ((asked & NEED_WAKEUP) !== 0) this.doorbell.kick(this.#number);
  }

  async wait(ready: () => boolean, options: WaitOptions): Promise<boolean> {
    const { signal, spinNanoseconds = 0 } = options;
    const deadline = performance.now() + checkTimeout(options.timeoutMilliseconds);
    if (spinNanoseconds > 0 && spin(ready, Math.min(deadline, performance.now() + spinNanoseconds / 1e6))) return true;
    // An abort wakes this thread's own wait: the kernel need not know.
    const wake = () => this.wake();
    signal?.addEventListener('abort', wake, { once: true });
    try {
      for (;;) {
        signal?.throwIfAborted();
        const seen = Atomics.load(this.#i32, this.#event);
        if (ready()) return true;
        const left = deadline - performance.now();
        if (left <= 0 || this.kernel.ended) return false;
        this.#kickIfAsked();
        this.doorbell.awaitEvents(this.#number);
        const waiting = Atomics.waitAsync(this.#i32, this.#event, seen, left);
        if (waiting.async) await waiting.value;
      }
    } finally {
      signal?.removeEventListener('abort', wake);
    }
  }

  waitBlocking(ready: () => boolean, options: BlockingWaitOptions): boolean {
    const deadline = performance.now() + checkTimeout(options.timeoutMilliseconds);
    this.#kickIfAsked();
    if (options.how === 'busy') return spin(ready, deadline);
    for (;;) {
      const seen = Atomics.load(this.#i32, this.#event);
      if (ready()) return true;
      const left = deadline - performance.now();
      if (left <= 0 || this.kernel.ended) return false;
      this.doorbell.awaitEvents(this.#number);
      Atomics.wait(this.#i32, this.#event, seen, left);
    }
  }

  statistics(): Promise<KernelStatistics> {
    return this.kernel.call(this.#id, 'statistics');
  }

  unbind(): Promise<void> {
    return this.kernel.call(this.#id, 'unbind');
  }

  async close(): Promise<void> {
    try {
      await this.kernel.call(this.#id, 'close');
    } finally {
      this.onClose();
    }
  }
}

/** Looks at `ready` until it holds or the time is over; the clock is read every 64 looks. */
function spin(ready: () => boolean, deadline: number): boolean {
  for (let looks = 1; ; looks++) {
    if (ready()) return true;
    if ((looks & 63) === 0 && performance.now() >= deadline) return false;
  }
}
