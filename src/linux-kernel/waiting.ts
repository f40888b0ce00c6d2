import { PacketError } from '../errors.js';
import type { BlockingWaitOptions, WaitOptions } from '../kernel/contract.js';
import { ENETDOWN, POLLIN, SO_ERROR, SOL_SOCKET } from './constants.js';
import { Struct } from './struct.js';
import { systemCallError } from './system-call-error.js';
import type { DescriptorWatch, SystemCalls } from './system-calls.js';

/**
 * How often to look again while packets are on their way out, in milliseconds: the kernel wakes a sender when half the TX
 * ring is free, and nobody when frames come back.
 */
const SENDING_INTERVAL_MILLISECONDS = 1;
/** How often to look whether the interface still exists: AF_XDP's poll does not report it. */
const IDLE_INTERVAL_MILLISECONDS = 250;
/** Spinning looks after the kernel's wake words once in so many turns. */
const TURNS_PER_KICK = 64;
/** And whether the interface still exists once in so many, some milliseconds. */
const TURNS_PER_CHECK = 2 ** 16;

/** Timers of the event loop fire at once when they are set for longer. */
const LONGEST_TIMER_MILLISECONDS = 2 ** 31 - 1;

/** What waiting needs to know of its socket. */
export interface WaitedFor {
  readonly descriptor: number;
  /** Whether packets have been posted that the kernel has not handed back. */
  sending(): boolean;
  /** Kicks the rings whose wake words ask for it; with busy polling the receive ring in any case. */
  kickIfAsked(): void;
  /** Whether each kick polls the device, so that spinning must kick in every turn. */
  readonly busyPolling: boolean;
  /** Counts a system call. */
  countCall(): void;
}

interface Waiter {
  readonly ready: () => boolean;
  finish(outcome: boolean | PacketError): void;
}

/**
 * Waiting for one socket: on the event loop, which watches the descriptor with epoll, or blocking in poll(2), or spinning.
 * Any number of waits may be under way at once.
 */
export class SocketWaiting {
  readonly #calls: SystemCalls;
  readonly #socket: WaitedFor;
  readonly #waiters = new Set<Waiter>();
  #watch: DescriptorWatch | undefined;
  #watching = false;
  #timer: NodeJS.Timeout | undefined;
  /** Why nothing will ever come again. Kept, because the kernel tells once. */
  #ended: PacketError | undefined;

  constructor(calls: SystemCalls, socket: WaitedFor) {
    this.#calls = calls;
    this.#socket = socket;
  }

  /** See KernelSocket.wait. @throws PacketError NO_INTERFACE when the interface vanishes */
  async wait(ready: () => boolean, options: WaitOptions): Promise<boolean> {
    const { timeoutMilliseconds, signal, spinNanoseconds } = options;
    signal?.throwIfAborted();
    if (ready()) return true;
    if (this.#ended !== undefined) throw this.#ended;
    if (spinNanoseconds !== undefined && this.#spin(ready, spinNanoseconds / 1e6)) return true;
    if (timeoutMilliseconds !== undefined && timeoutMilliseconds <= 0) return false;
    return new Promise<boolean>((resolve, reject) => {
      const aborted = (): void => {
        done();
        reject(signal!.reason);
      };
      const waiter: Waiter = {
        ready,
        finish(outcome) {
          done();
          if (outcome instanceof PacketError) reject(outcome);
          else resolve(outcome);
        },
      };
      const done = (): void => {
        clearTimeout(timeout);
        signal?.removeEventListener('abort', aborted);
        this.#waiters.delete(waiter);
        if (this.#waiters.size === 0) this.#rest();
      };
      const timeout =
        timeoutMilliseconds === undefined || timeoutMilliseconds > LONGEST_TIMER_MILLISECONDS
          ? undefined
          : setTimeout(() => waiter.finish(waiter.ready()), timeoutMilliseconds);
      signal?.addEventListener('abort', aborted);
      this.#waiters.add(waiter);
      this.#arm();
    });
  }

  /** See KernelSocket.waitBlocking. @throws PacketError NO_INTERFACE when the interface vanishes */
  waitBlocking(ready: () => boolean, { timeoutMilliseconds, how }: BlockingWaitOptions): boolean {
    if (ready()) return true;
    if (how === 'busy') return this.#spin(ready, timeoutMilliseconds);
    const end = performance.now() + timeoutMilliseconds;
    for (;;) {
      this.#socket.kickIfAsked();
      const interval = this.#socket.sending() ? SENDING_INTERVAL_MILLISECONDS : IDLE_INTERVAL_MILLISECONDS;
      // Rounded up: poll takes whole milliseconds, and 0 would spin through the last one.
      const slice = Math.ceil(Math.min(end - performance.now(), interval));
      if (slice > 0) this.#poll(this.#socket.descriptor, POLLIN, slice);
      if (ready()) return true;
      this.#checkInterface();
      if (this.#ended !== undefined) throw this.#ended;
      if (performance.now() >= end) return false;
      // Readable, and yet not what was waited for: poll would return at once, again and again.
      if (this.#poll(this.#socket.descriptor, POLLIN, 0) > 0) this.#poll(-1, 0, SENDING_INTERVAL_MILLISECONDS);
    }
  }

  /** Ends all waits, with what they would find now. Before the descriptor is closed. */
  close(): void {
    for (const waiter of [...this.#waiters]) waiter.finish(waiter.ready());
    this.#rest();
    this.#watch?.close();
    this.#watch = undefined;
  }

  #poll(descriptor: number, events: number, milliseconds: number): number {
    this.#socket.countCall();
    return this.#calls.poll(descriptor, events, milliseconds);
  }

  #spin(ready: () => boolean, milliseconds: number): boolean {
    const end = performance.now() + milliseconds;
    const turnsPerKick = this.#socket.busyPolling ? 1 : TURNS_PER_KICK;
    for (let turn = 0; ; turn++) {
      if (ready()) return true;
      if (turn % turnsPerKick === 0) this.#socket.kickIfAsked();
      const over = performance.now() >= end;
      if (over || turn % TURNS_PER_CHECK === TURNS_PER_CHECK - 1) this.#checkInterface();
      if (this.#ended !== undefined) throw this.#ended;
      if (over) return ready();
    }
  }

  /** Watches and ticks as long as somebody waits. */
  #arm(): void {
    if (!this.#watching) {
      this.#watching = true;
      const onReadable = (): void => {
        // Level-triggered: rest until somebody still waits after the look. And the look belongs on the loop proper, because
        // promises resolved in here would be left lying.
        this.#unwatch();
        setImmediate(() => this.#look());
      };
      if (this.#watch === undefined) this.#watch = this.#calls.watch(this.#socket.descriptor, onReadable);
      else this.#watch.start({ readable: true }, onReadable);
    }
    if (this.#timer === undefined) {
      const interval = this.#socket.sending() ? SENDING_INTERVAL_MILLISECONDS : IDLE_INTERVAL_MILLISECONDS;
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#checkInterface();
        this.#look();
        if (this.#waiters.size > 0) this.#arm();
      }, interval);
    }
  }

  /** Lets those go whose condition holds, or all when the interface has vanished. */
  #look(): void {
    if (this.#waiters.size === 0) return;
    this.#socket.kickIfAsked();
    let found = false;
    for (const waiter of [...this.#waiters]) {
      const ready = waiter.ready();
      if (ready) waiter.finish(true);
      else if (this.#ended !== undefined) waiter.finish(this.#ended);
      found ||= ready;
    }
    if (this.#waiters.size === 0) return;
    if (found) this.#arm();
    else if (!this.#watching) {
      // Readable, and yet not what anybody waits for: look again in a while.
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#arm();
      }, SENDING_INTERVAL_MILLISECONDS);
    }
  }

  #rest(): void {
    this.#unwatch();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #unwatch(): void {
    if (this.#watching) this.#watch?.stop();
    this.#watching = false;
  }

  /** Takes the socket's pending error: ENETDOWN once the interface is unregistered. */
  #checkInterface(): void {
    if (this.#ended !== undefined) return;
    const value = new Struct(4);
    if (this.#calls.getsockopt(this.#socket.descriptor, SOL_SOCKET, SO_ERROR, value) < 0) return;
    const errno = value.readI32(0);
    if (errno === 0) return;
    this.#ended = systemCallError('getsockopt SO_ERROR', errno, 'wait for packets', {
      [ENETDOWN]: { code: 'NO_INTERFACE', why: 'the interface has been removed' },
    });
  }
}
