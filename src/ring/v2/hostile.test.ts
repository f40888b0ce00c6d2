import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { PacketArray } from '../../packet-array/packet-array.js';
import { PacketBatch } from '../packet-batch.js';
import { packetOf, RingPair, random, SLOT_VERSIONS, type SlotVersion } from './ring-pair.test-support.js';

/** Words that hurt: states, sizes around the limits, signs. */
const NASTY = [
  0,
  1,
  2,
  3,
  4,
  5,
  0x21,
  13,
  14,
  48,
  50,
  56,
  64,
  1514,
  2000,
  2048,
  4090,
  4096,
  65535,
  65536,
  -1,
  -64,
  2 ** 31 - 1,
  -(2 ** 31),
];

/** Words of headers, so that scribbling hits them often. */
function headerWord(pair: RingPair, next: () => number): number {
  const ring = next() < 0.5 ? pair.maps.receive! : pair.maps.transmit!;
  const entry = ring.base + Math.floor(next() * ring.entries) * ring.entryBytes;
  return (entry + Math.floor(next() * (next() < 0.7 ? 9 : 40)) * 4) >> 2;
}

function scribble(pair: RingPair, next: () => number): void {
  const { i32 } = pair.arena;
  const { base } = pair.maps.receive!;
  const anywhere = (base >> 2) + Math.floor(next() * ((pair.region.offset + pair.region.bytes - base) >> 2));
  const at = next() < 0.8 ? headerWord(pair, next) : anywhere;
  i32[at] = next() < 0.7 ? NASTY[Math.floor(next() * NASTY.length)]! : Math.floor(next() * 2 ** 32);
}

/** Everything that neither side may ever write: the arena without rings, packet buffer and the kernel's and user's scratch. */
class Guard {
  readonly #before: Uint8Array;
  constructor(
    private readonly pair: RingPair,
    private readonly free: { offset: number; bytes: number },
  ) {
    pair.arena.u8.fill(0xa5, free.offset, free.offset + free.bytes);
    this.#before = pair.arena.u8.slice(free.offset, free.offset + free.bytes);
  }
  check(): void {
    const { offset, bytes } = this.free;
    assert.equal(Buffer.compare(this.#before, this.pair.arena.u8.slice(offset, offset + bytes)), 0);
  }
}

function makePair(version: SlotVersion): { pair: RingPair; guard: Guard } {
  const pair = new RingPair({ version, outcomes: version === 'v2', frames: 8 });
  const guard = new Guard(pair, pair.arena.allocate(2 ** 20));
  return { pair, guard };
}

/** One step of the kernel: it must never see a packet outside the TX ring. */
function kernelStep(pair: RingPair, next: () => number, outgoing: PacketArray): void {
  const { kernel } = pair;
  pair.deliver(Array.from({ length: 1 + Math.floor(next() * 3) }, () => packetOf(1, 14 + Math.floor(next() * 3000))));
  kernel.tick(Math.floor(next() * 1e7));
  const ring = pair.maps.transmit!;
  kernel.transmitPosted();
  kernel.transmit!.populate(outgoing, Math.floor(next() * 20));
  while (outgoing.outstanding > 0 && next() < 0.9) {
    const at = outgoing.current & outgoing.mask;
    const within = outgoing.address[at]! - ring.base;
    const length = outgoing.length[at]!;
    assert.ok(within >= 0 && length >= 14 && length <= 1514);
    assert.ok((within % ring.entryBytes) + length <= ring.entryBytes && within < ring.entries * ring.entryBytes);
    outgoing.advance(1);
  }
  kernel.transmit!.flush(outgoing, outgoing.done);
}

/** One call of the user side, whatever was done to its rings. */
function userStep(pair: RingPair, next: () => number, batch: PacketBatch, held: number[]): void {
  const { user, buffer } = pair;
  const what = next();
  batch.length = 0;
  if (what < 0.4) {
    user.receive(batch);
    const { offset, bytes } = pair.region;
    for (let i = 0; i < batch.length; i++) {
      const [at, size] = [batch.offset[i]!, batch.size[i]!];
      const inRing = at >= offset && at + size <= offset + bytes;
      const inBuffer = buffer.contains(at) && size <= buffer.frameSize - (at & (buffer.frameSize - 1));
      assert.ok(size >= 0 && (inRing || inBuffer));
    }
    if (next() < 0.3) user.hold(batch);
    if (next() < 0.5) user.send(batch);
  } else if (what < 0.6) {
    user.allocate(batch, 4);
    for (let i = 0; i < batch.length; i++) batch.size[i] = 64;
    if (next() < 0.7) user.send(batch);
  } else if (what < 0.8) {
    user.completions(batch);
  } else {
    user.readable();
    user.writable();
  }
  for (let i = 0; i < batch.length; i++) held.push(batch.offset[i]!);
  while (held.length > 10) {
    batch.length = 1;
    batch.offset[0] = held.splice(Math.floor(next() * held.length), 1)[0]!;
    if (next() < 0.2) user.hold(batch);
    user.release(batch);
  }
}

/** A hostile application posts everything and takes everything back, so that the kernel goes on. */
function keepGoing(pair: RingPair, version: SlotVersion, next: () => number): void {
  const { i32 } = pair.arena;
  const { receive, transmit } = pair.maps;
  const [receiveStatus, status, length, nextOffset] = version === 'v2' ? [0, 0, 4, 8] : [8, 20, 16, 0];
  for (let entry = 0; entry < receive!.entries; entry++) {
    if (next() < 0.8) i32[(receive!.base + entry * receive!.entryBytes + receiveStatus) >> 2] = 0;
  }
  for (let entry = 0; entry < transmit!.entries; entry++) {
    const slot = transmit!.base + entry * transmit!.entryBytes;
    i32[(slot + length) >> 2] =
      next() < 0.9 ? 60 + Math.floor(next() * 100) : NASTY[Math.floor(next() * NASTY.length)]!;
    if (next() < 0.8) i32[(slot + nextOffset) >> 2] = 0;
    if (next() < 0.8) i32[(slot + status) >> 2] = 1;
  }
}

for (const version of SLOT_VERSIONS) {
  describe(`hostile writing into the rings of ${version}`, () => {
    test('the kernel never throws, hangs, or goes outside the rings', () => {
      for (let seed = 1; seed <= 4; seed++) {
        const { pair, guard } = makePair(version);
        const next = random(seed);
        const outgoing = new PacketArray(8);
        for (let round = 0; round < 5000; round++) {
          for (let i = Math.floor(next() * 4); i > 0; i--) scribble(pair, next);
          if (next() < 0.3) keepGoing(pair, version, next);
          kernelStep(pair, next, outgoing);
        }
        guard.check();
        const { received, sent, invalidDescriptor } = pair.kernel.counters;
        assert.ok(
          received > 1000 && sent > 1000 && invalidDescriptor > 300,
          `${received} ${sent} ${invalidDescriptor}`,
        );
      }
    });

    test('nor does the user side, and every frame comes back', () => {
      let received = 0;
      let invalid = 0;
      for (let seed = 1; seed <= 100; seed++) {
        const { pair, guard } = makePair(version);
        const next = random(seed);
        const outgoing = new PacketArray(8);
        const batch = new PacketBatch(8);
        const held: number[] = [];
        for (let round = 0; round < 60; round++) {
          kernelStep(pair, next, outgoing);
          pair.retire();
          for (let i = Math.floor(next() * 6); i > 0; i--) scribble(pair, next);
          userStep(pair, next, batch, held);
        }
        guard.check();
        for (const offset of held) {
          batch.offset[0] = offset;
          batch.length = 1;
          pair.user.release(batch);
        }
        assert.equal(pair.buffer.free('receive'), 4);
        received += pair.user.counters.received;
        invalid += pair.user.counters.invalid;
      }
      assert.ok(received > 500 && invalid > 20, `${received} ${invalid}`);
    });

    test('nor does the kernel when another thread writes while it works', async () => {
      const { pair, guard } = makePair(version);
      const next = random(99);
      const outgoing = new PacketArray(8);
      const worker = new Worker(
        `const { memory, from, to, nasty, base, step, entries } = require('node:worker_threads').workerData;
         const words = new Int32Array(memory.buffer);
         for (let i = 0; ; i++) {
           const entry = (base + (i % entries) * step) >> 2;
           words[entry + ((i * 7) % 24)] = nasty[(i * 13) % nasty.length];
           words[from + ((i * 40503) % (to - from))] = i;
         }`,
        {
          eval: true,
          workerData: {
            memory: pair.arena.memory,
            from: pair.maps.receive!.base >> 2,
            to: (pair.region.offset + pair.region.bytes) >> 2,
            nasty: NASTY,
            base: pair.maps.receive!.base,
            step: version === 'v2' ? 2048 : 4096,
            entries: version === 'v2' ? 20 : 8,
          },
        },
      );
      await new Promise((resolve) => worker.once('online', resolve));
      const end = Date.now() + 300;
      while (Date.now() < end) for (let i = 0; i < 100; i++) kernelStep(pair, next, outgoing);
      await worker.terminate();
      guard.check();
    });
  });
}
