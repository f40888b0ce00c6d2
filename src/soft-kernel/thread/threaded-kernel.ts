import { Arena, type ArenaShare, type Region } from '../../arena/arena.js';
import { PacketError } from '../../errors.js';
import { checkOptionNames } from '../../options.js';
import { allocateDoorbell } from './doorbell.js';
import { KernelClient } from './kernel-client.js';
import type { AnswerMessage, KernelThread, ThreadHost } from './protocol.js';

/** Address space that the kernel's thread gets for rings, page pool and devices, unless told otherwise. */
const KERNEL_ARENA_BYTES = 2 ** 28;

/** What a kernel on a thread of its own is made with. */
export interface ThreadedSoftKernelOptions {
  /** How to start a thread; on Node `nodeThreads()`. */
  readonly host: ThreadHost;
  /** The arena to share; default the thread's own. */
  readonly arena?: Arena;
  /** Bytes of it that the kernel may use; default 256 MiB. */
  readonly kernelBytes?: number;
}

/**
 * The soft kernel on a thread of its own, as the talk's driver runs on another core: the same contract, the same programs. Other
 * application threads join it by {@link KernelClient.share}. Closing it unbinds the sockets of all of them; its thread and memory
 * go when their sockets are closed, too.
 */
export class ThreadedSoftKernel extends KernelClient {
  readonly #thread: KernelThread;
  readonly #doorbell: Region;
  readonly #share: ArenaShare;
  #threadEnded = false;

  /** @throws PacketError INVALID_OPTION, ARENA_EXHAUSTED */
  constructor(options: ThreadedSoftKernelOptions) {
    checkOptionNames('ThreadedSoftKernel', options, ['host', 'arena', 'kernelBytes']);
    if (typeof options.host?.start !== 'function') {
      throw new PacketError('INVALID_OPTION', `host: ${String(options.host)} cannot start threads`, {
        remedy: 'on Node: new ThreadedSoftKernel({ host: nodeThreads() })',
      });
    }
    const arena = options.arena ?? Arena.default();
    const doorbell = allocateDoorbell(arena);
    const share = arena.share(options.kernelBytes ?? KERNEL_ARENA_BYTES);
    const thread = options.host.start();
    super(arena, doorbell.offset, thread);
    this.#doorbell = doorbell;
    this.#share = share;
    this.#thread = thread;
    thread.listen((message) => this.answer(message as AnswerMessage));
    thread.ended((reason) => this.hangUp(reason));
    thread.post({ arena: share, doorbell: doorbell.offset });
  }

  protected async shutdown(): Promise<void> {
    if (this.dead) {
      this.letGo();
      return this.#end();
    }
    const others = await this.call<number>(undefined, 'shutdown');
    const left = others === 0 ? undefined : this.call<void>(undefined, 'othersLeft');
    this.letGo();
    if (left === undefined) return this.#end();
    void left.then(
      () => this.#end(),
      () => this.#end(),
    );
  }

  async #end(): Promise<void> {
    await this.#thread.terminate();
    this.#threadEnded = true;
    if (this.vacant) this.vacated();
  }

  /** Not before the last socket is closed, of any thread: its rings lie there, and their frames are to be collected. */
  protected vacated(): void {
    if (!this.#threadEnded) return;
    this.arena.free(this.#share.region);
    this.arena.free(this.#doorbell);
  }
}
