import { PacketError } from '../errors.js';
import type { BlockingWaitOptions, WaitOptions } from '../kernel/contract.js';
import { POLLIN, POLLOUT, SO_ERROR, SOL_SOCKET } from './constants.js';
import { Struct } from './struct.js';
import type { DescriptorWatch, SystemCalls } from './system-calls.js';

/**
 * How often to look again while packets are on their way out, in milliseconds: the kernel wakes a sender of AF_XDP when half the TX
 * ring is free, one of V2 or V3 when a full ring has room, and nobody when frames come back.
 */
const SENDING_INTERVAL_MILLISECONDS = 1;
/**
 * How long to rest at most after an event that nobody waits for, in milliseconds; each time in a row twice as long. The kernel says
 * POLLIN again and again while a program holds the V2 frame or V3 block that was filled last, and each look wakes the event loop.
 */
const LONGEST_REST_MILLISECONDS = 8;
/** How often to look whether the interface is still there and up: AF_XDP's poll does not report it. */
const IDLE_INTERVAL_MILLISECONDS = 250;
/** Spinning looks after the kernel's wake words once in so many turns. */
const TURNS_PER_KICK = 64;
/** And whether the socket has failed once in so many, some milliseconds. */
const TURNS_PER_CHECK = 2 ** 16;

/** Timers of the event loop fire at once when they are set for longer. */
const LONGEST_TIMER_MILLISECONDS = 2 ** 31 - 1;

/** What an error that the kernel keeps for a socket (SO_ERROR) means to those who wait. */
export interface Failure {
  readonly error: PacketError;
  /** Whether nothing will ever come again. */
  readonly final: boolean;
}

/** What waiting needs to know of its socket. */
export interface WaitedFor {
  readonly descriptor: number;
  /** Whether packets have been posted that the kernel has not handed back. */
  sending(): boolean;
  /** Whether the TX ring has no room, and POLLOUT will tell when it has. */
  awaitsRoom(): boolean;
  /** What the pending error of the socket means. */
  failure(errno: number): Failure;
  /** Asks the calls of the data path whether the interface has failed since the last time. */
  linkFailure(): Failure | undefined;
  /** Kicks the rings whose wake words ask for it; with busy polling the receive ring in any case. */
  kickIfAsked(): void;
  /** Whether each kick polls the device, so that spinning must kick in every turn. */
  readonly busyPolling: boolean;
  /** Counts a system call of a blocking wait. */
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
  /** How long to rest after the next event that nobody waits for, in milliseconds. */
  #restMilliseconds = 1;
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
    for (let rest = 1; ; ) {
      this.#socket.kickIfAsked();
      const interval = this.#socket.sending() ? SENDING_INTERVAL_MILLISECONDS : IDLE_INTERVAL_MILLISECONDS;
      // Rounded up: poll takes whole milliseconds, and 0 would spin through the last one.
      const slice = Math.ceil(Math.min(end - performance.now(), interval));
      if (slice > 0) this.#socket.countCall();
      const found = slice > 0 && this.#poll(slice);
      if (ready()) return true;
      const failure = this.#takeFailure();
      if (failure !== undefined) throw failure;
      if (performance.now() >= end) return false;
      // An event, and yet not what was waited for: poll would return at once, again and again.
      if (!found) continue;
      this.#socket.countCall();
      this.#calls.poll(-1, 0, Math.ceil(Math.min(end - performance.now(), rest)));
      rest = Math.min(rest * 2, this.#longestRest());
    }
  }

  /** Ends all waits, with what they would find now. Before the descriptor is closed. */
  close(): void {
    for (const waiter of [...this.#waiters]) waiter.finish(waiter.ready());
    this.#rest();
    this.#watch?.close();
    this.#watch = undefined;
  }

  #spin(ready: () => boolean, milliseconds: number): boolean {
    const end = performance.now() + milliseconds;
    const turnsPerKick = this.#socket.busyPolling ? 1 : TURNS_PER_KICK;
    for (let turn = 0; ; turn++) {
      if (ready()) return true;
      if (turn % turnsPerKick === 0) this.#socket.kickIfAsked();
      const over = performance.now() >= end;
      if (over || turn % TURNS_PER_CHECK === TURNS_PER_CHECK - 1) {
        const failure = this.#takeFailure();
        if (failure !== undefined) throw failure;
      }
      if (over) return ready();
    }
  }

  /** Watches and ticks as long as somebody waits. */
  #arm(): void {
    if (!this.#watching) {
      this.#watching = true;
      const onEvent = (): void => {
        // Level-triggered: rest until somebody still waits after the look. And the look belongs on the loop proper, because
        // promises resolved in here would be left lying.
        this.#unwatch();
        setImmediate(() => this.#look());
      };
      const events = { readable: true, writable: this.#socket.awaitsRoom() };
      if (this.#watch === undefined) this.#watch = this.#calls.watch(this.#socket.descriptor, events, onEvent);
      else this.#watch.start(events, onEvent);
    }
    if (this.#timer === undefined) {
      const interval = this.#socket.sending() ? SENDING_INTERVAL_MILLISECONDS : IDLE_INTERVAL_MILLISECONDS;
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#look();
        if (this.#waiters.size > 0) this.#arm();
      }, interval);
    }
  }

  /** Lets those go whose condition holds, and all others when the socket has failed. */
  #look(): void {
    if (this.#waiters.size === 0) return;
    this.#socket.kickIfAsked();
    let found = false;
    for (const waiter of [...this.#waiters]) {
      if (!waiter.ready()) continue;
      waiter.finish(true);
      found = true;
    }
    if (this.#waiters.size === 0) return;
    const failure = this.#takeFailure();
    if (failure !== undefined) for (const waiter of [...this.#waiters]) waiter.finish(failure);
    else if (found) this.#arm();
    else if (!this.#watching) {
      // An event, and yet not what anybody waits for: look again in a while.
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        if (this.#poll(0)) this.#look();
        else this.#arm();
      }, this.#restMilliseconds);
      this.#restMilliseconds = Math.min(this.#restMilliseconds * 2, this.#longestRest());
    }
  }

  /** Blocks until there is an event or the time is over. @returns whether there is one */
  #poll(milliseconds: number): boolean {
    const events = this.#socket.awaitsRoom() ? POLLIN | POLLOUT : POLLIN;
    return this.#calls.poll(this.#socket.descriptor, events, milliseconds) > 0;
  }

  /** Nobody waits any more. */
  #rest(): void {
    this.#unwatch();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#restMilliseconds = 1;
  }

  #longestRest(): number {
    return this.#socket.sending() ? SENDING_INTERVAL_MILLISECONDS : LONGEST_REST_MILLISECONDS;
  }

  #unwatch(): void {
    if (this.#watching) this.#watch?.stop();
    this.#watching = false;
  }

  /**
   * Takes the socket's pending error, which the kernel tells once: ENETDOWN when the interface is unregistered, say. It may have told a call
   * of the data path instead.
   */
  #takeFailure(): PacketError | undefined {
    if (this.#ended !== undefined) return this.#ended;
    const errno = this.#pendingError();
    const failure = errno === 0 ? this.#socket.linkFailure() : this.#socket.failure(errno);
    if (failure?.final) this.#ended = failure.error;
    return failure?.error;
  }

  #pendingError(): number {
    const value = new Struct(4);
    const result = this.#calls.getsockopt(this.#socket.descriptor, SOL_SOCKET, SO_ERROR, value);
    return result < 0 ? 0 : value.readI32(0);
  }
}
