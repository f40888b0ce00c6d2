import { Arena, type Region } from '../arena/arena.js';
import { NicDriver } from '../driver/nic-driver.js';
import { compiler } from '../ebpf/compiler/compiler.js';
import type { Engine } from '../ebpf/execution.js';
import type { MapContents } from '../ebpf/maps/contract.js';
import type { ProgramObject } from '../ebpf/program.js';
import { checkInteger, PacketError } from '../errors.js';
import type {
  BlockingWaitOptions,
  Direction,
  InterfaceInfo,
  KernelSocket,
  Mode,
  PacketVersion,
  WaitOptions,
} from '../kernel/contract.js';
import type {
  AttachRequest,
  LoadedObject,
  LoadedProgram,
  LoadOptions,
  ProgramAttachment,
  ProgramKernel,
} from '../kernel/programs.js';
import { LINK_OVERHEAD_BYTES } from '../nic/soft-nic.js';
import { checkBoolean, checkOptionNames } from '../options.js';
import { DEFAULT_FRAME_BYTES, KERNEL_HEADROOM_BYTES } from '../packet-buffer/packet-buffer.js';
import { COPY_LIST_BYTES, type CopyMeans } from '../ring/frame-kernel-rings.js';
import { Cables } from '../wire/cables.js';
import type { WireSurroundings } from '../wire/options.js';
import { type Clock, VirtualClock } from './clock.js';
import { Device } from './device.js';
import { KernelMemory } from './kernel-memory.js';
import { buildNic, type NicOptions } from './nic-options.js';
import { PagePool } from './page-pool.js';
import type { SoftMap } from './programs/soft-map.js';
import { SoftPrograms } from './programs/soft-programs.js';
import { checkTimeout, checkVersion, expectObject, show } from './requests.js';
import { SoftSocket } from './soft-socket.js';
import type { SoftSystem, StackStatistics } from './system.js';
import { buildVeth, checkVethNames, type VethOptions } from './veth-options.js';

const VERSIONS: readonly PacketVersion[] = ['v2', 'v3', 'v4', 'xdp'];
const OPTION_NAMES: readonly (keyof SoftKernelOptions)[] = ['arena', 'clock', 'engine', 'programBytes'];
const DEFAULT_PROGRAM_BYTES = 2 ** 24;
/** Packets that a device moves each way, and a queue hands over, in one step (NAPI's budget). */
const BUDGET = 64;
/** Steps that `wait` takes before it lets the event loop run. */
const STEPS_PER_TURN = 256;
/** Milliseconds between looks when a wait can only be ended by somebody else. */
const IDLE_TURN_MILLISECONDS = 1;

/** What an inline soft kernel is made with. */
export interface SoftKernelOptions {
  /** The memory to work in; default the thread's own arena. */
  readonly arena?: Arena;
  /** Default: a virtual clock that moves with the kernel's steps. */
  readonly clock?: Clock;
  /** What runs users' XDP programs; default the compiler. */
  readonly engine?: Engine;
  /** Bytes for the values of all maps of users' programs, from 64 KiB; taken with the first object. Default 16 MiB. */
  readonly programBytes?: number;
}

/**
 * The soft kernel: devices, drivers, packet core and sockets in process. It is inline: it advances only inside the calls of its
 * sockets (kick, wait), a bounded step at a time, or by {@link SoftKernel.run}; on its virtual clock every run is the same. The
 * same object also works on a thread of its own, see thread/kernel-loop.ts.
 */
export class SoftKernel implements SoftSystem, ProgramKernel {
  /** Tells it from the Linux kernel. */
  readonly name = 'soft';
  readonly arena: Arena;
  /** @internal which part of the arena is the kernel's own */
  readonly memory: KernelMemory;
  /** @internal what copying deliveries borrow */
  readonly means: CopyMeans;
  /** What its time comes from: paces of wires, moderated interrupts, blocks' time-outs, time stamps. */
  readonly clock: Clock;
  /** @internal frames of the kernel's own, for copy mode */
  readonly pool: PagePool;
  readonly #scratch: Region;
  /** What the wires of its devices share. */
  readonly #around: WireSurroundings;
  readonly #devices = new Map<string, Device>();
  readonly #deviceList: Device[] = [];
  readonly #devicesByIndex: (Device | undefined)[] = [];
  readonly #sockets: (SoftSocket | undefined)[] = [];
  /** Bound V3 sockets, whose blocks are handed over in time, and those of packets with launch times. */
  readonly #ticking: SoftSocket[] = [];
  /** @internal sockets that are served in every step (threaded kernel) */
  readonly active: SoftSocket[] = [];
  readonly #engine: Engine;
  readonly #programBytes: number;
  /** Users' programs, from the first object on. */
  #programs: SoftPrograms | undefined;
  #now = 0;
  /** Which active socket the next step serves first. */
  #first = 0;
  #lastIndex = 0;

  /** @throws PacketError INVALID_OPTION, ARENA_EXHAUSTED */
  constructor(options: SoftKernelOptions = {}) {
    checkOptionNames('SoftKernel', options, OPTION_NAMES);
    this.arena = options.arena ?? Arena.default();
    this.memory = new KernelMemory(this.arena);
    this.clock = options.clock ?? new VirtualClock();
    this.#scratch = this.memory.arena.allocate(COPY_LIST_BYTES);
    this.means = { i32: this.arena.i32, routines: this.arena.routines, copyList: this.#scratch.offset };
    this.pool = new PagePool(this.memory.arena);
    this.#engine = options.engine ?? compiler;
    this.#programBytes = checkInteger('programBytes', options.programBytes ?? DEFAULT_PROGRAM_BYTES, 2 ** 16, 2 ** 30);
    this.#around = { cables: new Cables(), epochMilliseconds: this.clock.epochMilliseconds };
  }

  // Devices

  /** Adds a soft NIC. @throws PacketError INTERFACE_EXISTS, INVALID_OPTION, ARENA_EXHAUSTED */
  async addNic(options: NicOptions): Promise<InterfaceInfo> {
    expectObject('options', options);
    this.#expectNew(options.name);
    const device = this.#newDevice();
    buildNic(this.memory.arena, device, options, this.#around);
    return this.#add(device);
  }

  /** Adds a veth pair (K5). @throws PacketError INTERFACE_EXISTS, INVALID_OPTION, ARENA_EXHAUSTED */
  async addVeth(options: VethOptions): Promise<[InterfaceInfo, InterfaceInfo]> {
    expectObject('options', options);
    for (const name of checkVethNames(options)) this.#expectNew(name);
    const devices = [this.#newDevice(), this.#newDevice()] as const;
    buildVeth(this.memory.arena, devices, options);
    return [this.#add(devices[0]), this.#add(devices[1])];
  }

  #newDevice(): Device {
    return new Device(++this.#lastIndex, this.means, this.arena.u8, this.pool);
  }

  #add(device: Device): InterfaceInfo {
    this.#devices.set(device.driver.name, device);
    this.#deviceList.push(device);
    this.#devicesByIndex[device.index] = device;
    return describe(device);
  }

  #expectNew(name: string): void {
    if (typeof name !== 'string' || name.length === 0 || name.length > 64) {
      throw new PacketError('INVALID_OPTION', `name: ${show(name)} is not an interface name of 1 to 64 characters`, {
        remedy: "for example 'soft0'",
      });
    }
    if (this.#devices.has(name)) {
      throw new PacketError('INTERFACE_EXISTS', `there is an interface ${name} already`, {
        remedy: 'choose another name',
      });
    }
  }

  /** @internal @throws PacketError NO_INTERFACE */
  device(name: string): Device {
    const device = this.#devices.get(name);
    if (device === undefined) {
      const known = [...this.#devices.keys()].join(', ');
      throw new PacketError('NO_INTERFACE', `the soft kernel has no interface ${String(name)}`, {
        remedy: known === '' ? 'add one with addNic or addVeth' : `it has ${known}`,
      });
    }
    return device;
  }

  async deviceStatistics(name: string): Promise<Record<string, number>> {
    return this.device(name).statistics();
  }

  async stackStatistics(name: string): Promise<StackStatistics> {
    const { packets, bytes } = this.device(name).core.stack;
    return { packets, bytes };
  }

  async recording(name: string): Promise<Uint8Array> {
    const recorder = this.device(name).wire?.recorder;
    if (recorder === undefined) {
      throw new PacketError('WRONG_STATE', `nothing records what ${name} sends`, {
        remedy: "give it a wire { kind: 'record', wire: ... }",
      });
    }
    return recorder.take();
  }

  async setLink(name: string, up: boolean): Promise<void> {
    checkBoolean('up', up);
    this.device(name).driver.setLink(up);
  }

  async setStuck(name: string, queue: number, stuck: boolean): Promise<void> {
    checkBoolean('stuck', stuck);
    const { driver } = this.device(name);
    if (!(driver instanceof NicDriver)) {
      throw new PacketError(
        'MODE_UNSUPPORTED',
        `${name} (driver ${driver.driver}) has no hardware queues to get stuck`,
        { remedy: 'only queues of soft NICs (addNic) do' },
      );
    }
    driver.setStuck(queue, stuck);
  }

  async interfaces(): Promise<InterfaceInfo[]> {
    return [...this.#devices.values()].map(describe);
  }

  // Sockets

  /** @throws PacketError INVALID_OPTION */
  async socket(version: PacketVersion): Promise<KernelSocket> {
    return this.softSocket(version);
  }

  /** @internal `socket` with the type that the kernel's own thread serves */
  softSocket(version: PacketVersion): SoftSocket {
    const socket = new SoftSocket(this, checkVersion(version, VERSIONS));
    const free = this.#sockets.indexOf(undefined);
    socket.number = free < 0 ? this.#sockets.length : free;
    this.#sockets[socket.number] = socket;
    return socket;
  }

  /** @internal the socket with a number, for the doorbell */
  socketNumber(number: number): SoftSocket | undefined {
    return this.#sockets[number];
  }

  /** @internal a socket is served from now on */
  bound(socket: SoftSocket): void {
    if (socket.ticks) this.#ticking.push(socket);
  }

  /** @internal the kernel has let go of a socket */
  unbound(socket: SoftSocket): void {
    for (const list of [this.#ticking, this.active]) {
      const at = list.indexOf(socket);
      if (at >= 0) list.splice(at, 1);
    }
  }

  /** @internal its number is free again. Not before it is closed: until then calls may name it */
  closed(socket: SoftSocket): void {
    if (this.#sockets[socket.number] === socket) this.#sockets[socket.number] = undefined;
  }

  // Programs

  /**
   * Makes the maps of an object and prepares its programs, all or none. Nobody but the engine has checked them: they read and write nothing
   * but their own and their packets, and end in time, whatever they are.
   *
   * @throws PacketError PROGRAM_REFUSED, MAP_UNSUPPORTED, INVALID_OPTION, ARENA_EXHAUSTED
   */
  async loadObject(object: ProgramObject, options?: LoadOptions): Promise<LoadedObject> {
    this.#programs ??= this.#makePrograms();
    return this.#programs.loadObject(object, options);
  }

  /** @throws PacketError NO_INTERFACE, INTERFACE_BUSY, MODE_UNSUPPORTED, INVALID_OPTION, WRONG_STATE, ARENA_EXHAUSTED */
  async attachProgram(program: LoadedProgram, request: AttachRequest): Promise<ProgramAttachment> {
    this.#programs ??= this.#makePrograms();
    return this.#programs.attach(program, request);
  }

  /** @internal a map of one of its objects. @throws PacketError INVALID_OPTION */
  expectMap(map: MapContents, what: string): SoftMap {
    this.#programs ??= this.#makePrograms();
    return this.#programs.expectMap(map, what);
  }

  #makePrograms(): SoftPrograms {
    return new SoftPrograms({
      arena: this.memory.arena,
      pool: this.pool,
      engine: this.#engine,
      bytes: this.#programBytes,
      device: (name) => this.device(name),
      deviceByIndex: (index) => this.#devicesByIndex[index],
      redirectSocket: (number) => this.#sockets[number]?.redirectSocket,
    });
  }

  // Work

  /** The kernel's time, in nanoseconds, as of the last step. */
  get now(): number {
    return this.#now;
  }

  /** One bounded step: serves active sockets, lets the devices work, polls their drivers. Returns the work done, 0 for none. */
  step(): number {
    const now = this.clock.now();
    this.#now = now;
    let work = 0;
    const { active } = this;
    const count = active.length;
    // Each is first in its turn: who is served first may take all that a device has room for.
    let at = this.#first < count ? this.#first : 0;
    this.#first = at + 1;
    for (let i = 0; i < count; i++) {
      const socket = active[at]!;
      if (++at === count) at = 0;
      const taken = socket.service();
      if (taken > 0) socket.idle = 0;
      else socket.idle++;
      work += taken;
    }
    const milliseconds = this.clock.epochMilliseconds + now / 1e6;
    const seconds = Math.floor(milliseconds / 1000);
    const nanoseconds = Math.floor((milliseconds - seconds * 1000) * 1e6);
    const devices = this.#deviceList;
    for (let i = 0; i < devices.length; i++) {
      devices[i]!.core.setTime(seconds, nanoseconds);
      work += devices[i]!.driver.advance(now, BUDGET);
    }
    for (let i = 0; i < devices.length; i++) work += devices[i]!.driver.poll(BUDGET);
    if (this.#programs !== undefined) work += this.#programs.work();
    for (let i = 0; i < this.#ticking.length; i++) {
      const socket = this.#ticking[i]!;
      if (socket.nextTick() <= now) work += socket.tick(now);
    }
    return work;
  }

  /** Runs `steps` steps; for tests, and for programs that want to see the kernel work. Returns the work done, 0 for none. */
  run(steps: number): number {
    let work = 0;
    for (let i = 0; i < steps; i++) work += this.step();
    return work;
  }

  /** When the next step will have something to do by itself, in nanoseconds; Infinity for never. */
  nextEvent(): number {
    let next = this.#programs?.busy ? this.#now : Number.POSITIVE_INFINITY;
    for (const device of this.#devices.values()) next = Math.min(next, device.driver.nextEvent(this.#now));
    for (const socket of this.#ticking) {
      const tick = socket.nextTick();
      // What is overdue waits for room, which is not a matter of time.
      if (tick > this.#now) next = Math.min(next, tick);
    }
    return next;
  }

  /** @internal a socket asks to be looked at; inline, this is where the kernel gets its time from */
  kick(socket: SoftSocket, direction: Direction): void {
    socket.service(direction);
    this.step();
  }

  /** Serves every socket and takes one step; skips idle time. Returns whether anything may still happen by itself. */
  #turn(deadline: number): boolean {
    let work = 0;
    for (const socket of this.#sockets) if (socket?.posted()) work += socket.service();
    work += this.step();
    if (work > 0) return true;
    const next = Math.min(this.nextEvent(), deadline);
    if (next === Number.POSITIVE_INFINITY) return false;
    if (next > this.#now) this.clock.skipTo(next);
    return true;
  }

  /**
   * @internal Waits on the kernel's own clock while packets are on their way, and on the host's when nothing is: then only another task of
   * this thread can change anything.
   */
  async wait(ready: () => boolean, options: WaitOptions): Promise<boolean> {
    const { signal } = options;
    const timeout = checkTimeout(options.timeoutMilliseconds);
    const deadline = this.#now + timeout * 1e6;
    const hostDeadline = performance.now() + timeout;
    for (;;) {
      signal?.throwIfAborted();
      let alive = true;
      for (let i = 0; i < STEPS_PER_TURN && alive; i++) {
        if (ready()) return true;
        if (this.#now >= deadline) return false;
        alive = this.#turn(this.nextEvent() === Number.POSITIVE_INFINITY ? Number.POSITIVE_INFINITY : deadline);
      }
      if (!alive && performance.now() >= hostDeadline) return ready();
      await pause(alive ? 0 : IDLE_TURN_MILLISECONDS, signal);
    }
  }

  /** @internal the same without the event loop: in idle devices nothing can happen meanwhile */
  waitBlocking(ready: () => boolean, options: BlockingWaitOptions): boolean {
    const deadline = this.#now + checkTimeout(options.timeoutMilliseconds) * 1e6;
    while (!ready()) {
      // Nothing can come from outside while this thread is blocked: when the devices are idle, so it stays.
      if (this.#now >= deadline || !this.#turn(deadline)) return false;
    }
    return true;
  }

  /** Unbinds the sockets that are still open and removes the devices. The rings' memory stays until each socket is closed. */
  async close(): Promise<void> {
    // Whoever opened a socket still has to collect the frames in its rings: not unmapped here.
    for (const socket of [...this.#sockets]) await socket?.unbind();
    await this.#programs?.close();
    this.#programs = undefined;
    for (const device of this.#devices.values()) device.driver.close();
    this.#devices.clear();
    this.pool.close();
    this.memory.arena.free(this.#scratch);
  }

  /** `await using`: {@link SoftKernel.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function describe(device: Device): InterfaceInfo {
  const warnings = warningsOf(device);
  const { index } = device;
  const { name, driver, queues, mtu, up, mac, zeroCopy } = device.driver;
  const modes: Mode[] = zeroCopy ? ['xdp-zc', 'xdp-copy', 'v4-zc', 'v4', 'v3', 'v2'] : ['xdp-copy', 'v4', 'v3', 'v2'];
  return { name, index, driver, queues, mtu, up, mac, zeroCopy, modes, ...(warnings.length > 0 && { warnings }) };
}

function warningsOf({ wire, driver }: Device): string[] {
  const { damage, longest = 0 } = wire ?? {};
  const warnings = damage === undefined ? [] : [damage.message];
  const takes = driver.mtu + LINK_OVERHEAD_BYTES;
  const held = DEFAULT_FRAME_BYTES - KERNEL_HEADROOM_BYTES;
  const packets = `the capture has packets of up to ${longest} bytes`;
  if (longest > takes) {
    warnings.push(
      `${packets}, ${driver.name} takes up to ${takes}: longer ones are lost (rx_oversize); set a larger mtu`,
    );
  } else if (longest > held) {
    warnings.push(
      `${packets}, more than frames of ${DEFAULT_FRAME_BYTES} bytes hold (${held}): use frames of ${frameFor(longest)}, or segments: true`,
    );
  }
  return warnings;
}

/** The smallest frame that holds a packet of so many bytes, without headroom of the user's. */
function frameFor(bytes: number): number {
  return 2 ** Math.ceil(Math.log2(bytes + KERNEL_HEADROOM_BYTES));
}

/** Lets the event loop run; ends early when the signal is aborted. */
function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal?.addEventListener('abort', done, { once: true });
  });
}
