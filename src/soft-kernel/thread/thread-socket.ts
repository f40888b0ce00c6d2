import { PacketError } from '../../errors.js';
import type {
  Binding,
  BindRequest,
  BlockingWaitOptions,
  Direction,
  KernelSocket,
  KernelStatistics,
  MemoryRegistration,
  PacketVersion,
  RingRequest,
  SocketMaps,
  WaitOptions,
} from '../../kernel/contract.js';
import type { Receive } from '../../steering/rules.js';
import { copyMemory } from '../requests.js';
import type { KernelClient } from './kernel-client.js';
import type { SocketNames } from './protocol.js';
import { ThreadDataPath, type ThreadDataPathShare } from './thread-data-path.js';

/** A socket of the kernel on the other thread. */
export class ThreadSocket implements KernelSocket {
  readonly #id: number;
  readonly #number: number;
  #path: ThreadDataPath | undefined;

  constructor(
    private readonly kernel: KernelClient,
    /** Arena byte offset. */
    private readonly doorbell: number,
    { id, number }: SocketNames,
    readonly version: PacketVersion,
    private readonly onClose: () => void,
  ) {
    this.#id = id;
    this.#number = number;
  }

  async registerMemory(memory: MemoryRegistration): Promise<void> {
    await this.kernel.call(this.#id, 'registerMemory', copyMemory(memory));
  }

  createRings(rings: RingRequest): Promise<void> {
    return this.kernel.call(this.#id, 'createRings', rings);
  }

  async map(): Promise<SocketMaps> {
    const { maps, event } = await this.kernel.call<{ maps: SocketMaps; event: number }>(this.#id, 'map');
    const { wakeReceive, wakeTransmit } = maps;
    this.#path = new ThreadDataPath(
      this.kernel.arena,
      {
        ...({ kernel: 'soft', version: this.version, doorbell: this.doorbell } as const),
        ...{ number: this.#number, event, wakeReceive, wakeTransmit },
      },
      () => this.kernel.ended,
    );
    return maps;
  }

  bind(request: BindRequest): Promise<Binding> {
    return this.kernel.call(this.#id, 'bind', request);
  }

  steer(receive: Receive): Promise<void> {
    return this.kernel.call(this.#id, 'steer', receive);
  }

  kick(direction: Direction): void {
    this.#path?.kick(direction);
  }

  dataPath(): ThreadDataPathShare {
    return this.#mapped().share();
  }

  /** Makes whoever waits on this socket look again. */
  wake(): void {
    this.#path?.wake();
  }

  async wait(ready: () => boolean, options: WaitOptions): Promise<boolean> {
    return this.#mapped().wait(ready, options);
  }

  waitBlocking(ready: () => boolean, options: BlockingWaitOptions): boolean {
    return this.#mapped().waitBlocking(ready, options);
  }

  #mapped(): ThreadDataPath {
    if (this.#path === undefined)
      throw new PacketError('WRONG_STATE', 'map comes before wait', { remedy: 'await map() first' });
    return this.#path;
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
