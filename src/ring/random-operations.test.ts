import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../test/support/random.js';
import { FRAME_VERSIONS, type FrameVersion, RingPair } from '../../test/support/ring-pair.js';
import { CONTINUES, PacketArray } from '../packet-array/packet-array.js';
import { OUTCOME_SENT, OUTCOME_UNKNOWN, PACKET_CONTINUES, PacketBatch } from './packet-batch.js';

const ENETDOWN = 100;
const MOST_FRAMES_OF_A_PACKET = 4;

/**
 * User and kernel side take turns at random, and a model keeps book: what one side puts in must come out at the other, whole, in
 * order and once; and every frame must be back in the pool at the end.
 */
class Session {
  readonly random: Random;
  readonly pair: RingPair;
  readonly receiving = new PacketArray(32);
  readonly sending = new PacketArray(32);
  readonly batch: PacketBatch;
  /** Batches that the application holds. */
  readonly held: PacketBatch[] = [];
  /** Those of them that came from `completions`. */
  readonly cameBack = new Set<PacketBatch>();
  /** Part numbers delivered by the kernel and not seen by the application; -1 ends a packet. */
  readonly delivered: number[] = [];
  /** The same in the other direction. */
  readonly posted: number[] = [];
  /** V4 with outcomes: what each frame came to, in order. */
  readonly outcomes: number[] = [];
  next = 1;
  receivedPackets = 0;
  sentPackets = 0;

  constructor(
    version: FrameVersion,
    seed: number,
    readonly keepsOutcomes: boolean,
  ) {
    const random = new Random(seed);
    this.random = random;
    const ring = random.pick([8, 16, 64]);
    this.pair = new RingPair({
      version,
      ring,
      fill: random.pick([ring, 8, 32]),
      completion: random.pick([ring, 8, 32]),
      buffer: { frames: random.between(40, 200), headroom: random.pick([0, 64]) },
      segments: true,
      outcomes: keepsOutcomes,
      firstIndex: random.pick([0, 0x7fffffff - random.below(100), -random.below(100)]),
    });
    this.batch = new PacketBatch(random.between(MOST_FRAMES_OF_A_PACKET, 40));
    this.pair.user.replenish();
  }

  get i32(): Int32Array {
    return this.pair.arena.i32;
  }

  step(): void {
    switch (this.random.below(8)) {
      case 0:
        this.pair.kernel.receive!.populate(this.receiving, this.random.below(33));
        break;
      case 1:
        this.deliver();
        break;
      case 2:
        this.receive();
        break;
      case 3:
        this.releaseOne();
        break;
      case 4:
        this.sendNew();
        break;
      case 5:
        this.forward();
        break;
      case 6:
        this.transmit();
        break;
      default:
        this.collectOutcomes();
    }
  }

  /** The device fills some frames, one to four a packet. */
  deliver(): void {
    const { receiving: array, random } = this;
    const { counters, receive } = this.pair.kernel;
    const parts: number[] = [];
    for (let packets = random.below(10); packets > 0; packets--) {
      const frames = random.oneIn(4) ? random.between(1, MOST_FRAMES_OF_A_PACKET) : 1;
      if (parts.length + frames > array.outstanding) break;
      for (let i = 0; i < frames; i++) {
        const at = (array.current + parts.length) & array.mask;
        this.i32[array.address[at]! >> 2] = this.next;
        array.length[at] = (this.next % 1000) + 60;
        array.flags[at] = i < frames - 1 ? CONTINUES : 0;
        parts.push(this.next++);
      }
      parts[parts.length - 1]! *= -1; // the end of a packet
    }
    array.advance(parts.length);
    const before = counters.received;
    receive!.flush(array, array.done);
    const taken = counters.received - before;
    assert.ok(this.pair.version === 'xdp' || taken === parts.length);
    assert.ok(taken === 0 || parts[taken - 1]! < 0, 'half a packet was delivered');
    this.delivered.push(...parts.slice(0, taken));
  }

  receive(): void {
    const { pair, batch } = this;
    const readable = pair.user.readable();
    const count = pair.user.receive(batch);
    assert.equal(count, batch.length);
    assert.equal(count > 0, this.delivered.length > 0);
    assert.equal(readable, count > 0);
    if (count === 0) return;
    assert.equal(batch.flags[count - 1]! & PACKET_CONTINUES, 0, 'half a packet was received');
    for (let i = 0; i < count; i++) {
      const expected = this.delivered.shift()!;
      const number = Math.abs(expected);
      assert.equal(this.i32[batch.offset[i]! >> 2], number);
      assert.equal(batch.size[i], (number % 1000) + 60);
      assert.equal(batch.flags[i]! & PACKET_CONTINUES, expected > 0 ? PACKET_CONTINUES : 0);
      if (expected < 0) this.receivedPackets++;
    }
    this.hold();
  }

  /** The application keeps the batch for a while (I10). */
  hold(): void {
    const { batch } = this;
    if (batch.length === 0) return;
    const copy = new PacketBatch(batch.length);
    copy.offset.set(batch.offset.subarray(0, batch.length));
    copy.size.set(batch.size.subarray(0, batch.length));
    copy.flags.set(batch.flags.subarray(0, batch.length));
    copy.length = batch.length;
    copy.origin = batch.origin;
    this.held.push(copy);
    batch.length = 0;
    batch.origin = null;
  }

  takeHeld(): PacketBatch | undefined {
    return this.held.splice(this.random.below(this.held.length), 1)[0];
  }

  releaseOne(): void {
    const batch = this.takeHeld();
    if (batch === undefined) return;
    this.pair.user.release(batch);
    assert.equal(batch.length, 0);
  }

  sendNew(): void {
    const { pair, batch, random } = this;
    const count = pair.user.allocate(batch, random.between(1, 20));
    for (let i = 0; i < count; i++) {
      assert.equal(batch.size[i], pair.buffer.room);
      this.i32[batch.offset[i]! >> 2] = this.next++;
      batch.size[i] = random.between(60, 1500);
      batch.flags[i] = i < count - 1 && random.oneIn(4) ? PACKET_CONTINUES : 0;
    }
    this.send(batch);
    this.hold();
  }

  forward(): void {
    const batch = this.takeHeld();
    if (batch === undefined) return;
    if (this.cameBack.has(batch)) {
      // Its last packet may be cut off, and AF_XDP does not tell the sizes: not for sending as it is.
      this.pair.user.release(batch);
      return;
    }
    this.send(batch);
    if (batch.length > 0) this.held.push(batch);
  }

  send(batch: PacketBatch): void {
    const numbers: number[] = [];
    for (let i = 0; i < batch.length; i++) {
      const number = this.i32[batch.offset[i]! >> 2]!;
      numbers.push((batch.flags[i]! & PACKET_CONTINUES) !== 0 ? number : -number);
    }
    const count = this.pair.user.send(batch);
    assert.equal(batch.length, numbers.length - count);
    assert.ok(count === 0 || numbers[count - 1]! < 0, 'half a packet was posted');
    for (let i = 0; i < batch.length; i++) {
      assert.equal(this.i32[batch.offset[i]! >> 2], Math.abs(numbers[count + i]!), 'the remainder is compacted');
    }
    this.posted.push(...numbers.slice(0, count));
  }

  /** The device sends some, or cannot. */
  transmit(): void {
    const { sending: array, random } = this;
    const { transmit } = this.pair.kernel;
    const first = array.end;
    const count = transmit!.populate(array, random.below(33));
    for (let i = 0; i < count; i++) {
      const at = (first + i) & array.mask;
      const expected = this.posted.shift()!;
      assert.equal(this.i32[array.address[at]! >> 2], Math.abs(expected));
      assert.equal(array.flags[at], expected > 0 ? CONTINUES : 0);
      if (expected < 0) this.sentPackets++;
    }
    const done = random.below(array.outstanding + 1);
    for (let i = 0; i < done; i++) {
      const at = (array.current + i) & array.mask;
      const error = random.oneIn(5) ? ENETDOWN : 0;
      array.flags[at]! |= error;
      this.outcomes.push(error);
    }
    array.advance(done);
    transmit!.flush(array, array.done);
  }

  collectOutcomes(): void {
    const { batch, pair } = this;
    if (!this.keepsOutcomes) return;
    const count = pair.user.completions(batch);
    for (let i = 0; i < count; i++) {
      const error = this.outcomes.shift();
      assert.equal(batch.outcome[i], pair.version === 'v4' ? error || OUTCOME_SENT : OUTCOME_UNKNOWN);
      assert.ok(pair.buffer.contains(batch.offset[i]!));
    }
    this.hold();
    if (count > 0) this.cameBack.add(this.held.at(-1)!);
  }

  /** Everything comes to an end: what is held is released, the kernel lets go. */
  finish(): void {
    for (let batch = this.held.pop(); batch !== undefined; batch = this.held.pop()) this.pair.user.release(batch);
    const { counters } = this.pair.user;
    assert.equal(counters.invalid + counters.unsendable + counters.copied, 0);
    assert.equal(this.pair.kernel.counters.invalidDescriptor, 0);
    this.pair.user.close();
    assert.ok(this.pair.poolIsWhole(), 'frames are missing, or there twice');
  }
}

for (const version of FRAME_VERSIONS) {
  for (const outcomes of [false, true]) {
    test(`${version}${outcomes ? ' with outcomes' : ''}: random operations of both sides keep order, contents and frames`, () => {
      let received = 0;
      let sent = 0;
      for (let seed = 1; seed <= 150; seed++) {
        const session = new Session(version, seed, outcomes);
        try {
          for (let step = 0; step < 400; step++) session.step();
          session.finish();
        } catch (error) {
          throw new Error(`seed ${seed}: ${(error as Error).stack}`, { cause: error });
        }
        received += session.receivedPackets;
        sent += session.sentPackets;
      }
      // The property would hold for rings that move nothing, too.
      assert.ok(received > 10_000 && sent > 10_000, `${received} received, ${sent} sent`);
    });
  }
}
