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
import { NEED_WAKEUP } from '../../ring/frame-rings.js';
import type { Receive } from '../../steering/rules.js';
import { checkTimeout, copyMemory } from '../requests.js';
import type { Doorbell } from './doorbell.js';
import type { KernelClient } from './kernel-client.js';
import type { SocketNames } from './protocol.js';

/** A socket of the kernel on the other thread. */
export class ThreadSocket implements KernelSocket {
  readonly #id: number;
  readonly #number: number;
  #maps: SocketMaps | undefined;
  #event = 0;
  readonly #i32: Int32Array;

  constructor(
    private readonly kernel: KernelClient,
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
