import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Arena } from '../../src/arena/arena.js';
import { PacketError } from '../../src/errors.js';
import { nodeThreads } from '../../src/host/node-threads.js';
import type { BindRequest, KernelSocket, PacketVersion, RingRequest } from '../../src/kernel/contract.js';
import { PacketBuffer } from '../../src/packet-buffer/packet-buffer.js';
import { PacketBatch } from '../../src/ring/packet-batch.js';
import { openSocket } from '../../src/socket/open-socket.js';
import type { NicOptions } from '../../src/soft-kernel/nic-options.js';
import { SoftKernel } from '../../src/soft-kernel/soft-kernel.js';
import type { SoftSystem } from '../../src/soft-kernel/system.js';
import { ThreadedSoftKernel } from '../../src/soft-kernel/thread/threaded-kernel.js';
import { Random } from '../support/random.js';
import { fuzz } from './fuzzing.js';

// Bad arguments in every call of the kernel contract: refused with a PacketError, and nothing else happens.

/** Values that can be posted to a kernel thread. */
const PLAIN: readonly unknown[] = [
  undefined,
  null,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  -1,
  -0,
  0,
  0.5,
  1,
  64,
  2048,
  4096,
  65536,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  1e308,
  '',
  '0',
  '1',
  '64',
  'all',
  'near',
  'constructor',
  '__proto__',
  'toString',
  'length',
  true,
  10n,
  [],
  [0],
  {},
  { length: 3 },
  new Uint8Array(4),
  new Map(),
  new Date(0),
];

const TRAP = 'from the caller’s own getter';

/** Values that only a caller in the same thread can pass. */
const TREACHEROUS: readonly (() => unknown)[] = [
  () => () => 1,
  () => Symbol('s'),
  () => ({
    get frames() {
      throw new Error(TRAP);
    },
    get receive() {
      throw new Error(TRAP);
    },
  }),
  () =>
    new Proxy(
      {},
      {
        get() {
          throw new Error(TRAP);
        },
      },
    ),
  () => ({ valueOf: () => 64, toString: () => '64', [Symbol.toPrimitive]: () => 64 }),
];

class Values {
  constructor(
    private readonly random: Random,
    private readonly inline: boolean,
  ) {}

  any(): unknown {
    const { random } = this;
    if (this.inline && random.oneIn(4)) return random.pick(TREACHEROUS)();
    return random.pick(PLAIN);
  }

  /** A good request with some of its fields spoilt, or no request at all. */
  spoil<T extends object>(good: T, mayChange = this.inline): T {
    const { random } = this;
    if (random.oneIn(6)) return this.any() as T;
    const spoilt = { ...good } as Record<string, unknown>;
    const fields = Object.keys(good);
    for (let i = random.below(3); i >= 0; i--) spoilt[random.pick(fields)] = this.any();
    if (mayChange && random.oneIn(8)) return changing(good, this.any()) as T;
    return spoilt as T;
  }

  /** The same with numbers and texts only. */
  spoilScalars(good: object): object {
    const { random } = this;
    const scalars = PLAIN.filter((value) => typeof value === 'number' || typeof value === 'string');
    return { ...good, [random.pick(Object.keys(good))]: random.pick(scalars) };
  }
}

/** An object whose fields are good when looked at first, and something else ever after. */
function changing(good: object, later: unknown): object {
  const result = {};
  for (const [name, value] of Object.entries(good)) {
    let looks = 0;
    Object.defineProperty(result, name, { enumerable: true, get: () => (looks++ === 0 ? value : later) });
  }
  return result;
}

/** A call may be refused, but only as the contract says. Returns whether it was granted. */
async function refusedProperly(call: () => Promise<unknown>): Promise<boolean> {
  try {
    await call();
    return true;
  } catch (error) {
    if (error instanceof PacketError) return false;
    if (error instanceof Error && error.message === TRAP) return false; // its own
    throw new Error(`not a PacketError: ${error instanceof Error ? error.stack : String(error)}`);
  }
}

const VERSIONS: readonly PacketVersion[] = ['v4', 'xdp', 'v2', 'v3'];

function goodRings(version: PacketVersion): RingRequest {
  if (version === 'v4') return { receive: 64, transmit: 64 };
  if (version === 'xdp') return { receive: 64, transmit: 64, fill: 64, completion: 64 };
  return { receive: 8, transmit: 8, frameSize: 2048, blockSize: 16384, retireMilliseconds: 1 };
}

function goodBind(version: PacketVersion, random: Random): BindRequest {
  const zeroCopy = random.oneIn(2);
  const mode =
    version === 'v4' ? (zeroCopy ? 'v4-zc' : 'v4') : version === 'xdp' ? (zeroCopy ? 'xdp-zc' : 'xdp-copy') : version;
  const receive = random.oneIn(2)
    ? 'all'
    : [{ protocol: 'udp', port: [random.between(100, 200), 300] } as const, { source: '10.0.0.0/8' }];
  return { interface: 'near', queue: 0, mode, receive, segments: true };
}

const STRANGE_RULES: readonly unknown[] = [
  'everything',
  '',
  [],
  [{}],
  [null],
  [undefined],
  [[]],
  ['all'],
  [{ port: [5, 1] }],
  [{ port: 65536 }],
  [{ port: '80' }],
  [{ source: '10.0.0.1/33' }],
  [{ source: 7 }],
  [{ vlan: -1 }],
  [{ nonsense: 1 }],
  [{ protocol: 'icmp', port: 1 }],
  [{ etherType: 0x8100 }],
  { 0: { port: 1 }, length: 1 },
  Array.from({ length: 200 }, () => ({
    address: '10.0.0.0/8',
    sourcePort: [1, 65534],
    destinationPort: [1, 65534],
    port: [1, 65534],
  })),
  Array.from({ length: 3000 }, (_, i) => ({ destinationPort: i, source: `10.${i & 255}.0.0/${i % 17}` })),
];

/** One hostile control program: all calls, in all orders, with anything. */
async function abuse(kernel: SoftSystem, values: Values, random: Random, buffer: PacketBuffer): Promise<void> {
  const { base, frames, frameSize, headroom } = buffer;
  const memory = { base, frames, frameSize, headroom };
  const sockets: KernelSocket[] = [];
  for (let i = 0; i < 60; i++) {
    const version = random.pick(VERSIONS);
    await refusedProperly(() => kernel.socket(values.any() as PacketVersion));
    const socket = await kernel.socket(version);
    sockets.push(socket);
    const spoil = <T extends object>(good: T): T => (random.oneIn(3) ? values.spoil(good) : good);
    const steps: (() => Promise<unknown>)[] = [
      () => socket.registerMemory(spoil(memory)),
      () => socket.createRings(spoil(goodRings(version))),
      () => socket.map(),
      () => socket.bind(spoil(goodBind(version, random))),
    ];
    for (let at = 0; at < steps.length; at++) {
      if (random.oneIn(10)) random.shuffle(steps);
      await refusedProperly(steps[at]!);
    }
    for (let calls = random.below(6); calls > 0; calls--) {
      await refusedProperly(
        random.pick([
          () => socket.steer(random.pick(STRANGE_RULES) as 'all'),
          () => socket.steer(values.any() as 'all'),
          () => socket.steer(goodBind(version, random).receive),
          () => socket.statistics(),
          () =>
            socket.wait(() => false, { timeoutMilliseconds: random.pick([0, -1, Number.NaN, '5', -Infinity]) as 0 }),
          () => socket.unbind(),
          () => kernel.setLink(values.any() as string, values.any() as boolean),
          () => kernel.setStuck(random.oneIn(2) ? 'far' : (values.any() as string), values.any() as number, false),
          () => kernel.deviceStatistics(values.any() as string),
          () => kernel.stackStatistics(values.any() as string),
        ]),
      );
    }
    if (random.oneIn(2)) await random.pick(sockets).close();
  }
  for (const socket of sockets) {
    await socket.close();
    if (random.oneIn(4)) await socket.close();
  }
  await kernel.setLink('near', true); // it may have been taken down properly
}

/** The neighbour's queue works as if nothing had happened. */
async function checkNeighbour(kernel: SoftSystem, advance: () => void): Promise<void> {
  const far = await openSocket({
    kernel,
    interface: 'far',
    receive: 'none',
    mode: 'v4',
    ring: 64,
    buffer: { frames: 128 },
  });
  const near = await openSocket({
    kernel,
    interface: 'near',
    receive: 'all',
    mode: 'v4',
    ring: 64,
    buffer: { frames: 128 },
  });
  const batch = new PacketBatch(32);
  far.allocate(batch, 32);
  for (let i = 0; i < 32; i++) {
    far.bytes.fill(i, batch.offset[i]!, batch.offset[i]! + 100);
    batch.size[i] = 100;
  }
  assert.equal(far.send(batch), 32);
  let seen = 0;
  for (const end = performance.now() + 5000; seen < 32 && performance.now() < end; ) {
    advance();
    const count = near.receive(batch);
    for (let i = 0; i < count; i++) assert.equal(near.bytes[batch.offset[i]! + 99], seen++);
    near.release(batch);
    if (count === 0) await near.wait({ timeoutMilliseconds: 10 });
  }
  assert.equal(seen, 32, 'packets are not delivered any more');
  await far.close();
  await near.close();
}

async function addDevices(kernel: SoftSystem): Promise<void> {
  const wire = { kind: 'patch', cable: 'between' } as const;
  await kernel.addNic({ name: 'near', queues: 2, wire });
  await kernel.addNic({ name: 'far', wire });
}

describe('a hostile control plane', () => {
  fuzz('bad arguments in every call, kernel in the same thread', 8, async (seed) => {
    const random = new Random(seed);
    const arena = Arena.create(2 ** 26);
    const free = arena.freeBytes;
    const kernel = new SoftKernel({ arena });
    await addDevices(kernel);
    const buffer = PacketBuffer.create({ arena, frames: 64 });
    await checkNeighbour(kernel, () => kernel.run(1));
    const between = arena.freeBytes;
    const outstanding = kernel.pool.outstanding;
    await abuse(kernel, new Values(random, true), random, buffer);
    kernel.run(10);
    await checkNeighbour(kernel, () => kernel.run(1));
    assert.equal(
      kernel.pool.outstanding - outstanding,
      0,
      `${kernel.pool.outstanding - outstanding} frames of the page pool are missing`,
    );
    assert.equal(arena.freeBytes, between, 'memory was not given back');
    await kernel.close();
    buffer.close();
    assert.equal(arena.freeBytes, free, 'memory was not given back');
  });

  fuzz('devices with bad options are not made, or made whole', 4, async (seed) => {
    const random = new Random(seed);
    const values = new Values(random, true);
    const arena = Arena.create(2 ** 26);
    const kernel = new SoftKernel({ arena });
    const free = arena.freeBytes;
    for (let i = 0; i < 300; i++) {
      const before = arena.freeBytes;
      const devices = (await kernel.interfaces()).length;
      const name = `nic${i}`;
      const wire = random.pick([
        () => ({ kind: 'generator', size: 64, packets: 16, flows: 4, burst: 1, seed: 3, port: 9 }),
        () => ({ kind: 'patch', cable: name, bytes: 8192, latencyNanoseconds: 5 }),
        () => ({ kind: 'record', wire: { kind: 'none' }, bytes: 8192 }),
        () => ({ kind: 'fault', wire: { kind: 'generator', packets: 16 }, seed: 4 }),
      ])();
      const nic = { name, queues: 2, ring: 64, mtu: 1500, rules: 8, moderation: { packets: 2, nanoseconds: 100 } };
      // Who makes devices is trusted not to change options behind the kernel's back, but makes mistakes.
      const options = values.spoil({ ...nic, wire: random.oneIn(2) ? values.spoilScalars(wire) : wire }, false);
      const veth = values.spoil({ names: [`${name}a`, `${name}b`], queues: 2, mtu: [1500, 1400] }, false);
      const made = await refusedProperly(() =>
        random.oneIn(3) ? kernel.addVeth(veth as never) : kernel.addNic(options as unknown as NicOptions),
      );
      if (made) continue;
      assert.equal((await kernel.interfaces()).length, devices);
      // The page pool may have grown; it shrinks with the kernel.
      assert.ok((before - arena.freeBytes) % 2 ** 21 === 0, `options left memory behind: ${before - arena.freeBytes}`);
    }
    kernel.run(20);
    await kernel.close();
    assert.equal(arena.freeBytes, free + 4096, 'memory was not given back');
  });

  fuzz('bad arguments in every call, kernel on its own thread', 2, async (seed) => {
    const random = new Random(seed);
    const arena = Arena.create(2 ** 26);
    const free = arena.freeBytes;
    const kernel = new ThreadedSoftKernel({ host: nodeThreads(), arena, kernelBytes: 2 ** 24 });
    await addDevices(kernel);
    const buffer = PacketBuffer.create({ arena, frames: 64 });
    await abuse(kernel, new Values(random, false), random, buffer);
    await checkNeighbour(kernel, () => {});
    await kernel.close();
    buffer.close();
    assert.equal(arena.freeBytes, free, 'memory was not given back');
  });
});

describe('memory that is not the application’s', () => {
  const registers = async (kernel: SoftSystem, base: number, frames: number, frameSize = 2048) => {
    const socket = await kernel.socket('v4');
    try {
      await socket.registerMemory({ base, frames, frameSize, headroom: 0 });
      return true;
    } catch (error) {
      assert.ok(error instanceof PacketError && error.code === 'INVALID_OPTION', String(error));
      return false;
    } finally {
      if (frames !== 17) await socket.close(); // 17: stays registered
    }
  };

  test('the kernel’s own is refused: rings, page pool, the NIC’s descriptors', async () => {
    const arena = Arena.create(2 ** 26);
    const kernel = new SoftKernel({ arena });
    const firstFree = arena.allocate(4096);
    await kernel.addNic({ name: 'near' });
    const behind = arena.allocate(4096);
    for (let base = firstFree.offset + 4096; base < behind.offset; base += 4096) {
      assert.equal(await registers(kernel, base, 1), false, `page ${base}`);
      assert.equal(await registers(kernel, base, 2, 2048), false);
    }
    assert.equal(await registers(kernel, 4096, Math.floor(arena.u8.length / 2048) - 2), false, 'all of the arena');
    const victim = await kernel.socket('v2');
    await victim.createRings({ receive: 8, transmit: 8, frameSize: 2048 });
    const { receive } = await victim.map();
    assert.equal(await registers(kernel, receive!.base, 8), false, "another socket's rings");
    await kernel.close();
  });

  test('of a packet buffer with other frames, or part of it, is refused; the same again is not', async () => {
    const arena = Arena.create(2 ** 26);
    const kernel = new SoftKernel({ arena });
    const buffer = PacketBuffer.create({ arena, frames: 64 });
    const holder = await kernel.socket('xdp');
    await holder.registerMemory(buffer);
    assert.equal(await registers(kernel, buffer.base, 64), true);
    assert.equal(await registers(kernel, buffer.base, 32), false);
    assert.equal(await registers(kernel, buffer.base + 2048, 63), false);
    assert.equal(await registers(kernel, buffer.base, 32, 4096), false);
    await holder.close();
    assert.equal(await registers(kernel, buffer.base, 32), true);
    await kernel.close();
  });

  test('that nobody has yet is not given to the kernel while it is registered', async () => {
    const arena = Arena.create(2 ** 24);
    const kernel = new SoftKernel({ arena });
    const probe = arena.allocate(17 * 2048, 2048);
    arena.free(probe);
    assert.equal(await registers(kernel, probe.offset, 17), true);
    const regions: number[] = [];
    for (let i = 0; i < 20; i++) {
      const socket = await kernel.socket('v2');
      await socket.createRings({ receive: 8, transmit: 0, frameSize: 2048 });
      regions.push((await socket.map()).receive!.base);
    }
    for (const base of regions) {
      assert.ok(base + 8 * 2048 <= probe.offset || base >= probe.offset + 17 * 2048, 'rings lie in registered memory');
    }
    await kernel.close();
  });
});

test('a queue is a whole number: nothing else gets at a queue that is taken', async () => {
  const arena = Arena.create(2 ** 26);
  await using kernel = new SoftKernel({ arena });
  await kernel.addNic({ name: 'near', queues: 2 });
  const buffer = { frames: 64 };
  const common = { kernel, interface: 'near', mode: 'v4-zc', receive: 'all', ring: 16, buffer } as const;
  await using neighbour = await openSocket({ ...common, queue: 0 });
  assert.equal(neighbour.queue, 0);
  const own = PacketBuffer.create({ arena, frames: 64 });
  for (const queue of ['0', '1', [0], [1], 0.5, Number.NaN, 1.5, '__proto__', 'length', true, 10n, {}, null, -0.5]) {
    const socket = await kernel.socket('v4');
    await socket.registerMemory(own);
    await socket.createRings({ receive: 16, transmit: 16 });
    await socket.map();
    const request = {
      interface: 'near',
      queue: queue as number,
      mode: 'v4-zc',
      receive: 'all',
      segments: false,
    } as const;
    await assert.rejects(socket.bind(request), { code: 'INVALID_OPTION' }, String(queue));
    await socket.close();
  }
});

test('rules without end are refused before time and memory are used up', async () => {
  const arena = Arena.create(2 ** 26);
  await using kernel = new SoftKernel({ arena });
  await kernel.addNic({ name: 'near', queues: 2 });
  await using socket = await openSocket({
    kernel,
    interface: 'near',
    mode: 'v2',
    receive: [{ port: 1 }],
    buffer: { frames: 64 },
  });
  const worst = {
    address: '10.0.0.0/8',
    sourcePort: [1, 65534],
    destinationPort: [1, 65534],
    port: [1, 65534],
  } as const;
  const start = performance.now();
  await assert.rejects(socket.steer(new Array(1_000_000).fill(worst)), { code: 'FLOW_TABLE_FULL' });
  assert.ok(performance.now() - start < 20_000);
});

describe('sockets of a kernel thread', () => {
  test('one that is closed twice, or after another has its number, closes nobody else', async () => {
    await using kernel = new ThreadedSoftKernel({
      host: nodeThreads(),
      arena: Arena.create(2 ** 26),
      kernelBytes: 2 ** 24,
    });
    const first = await kernel.socket('v4');
    await first.unbind();
    const second = await kernel.socket('v2');
    await second.createRings({ receive: 8, transmit: 8 });
    await first.close();
    const third = await kernel.socket('v2');
    await third.createRings({ receive: 8, transmit: 8 });
    await first.close();
    await first.unbind();
    await second.map();
    await third.map();
    await assert.rejects(first.map(), { code: 'SOCKET_CLOSED' });
  });

  test('there are no more of them than the doorbell has bits', async () => {
    await using kernel = new ThreadedSoftKernel({
      host: nodeThreads(),
      arena: Arena.create(2 ** 26),
      kernelBytes: 2 ** 24,
    });
    const sockets = await Promise.all(Array.from({ length: 8192 }, () => kernel.socket('v4')));
    await assert.rejects(kernel.socket('v4'), { code: 'ARENA_EXHAUSTED' });
    await sockets[5000]!.close();
    await kernel.socket('v4');
  });

  test('what cannot be posted is refused', async () => {
    await using kernel = new ThreadedSoftKernel({
      host: nodeThreads(),
      arena: Arena.create(2 ** 26),
      kernelBytes: 2 ** 24,
    });
    await assert.rejects(kernel.addNic({ name: () => 'near' } as unknown as NicOptions), { code: 'INVALID_OPTION' });
    const socket = await kernel.socket('v4');
    await assert.rejects(socket.steer(Symbol('all') as never), { code: 'INVALID_OPTION' });
    await assert.rejects(
      socket.wait(() => false, { timeoutMilliseconds: 1 }),
      { code: 'WRONG_STATE' },
    );
  });
});
