import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../test/support/random.js';
import { FRAME_VERSIONS, RingPair, type RingPairOptions } from '../../test/support/ring-pair.js';
import { Arena } from '../arena/arena.js';
import type { Driver } from '../driver/contract.js';
import { CONTINUES, PacketArray } from '../packet-array/packet-array.js';
import { OUTCOME_SENT, OUTCOME_UNKNOWN, PACKET_CONTINUES, PacketBatch } from '../ring/packet-batch.js';
import { CopyTransmitter } from './copy-transmitter.js';
import { PagePool } from './page-pool.js';
import { TransmitQueue } from './transmit-queue.js';

const ENETDOWN = 100;

/** A socket in copy mode with a device queue behind it. */
class Bench extends RingPair {
  readonly pool: PagePool;
  readonly queue: TransmitQueue;
  readonly transmitter: CopyTransmitter;
  readonly array = new PacketArray(512);
  services = 0;

  constructor(options: RingPairOptions & { largest?: number; queueEntries?: number; poolFrames?: number }) {
    super(options);
    const { largest = 1522, queueEntries = 512, poolFrames = 4096 } = options;
    this.pool = new PagePool(this.arena, poolFrames);
    this.queue = new TransmitQueue(this.pool, queueEntries);
    this.kernel.setLargestPacket(largest);
    const driver = { ordinaryQueue: 1, service: () => this.services++ } as unknown as Driver;
    this.transmitter = new CopyTransmitter(this.kernel.transmit!, driver, this.queue, this.pool, this.means, largest);
  }

  /** Posts packets of these part lengths; returns their bytes. */
  post(...packets: readonly (readonly number[])[]): Buffer[] {
    const random = new Random(packets.length);
    const batch = new PacketBatch(64);
    this.user.allocate(
      batch,
      packets.reduce((sum, parts) => sum + parts.length, 0),
    );
    let at = 0;
    const bytes = packets.map((parts) => {
      const pieces = parts.map((length, i) => {
        const offset = batch.offset[at]!;
        random.fill(this.arena.u8, offset, offset + length);
        batch.size[at] = length;
        batch.flags[at++] = i < parts.length - 1 ? PACKET_CONTINUES : 0;
        return this.arena.u8.slice(offset, offset + length);
      });
      return Buffer.concat(pieces);
    });
    assert.equal(this.user.send(batch), at);
    return bytes;
  }

  /** The device sends everything; returns what it sent. */
  sendAll(error = 0): Buffer[] {
    const { array } = this;
    const packets: Buffer[] = [];
    let parts: Uint8Array[] = [];
    const count = this.queue.populate(array, 512);
    for (let i = 0; i < count; i++) {
      const at = array.current & array.mask;
      const address = array.address[at]!;
      parts.push(this.arena.u8.slice(address, address + array.length[at]!));
      if ((array.flags[at]! & CONTINUES) === 0) {
        packets.push(Buffer.concat(parts));
        parts = [];
      }
      array.flags[at]! |= error;
      array.advance(1);
    }
    this.queue.flush(array, array.done);
    return packets;
  }
}

for (const version of FRAME_VERSIONS) {
  test(`${version}: packets are copied to the device queue, and the user's frames come back when they are sent`, () => {
    const bench = new Bench({ version, ring: 16, outcomes: true });
    const sent = bench.post([60], [1514], [1]);
    assert.equal(bench.transmitter.service(), 3);
    assert.equal(bench.services, 1, 'the driver is told once');
    const batch = new PacketBatch(8);
    assert.equal(bench.user.completions(batch), 0, 'not sent yet');
    assert.deepEqual(bench.sendAll(), sent);
    assert.equal(bench.user.completions(batch), 3);
    assert.equal(batch.outcome[0], version === 'v4' ? OUTCOME_SENT : OUTCOME_UNKNOWN);
    assert.equal(bench.pool.outstanding, 0);
  });

  test(`${version}: with nothing posted nobody is bothered`, () => {
    const bench = new Bench({ version });
    assert.equal(bench.transmitter.service(), 0);
    assert.equal(bench.services, 0);
  });

  test(`${version}: long packets and packets of several frames are laid out anew over page-pool frames`, () => {
    const bench = new Bench({
      version,
      ring: 64,
      segments: true,
      largest: 9022,
      buffer: { frames: 128, frameSize: 4096, sendFrames: 100 },
    });
    const sent = bench.post([3800], [100, 200, 300], [3800, 3800, 1400], [60], Array<number>(18).fill(400));
    assert.equal(bench.transmitter.service(), 1 + 3 + 3 + 1 + 18);
    assert.deepEqual(bench.sendAll(), sent);
    assert.equal(bench.pool.outstanding, 0);
    assert.equal(bench.kernel.counters.sent, 26);
  });

  test(`${version}: what the device could not send is told per packet (I9)`, () => {
    const bench = new Bench({ version, ring: 16, outcomes: true, segments: true });
    bench.post([60], [60, 60]);
    bench.transmitter.service();
    bench.sendAll(ENETDOWN);
    const batch = new PacketBatch(8);
    assert.equal(bench.user.completions(batch), 3);
    if (version === 'v4') assert.deepEqual([...batch.outcome.subarray(0, 3)], [ENETDOWN, ENETDOWN, ENETDOWN]);
    assert.equal(bench.kernel.counters.transmitError, 3);
  });

  test(`${version}: a full device queue leaves the rest in the ring, in order`, () => {
    const bench = new Bench({ version, ring: 32, queueEntries: 8 });
    const sent = bench.post(...Array.from({ length: 20 }, (_, i) => [60 + i]));
    const got: Buffer[] = [];
    for (let i = 0; i < 3; i++) {
      assert.equal(bench.transmitter.service(), i < 2 ? 8 : 4);
      assert.equal(bench.transmitter.service(), 0);
      got.push(...bench.sendAll());
    }
    assert.deepEqual(got, sent);
  });

  test(`${version}: an exhausted arena holds packets up, and spoils none`, () => {
    const arena = Arena.create(2 ** 22);
    const bench = new Bench({ version, arena, ring: 16 });
    const left = arena.freeBytes - 4096 * 4;
    const hog = left > 0 ? arena.allocate(left) : undefined;
    const sent = bench.post([60], [61]);
    assert.equal(bench.transmitter.service(), 0);
    assert.deepEqual(bench.sendAll(), []);
    assert.equal(bench.pool.outstanding, 0);
    if (hog !== undefined) arena.free(hog);
    assert.equal(bench.transmitter.service(), 2);
    assert.deepEqual(bench.sendAll(), sent);
  });

  test(`${version}: a socket that closes while packets are on their way: they are sent, and nobody is told`, () => {
    const bench = new Bench({ version, ring: 16 });
    const sent = bench.post([60], [61], [62]);
    bench.transmitter.service();
    bench.transmitter.close();
    bench.user.close();
    assert.ok(bench.poolIsWhole());
    const before = Buffer.from(bench.arena.u8.subarray(bench.region.offset, bench.region.offset + bench.region.bytes));
    assert.deepEqual(bench.sendAll(), sent);
    const after = Buffer.from(bench.arena.u8.subarray(bench.region.offset, bench.region.offset + bench.region.bytes));
    assert.ok(before.equals(after), 'the rings are touched no more');
    assert.equal(bench.pool.outstanding, 0);
  });

  test(`${version}: random packets come out as they went in`, () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = new Random(seed);
      const bench = new Bench({
        version,
        ring: 64,
        segments: true,
        largest: 6000,
        queueEntries: 64,
        buffer: { frames: 256, sendFrames: 200 },
      });
      const expected: Buffer[] = [];
      const got: Buffer[] = [];
      for (let round = 0; round < 30; round++) {
        const packets = Array.from({ length: random.below(6) }, () =>
          Array.from({ length: random.oneIn(3) ? random.between(1, 4) : 1 }, () => random.between(1, 1500)),
        );
        if (packets.length > 0) expected.push(...bench.post(...packets));
        bench.transmitter.service();
        if (random.oneIn(2)) got.push(...bench.sendAll());
      }
      while (bench.transmitter.service() > 0) got.push(...bench.sendAll());
      got.push(...bench.sendAll());
      assert.deepEqual(got, expected, `seed ${seed}`);
      assert.equal(bench.pool.outstanding, 0);
    }
  });
}
