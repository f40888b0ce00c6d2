import type { Arena } from '../../arena/arena.js';
import type {
  BlockingWaitOptions,
  DataPath,
  DataPathShare,
  Direction,
  PacketVersion,
  WaitOptions,
} from '../../kernel/contract.js';
import { NEED_WAKEUP } from '../../ring/frame-rings.js';
import { checkTimeout } from '../requests.js';
import { Doorbell } from './doorbell.js';

/** What any thread that shares the arena needs to drive a socket of a kernel on a thread of its own; arena byte offsets. */
export interface ThreadDataPathShare extends DataPathShare {
  readonly kernel: 'soft';
  readonly version: PacketVersion;
  readonly doorbell: number;
  /** The socket's number in the doorbell. */
  readonly number: number;
  /** The word that the kernel's thread changes and notifies when something happens on the socket. */
  readonly event: number;
  readonly wakeReceive: number;
  readonly wakeTransmit: number;
}

/** Kicks and waits of one socket: the doorbell and the socket's event word, both in the arena. */
export class ThreadDataPath implements DataPath {
  readonly #share: ThreadDataPathShare;
  readonly #doorbell: Doorbell;
  readonly #i32: Int32Array;
  readonly #event: number;
  readonly #ended: () => boolean;
  #closed = false;

  /** @param ended whether nothing will ever happen any more */
  constructor(arena: Arena, share: ThreadDataPathShare, ended: () => boolean = () => false) {
    this.#share = share;
    this.#doorbell = new Doorbell(arena, share.doorbell);
    this.#i32 = arena.i32;
    this.#event = share.event >> 2;
    this.#ended = ended;
  }

  share(): ThreadDataPathShare {
    return this.#share;
  }

  kick(_direction: Direction): void {
    this.#doorbell.kick(this.#share.number);
  }

  /** Makes whoever waits on this socket look again. */
  wake(): void {
    Atomics.add(this.#i32, this.#event, 1);
    Atomics.notify(this.#i32, this.#event);
  }

  /** Ends this thread's waits. */
  close(): void {
    this.#closed = true;
    this.wake();
  }

  /** Before sleeping: a kernel that has stopped polling must look at the rings once more. */
  #kickIfAsked(): void {
    const { wakeReceive, wakeTransmit, number } = this.#share;
    const asked = Atomics.load(this.#i32, wakeReceive >> 2) | Atomics.load(this.#i32, wakeTransmit >> 2);
    if ((asked & NEED_WAKEUP) !== 0) this.#doorbell.kick(number);
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
        if (left <= 0 || this.#closed || this.#ended()) return false;
        this.#kickIfAsked();
        this.#doorbell.awaitEvents(this.#share.number);
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
      if (left <= 0 || this.#closed || this.#ended()) return false;
      this.#doorbell.awaitEvents(this.#share.number);
      Atomics.wait(this.#i32, this.#event, seen, left);
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
