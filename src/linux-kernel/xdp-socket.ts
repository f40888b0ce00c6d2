import type { Arena } from '../arena/arena.js';
import { checkInteger, checkPowerOfTwo, PacketError } from '../errors.js';
import type {
  Binding,
  BindRequest,
  BlockingWaitOptions,
  Direction,
  KernelSocket,
  KernelStatistics,
  MemoryRegistration,
  RingRequest,
  SocketMaps,
  WaitOptions,
} from '../kernel/contract.js';
import type { Receive } from '../steering/rules.js';
import {
  AF_XDP,
  EAFNOSUPPORT,
  EAGAIN,
  EBUSY,
  ENOBUFS,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_XDP,
  XDP_PACKET_HEADROOM,
  XDP_RING_NEED_WAKEUP,
  XDP_STATISTICS,
} from './constants.js';
import { type LinuxInterface, readInterface } from './interfaces.js';
import { type ParsedReceive, parseReceive } from './receive-rules.js';
import { RingMapping } from './ring-mapping.js';
import { Struct } from './struct.js';
import { systemCallError } from './system-call-error.js';
import type { SystemCalls } from './system-calls.js';
import { SocketWaiting } from './waiting.js';
import {
  type BindFacts,
  type BoundMode,
  bindError,
  bindQueue,
  boundMode,
  checkBinding,
  checkReceiveRing,
  largestPacket,
  registerMemory,
} from './xdp-binding.js';
import type { XdpProgram, XdpPrograms } from './xdp-program.js';
import { createRings, mapRings, type XdpRingEntries } from './xdp-rings.js';
import { XdpStatistics } from './xdp-statistics.js';

/** Most sendto calls of one kick; a kick that moves nothing ends it before. */
const MOST_SENDS_PER_KICK = 64;

/** For how long, and how often, a busy queue is tried again. */
const RELEASE_MILLISECONDS = 300;
const RETRY_MILLISECONDS = 10;

/** What all sockets of one kernel have in common. */
export interface XdpHost {
  readonly calls: SystemCalls;
  readonly arena: Arena;
  readonly programs: XdpPrograms;
  /** The open sockets; a socket takes itself out when it is closed. */
  readonly sockets: Set<XdpSocket>;
}

/** What `kick` counts: the price of sending and its failures that are not errors (F1). */
export interface KickCounts {
  /** System calls made for either direction. */
  calls: number;
  /** Calls after which the kernel had more to do or was short of room (EAGAIN, ENOBUFS). */
  again: number;
  /** Packets that the device's queue refused (EBUSY): completed, but not sent. */
  refused: number;
  /** Calls that found the interface down (ENETDOWN) or gone (ENXIO), or failed otherwise. */
  failed: number;
}

/** An AF_XDP socket (linux/if_xdp.h). After any failed call nothing but `close` is left to do with it. */
export class XdpSocket implements KernelSocket {
  readonly version = 'xdp';
  readonly descriptor: number;
  readonly kicks: KickCounts = { calls: 0, again: 0, refused: 0, failed: 0 };
  readonly #host: XdpHost;
  readonly #mapping: RingMapping;
  readonly #waiting: SocketWaiting;
  readonly #statistics = new XdpStatistics();
  #memory: MemoryRegistration | undefined;
  #entries: XdpRingEntries | undefined;
  #maps: SocketMaps | undefined;
  #bound: { device: LinuxInterface; queue: number; mode: BoundMode; segments: boolean } | undefined;
  #program: XdpProgram | undefined;
  /** `bind` was called. */
  #binding = false;
  /** Unbound or closed: there is no descriptor any more. */
  #ended = false;
  /** Word indices of the TX ring's producer and consumer, of the completion ring's producer, and of the wake words. */
  #transmitProducer = 0;
  #transmitConsumer = 0;
  #completionProducer = 0;
  #wakeTransmit = 0;
  #wakeReceive = 0;

  private constructor(host: XdpHost, descriptor: number) {
    this.#host = host;
    this.descriptor = descriptor;
    this.#mapping = new RingMapping(host.calls, host.arena);
    this.#waiting = new SocketWaiting(host.calls, this);
    host.sockets.add(this);
  }

  /** @throws PacketError NO_PRIVILEGE, MODE_UNSUPPORTED (a kernel without AF_XDP), SYSTEM_CALL */
  static open(host: XdpHost): XdpSocket {
    const descriptor = host.calls.socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (descriptor >= 0) return new XdpSocket(host, descriptor);
    const none = {
      code: 'MODE_UNSUPPORTED',
      why: 'this kernel has no AF_XDP',
      remedy: 'a kernel with CONFIG_XDP_SOCKETS, at least 5.10',
    } as const;
    throw systemCallError(
      'socket AF_XDP',
      -descriptor,
      'open an AF_XDP socket',
      { [EAFNOSUPPORT]: none },
      'CAP_NET_RAW',
    );
  }

  /**
   * Notes the packet buffer. The kernel hears of it in `bind`: only then it is known whether another socket of the same
   * device has registered it already, and this one must share that registration instead (XDP_SHARED_UMEM).
   *
   * @throws PacketError INVALID_OPTION, WRONG_STATE
   */
  async registerMemory(memory: MemoryRegistration): Promise<void> {
    this.#require(
      this.#memory === undefined && this.#bound === undefined,
      'registerMemory',
      'has a packet buffer already',
    );
    const { base, frames, frameSize, headroom } = memory;
    checkPowerOfTwo('frameSize', frameSize, 2048, 4096);
    checkInteger('frames', frames, 1, (this.#host.arena.u8.length / frameSize) | 0);
    checkInteger('packet buffer base', base, 0, this.#host.arena.u8.length - frames * frameSize);
    if (base % 4096 !== 0)
      throw new PacketError('INVALID_OPTION', `packet buffer base: ${base} is not at a page boundary`);
    checkInteger('headroom', headroom, 0, frameSize - XDP_PACKET_HEADROOM - 1);
    this.#memory = { base, frames, frameSize, headroom };
  }

  /**
   * Sizes the rings (see {@link createRings}).
   *
   * @throws PacketError INVALID_OPTION, WRONG_STATE, SYSTEM_CALL
   */
  async createRings(request: RingRequest): Promise<void> {
    this.#require(this.#entries === undefined, 'createRings', 'has rings already');
    this.#entries = createRings(this.#host.calls, this.descriptor, request);
  }

  /** Maps the rings into the arena; the kernel wants that before `bind`. @throws PacketError ARENA_EXHAUSTED, WRONG_STATE, SYSTEM_CALL */
  async map(): Promise<SocketMaps> {
    const entries = this.#entries;
    this.#require(entries !== undefined && this.#maps === undefined, 'map', 'has no rings to map, or has mapped them');
    const maps = mapRings(this.#host.calls, this.descriptor, this.#mapping, entries!);
    const { receive, transmit, completion, wakeReceive, wakeTransmit } = maps;
    this.#transmitProducer = (transmit?.producer ?? 0) >> 2;
    this.#transmitConsumer = (transmit?.consumer ?? 0) >> 2;
    this.#completionProducer = completion.producer >> 2;
    this.#wakeTransmit = wakeTransmit >> 2;
    this.#wakeReceive = wakeReceive >> 2;
    const transmitWords = transmit && { consumer: transmit.consumer, completed: completion.producer };
    this.#statistics.observe(this.#host.arena.i32, receive?.producer, transmitWords);
    this.#maps = maps;
    return maps;
  }

  /**
   * Binds to one queue, registers or shares the packet buffer, and attaches the XDP program when packets are to be received.
   * Some drivers never look again at a fill ring that was empty at this moment: fill it before. Where attaching resets the link, it
   * is waited for, up to 5 s.
   *
   * @throws PacketError NO_INTERFACE, NO_QUEUE, QUEUE_BUSY, NO_DRIVER_ZEROCOPY, MODE_UNSUPPORTED, FRAME_TOO_SMALL,
   *   FLOW_TABLE_FULL (too many rules), NO_PRIVILEGE, WRONG_STATE, SYSTEM_CALL
   */
  async bind(request: BindRequest): Promise<Binding> {
    const memory = this.#memory;
    const ready = memory !== undefined && this.#maps !== undefined && !this.#binding;
    this.#require(ready, 'bind', 'lacks a packet buffer or mapped rings, or is bound');
    const { calls, arena } = this.#host;
    const device = readInterface(calls, request.interface);
    const { receive, transmit } = this.#entries!;
    const { segments } = request;
    const { queue, mode } = checkBinding(request, device, memory!, receive > 0, transmit > 0);
    const wanted = parseReceive(request.receive);
    const facts = { calls, arena, descriptor: this.descriptor, device, queue, mode, memory: memory!, segments };
    this.#binding = true;
    await this.#bindWhenFree(facts);
    this.#require(true, 'bind', '');
    const got = boundMode(calls, this.descriptor, mode);
    this.#statistics.bound(got === 'xdp-zc');
    this.#steer(wanted);
    await this.#host.programs.settled(device);
    this.#require(true, 'bind', '');
    return { mode: got, queue, exclusive: true, largestPacket: largestPacket(device, memory!, segments) };
  }

  /**
   * Binds; waits a moment for a busy queue, because the kernel frees the queue of a closed socket in the background
   * (xp_release_deferred), and reopening must not fail for that.
   */
  async #bindWhenFree(facts: BindFacts): Promise<void> {
    let registered = false;
    for (let waited = 0; ; waited += RETRY_MILLISECONDS) {
      this.#checkQueueIsNotOurs(facts);
      const owner = registered ? undefined : this.#registrationToShare(facts);
      if (owner === undefined && !registered) {
        registerMemory(facts);
        registered = true;
      }
      if (bindQueue(facts, owner)) {
        const { device, queue, mode, segments } = facts;
        this.#bound = { device, queue, mode, segments };
        return;
      }
      if (waited >= RELEASE_MILLISECONDS) throw bindError(facts, EBUSY);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MILLISECONDS));
      this.#require(true, 'bind', '');
    }
  }

  /** The kernel would say EINVAL when the other socket has the same memory. And there is nothing to wait for. */
  #checkQueueIsNotOurs(facts: BindFacts): void {
    for (const socket of this.#host.sockets) {
      const bound = socket.#bound;
      if (bound?.device.index === facts.device.index && bound.queue === facts.queue) throw bindError(facts, EBUSY);
    }
  }

  /** Descriptor of a bound socket of the same device that has registered the same memory. */
  #registrationToShare({ device, memory, mode, segments }: BindFacts): number | undefined {
    for (const socket of this.#host.sockets) {
      const bound = socket.#bound;
      const theirs = socket.#memory;
      if (bound === undefined || theirs === undefined) continue;
      if (bound.device.index !== device.index || bound.mode !== mode || bound.segments !== segments) continue;
      if (theirs.base !== memory.base || theirs.frames !== memory.frames) continue;
      if (theirs.frameSize === memory.frameSize && theirs.headroom === memory.headroom) return socket.descriptor;
    }
    return undefined;
  }

  /**
   * Changes what the socket receives: all packets of the queue, none, or those that match a rule. Packets that the kernel has already
   * looked at stay where they are.
   *
   * @throws PacketError INVALID_OPTION, FLOW_TABLE_FULL (too many rules), WRONG_STATE, and as `bind`; the socket then receives what it
   *   did before
   */
  async steer(receive: Receive): Promise<void> {
    this.#require(this.#bound !== undefined, 'steer', 'is not bound');
    this.#steer(parseReceive(receive));
    await this.#host.programs.settled(this.#bound!.device);
  }

  #steer(receive: ParsedReceive): void {
    checkReceiveRing(receive, this.#entries!.receive > 0);
    const { device, queue, mode, segments } = this.#bound!;
    const { programs } = this.#host;
    // Drivers send in zero-copy only while a program is attached (ENXIO otherwise), be it one that receives nothing.
    if (receive === 'none' && mode !== 'xdp-zc') {
      const program = this.#program;
      if (program === undefined) return;
      this.#program = undefined;
      try {
        program.disconnect(queue);
      } finally {
        programs.release(device, program, queue);
      }
      return;
    }
    const program = this.#program ?? programs.acquire(device, mode === 'xdp-generic' ? 'generic' : 'native', segments);
    try {
      if (receive !== 'none') program.connect(queue, this.descriptor, receive);
      else if (this.#program !== undefined) program.disconnect(queue);
    } catch (error) {
      if (this.#program === undefined) programs.release(device, program, queue);
      throw error;
    }
    this.#program = program;
  }

  kick(direction: Direction): void {
    if (this.#ended) return;
    const { calls } = this.#host;
    const counts = this.kicks;
    if (direction === 'receive') {
      counts.calls++;
      const result = calls.receiveNothing(this.descriptor);
      if (result < 0) this.#countFailure(-result);
      return;
    }
    // In copy mode a call sends a limited number of packets and says EAGAIN when there are more. Nobody else would send
    // the rest, so it goes on as long as the kernel makes progress.
    const { i32 } = this.#host.arena;
    let consumed = Atomics.load(i32, this.#transmitConsumer);
    for (let i = 0; i < MOST_SENDS_PER_KICK; i++) {
      counts.calls++;
      const result = calls.sendNothing(this.descriptor);
      if (result >= 0) return;
      this.#countFailure(-result);
      if (result !== -EAGAIN && result !== -EBUSY) return;
      const now = Atomics.load(i32, this.#transmitConsumer);
      if (now === consumed) return;
      consumed = now;
    }
  }

  #countFailure(errno: number): void {
    const counts = this.kicks;
    if (errno === EAGAIN || errno === ENOBUFS) counts.again++;
    else if (errno === EBUSY) counts.refused++;
    else counts.failed++;
  }

  /** For waiting: whether posted packets have not come back on the completion ring. */
  sending(): boolean {
    if (this.#transmitProducer === 0) return false;
    const { i32 } = this.#host.arena;
    return Atomics.load(i32, this.#transmitProducer) !== Atomics.load(i32, this.#completionProducer);
  }

  /** For waiting: kicks where a wake word asks for it and there is something to do. */
  kickIfAsked(): void {
    const { i32 } = this.#host.arena;
    if ((Atomics.load(i32, this.#wakeReceive) & XDP_RING_NEED_WAKEUP) !== 0) this.kick('receive');
    if ((Atomics.load(i32, this.#wakeTransmit) & XDP_RING_NEED_WAKEUP) === 0) return;
    if (Atomics.load(i32, this.#transmitProducer) !== Atomics.load(i32, this.#transmitConsumer)) this.kick('transmit');
  }

  async wait(ready: () => boolean, options: WaitOptions): Promise<boolean> {
    this.#require(true, 'wait', '');
    return this.#waiting.wait(ready, options);
  }

  waitBlocking(ready: () => boolean, options: BlockingWaitOptions): boolean {
    this.#require(true, 'waitBlocking', '');
    return this.#waiting.waitBlocking(ready, options);
  }

  /** The kernel's counts; after `unbind` or `close`, as they were then. */
  async statistics(): Promise<KernelStatistics> {
    this.#readStatistics();
    return this.#statistics.take(this.kicks.refused);
  }

  #readStatistics(): void {
    if (this.#ended) return;
    const raw = new Struct(48);
    if (this.#host.calls.getsockopt(this.descriptor, SOL_XDP, XDP_STATISTICS, raw) > 0) this.#statistics.read(raw);
  }

  /**
   * Ends the socket in the kernel: AF_XDP has no other way to unbind. Its packets go to the stack, the program is detached when
   * no other socket uses it, and the rings stay as they were at that moment, in pages of the arena's own.
   */
  async unbind(): Promise<void> {
    this.#unbind();
  }

  #unbind(): void {
    if (this.#ended) return;
    const { calls, programs, sockets } = this.#host;
    sockets.delete(this);
    this.#waiting.close();
    const program = this.#program;
    this.#program = undefined;
    if (program !== undefined) programs.release(this.#bound!.device, program, this.#bound!.queue);
    this.#readStatistics();
    this.#ended = true;
    this.#mapping.freeze();
    calls.close(this.descriptor); // takes the socket out of the program's map, too, and returns when the driver has let go
  }

  /** Undoes everything, in whatever state the socket is. */
  async close(): Promise<void> {
    this.#unbind();
    this.#mapping.close();
  }

  #require(condition: boolean, call: string, otherwise: string): void {
    if (this.#ended) throw new PacketError('SOCKET_CLOSED', `${call}: the socket is closed`);
    if (!condition) throw new PacketError('WRONG_STATE', `${call}: the socket ${otherwise}`);
  }
}
