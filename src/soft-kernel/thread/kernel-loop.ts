import { eventLoop } from '../../kernel/event-loop.js';
import type { SoftKernel } from '../soft-kernel.js';
import type { SoftSocket } from '../soft-socket.js';
import type { Doorbell } from './doorbell.js';

/** Milliseconds of work between looks at the event loop: the most that a control call waits. */
const SLICE_MILLISECONDS = 1;
/** Steps between looks at the time. */
const STEPS = 64;
/** Steps without work after which a socket is no longer polled and its wake bits are set: some hundred microseconds. */
const QUIET_STEPS = 1000;
/** Steps without any work after which the thread sleeps. */
const IDLE_STEPS = 1000;
/** A sleeping kernel looks around at least so often. */
const LONGEST_SLEEP_MILLISECONDS = 100;

/**
 * The soft kernel's life on a thread of its own. While sockets are busy it polls their rings, so that sending and receiving need
 * no call at all (I1, F1); a socket that goes quiet gets its wake bits set and is looked at again when it kicks. When everything is
 * quiet, the thread sleeps until the doorbell rings or a wire has something.
 */
export class KernelLoop {
  readonly #waiters: SoftSocket[] = [];
  #stopped = false;

  constructor(
    private readonly kernel: SoftKernel,
    private readonly doorbell: Doorbell,
    private readonly i32: Int32Array,
  ) {}

  /** Runs until `stop`. */
  async run(): Promise<void> {
    const { kernel } = this;
    let idle = 0;
    while (!this.#stopped) {
      const end = performance.now() + SLICE_MILLISECONDS;
      do {
        for (let i = 0; i < STEPS; i++) {
          if (this.doorbell.answered()) this.#answer();
          idle = kernel.step() > 0 ? 0 : idle + 1;
          if (this.#waiters.length > 0) this.#tellWaiters();
        }
        this.#retireQuiet();
      } while (performance.now() < end && idle < IDLE_STEPS);
      if (idle >= IDLE_STEPS && kernel.active.length === 0) await this.#sleep();
      else await eventLoop();
    }
  }

  stop(): void {
    this.#stopped = true;
    this.doorbell.wake();
  }

  /** Polls a socket from now on, until it goes quiet. */
  activate(socket: SoftSocket): void {
    socket.idle = 0;
    if (socket.active) return;
    socket.active = true;
    socket.setWake(false);
    this.kernel.active.push(socket);
  }

  #answer(): void {
    this.doorbell.collect(
      (number) => {
        const socket = this.kernel.socketNumber(number);
        if (socket?.bound) this.activate(socket);
      },
      (number) => {
        const socket = this.kernel.socketNumber(number);
        if (socket === undefined || socket.waiting) return;
        socket.waiting = true;
        this.#waiters.push(socket);
      },
    );
  }

  #retireQuiet(): void {
    const { active } = this.kernel;
    let kept = 0;
    for (let i = 0; i < active.length; i++) {
      const socket = active[i]!;
      if (socket.idle < QUIET_STEPS || this.#moves(socket) || !this.#retire(socket)) active[kept++] = socket;
    }
    active.length = kept;
  }

  /** Whether packets have moved although nothing was left to take: the driver's poll takes posted frames, too. */
  #moves(socket: SoftSocket): boolean {
    const activity = socket.activity();
    if (activity === socket.lastActivity) return false;
    socket.lastActivity = activity;
    socket.idle = 0;
    return true;
  }

  /** Sets the wake bits, then looks once more: what was posted before the application could see them must not be missed. */
  #retire(socket: SoftSocket): boolean {
    socket.setWake(true);
    if (socket.service() > 0) {
      socket.setWake(false);
      socket.idle = 0;
      return false;
    }
    socket.active = false;
    return true;
  }

  /** Wakes applications whose sockets have seen activity since they were last told. */
  #tellWaiters(): void {
    const waiters = this.#waiters;
    let kept = 0;
    for (let i = 0; i < waiters.length; i++) {
      const socket = waiters[i]!;
      const activity = socket.activity();
      if (activity === socket.toldOf && !socket.closed) {
        waiters[kept++] = socket;
        continue;
      }
      socket.toldOf = activity;
      this.#tell(socket);
    }
    waiters.length = kept;
  }

  #tell(socket: SoftSocket): void {
    socket.waiting = false;
    const { event } = socket;
    if (event === undefined) return;
    Atomics.add(this.i32, event >> 2, 1);
    Atomics.notify(this.i32, event >> 2);
  }

  /** A socket is being closed: whoever waits on it is told while the word that tells is still the socket's. */
  dismiss(socket: SoftSocket): void {
    const at = this.#waiters.indexOf(socket);
    if (at < 0) return;
    this.#waiters.splice(at, 1);
    this.#tell(socket);
  }

  async #sleep(): Promise<void> {
    const { kernel, doorbell } = this;
    const milliseconds = Math.min((kernel.nextEvent() - kernel.now) / 1e6, LONGEST_SLEEP_MILLISECONDS);
    if (milliseconds < 0.1) await eventLoop();
    else await doorbell.sleep(milliseconds);
  }
}
