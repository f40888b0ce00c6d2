import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Arena } from '../../src/arena/arena.js';
import { nodeThreads } from '../../src/host/node-threads.js';
import type { Mode, PacketVersion } from '../../src/kernel/contract.js';
import { PacketBatch } from '../../src/ring/packet-batch.js';
import { openSocket } from '../../src/socket/open-socket.js';
import type { PacketSocket } from '../../src/socket/packet-socket.js';
import { SoftKernel } from '../../src/soft-kernel/soft-kernel.js';
import type { SoftSystem } from '../../src/soft-kernel/system.js';
import { ThreadedSoftKernel } from '../../src/soft-kernel/thread/threaded-kernel.js';
import { flowAddress } from '../../src/wire/traffic.js';

// Applications that break no rule of the rings and yet leave nothing for others: they keep what they get, and post what they can.

const FLOWS = 8;
const PACKETS = 1024;

/** IPv4 identification: the number of a generated packet. */
function numberOf(u8: Uint8Array, offset: number): number {
  return (u8[offset + 18]! << 8) | u8[offset + 19]!;
}

/** Checks that a socket gets every `step`-th generated packet, in order. */
class Sequence {
  received = 0;
  readonly #batch = new PacketBatch(64);
  #next: number;

  constructor(
    private readonly socket: PacketSocket,
    first: number,
    private readonly step: number,
  ) {
    this.#next = first;
  }

  take(): void {
    const { socket } = this;
    const batch = this.#batch;
    // Not until there is nothing: each `receive` lets the kernel and its generator go on.
    for (let i = 0; i < 4 && socket.receive(batch) > 0; i++) {
      for (let i = 0; i < batch.length; i++) {
        assert.equal(numberOf(socket.bytes, batch.offset[i]!), this.#next, `after ${this.received} packets`);
        this.#next = (this.#next + this.step) % PACKETS;
        this.received++;
      }
      socket.release(batch);
    }
  }
}

describe('a socket that never returns frames', () => {
  const generator = { kind: 'generator', flows: FLOWS, packets: PACKETS } as const;

  for (const mode of ['v4-zc', 'xdp-zc'] as const) {
    for (const packetsPerSecond of [undefined, 2e7]) {
      const pace = packetsPerSecond === undefined ? 'as fast as they can be sent' : 'at a rate';
      test(`${mode}: another queue of the device loses nothing, packets come ${pace}`, async () => {
        await using kernel = new SoftKernel({ arena: Arena.create(2 ** 26) });
        await kernel.addNic({
          name: 'near',
          queues: 2,
          wire: { ...generator, ...(packetsPerSecond && { packetsPerSecond }) },
        });
        await kernel.setLink('near', false);
        const common = { kernel, interface: 'near', mode, buffer: { frames: 1024 }, ring: 512 } as const;
        await using greedy = await openSocket({ ...common, queue: 0, receive: 'all' });
        await using neighbour = await openSocket({ ...common, queue: 1, receive: [{ source: flowAddress(3) }] });
        await kernel.setLink('near', true);
        const sequence = new Sequence(neighbour, 3, FLOWS);
        const batch = new PacketBatch(64);
        for (let i = 0; i < 3000; i++) {
          kernel.run(1);
          sequence.take();
          greedy.receive(batch);
          batch.length = 0; // never given back
        }
        assert.ok(sequence.received > 1000, `the neighbour got ${sequence.received} packets`);
        const { rx_queue_0_drops: drops } = await kernel.deviceStatistics('near');
        assert.ok(drops! > 1000, 'it is the greedy one that loses');
      });
    }
  }

  for (const mode of ['v4', 'xdp-copy', 'v3', 'v2'] as const) {
    test(`${mode}: others that get copies lose nothing`, async () => {
      await using kernel = new SoftKernel({ arena: Arena.create(2 ** 26) });
      await kernel.addNic({ name: 'near', wire: generator });
      await kernel.setLink('near', false);
      const common = { kernel, interface: 'near', buffer: { frames: 1024 }, ring: 512 } as const;
      const everything = mode === 'xdp-copy' ? [{ source: flowAddress(0) }] : 'all';
      await using greedy = await openSocket({ ...common, mode, receive: everything });
      const neighbours = await Promise.all(
        (['v4', 'v3', 'v2'] as const).map((one) =>
          openSocket({ ...common, mode: one, receive: [{ source: flowAddress(3) }] }),
        ),
      );
      await kernel.setLink('near', true);
      const sequences = neighbours.map((neighbour) => new Sequence(neighbour, 3, FLOWS));
      const batch = new PacketBatch(64);
      for (let i = 0; i < 2000; i++) {
        kernel.run(1);
        for (const sequence of sequences) sequence.take();
        greedy.receive(batch);
        batch.length = 0;
      }
      for (const { received } of sequences) assert.ok(received > 1000, `a neighbour got ${received} packets`);
      for (const neighbour of neighbours) await neighbour.close();
    });
  }
});

describe('a socket that always has more to send', () => {
  async function shares(kernel: SoftSystem, mode: Mode, rounds: (send: () => void) => Promise<void>): Promise<void> {
    await kernel.addNic({ name: 'near' });
    const common = { kernel, interface: 'near', mode, receive: 'none', ring: 1024, buffer: { frames: 2048 } } as const;
    // Several: the kernel takes no more than 256 packets of one socket at a time.
    const greedy = [await openSocket(common), await openSocket(common), await openSocket(common)];
    const neighbour = await openSocket(common);
    const batches = [new PacketBatch(1024), new PacketBatch(1024), new PacketBatch(1024), new PacketBatch(16)];
    await rounds(() => {
      for (const [i, socket] of [...greedy, neighbour].entries()) {
        const batch = batches[i]!;
        if (batch.length === 0) socket.allocate(batch);
        batch.size.fill(60, 0, batch.length);
        socket.send(batch);
      }
    });
    const most = (await greedy[0]!.statistics()).kernelSent;
    const some = (await neighbour.statistics()).kernelSent;
    assert.ok(some > 0.1 * most, `the neighbour sent ${some} packets, a greedy socket ${most}`);
    for (const socket of greedy) await socket.close();
    await neighbour.close();
    await kernel.close();
  }

  test('who comes first does not take all that the device has room for, in every step', async () => {
    const kernel = new SoftKernel({ arena: Arena.create(2 ** 26) });
    await shares(kernel, 'v4', async (send) => {
      // As the loop of a kernel thread serves busy sockets.
      for (let i = 0; i < 4; i++) kernel.active.push(kernel.socketNumber(i)!);
      for (const socket of kernel.active) socket.setWake(false);
      for (let i = 0; i < 500; i++) {
        send();
        kernel.step();
      }
    });
  });

  for (const mode of ['v4', 'v2'] as const) {
    test(`${mode}: leaves others their share, kernel in the same thread`, async () => {
      await shares(new SoftKernel({ arena: Arena.create(2 ** 26) }), mode, async (send) => {
        for (let i = 0; i < 2000; i++) send();
      });
    });
    test(`${mode}: leaves others their share, kernel on its own thread`, async () => {
      const kernel = new ThreadedSoftKernel({
        host: nodeThreads(),
        arena: Arena.create(2 ** 26),
        kernelBytes: 2 ** 24,
      });
      await shares(kernel, mode, async (send) => {
        for (const end = performance.now() + 300; performance.now() < end; ) send();
      });
    });
  }
});

describe('rings full of invalid descriptors', () => {
  const RING = 65536;
  const FRAME = 2048;
  const versions: readonly [PacketVersion, Mode][] = [
    ['v4', 'v4-zc'],
    ['v4', 'v4'],
    ['xdp', 'xdp-zc'],
    ['xdp', 'xdp-copy'],
    ['v2', 'v2'],
    ['v3', 'v3'],
  ];
  for (const [version, mode] of versions) {
    test(`${mode}: a step refuses so many and no more`, async () => {
      const arena = Arena.create(2 ** 28);
      await using kernel = new SoftKernel({ arena });
      await kernel.addNic({ name: 'near' });
      const socket = await kernel.socket(version);
      const region = arena.allocate(64 * FRAME, FRAME);
      if (version === 'v4' || version === 'xdp') {
        await socket.registerMemory({ base: region.offset, frames: 64, frameSize: FRAME, headroom: 0 });
      }
      const slots = version === 'v2' || version === 'v3';
      await socket.createRings({ receive: slots ? 0 : RING, transmit: RING, frameSize: FRAME });
      const { receive, transmit, fill } = await socket.map();
      await socket.bind({
        interface: 'near',
        queue: 0,
        mode,
        receive: slots || mode === 'xdp-copy' ? 'none' : 'all',
        segments: false,
      });
      const { i32 } = arena;
      for (const ring of [receive, transmit, fill]) {
        if (ring === undefined) continue;
        // Every word -1: kernel-owned where that is a sign, and no valid anything. V2 and V3: asked to send -1 bytes.
        i32.fill(-1, ring.base >> 2, (ring.base + ring.entries * ring.entryBytes) >> 2);
        for (let i = 0; slots && i < RING; i++) {
          const header = (ring.base + i * ring.entryBytes) >> 2;
          i32[header + (version === 'v2' ? 0 : 5)] = 1;
        }
        if (ring.producer !== undefined) i32[ring.producer >> 2] = RING;
      }
      let before = 0;
      let refused = 0;
      for (let step = 0; step < 20; step++) {
        socket.kick('transmit');
        socket.kick('receive');
        const { drops } = await socket.statistics();
        refused = drops['invalid-descriptor']! - before;
        before += refused;
        assert.ok(refused < 4 * (512 + 256), `${refused} descriptors refused at once`);
      }
      assert.ok(before > 1000, 'it goes on refusing');
      await socket.close();
    });
  }
});
