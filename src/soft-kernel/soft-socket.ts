import type { Driver } from '../driver/contract.js';
import { PacketError } from '../errors.js';
import type {
  Binding,
  BindRequest,
  BlockingWaitOptions,
  Direction,
  DropPlace,
  KernelSocket,
  KernelStatistics,
  MemoryRegistration,
  Mode,
  PacketVersion,
  RingRequest,
  SocketMaps,
  TransmitMetadata,
  WaitOptions,
} from '../kernel/contract.js';
import { ORDER_OF_CALLS, SEND_ONLY_REMEDY } from '../kernel/remedies.js';
import { LINK_OVERHEAD_BYTES } from '../nic/soft-nic.js';
import { NEED_WAKEUP } from '../ring/frame-rings.js';
import type { KernelRings } from '../ring/kernel-rings.js';
import { V2KernelRings } from '../ring/v2/kernel.js';
import { V3KernelRings } from '../ring/v3/kernel.js';
import { V4KernelRings } from '../ring/v4/kernel.js';
import { XdpKernelRings } from '../ring/xdp/kernel.js';
import { TransmitRequests } from '../ring/xdp/transmit-requests.js';
import type { Receive } from '../steering/rules.js';
import { type Attachment, attachCopying, attachZeroCopy } from './attachment.js';
import type { RedirectSocket } from './programs/redirections.js';
import { checkBindRequest, checkRingRequest, checkSteerRequest, copyMemory } from './requests.js';
import { allocateRings, type RingMemory } from './ring-memory.js';
import type { SoftKernel } from './soft-kernel.js';

/** Modes of each version. */
const MODES: Record<PacketVersion, readonly Mode[]> = {
  v2: ['v2'],
  v3: ['v3'],
  v4: ['v4-zc', 'v4'],
  xdp: ['xdp-zc', 'xdp-copy'],
};

/**
 * One socket of the soft kernel: the calls of the talk in order (S1-S4), then service from the kernel's loop. What an application
 * may do to spite it (X4): write into rings at any time, unbind, close, end, or bind again in the middle. After `unbind` nothing of the
 * kernel's refers to its rings; memory is given back when they are closed.
 */
export class SoftSocket implements KernelSocket {
  /** Number among the kernel's sockets: its bit in the doorbell. */
  number = -1;
  /** Served in every step of the kernel, because it was busy of late (threaded kernel only). */
  active = false;
  /** Steps without work while active. */
  idle = 0;
  /** What `activity` was when the socket last seemed quiet. */
  lastActivity = 0;
  /** Waits for events; the activity it was last told of. */
  waiting = false;
  toldOf = 0;
  #memory: MemoryRegistration | undefined;
  #unregister: (() => void) | undefined;
  #request: RingRequest | undefined;
  #rings: RingMemory | undefined;
  #kernelRings: KernelRings | undefined;
  #attachment: Attachment | undefined;
  /** Zero-copy: who serves the rings, and as which queue. */
  #driver: Driver | undefined;
  #driverQueue = 0;
  #closed = false;
  /** What packets may ask for by metadata, if anything. */
  #metadata: TransmitMetadata | undefined;

  constructor(
    private readonly kernel: SoftKernel,
    readonly version: PacketVersion,
  ) {}

  async registerMemory(memory: MemoryRegistration): Promise<void> {
    this.#expect(
      this.version === 'v4' || this.version === 'xdp',
      `${this.version} sockets have no packet buffer`,
      'leave registerMemory out',
    );
    this.#expect(this.#memory === undefined, 'a packet buffer is registered already');
    const { base, frames, frameSize, headroom } = copyMemory(memory);
    const size = this.kernel.arena.u8.length;
    const whole = [base, frames, frameSize, headroom].every((value) => Number.isInteger(value) && value >= 0);
    if (
      !whole ||
      frameSize < 2048 ||
      frameSize > 65536 ||
      (frameSize & (frameSize - 1)) !== 0 ||
      base % frameSize !== 0 ||
      base === 0 ||
      frames === 0 ||
      base + frames * frameSize > size ||
      headroom % 64 !== 0 ||
      headroom > frameSize - 256 - 64
    ) {
      throw new PacketError(
        'INVALID_OPTION',
        `packet buffer: ${String(frames)} frames of ${String(frameSize)} bytes (headroom ${String(headroom)}) at ${String(base)} do not lie in the arena as frames must`,
        {
          remedy:
            'frames are a power of two from 2048 to 65536 bytes, aligned to their size, headroom a multiple of 64',
        },
      );
    }
    this.#unregister = this.kernel.memory.register({ base, frames, frameSize, headroom });
    this.#memory = { base, frames, frameSize, headroom };
  }

  async createRings(request: RingRequest): Promise<void> {
    this.#expect(this.#rings === undefined, 'the rings are mapped already');
    this.#request = checkRingRequest(request);
  }

  async map(): Promise<SocketMaps> {
    const request = this.#request;
    this.#expect(request !== undefined, 'createRings comes before map');
    this.#expect(this.#rings === undefined, 'the rings are mapped already');
    const { kernel, version } = this;
    if (version === 'v4' || version === 'xdp') {
      this.#expect(this.#memory !== undefined, 'registerMemory comes before map');
    }
    this.#rings = allocateRings(kernel.memory.arena, version, request!);
    this.setWake(true);
    return this.#rings.maps;
  }

  /** Checksums, timestamps and launch times of AF_XDP sockets. @throws PacketError MODE_UNSUPPORTED */
  async transmitMetadata({ checksums, timestamps, launchTimes }: TransmitMetadata): Promise<void> {
    this.#expect(this.#attachment === undefined, 'the socket is bound already');
    if (this.version !== 'xdp') {
      const option = checksums ? 'transmitChecksums' : timestamps ? 'transmitTimestamps' : 'launchTimes';
      throw new PacketError(
        'MODE_UNSUPPORTED',
        `${option}: the soft kernel has no such thing on ${this.version} sockets`,
        { remedy: "mode 'xdp-copy' or 'xdp-zc'" },
      );
    }
    this.#metadata = { checksums, timestamps, launchTimes };
  }

  async bind(given: BindRequest): Promise<Binding> {
    const rings = this.#rings;
    this.#expect(rings !== undefined, 'map comes before bind');
    this.#expect(this.#attachment === undefined, 'the socket is bound already');
    const { kernel, version } = this;
    const request = checkBindRequest(given, (map, what) => kernel.expectMap(map, what));
    const { mode } = request;
    if (!MODES[version].includes(mode)) {
      throw new PacketError('MODE_UNSUPPORTED', `a ${version} socket cannot work in mode ${String(mode)}`, {
        remedy: `modes of ${version}: ${MODES[version].join(', ')}`,
      });
    }
    const device = kernel.device(request.interface);
    const kernelRings = this.#makeRings(rings!.maps, request.segments);
    const largestPacket = device.driver.mtu + LINK_OVERHEAD_BYTES;
    kernelRings.setLargestPacket(largestPacket);
    if (kernelRings instanceof V2KernelRings || kernelRings instanceof V3KernelRings)
      kernelRings.interfaceIndex = device.index;
    const attach = mode === 'v4-zc' || mode === 'xdp-zc' ? attachZeroCopy : attachCopying;
    this.#attachment = attach(device, kernelRings, request, this.#memory, this.number);
    this.#driver = this.#attachment.driver;
    this.#driverQueue = this.#attachment.queue ?? 0;
    this.#kernelRings = kernelRings;
    kernel.bound(this);
    const exclusive = mode !== 'v2' && mode !== 'v3' && mode !== 'v4';
    const { queue } = this.#attachment;
    return {
      ...{ mode, queue, exclusive, largestPacket },
      ...(this.#metadata?.timestamps && { transmitTimestamps: 'kernel' }),
    };
  }

  #makeRings(maps: SocketMaps, segments: boolean): KernelRings {
    const { kernel } = this;
    const { means } = kernel;
    const request = this.#request!;
    switch (this.version) {
      case 'v2':
        return new V2KernelRings(this.kernel.arena, maps, request, means);
      case 'v3':
        return new V3KernelRings(this.kernel.arena, maps, request, means);
      case 'v4':
        return new V4KernelRings(means, this.#memory!, maps, segments);
      case 'xdp':
        return new XdpKernelRings(
          ...([means, this.#memory!, maps, segments] as const),
          this.#metadata && new TransmitRequests(kernel.arena, this.#metadata, kernel),
        );
    }
  }

  async steer(receive: Receive): Promise<void> {
    this.#expect(this.#attachment !== undefined, 'bind comes before steer');
    this.#expect(
      receive === 'none' || this.#request!.receive > 0,
      "the socket was opened to send only (receive: 'none')",
      SEND_ONLY_REMEDY,
    );
    const attachment = this.#attachment!;
    const { kernel } = this;
    attachment.steer(checkSteerRequest(receive, attachment.mode, (map, what) => kernel.expectMap(map, what)));
  }

  // The kernel's loop

  /** Takes what the application has posted. Returns frames taken. */
  service(direction?: Direction): number {
    if (this.#driver !== undefined) return this.#driver.service(this.#driverQueue, direction);
    return this.#attachment === undefined ? 0 : this.#attachment.service(direction);
  }

  /** Hands over what has waited long enough (V3), takes packets whose launch time has come (AF_XDP). Returns frames taken. */
  tick(now: number): number {
    if (this.version === 'xdp') return this.service('transmit');
    this.#kernelRings?.tick(now);
    return 0;
  }

  /** Whether `tick` is ever to be called. */
  get ticks(): boolean {
    return this.version === 'v3' || this.#metadata?.launchTimes === true;
  }

  nextTick(): number {
    return this.#kernelRings?.nextTick() ?? Number.POSITIVE_INFINITY;
  }

  /** What redirections find here, while it is in a map of sockets. */
  get redirectSocket(): RedirectSocket | undefined {
    return this.#attachment?.redirectSocket();
  }

  get bound(): boolean {
    return this.#attachment !== undefined;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether something is posted that `service` would take. */
  posted(): boolean {
    return this.#attachment?.posted() ?? false;
  }

  /** Grows whenever the application may find something new in its rings. */
  activity(): number {
    const counters = this.#kernelRings?.counters;
    if (counters === undefined) return 0;
    return (
      counters.received + counters.sent + counters.transmitError + counters.invalidDescriptor + counters.handedOver
    );
  }

  /** Sets or clears the "kick me" bits (F1). */
  setWake(on: boolean): void {
    const { maps } = this.#rings!;
    const { i32 } = this.kernel.arena;
    Atomics.store(i32, maps.wakeReceive >> 2, on ? NEED_WAKEUP : 0);
    Atomics.store(i32, maps.wakeTransmit >> 2, on ? NEED_WAKEUP : 0);
  }

  /** Arena byte offset of the event counter; undefined before `map` and after `close`. */
  get event(): number | undefined {
    return this.#rings?.event;
  }

  // The application's side, when the kernel runs inline

  kick(direction: Direction): void {
    this.kernel.kick(this, direction);
  }

  wait(ready: () => boolean, options: WaitOptions): Promise<boolean> {
    return this.kernel.wait(ready, options);
  }

  waitBlocking(ready: () => boolean, options: BlockingWaitOptions): boolean {
    return this.kernel.waitBlocking(ready, options);
  }

  async statistics(): Promise<KernelStatistics> {
    const counters = this.#kernelRings?.counters;
    if (counters === undefined) return { received: 0, sent: 0, drops: {} };
    const drops: Partial<Record<DropPlace, number>> = {
      'fill-ring-empty': counters.fillRingEmpty,
      'receive-ring-full': counters.receiveRingFull,
      'invalid-descriptor': counters.invalidDescriptor,
      'too-long': counters.tooLong,
      'transmit-error': counters.transmitError,
      ...this.#attachment?.drops(),
    };
    return { received: counters.received, sent: counters.sent, drops };
  }

  async unbind(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#attachment?.detach();
    this.#attachment = undefined;
    this.#driver = undefined;
    this.kernel.unbound(this);
  }

  async close(): Promise<void> {
    await this.unbind();
    if (this.#rings !== undefined) this.kernel.memory.arena.free(this.#rings.region);
    this.#rings = undefined;
    this.#unregister?.();
    this.#unregister = undefined;
    this.kernel.closed(this);
  }

  #expect(condition: boolean, problem: string, remedy = ORDER_OF_CALLS): void {
    if (this.#closed) throw new PacketError('SOCKET_CLOSED', 'the socket is closed', { remedy: 'open another' });
    if (!condition) throw new PacketError('WRONG_STATE', problem, { remedy });
  }
}
