import type { Arena } from '../arena/arena.js';
import type { BlockingWaitOptions, DataPath, DataPathShare, Direction, WaitOptions } from '../kernel/contract.js';
import { EAGAIN, EBUSY, ENETDOWN, ENOBUFS, ENXIO, XDP_RING_NEED_WAKEUP } from './constants.js';
import { GONE_REMEDY } from './interfaces.js';
import { KickCounts } from './kick-counts.js';
import { LinkState } from './link-state.js';
import { systemCallError } from './system-call-error.js';
import type { SystemCalls } from './system-calls.js';
import { type Failure, SocketWaiting, type WaitedFor } from './waiting.js';
import type { XdpMaps } from './xdp-rings.js';

/** Most sendto calls of one kick; a kick that moves nothing ends it before. */
const MOST_SENDS_PER_KICK = 64;

/** What another thread of the process needs for the data path of a socket. */
export interface XdpDataPathShare extends DataPathShare {
  readonly kernel: 'linux';
  readonly version: 'xdp';
  readonly descriptor: number;
  readonly maps: XdpMaps;
  readonly counts: SharedArrayBuffer;
  readonly busyPolling: boolean;
}

function removed(syscall: string, errno: number): Failure {
  const gone = { code: 'NO_INTERFACE', why: 'the interface has been removed', remedy: GONE_REMEDY } as const;
  return { error: systemCallError(syscall, errno, 'wait for packets', { [errno]: gone }), final: true };
}

/**
 * The calls of an AF_XDP socket that its user makes while packets move: kicks and waits. They need the descriptor and the
 * rings, nothing of the thread that has set the socket up; one thread uses them.
 */
export class XdpDataPath implements DataPath, WaitedFor {
  readonly descriptor: number;
  readonly busyPolling: boolean;
  readonly counts: KickCounts;
  readonly #calls: SystemCalls;
  readonly #i32: Int32Array;
  readonly #waiting: SocketWaiting;
  readonly #maps: XdpMaps;
  readonly #receives: boolean;
  /** Word indices of the TX ring's producer and consumer, of the completion ring's producer, and of the wake words. */
  readonly #transmitProducer: number;
  readonly #transmitConsumer: number;
  readonly #completionProducer: number;
  readonly #wakeTransmit: number;
  readonly #wakeReceive: number;
  readonly #link = new LinkState();
  /** A call since the last look at the link has asked the kernel. */
  #asked = false;
  #ended = false;

  constructor(calls: SystemCalls, arena: Arena, share: XdpDataPathShare) {
    this.#calls = calls;
    this.#i32 = arena.i32;
    this.descriptor = share.descriptor;
    this.busyPolling = share.busyPolling;
    this.counts = new KickCounts(share.counts);
    this.#waiting = new SocketWaiting(calls, this);
    this.#maps = share.maps;
    const { receive, transmit, completion, wakeReceive, wakeTransmit } = share.maps;
    this.#receives = receive !== undefined;
    this.#transmitProducer = (transmit?.producer ?? 0) >> 2;
    this.#transmitConsumer = (transmit?.consumer ?? 0) >> 2;
    this.#completionProducer = completion.producer >> 2;
    this.#wakeTransmit = wakeTransmit >> 2;
    this.#wakeReceive = wakeReceive >> 2;
  }

  /** As plain data, for another thread that then uses the socket instead of this one. */
  share(): XdpDataPathShare {
    const { descriptor, busyPolling, counts } = this;
    return { kernel: 'linux', version: 'xdp', descriptor, maps: this.#maps, counts: counts.memory, busyPolling };
  }

  kick(direction: Direction): void {
    if (this.#ended) return;
    if (direction === 'receive') {
      this.counts.countCall();
      this.#note(this.#calls.receiveNothing(this.descriptor));
      return;
    }
    // In copy mode a call sends a limited number of packets and says EAGAIN when there are more. Nobody else would send
    // the rest, so it goes on as long as the kernel makes progress.
    let consumed = Atomics.load(this.#i32, this.#transmitConsumer);
    for (let i = 0; i < MOST_SENDS_PER_KICK; i++) {
      this.counts.countCall();
      const result = this.#calls.sendNothing(this.descriptor);
      this.#note(result);
      if (result >= 0) return;
      if (result !== -EAGAIN && result !== -EBUSY) return;
      const now = Atomics.load(this.#i32, this.#transmitConsumer);
      if (now === consumed) return;
      consumed = now;
    }
  }

  #note(result: number): void {
    this.#asked = true;
    const errno = result < 0 ? -result : 0;
    this.#link.note(errno);
    if (errno === 0) return;
    if (errno === EAGAIN || errno === ENOBUFS) this.counts.countAgain();
    else if (errno === EBUSY) this.counts.countRefused();
    else this.counts.countFailed();
  }

  countCall(): void {
    this.counts.countCall();
  }

  sending(): boolean {
    if (this.#transmitProducer === 0) return false;
    return Atomics.load(this.#i32, this.#transmitProducer) !== Atomics.load(this.#i32, this.#completionProducer);
  }

  /** For waiting: POLLOUT means half a free ring and says nothing of completions, so it is not waited for. */
  awaitsRoom(): boolean {
    return false;
  }

  /** For waiting: ENETDOWN comes once the interface is unregistered, not when it goes down. */
  failure(errno: number): Failure {
    if (errno !== ENETDOWN)
      return { error: systemCallError('getsockopt SO_ERROR', errno, 'wait for packets'), final: true };
    return removed('getsockopt SO_ERROR', errno);
  }

  /** For waiting: that the interface has gone down, the kernel tells whoever calls. `recvfrom` does nothing else unless it is needed. */
  linkFailure(): Failure | undefined {
    if (!this.#asked && !this.#ended) {
      this.counts.countCall();
      this.#link.note(-this.#calls.receiveNothing(this.descriptor));
    }
    this.#asked = false;
    const errno = this.#link.take();
    if (errno === 0) return undefined;
    if (errno === ENXIO) return removed('recvfrom', errno);
    const error = systemCallError('recvfrom', errno, 'wait for packets', {
      [ENETDOWN]: {
        code: 'NO_INTERFACE',
        why: 'the interface went down',
        remedy: '`ip link set dev IFACE up`: then the socket works again',
      },
    });
    return { error, final: false };
  }

  kickIfAsked(): void {
    const i32 = this.#i32;
    const asked = (Atomics.load(i32, this.#wakeReceive) & XDP_RING_NEED_WAKEUP) !== 0;
    if (asked || (this.busyPolling && this.#receives)) this.kick('receive');
    if ((Atomics.load(i32, this.#wakeTransmit) & XDP_RING_NEED_WAKEUP) === 0) return;
    if (Atomics.load(i32, this.#transmitProducer) !== Atomics.load(i32, this.#transmitConsumer)) this.kick('transmit');
  }

  wait(ready: () => boolean, options: WaitOptions): Promise<boolean> {
    return this.#waiting.wait(ready, options);
  }

  waitBlocking(ready: () => boolean, options: BlockingWaitOptions): boolean {
    return this.#waiting.waitBlocking(ready, options);
  }

  /** Ends all waits, and makes no call any more. Before the descriptor is closed. */
  close(): void {
    this.#waiting.close();
    this.#ended = true;
  }
}
