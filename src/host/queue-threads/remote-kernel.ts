import type { Arena } from '../../arena/arena.js';
import { PacketError } from '../../errors.js';
import type {
  Binding,
  BindRequest,
  BlockingWaitOptions,
  BusyPoll,
  BusyPollRequest,
  DataPath,
  DataPathShare,
  Direction,
  InterfaceInfo,
  Kernel,
  KernelSocket,
  KernelStatistics,
  MemoryRegistration,
  PacketVersion,
  RingRequest,
  SocketMaps,
  TransmitMetadata,
  WaitOptions,
} from '../../kernel/contract.js';
import { ThreadDataPath, type ThreadDataPathShare } from '../../soft-kernel/thread/thread-data-path.js';
import type { MapAnswer, SocketAnswer } from './protocol.js';

/** Makes a control call on the other thread. */
export type RemoteCall = <Result>(socket: number | undefined, method: string, ...args: unknown[]) => Promise<Result>;

/** A data path of another thread's socket, with its end. */
interface LocalDataPath extends DataPath {
  close(): void;
}

/** For how long a blocking wait does not look whether the thread is to stop, in milliseconds. */
const STOP_INTERVAL_MILLISECONDS = 100;

/**
 * The kernel of another thread, in a queue's thread: control calls go there as messages, kicks and waits are made here, on shared
 * memory and by system calls of this thread.
 */
export class RemoteKernel implements Kernel {
  constructor(
    readonly name: Kernel['name'],
    readonly arena: Arena,
    private readonly call: RemoteCall,
    /** Whether this thread is to come to its end: waits then end. */
    private readonly stopping: () => boolean,
  ) {}

  interfaces(): Promise<InterfaceInfo[]> {
    return this.call(undefined, 'interfaces');
  }

  async socket(version: PacketVersion): Promise<KernelSocket> {
    const answer = await this.call<SocketAnswer>(undefined, 'socket', version);
    return new RemoteSocket(this.arena, this.call, answer, this.stopping);
  }

  /** It belongs to the other thread. */
  async close(): Promise<void> {}
}

class RemoteSocket implements KernelSocket {
  readonly version: PacketVersion;
  readonly busyPoll?: (request: BusyPollRequest) => Promise<BusyPoll>;
  readonly transmitMetadata?: (wanted: TransmitMetadata) => Promise<void>;
  readonly #id: number;
  #path: LocalDataPath | undefined;

  constructor(
    private readonly arena: Arena,
    private readonly call: RemoteCall,
    { id, version, busyPoll, transmitMetadata }: SocketAnswer,
    private readonly stopping: () => boolean,
  ) {
    this.#id = id;
    this.version = version;
    if (transmitMetadata) this.transmitMetadata = (wanted) => this.call(id, 'transmitMetadata', wanted);
    if (busyPoll) this.busyPoll = (request) => this.call(id, 'busyPoll', request);
  }

  async registerMemory({ base, frames, frameSize, headroom }: MemoryRegistration): Promise<void> {
    await this.call(this.#id, 'registerMemory', { base, frames, frameSize, headroom });
  }

  createRings(rings: RingRequest): Promise<void> {
    return this.call(this.#id, 'createRings', rings);
  }

  async map(): Promise<SocketMaps> {
    const { maps, path } = await this.call<MapAnswer>(this.#id, 'map');
    this.#path = await openDataPath(path, this.arena);
    return maps;
  }

  bind(request: BindRequest): Promise<Binding> {
    return this.call(this.#id, 'bind', request);
  }

  steer(receive: BindRequest['receive']): Promise<void> {
    return this.call(this.#id, 'steer', receive);
  }

  kick(direction: Direction): void {
    this.#path?.kick(direction);
  }

  async wait(ready: () => boolean, options: WaitOptions): Promise<boolean> {
    const ended = () => this.stopping() || ready();
    return (await this.#mapped().wait(ended, options)) && !this.stopping();
  }

  waitBlocking(ready: () => boolean, { timeoutMilliseconds, how }: BlockingWaitOptions): boolean {
    const path = this.#mapped();
    const end = performance.now() + timeoutMilliseconds;
    while (!this.stopping()) {
      const slice = Math.min(STOP_INTERVAL_MILLISECONDS, end - performance.now());
      if (path.waitBlocking(ready, { timeoutMilliseconds: Math.max(0, slice), how })) return true;
      if (slice < STOP_INTERVAL_MILLISECONDS) return false;
    }
    return false;
  }

  #mapped(): LocalDataPath {
    if (this.#path === undefined)
      throw new PacketError('WRONG_STATE', 'map comes before wait', { remedy: 'await map() first' });
    return this.#path;
  }

  statistics(): Promise<KernelStatistics> {
    return this.call(this.#id, 'statistics');
  }

  unbind(): Promise<void> {
    this.#path?.close();
    return this.call(this.#id, 'unbind');
  }

  close(): Promise<void> {
    return this.call(this.#id, 'close');
  }
}

async function openDataPath(share: DataPathShare, arena: Arena): Promise<LocalDataPath> {
  if (share.kernel === 'soft') return new ThreadDataPath(arena, share as ThreadDataPathShare);
  const { openDataPath } = await import('../../linux-kernel/open-data-path.js');
  return openDataPath(share, arena);
}
