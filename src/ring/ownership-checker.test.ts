import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Random } from '../../test/support/random.js';
import { Arena } from '../arena/arena.js';
import type { Mode } from '../kernel/contract.js';
import { PacketBuffer } from '../packet-buffer/packet-buffer.js';
import { type OpenSocketOptions, openSocket } from '../socket/open-socket.js';
import type { PacketSocket } from '../socket/packet-socket.js';
import { SoftKernel } from '../soft-kernel/soft-kernel.js';
import type { OwnershipViolation } from './ownership-checker.js';
import { PACKET_CONTINUES, PacketBatch } from './packet-batch.js';

const MODES: readonly Mode[] = ['v4-zc', 'v4', 'xdp-zc', 'xdp-copy', 'v3', 'v2'];
const FRAME_MODES: readonly Mode[] = ['v4-zc', 'v4', 'xdp-zc', 'xdp-copy'];
const PACKET_BYTES = 60;

/** A veth pair with a checked socket at each end; what `left` sends, `right` receives. */
class Pair {
  readonly #kernel: SoftKernel;
  readonly left: PacketSocket;
  readonly right: PacketSocket;
  readonly buffer: PacketBuffer;

  private constructor(kernel: SoftKernel, left: PacketSocket, right: PacketSocket, buffer: PacketBuffer) {
    this.#kernel = kernel;
    this.left = left;
    this.right = right;
    this.buffer = buffer;
  }

  static async open(mode: Mode, options: Partial<OpenSocketOptions> = {}): Promise<Pair> {
    const arena = Arena.create(2 ** 26);
    const kernel = new SoftKernel({ arena });
    await kernel.addVeth({ names: ['left', 'right'] });
    const buffer = PacketBuffer.create({ arena, frames: 256 });
    const common = { kernel, mode, buffer, ring: 32, receive: 'all', checkOwnership: true, ...options } as const;
    const left = await openSocket({ ...common, interface: 'left' });
    const right = await openSocket({ ...common, interface: 'right' });
    return new Pair(kernel, left, right, buffer);
  }

  /** Sends numbered packets. */
  send(from: PacketSocket, count: number): void {
    const batch = new PacketBatch(count);
    assert.equal(from.allocate(batch, count), count);
    for (let i = 0; i < count; i++) this.write(batch, i);
    assert.equal(from.send(batch), count);
  }

  write(batch: PacketBatch, i: number): void {
    batch.size[i] = PACKET_BYTES;
    this.left.bytes.fill(i, batch.offset[i]!, batch.offset[i]! + PACKET_BYTES);
  }

  receive(on: PacketSocket, count: number): PacketBatch {
    const batch = new PacketBatch(count);
    for (let tries = 0; tries < 100 && on.receive(batch) === 0; tries++)
      this.#kernel.clock.skipTo(this.#kernel.now + 1e6);
    assert.equal(batch.length, count);
    return batch;
  }

  run(steps = 10): void {
    this.#kernel.run(steps);
  }

  /** Closes everything; returns all that was found. */
  async close(): Promise<OwnershipViolation[]> {
    await this.left.close();
    await this.right.close();
    this.buffer.close();
    await this.#kernel.close();
    return [...this.left.ownership!.violations, ...this.right.ownership!.violations];
  }
}

function theOnly(violations: readonly OwnershipViolation[]): OwnershipViolation {
  assert.equal(violations.length, 1, violations.map(({ message }) => message).join('\n'));
  assert.equal(violations[0]!.code, 'OWNERSHIP');
  return violations[0]!;
}

/** Frame number of an entry, as a program would work it out. */
function frameOf(pair: Pair, offset: number): number {
  return Math.floor((offset - pair.buffer.base) / pair.buffer.frameSize);
}

describe('honest programs raise no alarm', () => {
  for (const mode of MODES) {
    test(`${mode}: receiving, forwarding, holding, releasing out of order`, async () => {
      const pair = await Pair.open(mode);
      const { left, right } = pair;
      for (let round = 0; round < 200; round++) {
        pair.send(left, 8);
        const batch = pair.receive(right, 8);
        if (round % 3 === 0) {
          right.send(batch); // back to where it came from
          left.release(pair.receive(left, 8));
        } else if (round % 3 === 1) {
          const later = new PacketBatch(8);
          for (let i = 7; i >= 0; i--) later.offset[later.length++] = batch.offset[i]!;
          right.release(later);
        } else {
          right.release(batch);
        }
        assert.equal(batch.length === 0 || round % 3 === 1, true);
      }
      assert.deepEqual(await pair.close(), []);
    });

    test(`${mode}: outcomes, and slots or frames given back unsent`, async () => {
      const pair = await Pair.open(mode, { outcomes: true });
      const { left, right } = pair;
      const batch = new PacketBatch(8);
      for (let round = 0; round < 50; round++) {
        pair.send(left, 4);
        right.release(pair.receive(right, 4));
        assert.equal(left.completions(batch), 4);
        if (round % 2 === 0) {
          for (let i = 0; i < 4; i++) pair.write(batch, i); // ours again
          left.send(batch);
          right.release(pair.receive(right, 4));
          assert.equal(left.completions(batch), 4);
        }
        left.release(batch);
        left.allocate(batch, 3);
        left.release(batch);
      }
      assert.deepEqual(await pair.close(), []);
    });

    test(`${mode}: whatever an honest program does, in any order`, async () => {
      for (const seed of [1, 2, 3]) {
        const random = new Random(seed);
        const pair = await Pair.open(mode, { outcomes: seed === 2 });
        const ends = [pair.left, pair.right];
        /** Packets the program has, each in a batch of its own, so that they go in any order. */
        const held: PacketBatch[] = [];
        const keep = (batch: PacketBatch) => {
          for (let i = 0; i < batch.length; i++) {
            const one = new PacketBatch(1);
            one.offset[0] = batch.offset[i]!;
            one.size[0] = Math.min(batch.size[i]!, 200);
            one.length = 1;
            one.origin = batch.origin;
            held.push(one);
          }
          batch.length = 0;
        };
        const batch = new PacketBatch(8);
        for (let round = 0; round < 1500; round++) {
          const end = random.pick(ends);
          const what = random.below(7);
          if (what === 0) end.receive(batch);
          else if (what === 1) end.allocate(batch, random.below(4));
          else if (what === 2) end.completions(batch);
          else if (held.length > 0) {
            const [one] = held.splice(random.below(held.length), 1) as [PacketBatch];
            if (what === 3 || held.length > 40) {
              end.release(one);
            } else if (what === 4) {
              assert.ok(end.hold(one) <= 1);
              held.push(one);
            } else {
              if (random.oneIn(2)) end.bytes[one.offset[0]!] = round;
              if (end.send(one) === 0) held.push(one);
            }
          }
          keep(batch);
        }
        for (const one of held) pair.left.release(one);
        const found = await pair.close();
        assert.deepEqual(
          found.map(({ message }) => message),
          [],
          `seed ${seed}`,
        );
      }
    });

    test(`${mode}: packets to be kept: the place in the ring goes, the frame comes`, async () => {
      const pair = await Pair.open(mode);
      const { left, right } = pair;
      const kept = new PacketBatch(64);
      for (let round = 0; round < 50; round++) {
        pair.send(left, 8);
        const batch = pair.receive(right, 8);
        assert.ok(kept.append(batch, 0));
        const rest = new PacketBatch(8);
        for (let i = 1; i < 8; i++) assert.ok(rest.append(batch, i));
        assert.equal((round % 2 === 0 ? left : right).hold(kept), kept.length);
        right.release(rest);
      }
      assert.equal(kept.origin, right.rings);
      for (let i = 0; i < kept.length; i++) assert.ok(pair.buffer.contains(kept.offset[i]!));
      const some = new PacketBatch(8);
      for (let i = 0; i < 8; i++) assert.ok(some.append(kept, i));
      kept.dropFirst(8);
      assert.equal(left.send(some), 8);
      right.release(pair.receive(right, 8));
      right.release(kept);
      assert.deepEqual(await pair.close(), []);
    });

    test(`${mode}: packets of two buffers, copied from one to the other`, async () => {
      const pair = await Pair.open(mode);
      const arena = pair.buffer.arena;
      const kernel = new SoftKernel({ arena });
      await kernel.addVeth({ names: ['here', 'there'] });
      const other = await openSocket({
        kernel,
        interface: 'here',
        mode,
        receive: 'all',
        ring: 32,
        buffer: { frames: 64 },
        checkOwnership: true,
      });
      for (let round = 0; round < 20; round++) {
        pair.send(pair.left, 4);
        const batch = pair.receive(pair.right, 4);
        assert.equal(other.send(batch), 4);
        assert.equal(batch.length, 0);
      }
      assert.deepEqual(other.ownership!.violations, []);
      assert.deepEqual(await pair.close(), []);
      await other.close();
      await kernel.close();
      assert.deepEqual(other.ownership!.violations, []);
    });
  }
});

describe('violations are named', () => {
  for (const mode of MODES) {
    test(`${mode}: a batch released twice`, async () => {
      const pair = await Pair.open(mode);
      const { left, right } = pair;
      pair.send(left, 2);
      const batch = pair.receive(right, 2);
      const offset = batch.offset[1]!;
      const again = new PacketBatch(2);
      again.offset[again.length++] = offset;
      function releasesFirst(): void {
        right.release(batch);
      }
      releasesFirst();
      right.release(again);
      const found = theOnly(await pair.close());
      assert.equal(found.offset, offset);
      assert.match(found.site.stack, /ownership-checker\.test/);
      assert.equal(found.kind, 'double-release');
      assert.match(found.before!.stack, /releasesFirst/);
      assert.match(
        found.message,
        new RegExp(`${found.frame} is given to release on right .*, but went back with release`),
      );
    });

    test(`${mode}: the same packet twice in one batch`, async () => {
      const pair = await Pair.open(mode);
      pair.send(pair.left, 1);
      const batch = pair.receive(pair.right, 1);
      const twice = new PacketBatch(2);
      twice.offset.fill(batch.offset[0]!);
      twice.length = 2;
      pair.right.release(twice);
      assert.equal(theOnly(await pair.close()).kind, 'double-release');
    });

    test(`${mode}: a received packet never given back`, async () => {
      const pair = await Pair.open(mode);
      pair.send(pair.left, 2);
      function takesAndForgets(): PacketBatch {
        return pair.receive(pair.right, 2);
      }
      const batch = takesAndForgets();
      batch.length = 1;
      const kept = batch.offset[1]!;
      pair.right.release(batch);
      const found = theOnly(await pair.close());
      assert.equal(found.kind, 'leak');
      assert.equal(found.site.call, 'close');
      assert.equal(found.before!.call, 'receive');
      assert.match(found.before!.stack, /takesAndForgets/);
      if (pair.buffer.contains(kept)) assert.equal(found.frame, frameOf(pair, kept));
      else assert.equal(found.offset, kept);
    });

    test(`${mode}: written to after sending`, async () => {
      const pair = await Pair.open(mode);
      const { left, right } = pair;
      const batch = new PacketBatch(4);
      left.allocate(batch, 4);
      for (let i = 0; i < 4; i++) pair.write(batch, i);
      const offset = batch.offset[2]!;
      function sendsTooEarly(): void {
        left.send(batch);
      }
      sendsTooEarly();
      left.bytes[offset + 30] = 99;
      right.release(pair.receive(right, 4));
      for (let i = 0; i < 16; i++) {
        pair.send(left, 4); // the frames or slots come around again
        right.release(pair.receive(right, 4));
      }
      const found = theOnly(await pair.close());
      assert.equal(found.kind, 'use-after-send');
      assert.equal(found.offset, offset);
      assert.match(found.site.stack, /sendsTooEarly/);
      assert.match(found.message, /was written to after send on left/);
    });

    test(`${mode}: sent twice`, async () => {
      const pair = await Pair.open(mode);
      const { left } = pair;
      const batch = new PacketBatch(2);
      left.allocate(batch, 1);
      pair.write(batch, 0);
      const offset = batch.offset[0]!;
      left.send(batch);
      batch.offset[0] = offset;
      batch.size[0] = PACKET_BYTES;
      batch.length = 1;
      assert.equal(left.send(batch), 1, 'a wrong entry is skipped like one that can never be sent');
      assert.equal(batch.length, 0);
      const found = theOnly(await pair.close());
      assert.equal(found.kind, 'double-post');
      assert.equal(found.offset, offset);
      assert.equal(found.before!.call, 'send');
      assert.equal((await pair.left.rings.counters).sent, 1);
    });
  }

  for (const mode of MODES) {
    test(`${mode}: kept although it was released, kept twice, never given back`, async () => {
      const pair = await Pair.open(mode);
      const { left, right } = pair;
      pair.send(left, 3);
      const batch = pair.receive(right, 3);
      const [released, twice, kept] = [0, 1, 2].map((i) => {
        const one = new PacketBatch(2);
        assert.ok(one.append(batch, i));
        return one;
      }) as [PacketBatch, PacketBatch, PacketBatch];
      const again = new PacketBatch(1);
      again.append(released, 0);
      right.release(released);
      assert.equal(right.hold(again), 0);
      assert.equal(again.length, 0, 'a wrong entry is left out');
      assert.ok(twice.append(twice, 0));
      assert.equal(right.hold(twice), 1);
      assert.equal(twice.length, 1);
      right.release(twice);
      function keeps(): void {
        assert.equal(right.hold(kept), 1);
      }
      keeps();
      const found = await pair.close();
      assert.deepEqual(
        found.map(({ kind, site }) => [kind, site.call]),
        [
          ['not-held', 'hold'],
          ['not-held', 'hold'],
          ['leak', 'close'],
        ],
      );
      assert.equal(found[2]!.frame, frameOf(pair, kept.offset[0]!));
      // Few packets of V3 are copied out by `receive` already.
      assert.equal(found[2]!.before!.call, mode === 'v2' ? 'hold' : 'receive');
      if (mode === 'v2') assert.match(found[2]!.before!.stack, /keeps/);
    });
  }

  for (const mode of ['v2', 'v3'] as const) {
    test(`${mode}: the place in the ring that a packet has left is not the program's any more`, async () => {
      const pair = await Pair.open(mode, { blockSize: 4096 });
      const { left, right } = pair;
      // More than half a block: few packets of V3 are copied out by `receive` already.
      pair.send(left, 24);
      const batch = pair.receive(right, 24);
      const [first, stale] = [new PacketBatch(1), new PacketBatch(1)];
      first.append(batch, 0);
      stale.append(batch, 0);
      batch.dropFirst(1);
      right.release(batch);
      const place = stale.offset[0]!;
      assert.ok(!pair.buffer.contains(place));
      assert.equal(right.hold(first), 1);
      right.release(stale);
      right.release(first);
      const found = theOnly(await pair.close());
      assert.equal(found.kind, 'not-held');
      assert.equal(found.site.call, 'release');
      assert.equal(found.offset, place);
    });
  }

  for (const mode of FRAME_MODES) {
    test(`${mode}: a frame that moved to another socket is followed there`, async () => {
      const pair = await Pair.open(mode);
      const { left, right } = pair;
      pair.send(left, 1);
      const batch = pair.receive(right, 1);
      const offset = batch.offset[0]!;
      assert.ok(left.movable(batch));
      assert.equal(left.send(batch), 1);
      batch.offset[0] = offset;
      batch.length = 1;
      right.release(batch);
      right.release(pair.receive(right, 1));
      const found = theOnly(await pair.close());
      assert.equal(found.kind, 'not-held');
      assert.equal(found.frame, frameOf(pair, offset));
      assert.match(found.message, /is given to release on right .*, but is on its way since send on left/);
    });

    test(`${mode}: frames that were never taken`, async () => {
      const pair = await Pair.open(mode);
      const { left } = pair;
      const batch = new PacketBatch(2);
      batch.offset[0] = pair.buffer.base + 7 * pair.buffer.frameSize + 256;
      batch.size[0] = PACKET_BYTES;
      batch.length = 1;
      left.send(batch);
      batch.offset[0] = 4096;
      batch.length = 1;
      left.release(batch);
      const [sent, released] = await pair.close();
      assert.equal(sent!.kind, 'not-held');
      assert.equal(sent!.frame, 7);
      assert.match(sent!.message, /frame 7 is given to send on left .*, but the program never took it/);
      assert.match(released!.message, /offset 4096 is none of this socket's/);
    });

    test(`${mode}: a wrong frame in a packet of several takes the others out, and they go back`, async () => {
      const pair = await Pair.open(mode, { segments: true });
      const { left } = pair;
      const free = pair.buffer.free('send');
      const batch = new PacketBatch(4);
      left.allocate(batch, 3);
      for (let i = 0; i < 3; i++) pair.write(batch, i);
      batch.flags[0] = PACKET_CONTINUES;
      batch.offset[1] = batch.offset[0]!;
      const forgotten = pair.buffer.free('send');
      assert.equal(forgotten, free - 3);
      assert.equal(left.send(batch), 3);
      assert.equal(left.rings.counters.sent, 1);
      const [twice, leak] = await pair.close();
      assert.equal(twice!.kind, 'double-post');
      assert.equal(leak!.kind, 'leak'); // the frame whose entry was overwritten
    });
  }

  test('a function is told at the end of the call; what it throws, the call throws', async () => {
    const told: OwnershipViolation[] = [];
    const pair = await Pair.open('v4', {
      checkOwnership: (violation) => {
        told.push(violation);
        throw new Error(violation.message);
      },
    });
    pair.send(pair.left, 2);
    const batch = pair.receive(pair.right, 2);
    const offset = batch.offset[0]!;
    pair.right.release(batch);
    batch.offset[0] = offset;
    batch.length = 1;
    assert.throws(() => pair.right.release(batch), /went back with release/);
    assert.equal(told.length, 1);
    pair.send(pair.left, 2);
    pair.right.release(pair.receive(pair.right, 2));
    assert.equal((await pair.close()).length, 1);
  });

  test('what is not sent yet stays held, and a refused packet does not', async () => {
    const pair = await Pair.open('v4-zc', { ring: 8 });
    const { left } = pair;
    const batch = new PacketBatch(16);
    left.allocate(batch, 12);
    for (let i = 0; i < 12; i++) pair.write(batch, i);
    batch.size[1] = 0; // can never be sent
    const sent = left.send(batch);
    assert.ok(sent < 12);
    assert.equal(left.rings.counters.unsendable, 1);
    left.release(batch);
    assert.deepEqual(await pair.close(), []);
  });

  test('the option is checked', async () => {
    await assert.rejects(Pair.open('v4', { checkOwnership: 'yes' as never }), { code: 'INVALID_OPTION' });
  });

  test('without the option there is no checker, and the buffer is as it was when checked sockets have closed', async () => {
    const pair = await Pair.open('v4', { checkOwnership: false });
    assert.equal(pair.left.ownership, undefined);
    assert.equal(pair.buffer.onReturn, undefined);
    const checked = await Pair.open('v4');
    assert.notEqual(checked.buffer.onReturn, undefined);
    await checked.close();
    assert.equal(checked.buffer.onReturn, undefined);
  });
});
