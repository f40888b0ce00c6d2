import type { Arena } from '../arena/arena.js';
import { checkInteger, checkPowerOfTwo, PacketError } from '../errors.js';
import type {
  Binding,
  BindRequest,
  BlockingWaitOptions,
  BusyPoll,
  BusyPollRequest,
  Direction,
  KernelSocket,
  KernelStatistics,
  MemoryRegistration,
  RingRequest,
  SocketMaps,
  TransmitMetadata,
  WaitOptions,
} from '../kernel/contract.js';
import { ORDER_OF_CALLS } from '../kernel/remedies.js';
import { checkReceive } from '../steering/compile-rules.js';
import { isRedirected } from '../steering/redirected.js';
import type { TargetAbility } from '../steering/rule-targets.js';
import type { Receive } from '../steering/rules.js';
import { setBusyPoll } from './busy-poll.js';
import {
  AF_XDP,
  EAFNOSUPPORT,
  EBUSY,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_XDP,
  XDP_PACKET_HEADROOM,
  XDP_STATISTICS,
} from './constants.js';
import { checkDirected, type DirectedRules, directRules } from './flow-director/directed-rules.js';
import type { FlowDirectors } from './flow-director/flow-directors.js';
import { type LinuxInterface, readInterface } from './interfaces.js';
import { KickCounts } from './kick-counts.js';
import { readXdpFeatures } from './netlink/netdev-family.js';
import { expectLinuxMap } from './programs/linux-map.js';
import { checkRedirectingProgram } from './programs/redirecting-program.js';
import { parseReceive, takesSessions } from './receive-rules.js';
import { RingMapping } from './ring-mapping.js';
import { checkCutoff } from './sessions.js';
import { Struct } from './struct.js';
import { systemCallError } from './system-call-error.js';
import type { SystemCalls } from './system-calls.js';
import { checkTransmitMetadata, sameMetadata, wantsMetadata } from './transmit-metadata.js';
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
import { XdpDataPath, type XdpDataPathShare } from './xdp-data-path.js';
import { type WantedPackets, XdpFeed } from './xdp-feed.js';
import type { XdpPrograms } from './xdp-program.js';
import { createRings, mapRings, type XdpRingEntries } from './xdp-rings.js';
import { XdpStatistics } from './xdp-statistics.js';

/** For how long, and how often, a busy queue is tried again. */
const RELEASE_MILLISECONDS = 300;
const RETRY_MILLISECONDS = 10;

/** The kernel gives a packet to a socket of its own queue alone (xsk_rcv_check in net/xdp/xsk.c). */
const ABILITY: TargetAbility = {
  who: 'an AF_XDP socket',
  noQueue: [
    'its program sees packets that are on their queue already',
    'flowDirector: true, on devices with n-tuple entries; or give a socket on that queue the rule',
  ],
};
/** With the device's flow director. */
const DIRECTED_ABILITY: TargetAbility = { who: ABILITY.who };

/** How a bound socket takes packets. */
interface Taking {
  /** Even from an ssh session. */
  readonly allowCutoff: boolean;
  /** By entries of the device's flow director. */
  readonly flowDirector: boolean;
}

/** What all sockets of one kernel have in common. */
export interface XdpHost {
  readonly calls: SystemCalls;
  readonly arena: Arena;
  readonly programs: XdpPrograms;
  readonly directors: FlowDirectors;
  /** The open sockets; a socket takes itself out when it is closed. */
  readonly sockets: Set<XdpSocket>;
}

/** An AF_XDP socket (linux/if_xdp.h). After any failed call nothing but `close` is left to do with it. */
export class XdpSocket implements KernelSocket {
  readonly version = 'xdp';
  readonly descriptor: number;
  readonly kicks = new KickCounts();
  readonly #host: XdpHost;
  readonly #mapping: RingMapping;
  readonly #statistics = new XdpStatistics();
  #memory: MemoryRegistration | undefined;
  /** What metadata in front of sent packets may ask for. */
  #metadata: TransmitMetadata = { checksums: false, timestamps: false, launchTimes: false };
  #entries: XdpRingEntries | undefined;
  #busyPoll: BusyPoll | undefined;
  /** Once the rings are mapped. */
  #path: XdpDataPath | undefined;
  #bound:
    | {
        device: LinuxInterface;
        queue: number;
        mode: BoundMode;
        segments: boolean;
        taking: Taking;
      }
    | undefined;
  /** How packets come to it, once it is bound. */
  #feed: XdpFeed | undefined;
  /** `bind` was called. */
  #binding = false;
  /** Unbound or closed: there is no descriptor any more. */
  #ended = false;

  private constructor(host: XdpHost, descriptor: number) {
    this.#host = host;
    this.descriptor = descriptor;
    this.#mapping = new RingMapping(host.calls, host.arena);
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
      throw new PacketError('INVALID_OPTION', `packet buffer base: ${base} is not at a page boundary`, {
        remedy: 'PacketBuffer.create makes one that is',
      });
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
    this.#require(entries !== undefined && this.#path === undefined, 'map', 'has no rings to map, or has mapped them');
    const maps = mapRings(this.#host.calls, this.descriptor, this.#mapping, entries!);
    const { receive, transmit, completion } = maps;
    const transmitWords = transmit && { consumer: transmit.consumer, completed: completion.producer };
    this.#statistics.observe(this.#host.arena.i32, receive?.producer, transmitWords);
    const { descriptor, kicks } = this;
    const busyPolling = this.#busyPoll !== undefined;
    const share = { kernel: 'linux', version: 'xdp', descriptor, maps, counts: kicks.memory, busyPolling } as const;
    this.#path = new XdpDataPath(this.#host.calls, this.#host.arena, share);
    return maps;
  }

  /**
   * Has the kernel poll the device in this socket's kicks and waits; before `map`, so that those know.
   *
   * @throws PacketError INVALID_OPTION, MODE_UNSUPPORTED, NO_PRIVILEGE, WRONG_STATE
   */
  async busyPoll(request: BusyPollRequest): Promise<BusyPoll> {
    this.#require(this.#path === undefined, 'busyPoll', 'has mapped its rings already');
    this.#busyPoll = setBusyPoll(this.#host.calls, this.descriptor, request);
    return this.#busyPoll;
  }

  /**
   * Has the kernel and the device look at metadata in front of packets (see {@link checkTransmitMetadata}).
   *
   * @throws PacketError WRONG_STATE
   */
  async transmitMetadata({ checksums, timestamps, launchTimes }: TransmitMetadata): Promise<void> {
    this.#require(!this.#binding, 'transmitMetadata', 'is bound');
    this.#metadata = { checksums, timestamps, launchTimes };
  }

  /**
   * Binds to one queue, registers or shares the packet buffer, and attaches the XDP program when packets are to be received.
   * Some drivers never look again at a fill ring that was empty at this moment: fill it before. Where attaching resets the link, it
   * is waited for, up to 5 s.
   *
   * @throws PacketError NO_INTERFACE, NO_QUEUE, QUEUE_BUSY, INTERFACE_BUSY, GUARDED_INTERFACE, NO_DRIVER_ZEROCOPY, MODE_UNSUPPORTED, FRAME_TOO_SMALL,
   *   FLOW_TABLE_FULL (too many rules), NO_PRIVILEGE, WRONG_STATE, SYSTEM_CALL
   */
  async bind(request: BindRequest): Promise<Binding> {
    const memory = this.#memory;
    const ready = memory !== undefined && this.#path !== undefined && !this.#binding;
    this.#require(ready, 'bind', 'lacks a packet buffer or mapped rings, or is bound');
    const { calls, arena } = this.#host;
    const device = readInterface(calls, request.interface);
    const { receive, transmit } = this.#entries!;
    const { segments } = request;
    const { queue, mode } = checkBinding(request, device, memory!, receive > 0, transmit > 0);
    const metadata = this.#metadata;
    const transmitTimestamps = wantsMetadata(metadata)
      ? checkTransmitMetadata(metadata, device, mode, readXdpFeatures(calls, device.index))
      : undefined;
    const facts = {
      calls,
      arena,
      descriptor: this.descriptor,
      device,
      queue,
      mode,
      memory: memory!,
      segments,
      metadata,
    };
    const { allowCutoff = false, promiscuous = false, flowDirector = false } = request;
    const taking = { allowCutoff, flowDirector };
    const { packets, entries } = this.#parse(request.receive, facts, taking);
    this.#binding = true;
    await this.#bindWhenFree(facts, taking);
    this.#require(true, 'bind', '');
    const got = boundMode(calls, this.descriptor, mode);
    this.#statistics.bound(got === 'xdp-zc');
    const { programs, directors } = this.#host;
    this.#feed = new XdpFeed({
      calls,
      programs,
      descriptor: this.descriptor,
      device,
      queue,
      mode,
      segments,
      promiscuous,
      ...(flowDirector && { entries: directors.entriesFor(device) }),
    });
    this.#feed.steer(packets, entries);
    await programs.settled(device);
    this.#require(true, 'bind', '');
    return {
      ...{ mode: got, queue, exclusive: true, largestPacket: largestPacket(device, memory!, segments) },
      ...(transmitTimestamps !== undefined && { transmitTimestamps }),
    };
  }

  /**
   * Binds; waits a moment for a busy queue, because the kernel frees the queue of a closed socket in the background
   * (xp_release_deferred), and reopening must not fail for that.
   */
  async #bindWhenFree(facts: BindFacts, taking: Taking): Promise<void> {
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
        this.#bound = { device, queue, mode, segments, taking };
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
      if (bound?.device.index !== facts.device.index || bound.queue !== facts.queue) continue;
      const what = `queue ${facts.queue} of ${facts.device.name} has another AF_XDP socket of this program`;
      throw new PacketError('QUEUE_BUSY', what, { remedy: 'close that socket, or take another queue' });
    }
  }

  /** Descriptor of a bound socket of the same device that has registered the same memory. */
  #registrationToShare({ device, memory, mode, segments, metadata }: BindFacts): number | undefined {
    for (const socket of this.#host.sockets) {
      const bound = socket.#bound;
      const theirs = socket.#memory;
      if (bound === undefined || theirs === undefined) continue;
      if (bound.device.index !== device.index || bound.mode !== mode || bound.segments !== segments) continue;
      if (!sameMetadata(socket.#metadata, metadata)) continue;
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
    const { taking, ...place } = this.#bound!;
    const { packets, entries } = this.#parse(receive, place, taking);
    this.#feed!.steer(packets, entries);
    await this.#host.programs.settled(place.device);
  }

  /**
   * What the caller means, checked.
   *
   * @throws PacketError INVALID_OPTION, FLOW_TABLE_FULL, RULES_UNSUPPORTED, MODE_UNSUPPORTED, GUARDED_INTERFACE
   */
  #parse(
    receive: Receive,
    { device, queue, mode }: Pick<BindFacts, 'device' | 'queue' | 'mode'>,
    { allowCutoff, flowDirector }: Taking,
  ): { packets: WantedPackets; entries?: DirectedRules['entries'] } {
    if (flowDirector) checkDirected(receive);
    const hasRing = this.#entries!.receive > 0;
    if (isRedirected(receive)) {
      checkReceive(receive);
      checkReceiveRing(receive, hasRing);
      const map = expectLinuxMap(receive.xskmap, 'receive.xskmap');
      checkRedirectingProgram(this.#host.calls, device, mode);
      return { packets: map };
    }
    const wanted = parseReceive(receive, flowDirector ? DIRECTED_ABILITY : ABILITY);
    if (!allowCutoff && takesSessions(wanted)) checkCutoff(device.name);
    checkReceiveRing(receive, hasRing);
    if (!flowDirector || !Array.isArray(wanted)) return { packets: wanted };
    const { program, entries } = directRules(wanted, queue);
    return { packets: program, entries };
  }

  kick(direction: Direction): void {
    this.#path?.kick(direction);
  }

  /** For waiting: whether posted packets have not come back on the completion ring. */
  sending(): boolean {
    return this.#path?.sending() ?? false;
  }

  /** The data path as plain data, for another thread of the process that uses the socket from now on. */
  dataPath(): XdpDataPathShare {
    return this.#mapped('dataPath').share();
  }

  async wait(ready: () => boolean, options: WaitOptions): Promise<boolean> {
    return this.#mapped('wait').wait(ready, options);
  }

  waitBlocking(ready: () => boolean, options: BlockingWaitOptions): boolean {
    return this.#mapped('waitBlocking').waitBlocking(ready, options);
  }

  #mapped(call: string): XdpDataPath {
    this.#require(this.#path !== undefined, call, 'has no mapped rings');
    return this.#path!;
  }

  /** The kernel's counts; after `unbind` or `close`, as they were then. */
  async statistics(): Promise<KernelStatistics> {
    this.#readStatistics();
    return { ...this.#statistics.take(this.kicks.refused), systemCalls: this.kicks.calls };
  }

  #readStatistics(): void {
    if (this.#ended) return;
    const raw = new Struct(48);
    const ruleDrops = this.#feed?.ruleDrops() ?? 0;
    if (this.#host.calls.getsockopt(this.descriptor, SOL_XDP, XDP_STATISTICS, raw) > 0) {
      this.#statistics.read(raw, ruleDrops);
    }
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
    const { calls, sockets } = this.#host;
    sockets.delete(this);
    this.#path?.close();
    this.#feed?.close();
    this.#readStatistics();
    this.#ended = true;
    this.#mapping.freeze();
    calls.close(this.descriptor); // takes the socket out of all maps, too, and returns when the driver has let go
  }

  /** Undoes everything, in whatever state the socket is. */
  async close(): Promise<void> {
    this.#unbind();
    this.#mapping.close();
  }

  #require(condition: boolean, call: string, otherwise: string, remedy = ORDER_OF_CALLS): void {
    if (this.#ended)
      throw new PacketError('SOCKET_CLOSED', `${call}: the socket is closed`, { remedy: 'open another' });
    if (!condition) throw new PacketError('WRONG_STATE', `${call}: the socket ${otherwise}`, { remedy });
  }
}
