import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Arena, PAGE_BYTES } from '../arena/arena.js';
import { CONTINUES, type EmptyFrameSource, PacketArray } from '../packet-array/packet-array.js';
import { VethTransfer } from './veth-transfer.js';

const FRAME = 4096;

/** Small fast generator of 32-bit numbers (mulberry32). */
function seeded(seed: number): (below: number) => number {
  return (below) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** An arena with frames to send from and frames to receive into; counts the calls of the copy routine. */
class Bench {
  readonly arena = Arena.create(2 ** 23);
  readonly transfer = new VethTransfer(this.arena);
  readonly from: PacketArray;
  readonly to: PacketArray;
  readonly #sendFrames: number;
  readonly #receiveFrames: number;
  /** Entries of packets added to `from` so far, and frames taken from the empty source. */
  #added = 0;
  given = 0;
  asked: number[] = [];

  constructor(entries: number, firstIndex = 0) {
    this.from = new PacketArray(entries);
    this.to = new PacketArray(entries);
    for (const array of [this.from, this.to]) array.start = array.current = array.end = firstIndex | 0;
    this.#sendFrames = this.arena.allocate(entries * FRAME, FRAME).offset;
    this.#receiveFrames = this.arena.allocate(entries * FRAME, FRAME).offset;
  }

  /** Adds a packet of parts whose bytes count on from `value`. */
  add(parts: readonly number[], value: number): Uint8Array {
    const bytes: number[] = [];
    parts.forEach((length, i) => {
      const at = this.#sendFrames + (this.#added++ & this.from.mask) * FRAME + (value & 63);
      for (let b = 0; b < length; b++) {
        this.arena.u8[at + b] = value & 255;
        bytes.push(value++ & 255);
      }
      this.from.add(at, length, i < parts.length - 1 ? CONTINUES : 0, 0);
    });
    return Uint8Array.from(bytes);
  }

  /** Empty frames of `room` bytes, `limit` in all. */
  source(room: number, limit = Number.POSITIVE_INFINITY): EmptyFrameSource {
    return {
      room,
      populate: (array, wanted) => {
        this.asked.push(wanted);
        const count = Math.min(wanted, array.room, limit - this.given);
        for (let i = 0; i < count; i++)
          array.add(this.#receiveFrames + (this.given++ & array.mask) * FRAME + 256, 0, 0, 0);
        return count;
      },
    };
  }

  /** Takes the packets that have arrived; `room` says what a part may hold. */
  take(room: number): Uint8Array[] {
    const { to } = this;
    const packets: Uint8Array[] = [];
    let bytes: number[] = [];
    for (; to.start !== to.current; to.start = (to.start + 1) | 0) {
      const at = to.start & to.mask;
      const length = to.length[at]!;
      assert.ok(length <= room, `a part of ${length} bytes in frames with room for ${room}`);
      bytes.push(...this.arena.u8.subarray(to.address[at]!, to.address[at]! + length));
      if ((to.flags[at]! & CONTINUES) !== 0) {
        assert.equal(length, room, 'a frame is filled before the next one is begun');
        continue;
      }
      packets.push(Uint8Array.from(bytes));
      bytes = [];
    }
    assert.equal(bytes.length, 0, 'no half packet arrives');
    return packets;
  }
}

describe('VethTransfer copies', () => {
  test('a batch of packets, byte for byte, with one call of the copy routine', () => {
    const bench = new Bench(128);
    const { arena } = bench;
    let calls = 0;
    const counting = {
      i32: arena.i32,
      routines: {
        copyPackets(list: number, count: number) {
          calls++;
          arena.routines.copyPackets(list, count);
        },
      },
      allocate: (bytes: number) => arena.allocate(bytes),
    } as unknown as Arena;
    const transfer = new VethTransfer(counting);
    const expected = Array.from({ length: 64 }, (_, i) => bench.add([60 + i], i));
    assert.equal(transfer.move(bench.from, bench.to, bench.source(1792), 1522, 64, false), 64);
    assert.equal(calls, 1);
    assert.deepEqual(bench.take(1792), expected);
    assert.equal(bench.from.done, 64);
    assert.equal(transfer.delivered, 64);
    assert.equal(transfer.bytes, transfer.deliveredBytes);
  });

  test('asks for as many empty frames as the batch needs, and no more', () => {
    const bench = new Bench(128);
    for (let i = 0; i < 10; i++) bench.add([60], i);
    bench.transfer.move(bench.from, bench.to, bench.source(1792), 1522, 64, false);
    assert.deepEqual(bench.asked, [10]);
    for (let i = 0; i < 10; i++) bench.add([60], i);
    bench.transfer.move(bench.from, bench.to, bench.source(1792), 1522, 4, false);
    assert.deepEqual(bench.asked, [10, 4]);
  });

  test('joins parts in a larger frame and splits over smaller ones', () => {
    const bench = new Bench(64);
    const joined = bench.add([1000, 1000, 500], 1);
    bench.transfer.move(bench.from, bench.to, bench.source(3000), 9000, 64, false);
    assert.equal(bench.to.done, 1);
    assert.deepEqual(bench.take(3000), [joined]);
    const split = bench.add([2500], 2);
    bench.transfer.move(bench.from, bench.to, bench.source(700), 9000, 64, false);
    assert.equal(bench.to.done, 4);
    assert.deepEqual(bench.take(700), [split]);
  });

  test('drops and counts what finds no frame; the sender is done with it all the same', () => {
    const bench = new Bench(64);
    const expected = Array.from({ length: 5 }, (_, i) => bench.add([100], i));
    bench.transfer.move(bench.from, bench.to, bench.source(1792, 3), 1522, 64, false);
    assert.equal(bench.transfer.delivered, 3);
    assert.equal(bench.transfer.noDescriptor, 2);
    assert.equal(bench.from.done, 5);
    assert.deepEqual(bench.take(1792), expected.slice(0, 3));
    assert.deepEqual(bench.asked, [5, 2], 'an end that had none is not asked again in the same batch');
  });

  test('a small packet still passes where a large one found too few frames', () => {
    const bench = new Bench(64);
    bench.add([2000], 1);
    const small = bench.add([500], 2);
    bench.transfer.move(bench.from, bench.to, bench.source(500, 2), 9000, 64, false);
    assert.equal(bench.transfer.noDescriptor, 1);
    assert.deepEqual(bench.take(500), [small]);
  });

  test('drops and counts packets above the longest, and those that would take more frames than a packet may have', () => {
    const bench = new Bench(64);
    bench.add([1523], 1);
    bench.add([800, 723], 2);
    const longest = bench.add([1522], 3);
    bench.transfer.move(bench.from, bench.to, bench.source(1792), 1522, 64, false);
    assert.equal(bench.transfer.oversize, 2);
    assert.deepEqual(bench.take(1792), [longest]);
    bench.add([1300], 4);
    const most = bench.add([18 * 64], 5);
    bench.transfer.move(bench.from, bench.to, bench.source(64), 1522, 64, false);
    assert.equal(bench.transfer.oversize, 1);
    assert.deepEqual(bench.take(64), [most]);
  });

  test('leaves a packet whose end is not there yet', () => {
    const bench = new Bench(64);
    const whole = bench.add([100], 1);
    const late = bench.add([100, 50], 2);
    bench.from.end = (bench.from.end - 1) | 0;
    assert.equal(bench.transfer.move(bench.from, bench.to, bench.source(1792), 1522, 64, false), 1);
    assert.deepEqual(bench.take(1792), [whole]);
    assert.equal(bench.from.outstanding, 1);
    bench.from.end = (bench.from.end + 1) | 0;
    assert.equal(bench.transfer.move(bench.from, bench.to, bench.source(1792), 1522, 64, false), 1);
    assert.deepEqual(bench.take(1792), [late]);
  });

  test('gives its memory back', () => {
    const arena = Arena.create(2 ** 20);
    const before = arena.freeBytes;
    const transfer = new VethTransfer(arena);
    assert.equal(arena.freeBytes, before - PAGE_BYTES);
    transfer.close();
    assert.equal(arena.freeBytes, before);
  });

  test('random traffic arrives as it was sent, whatever the parts, rooms, budgets and supply of frames', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = seeded(seed);
      // Free-running indices pass both 2^31 and 2^32 on the way.
      const bench = new Bench(256, seed % 2 === 0 ? 0x7fffff00 : -200);
      const { from, to, transfer } = bench;
      const room = [64, 100, 640, 1792, 3840][random(5)]!;
      const longest = 1000 + random(8000);
      const waiting: Uint8Array[] = [];
      for (let round = 0; round < 30; round++) {
        while (from.room > 20 && random(8) > 0) {
          const parts = Array.from(
            { length: random(4) === 0 ? 1 + random(18) : 1 },
            () => 1 + random(random(3) === 0 ? 3000 : 200),
          );
          if (parts.length > from.room) break;
          waiting.push(bench.add(parts, random(256)));
        }
        const limit = bench.given + random(300);
        const taken = transfer.move(from, to, bench.source(room, limit), longest, 1 + random(64), false);
        from.start = from.current;
        const sent = waiting.splice(0, taken);
        const arrived = bench.take(room);
        assert.equal(arrived.length, transfer.delivered);
        assert.equal(taken, transfer.delivered + transfer.noDescriptor + transfer.oversize);
        const bytes = (list: Uint8Array[]) => list.reduce((sum, packet) => sum + packet.length, 0);
        assert.equal(bytes(sent), transfer.bytes);
        assert.equal(bytes(arrived), transfer.deliveredBytes);
        // In order, some missing.
        let next = 0;
        let tooLong = 0;
        for (const packet of sent) {
          if (packet.length > longest || Math.ceil(packet.length / room) > 18) tooLong++;
          else if (next < arrived.length && Buffer.compare(arrived[next]!, packet) === 0) next++;
        }
        assert.equal(next, arrived.length);
        assert.equal(tooLong, transfer.oversize);
      }
    }
  });
});

describe('VethTransfer exchanges', () => {
  test('frames change hands, no byte moves', () => {
    const bench = new Bench(64);
    const expected = [bench.add([100], 1), bench.add([1792, 30], 2)];
    const sent = Array.from(bench.from.address.subarray(0, 3));
    assert.equal(bench.transfer.move(bench.from, bench.to, bench.source(1792), 9000, 64, true), 2);
    assert.deepEqual(Array.from(bench.to.address.subarray(0, 3)), sent);
    assert.equal(new Set([...bench.from.address.subarray(0, 3), ...sent]).size, 6, 'the sender got the empty frames');
    assert.deepEqual(bench.take(1792), expected);
  });

  test('what finds no empty frame stays in the sending entry', () => {
    const bench = new Bench(64);
    bench.add([100], 1);
    bench.add([100], 2);
    const second = bench.from.address[1]!;
    bench.transfer.move(bench.from, bench.to, bench.source(1792, 1), 9000, 64, true);
    assert.equal(bench.transfer.noDescriptor, 1);
    assert.equal(bench.from.address[1], second);
  });
});
