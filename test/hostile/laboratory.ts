import assert from 'node:assert/strict';
import type { Arena } from '../../src/arena/arena.js';
import type { KernelSocket, MemoryRegistration, Mode, PacketVersion, SocketMaps } from '../../src/kernel/contract.js';
import { PacketBuffer } from '../../src/packet-buffer/packet-buffer.js';
import { PacketBatch } from '../../src/ring/packet-batch.js';
import { openSocket } from '../../src/socket/open-socket.js';
import type { PacketSocket } from '../../src/socket/packet-socket.js';
import type { SoftSystem } from '../../src/soft-kernel/system.js';
import type { Receive } from '../../src/steering/rules.js';
import type { Random } from '../support/random.js';
import type { AdversaryMeans } from './adversary.js';
import { Canaries, hasCanary } from './canaries.js';
import { checkNumbered, HOSTILE_PORT, isForNeighbour, NEIGHBOUR_PORT, writeNumbered } from './numbered-packets.js';

/** What the hostile application's own memory is filled with. */
const HOSTILE_BYTE = 0x11;
const FRAMES = 256;
const BATCH = 32;

export const HOSTILE_MODES: readonly Mode[] = ['v4-zc', 'xdp-zc', 'v4', 'xdp-copy', 'v3', 'v2'];
const ZERO_COPY: readonly Mode[] = ['v4-zc', 'xdp-zc'];
const COPY: readonly Mode[] = ['v4', 'xdp-copy', 'v3', 'v2'];

export type DeviceKind = 'nic' | 'veth';

export interface LaboratoryOptions {
  readonly kernel: SoftSystem;
  readonly arena: Arena;
  readonly random: Random;
  readonly device: DeviceKind;
  readonly hostile: Mode;
}

/** The hostile application's socket, by hand: no library stands between it and its rings. */
export interface HostileSocket {
  readonly socket: KernelSocket;
  readonly means: AdversaryMeans;
}

/**
 * Two joined devices, near and far. At the near one a hostile socket and an honest neighbour; at the far one a sender of numbered
 * packets for the neighbour, and an observer who looks at all that comes out and sends something to the hostile socket, too.
 *
 *     far:  sender ---- numbered packets ----> neighbour   :near
 *           observer -- others --------------> hostile
 *           observer <-- no canary here ------ hostile, neighbour
 */
export class Laboratory {
  readonly #kernel: SoftSystem;
  readonly #arena: Arena;
  readonly #random: Random;
  readonly #mode: Mode;
  readonly canaries: Canaries;
  readonly memory: MemoryRegistration;
  readonly neighbour: PacketSocket;
  readonly sender: PacketSocket;
  readonly observer: PacketSocket;
  readonly #buffers: PacketBuffer[];
  readonly #regions: { offset: number; bytes: number }[] = [];
  #sent = 0;
  #received = 0;
  observed = 0;
  readonly #batch = new PacketBatch(BATCH);

  private constructor(options: LaboratoryOptions, sockets: readonly PacketSocket[]) {
    this.#kernel = options.kernel;
    this.#arena = options.arena;
    this.#random = options.random;
    this.#mode = options.hostile;
    const [neighbour, sender, observer] = sockets as [PacketSocket, PacketSocket, PacketSocket];
    this.neighbour = neighbour;
    this.sender = sender;
    this.observer = observer;
    this.#buffers = [neighbour.buffer, sender.buffer];
    const { arena, random } = options;
    this.canaries = new Canaries(arena.i32);
    this.#guard('the page before the hostile buffer', 4096);
    const frameSize = random.pick([2048, 2048, 4096]);
    const bytes = FRAMES * frameSize;
    const region = this.#allocate(bytes, frameSize);
    arena.u8.fill(HOSTILE_BYTE, region.offset, region.offset + bytes);
    this.#guard('the page behind the hostile buffer', 4096);
    this.memory = { base: region.offset, frames: FRAMES, frameSize, headroom: 64 * random.below(3) };
    this.#guardNeighbour();
  }

  /** Adds the two devices. */
  static async addDevices({ kernel, device }: LaboratoryOptions): Promise<void> {
    if (device === 'veth') {
      await kernel.addVeth({ names: ['near', 'far'], queues: 2 });
      return;
    }
    const cable = { kind: 'patch', cable: 'between', bytes: 2 ** 20 } as const;
    await kernel.addNic({ name: 'near', queues: 4, wire: cable });
    await kernel.addNic({ name: 'far', wire: cable });
  }

  /** Opens the honest sockets on them. */
  static async create(options: LaboratoryOptions): Promise<Laboratory> {
    const { kernel, arena, random, device } = options;
    const neighbourMode = random.pick(COPY.includes(options.hostile) && random.oneIn(2) ? COPY : ZERO_COPY);
    const zeroCopy = ZERO_COPY.includes(neighbourMode);
    const make = (frames: number) => PacketBuffer.create({ arena, frames });
    const common = { kernel, ring: 128 } as const;
    const neighbour = await openSocket({
      ...common,
      interface: 'near',
      mode: neighbourMode,
      buffer: make(FRAMES),
      // veth has no flow director: what the far end sends on queue 1 arrives on queue 1.
      receive: zeroCopy && device === 'veth' ? 'all' : [{ protocol: 'udp', port: NEIGHBOUR_PORT }],
      ...(zeroCopy ? { queue: 1 } : neighbourMode === 'xdp-copy' && { queue: 0 }),
    });
    const buffer = make(2 * FRAMES);
    const sender = await openSocket({
      ...common,
      interface: 'far',
      buffer,
      receive: 'none',
      ...(zeroCopy && device === 'veth' ? { mode: 'v4-zc', queue: 1 } : { mode: 'v4' }),
    });
    const observer = await openSocket({ ...common, interface: 'far', buffer, receive: 'all', mode: 'v4' });
    return new Laboratory(options, [neighbour, sender, observer]);
  }

  #allocate(bytes: number, alignment = 4096): { offset: number; bytes: number } {
    const region = this.#arena.allocate(bytes, alignment);
    this.#regions.push(region);
    return region;
  }

  #guard(name: string, bytes: number): void {
    this.canaries.guard(name, this.#allocate(bytes));
  }

  /** The neighbour's frames that are in its pool, which it never takes; and the headroom of all others. */
  #guardNeighbour(): void {
    const { base, frames, frameSize } = this.neighbour.buffer;
    const half = (frames / 2) * frameSize;
    this.canaries.guard("the neighbour's frames in the pool", { offset: base + half, bytes: half });
    for (let frame = 0; frame < frames / 2; frame++) {
      const offset = base + frame * frameSize;
      this.canaries.guard(`the kernel's headroom in the neighbour's frame ${frame}`, { offset, bytes: 256 });
    }
  }

  // The hostile socket

  /** Opens it, with rings of random sizes. */
  async openHostile(): Promise<HostileSocket> {
    const random = this.#random;
    const mode = this.#mode;
    const version = versionOf(mode);
    const socket = await this.#kernel.socket(version);
    const framed = version === 'v4' || version === 'xdp';
    if (framed) await socket.registerMemory(this.memory);
    const size = () => 2 ** random.between(3, 9);
    const sizes = framed
      ? { receive: size(), transmit: random.oneIn(8) ? 0 : size(), fill: size(), completion: size() }
      : { receive: version === 'v2' ? size() : random.between(1, 8), transmit: random.between(1, 200) };
    await socket.createRings({
      ...sizes,
      frameSize: 2048,
      blockSize: version === 'v3' ? 2 ** random.between(12, 16) : 4096,
      retireMilliseconds: 1,
    });
    const maps = await socket.map();
    await socket.bind({
      interface: 'near',
      ...(mode.endsWith('-zc') || mode === 'xdp-copy' ? { queue: 0 } : {}),
      mode,
      receive: mode === 'xdp-copy' ? [{ protocol: 'udp', port: HOSTILE_PORT }] : this.#hostileReceive(),
      segments: random.oneIn(2) || this.memory.frameSize < 2048 + 256,
    });
    return { socket, means: { version, maps, memory: this.memory, targets: this.#targets(maps) } };
  }

  #hostileReceive(): Receive {
    return this.#random.oneIn(4) ? 'none' : 'all';
  }

  /** Rules that leave the neighbour its packets: who may steer may steer anything, as on a real machine. */
  hostileRules(): Receive {
    const random = this.#random;
    if (this.#mode !== 'xdp-copy' && random.oneIn(2)) return this.#hostileReceive();
    return Array.from({ length: random.between(1, 5) }, () => ({
      protocol: random.pick(['udp', 'tcp'] as const),
      destinationPort: random.oneIn(2) ? random.between(0, 7000) : ([7002, random.between(7002, 65535)] as const),
      ...(random.oneIn(2) && { source: `10.${random.below(256)}.0.0/${random.between(0, 16)}` }),
      ...(random.oneIn(4) && { vlan: random.below(4095) }),
    }));
  }

  #targets(maps: SocketMaps): number[] {
    const { buffer } = this.neighbour;
    const frames = [0, 1, buffer.frames - 1].map((frame) => buffer.base + frame * buffer.frameSize + 256);
    const around = [this.memory.base - 64, this.memory.base + this.memory.frames * this.memory.frameSize];
    const ring = maps.receive ?? maps.transmit;
    return [...frames, ...around, ring?.base ?? 0, 0, 4096, this.#arena.u8.length - 64];
  }

  // Honest traffic

  /** Sends `count` numbered packets to the neighbour, and as many to the hostile socket. */
  send(count: number): void {
    const batch = this.#batch;
    const { bytes } = this.sender;
    assert.equal(this.sender.allocate(batch, count), count, 'the sender has no frames left');
    for (let i = 0; i < count; i++) {
      // One flow, so that the device keeps its order.
      batch.size[i] = writeNumbered(bytes, batch.offset[i]!, this.#sent + i, [1024, NEIGHBOUR_PORT]);
    }
    assert.equal(this.sender.send(batch), count, 'the sender cannot send');
    this.#sent += count;
    this.observer.allocate(batch, count);
    for (let i = 0; i < batch.length; i++) {
      // Many flows, so that they spread over all queues.
      batch.size[i] = writeNumbered(bytes, batch.offset[i]!, i, [this.#random.between(1024, 6000), HOSTILE_PORT]);
    }
    this.observer.send(batch);
    this.observer.release(batch);
  }

  /** Takes what the neighbour has got, checks it, and gives or sends it back. Returns whether it has everything sent so far. */
  receive(): boolean {
    const batch = this.#batch;
    const { neighbour } = this;
    while (neighbour.receive(batch) > 0) {
      for (let i = 0; i < batch.length; i++) {
        // On a veth pair a queue in zero-copy gets what others keep away from theirs.
        if (!isForNeighbour(neighbour.bytes, batch.offset[i]!)) continue;
        checkNumbered(neighbour.bytes, batch.offset[i]!, batch.size[i]!, this.#received++);
      }
      if (this.#random.oneIn(3)) neighbour.send(batch);
      neighbour.release(batch);
    }
    return this.#received === this.#sent;
  }

  get received(): number {
    return this.#received;
  }

  /** Looks at everything that arrived at the far end. */
  observe(): void {
    const batch = this.#batch;
    const { observer } = this;
    while (observer.receive(batch) > 0) {
      this.observed += batch.length;
      for (let i = 0; i < batch.length; i++) {
        assert.ok(!hasCanary(observer.bytes, batch.offset[i]!, batch.size[i]!), 'bytes that are not its own were sent');
      }
      observer.release(batch);
    }
  }

  /**
   * After the hostile socket has gone: an ordinary socket gets everything again that was for it.
   * @param advance lets the kernel work for a while
   */
  async checkAftermath(advance: () => void | Promise<void>): Promise<void> {
    const { arena, random } = { arena: this.#arena, random: this.#random };
    const heir = await openSocket({
      kernel: this.#kernel,
      interface: 'near',
      mode: 'v4',
      ring: 128,
      buffer: { arena, frames: 256 },
      receive: [{ protocol: 'udp', port: HOSTILE_PORT }],
    });
    const batch = new PacketBatch(64);
    this.observer.allocate(batch, 64);
    const count = batch.length;
    for (let i = 0; i < count; i++) {
      batch.size[i] = writeNumbered(heir.bytes, batch.offset[i]!, i, [random.between(1024, 6000), HOSTILE_PORT]);
    }
    assert.equal(this.observer.send(batch), count);
    let got = 0;
    for (let tries = 0; tries < 100 && got < count; tries++) {
      await advance();
      got += heir.receive(batch);
      heir.release(batch);
    }
    assert.equal(got, count, 'packets that were the hostile socket’s are not delivered any more');
    await heir.close();
  }

  /** Closes the honest sockets; every frame of theirs must be back. */
  async close(): Promise<void> {
    await this.neighbour.close();
    await this.sender.close();
    await this.observer.close();
    for (const buffer of this.#buffers) {
      const { frames, sendFrames } = buffer;
      assert.equal(buffer.free('receive'), frames - sendFrames, 'frames for receiving are missing');
      assert.equal(buffer.free('send'), sendFrames, 'frames for sending are missing');
      buffer.close();
    }
    this.canaries.check();
    for (const region of this.#regions) this.#arena.free(region);
  }
}

export function versionOf(mode: Mode): PacketVersion {
  if (mode.startsWith('v4')) return 'v4';
  return mode.startsWith('xdp') ? 'xdp' : (mode as 'v2' | 'v3');
}
