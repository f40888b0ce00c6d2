import { Arena } from '../../arena/arena.js';
import { HostClock } from '../clock.js';
import { SoftKernel } from '../soft-kernel.js';
import { ApplicationThread } from './application-thread.js';
import { Doorbell } from './doorbell.js';
import { KernelLoop } from './kernel-loop.js';
import { linePort } from './line-port.js';
import type { CallMessage, HostMessagePort, LinePort, StartMessage, ThreadPort } from './protocol.js';

/**
 * The kernel's thread: waits for the start message, then serves control calls while the kernel runs. A {@link ThreadHost} starts a
 * thread that calls it once, with the thread's end of the channel to whoever has started it.
 */
export function serveKernel(port: ThreadPort): void {
  let starter: ApplicationThread | undefined;
  port.listen((message) => {
    if (starter === undefined) starter = new KernelServer(message as StartMessage).serve(port);
    else void starter.call(message as CallMessage);
  });
}

/** A kernel and the application threads that it works for: the one that has started it, and those that have joined. */
export class KernelServer {
  readonly kernel: SoftKernel;
  readonly loop: KernelLoop;
  readonly #joined = new Map<ApplicationThread, LinePort>();
  #closed = false;
  #tellLeft: (() => void) | undefined;

  constructor(start: StartMessage) {
    const arena = Arena.adopt(start.arena);
    this.kernel = new SoftKernel({ arena, clock: new HostClock() });
    this.loop = new KernelLoop(this.kernel, new Doorbell(arena, start.doorbell), arena.i32);
    void this.loop.run();
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The thread that has started the kernel, and may close it. */
  serve(port: ThreadPort): ApplicationThread {
    return new ApplicationThread(this, port, true);
  }

  /** Lets another thread join. */
  admit(messagePort: HostMessagePort): void {
    const port = linePort(messagePort);
    const thread = new ApplicationThread(this, port, false);
    this.#joined.set(thread, port);
    port.listen((message) => void thread.call(message as CallMessage));
    port.ended(() => void this.#left(thread));
  }

  /** A thread has closed its line, or has ended without. */
  async #left(thread: ApplicationThread): Promise<void> {
    await thread.closeSockets();
    this.#joined.delete(thread);
    if (this.#joined.size === 0) this.#tellLeft?.();
  }

  /** Closes the kernel. Returns how many threads still have sockets, whose rings' frames they are to collect. */
  async shutdown(): Promise<number> {
    this.#closed = true;
    this.loop.stop();
    await this.kernel.close();
    for (const [thread, port] of this.#joined) {
      port.post(null);
      if (thread.sockets > 0) continue;
      port.close();
      this.#joined.delete(thread);
    }
    return this.#joined.size;
  }

  /** Until the last of those threads has closed its sockets, or has ended. */
  othersLeft(): Promise<void> {
    return new Promise((resolve) => {
      this.#tellLeft = resolve;
      if (this.#joined.size === 0) resolve();
    });
  }
}
