import { type Arena, PAGE_BYTES, type Region } from '../arena/arena.js';
import { PacketError } from '../errors.js';
import type {
  Binding,
  BindRequest,
  BlockingWaitOptions,
  Direction,
  KernelSocket,
  KernelStatistics,
  RingRequest,
  SocketMaps,
  WaitOptions,
} from '../kernel/contract.js';
import { ORDER_OF_CALLS } from '../kernel/remedies.js';
import { NEED_WAKEUP } from '../ring/frame-rings.js';
import { V2_TRANSMIT } from '../ring/v2/layout.js';
import { V3_TRANSMIT } from '../ring/v3/layout.js';
import { refuseRedirected } from '../steering/redirected.js';
import { TAP_ABILITY } from '../steering/rule-targets.js';
import type { Receive } from '../steering/rules.js';
import { AF_PACKET, EAFNOSUPPORT, EAGAIN, ENETDOWN, ENOBUFS, ENXIO, SOCK_CLOEXEC, SOCK_RAW } from './constants.js';
import { GONE_REMEDY, type LinuxInterface, readInterface } from './interfaces.js';
import { LinkState } from './link-state.js';
import { bindInterface, checkBinding, interfaceExists, largestPacket, setTrafficOptions } from './packet-binding.js';
import { fanoutValue, joinFanout } from './packet-fanout.js';
import { createRings, mapRings, type PacketRings, type RingVersion } from './packet-rings.js';
import { PacketStatistics } from './packet-statistics.js';
import { TransmitProgress } from './packet-transmit-progress.js';
import { setPromiscuous } from './promiscuous.js';
import { attachReceiveFilter } from './receive-filter.js';
import { type ParsedReceive, parseReceive } from './receive-rules.js';
import { RingMapping } from './ring-mapping.js';
import { systemCallError } from './system-call-error.js';
import type { SystemCalls } from './system-calls.js';
import { type Failure, SocketWaiting } from './waiting.js';
import { checkReceiveRing } from './xdp-binding.js';

/** Most sendto calls of one kick; a kick that moves nothing ends it before. */
const MOST_SENDS_PER_KICK = 64;

/** What all packet sockets of one kernel have in common. */
export interface PacketRingHost {
  readonly calls: SystemCalls;
  readonly arena: Arena;
  /** The open sockets; a socket takes itself out when it is closed. */
  readonly packetSockets: Set<PacketRingSocket>;
}

/** What `kick` counts: the price of sending and its failures that are not errors (F1). */
export interface SendCounts {
  /** System calls made. */
  calls: number;
  /** Calls after which the kernel had more to do, because device or send buffer were full (EAGAIN, ENOBUFS). */
  again: number;
  /** Calls that found the interface down (ENETDOWN) or gone (ENXIO), or failed otherwise. */
  failed: number;
}

/** Where a bound socket is. */
interface Bound {
  readonly device: LinuxInterface;
  readonly promiscuous: boolean;
  readonly fanout: boolean;
}

/** An AF_PACKET socket with TPACKET_V2 or TPACKET_V3 rings (linux/if_packet.h). After a failed call only `close` is left to do. */
export class PacketRingSocket implements KernelSocket {
  readonly version: RingVersion;
  readonly descriptor: number;
  readonly kicks: SendCounts = { calls: 0, again: 0, failed: 0 };
  readonly #host: PacketRingHost;
  readonly #mapping: RingMapping;
  readonly #waiting: SocketWaiting;
  readonly #link = new LinkState();
  readonly #statistics = new PacketStatistics();
  #rings: PacketRings | undefined;
  #maps: SocketMaps | undefined;
  /** A page of the arena whose first word always asks for a kick: the kernel looks at a TX ring in sendto only. */
  #wakeWord: Region | undefined;
  #progress: TransmitProgress | undefined;
  #bound: Bound | undefined;
  #hears = false;
  /** Bound to ETH_P_ALL, for good; from then on a filter keeps packets away. */
  #hasProtocol = false;
  /** Unbound or closed: there is no descriptor any more. */
  #ended = false;

  private constructor(host: PacketRingHost, version: RingVersion, descriptor: number) {
    this.#host = host;
    this.version = version;
    this.descriptor = descriptor;
    this.#mapping = new RingMapping(host.calls, host.arena);
    this.#waiting = new SocketWaiting(host.calls, this);
    host.packetSockets.add(this);
  }

  /** Protocol 0 hears nothing until `bind`. @throws PacketError NO_PRIVILEGE, MODE_UNSUPPORTED, SYSTEM_CALL */
  static open(host: PacketRingHost, version: RingVersion): PacketRingSocket {
    const descriptor = host.calls.socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (descriptor >= 0) return new PacketRingSocket(host, version, descriptor);
    const none = {
      code: 'MODE_UNSUPPORTED',
      why: 'this kernel has no AF_PACKET',
      remedy: 'a kernel with CONFIG_PACKET',
    } as const;
    throw systemCallError(
      'socket AF_PACKET',
      -descriptor,
      'open a packet socket',
      { [EAFNOSUPPORT]: none },
      'CAP_NET_RAW',
    );
  }

  /** Packets lie in the ring. @throws PacketError WRONG_STATE */
  async registerMemory(): Promise<void> {
    this.#require(false, 'registerMemory', `has no packet buffer: packets of ${this.version} lie in its rings`);
  }

  /** Sizes and makes the rings (see {@link createRings}). @throws PacketError INVALID_OPTION, ARENA_EXHAUSTED, WRONG_STATE, SYSTEM_CALL */
  async createRings(request: RingRequest): Promise<void> {
    this.#require(this.#rings === undefined, 'createRings', 'has rings already');
    const { calls, arena } = this.#host;
    this.#rings = createRings(calls, arena, this.descriptor, this.version, request);
  }

  /** Maps the rings into the arena. @throws PacketError ARENA_EXHAUSTED, WRONG_STATE, SYSTEM_CALL */
  async map(): Promise<SocketMaps> {
    const rings = this.#rings;
    this.#require(rings !== undefined && this.#maps === undefined, 'map', 'has no rings to map, or has mapped them');
    const { arena } = this.#host;
    this.#wakeWord ??= arena.allocate(PAGE_BYTES);
    const { receive, transmit } = mapRings(this.descriptor, this.#mapping, rings!);
    Atomics.store(arena.i32, this.#wakeWord.offset >> 2, NEED_WAKEUP);
    if (transmit !== undefined) {
      this.#progress = new TransmitProgress(arena.i32, transmit, this.version === 'v3' ? V3_TRANSMIT : V2_TRANSMIT);
    }
    this.#maps = {
      ...(receive === undefined ? {} : { receive }),
      ...(transmit === undefined ? {} : { transmit }),
      wakeReceive: 0, // the arena's first page, which always reads 0: the kernel receives without being asked
      wakeTransmit: this.#wakeWord.offset,
    };
    return this.#maps;
  }

  /**
   * Binds to an interface, all queues of it. A socket of a fanout group hears nothing before it has joined: only bound sockets can join,
   * and as such it would hear what is the others'.
   *
   * @throws PacketError NO_INTERFACE, NO_QUEUE, MODE_UNSUPPORTED, FLOW_TABLE_FULL, INVALID_OPTION,
   *   NO_PRIVILEGE, WRONG_STATE, SYSTEM_CALL
   */
  async bind(request: BindRequest): Promise<Binding> {
    this.#require(this.#maps !== undefined && this.#bound === undefined, 'bind', 'has no mapped rings, or is bound');
    const { calls } = this.#host;
    const { descriptor, version } = this;
    const { mode, fanout, promiscuous = false, ignoreOutgoing = false } = request;
    const device = readInterface(calls, request.interface);
    const rings = this.#rings!;
    checkBinding(request, device, version, rings);
    const receive = this.#parse(request.receive);
    const group = fanout === undefined ? undefined : fanoutValue(fanout, ignoreOutgoing);
    this.#bound = { device, promiscuous, fanout: group !== undefined };
    setTrafficOptions(calls, descriptor, request);
    if (receive === 'none') bindInterface(calls, descriptor, device, false);
    else if (group === undefined) this.#hear(receive);
    else {
      this.#hear('none');
      joinFanout(calls, descriptor, group);
      attachReceiveFilter(calls, descriptor, receive);
    }
    return { mode, queue: undefined, exclusive: false, largestPacket: largestPacket(device, version, rings) };
  }

  /**
   * Changes what the socket receives: all packets of the interface, none, or those that match a rule. Packets that are in the ring
   * already stay there.
   *
   * @throws PacketError INVALID_OPTION, FLOW_TABLE_FULL (too many rules), MODE_UNSUPPORTED, WRONG_STATE, SYSTEM_CALL
   */
  async steer(receive: Receive): Promise<void> {
    this.#require(this.#bound !== undefined, 'steer', 'is not bound');
    checkReceiveRing(receive, this.#rings!.receive !== undefined);
    const wanted = this.#parse(receive);
    if (wanted !== 'none') this.#hear(wanted);
    else if (this.#bound!.fanout) {
      throw new PacketError('MODE_UNSUPPORTED', 'steer: a socket of a fanout group receives as long as it is open', {
        remedy: 'close the socket: its group shares the packets without it from then on',
      });
    } else if (this.#hears) {
      attachReceiveFilter(this.#host.calls, this.descriptor, 'none');
      this.#hears = false;
      this.#setPromiscuous(false);
    }
  }

  #parse(receive: Receive): ParsedReceive {
    const who = `a socket of ${this.version.toUpperCase()}`;
    return parseReceive(refuseRedirected(receive, who), { who, ...TAP_ABILITY });
  }

  /** The filter comes first: until it is bound to a protocol the socket hears nothing, so that no other packet slips in. */
  #hear(receive: ParsedReceive): void {
    const { calls } = this.#host;
    attachReceiveFilter(calls, this.descriptor, receive);
    if (!this.#hasProtocol) bindInterface(calls, this.descriptor, this.#bound!.device, true);
    this.#hasProtocol = true;
    if (!this.#hears) this.#setPromiscuous(true);
    this.#hears = true;
  }

  #setPromiscuous(on: boolean): void {
    const { device, promiscuous } = this.#bound!;
    if (promiscuous) setPromiscuous(this.#host.calls, this.descriptor, device.index, on);
  }

  /** Only `transmit` means something: the kernel fills the receive ring by itself. */
  kick(direction: Direction): void {
    const progress = this.#progress;
    if (this.#ended || progress === undefined || direction === 'receive') return;
    progress.look();
    // The kernel stops where the device has no room (ENOBUFS) or the send buffer none. It goes on as long as packets come back.
    for (let i = 0; i < MOST_SENDS_PER_KICK && progress.unsent(); i++) {
      const { sent } = progress;
      if (!this.#send()) return;
      progress.look();
      if (progress.sent === sent) return;
    }
  }

  /** @returns whether it is worth while to try again */
  #send(): boolean {
    const counts = this.kicks;
    counts.calls++;
    const errno = -this.#host.calls.sendNothing(this.descriptor);
    this.#link.note(errno === ENXIO ? ENETDOWN : errno); // ENXIO: the interface is gone, which `failure` finds out
    if (errno === 0) return true;
    const full = errno === EAGAIN || errno === ENOBUFS;
    if (full) counts.again++;
    else counts.failed++;
    return full;
  }

  /** For waiting: whether posted packets have not come back. */
  sending(): boolean {
    return this.#progress?.sending() ?? false;
  }

  /** For waiting: whether all of the TX ring is on its way. */
  awaitsRoom(): boolean {
    return this.#progress?.full ?? false;
  }

  /** For waiting: nothing but the program's own CPU polls for these sockets. */
  get busyPolling(): boolean {
    return false;
  }

  countCall(): void {
    this.kicks.calls++;
  }

  /** For waiting: goes on with what the kernel could not send before. */
  kickIfAsked(): void {
    this.kick('transmit');
  }

  /** For waiting: the kernel says ENETDOWN both when the interface goes down and when it is removed, once each. */
  failure(errno: number): Failure {
    if (errno === ENETDOWN) this.#link.told();
    return this.#failure('getsockopt SO_ERROR', errno);
  }

  /** For waiting: what `sendto` was told. Sockets that only send are told of no other way. */
  linkFailure(): Failure | undefined {
    const errno = this.#link.take();
    return errno === 0 ? undefined : this.#failure('sendto', errno);
  }

  #failure(syscall: string, errno: number): Failure {
    const { device } = this.#bound!;
    const exists = interfaceExists(this.#host.calls, this.descriptor, device);
    const meaning = exists
      ? {
          why: `the interface ${device.name} went down`,
          remedy: `ip link set dev ${device.name} up: then the socket works again`,
        }
      : { why: `the interface ${device.name} has been removed`, remedy: GONE_REMEDY };
    const error = systemCallError(syscall, errno, 'wait for packets', {
      [ENETDOWN]: { code: 'NO_INTERFACE', ...meaning },
    });
    return { error, final: !exists };
  }

  async wait(ready: () => boolean, options: WaitOptions): Promise<boolean> {
    this.#require(this.#bound !== undefined, 'wait', 'is not bound');
    return this.#waiting.wait(ready, options);
  }

  waitBlocking(ready: () => boolean, options: BlockingWaitOptions): boolean {
    this.#require(this.#bound !== undefined, 'waitBlocking', 'is not bound');
    return this.#waiting.waitBlocking(ready, options);
  }

  /** The kernel's counts; after `unbind` or `close`, as they were then. */
  async statistics(): Promise<KernelStatistics> {
    this.#readStatistics();
    return { ...this.#statistics.take(this.#progress?.sent ?? 0), systemCalls: this.kicks.calls };
  }

  #readStatistics(): void {
    if (this.#ended) return;
    this.#statistics.read(this.#host.calls, this.descriptor, this.version);
    this.#progress?.look();
  }

  /**
   * Ends the socket in the kernel, and with it its membership and its place in a fanout group: it has no other way to unbind.
   * The rings stay as they were at that moment, in pages of the arena's own.
   */
  async unbind(): Promise<void> {
    this.#unbind();
  }

  #unbind(): void {
    if (this.#ended) return;
    const { calls, packetSockets } = this.#host;
    packetSockets.delete(this);
    this.#waiting.close();
    this.#readStatistics();
    this.#ended = true;
    this.#mapping.freeze();
    calls.close(this.descriptor);
  }

  /** Undoes everything, in whatever state the socket is. */
  async close(): Promise<void> {
    this.#unbind();
    this.#mapping.close();
    const wakeWord = this.#wakeWord;
    this.#wakeWord = undefined;
    if (wakeWord === undefined) return;
    const { arena } = this.#host;
    arena.clear(wakeWord);
    arena.free(wakeWord);
  }

  #require(condition: boolean, call: string, otherwise: string, remedy = ORDER_OF_CALLS): void {
    if (this.#ended)
      throw new PacketError('SOCKET_CLOSED', `${call}: the socket is closed`, { remedy: 'open another' });
    if (!condition) throw new PacketError('WRONG_STATE', `${call}: the socket ${otherwise}`, { remedy });
  }
}
