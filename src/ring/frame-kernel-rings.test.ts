import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../test/support/random.js';
import { FRAME_VERSIONS, RingPair, type RingPairOptions } from '../../test/support/ring-pair.js';
import { CONTINUES, MOST_PARTS } from '../packet-array/packet-array.js';
import { PacketList } from '../packet-array/packet-list.js';
import { PACKET_CONTINUES, PacketBatch } from './packet-batch.js';

/** A ring pair, and the kernel's own memory with packets to be copied to it. */
class CopyMode extends RingPair {
  readonly #pages = this.arena.allocate(2 ** 20);
  readonly list = new PacketList(1024);
  #at = this.#pages.offset;
  readonly #random = new Random(9);

  constructor(options: RingPairOptions) {
    super(options);
    this.user.replenish();
  }

  /** Lists a packet of these parts; returns its bytes. */
  packet(...parts: number[]): Uint8Array {
    const bytes: number[] = [];
    parts.forEach((length, i) => {
      this.#random.fill(this.arena.u8, this.#at, this.#at + length);
      this.list.add(this.#at, length, i < parts.length - 1 ? CONTINUES : 0);
      bytes.push(...this.arena.u8.subarray(this.#at, this.#at + length));
      this.#at += length + this.#random.below(100);
    });
    return Uint8Array.from(bytes);
  }

  deliver(): void {
    this.kernel.deliver(this.list);
    this.list.count = 0;
    this.#at = this.#pages.offset;
  }

  /** Receives everything: the packets' bytes, and in how many frames each came. */
  received(): { bytes: Uint8Array; frames: number }[] {
    const batch = new PacketBatch(64);
    const packets: { bytes: Uint8Array; frames: number }[] = [];
    let bytes: number[] = [];
    let frames = 0;
    while (this.user.receive(batch) > 0) {
      for (let i = 0; i < batch.length; i++) {
        bytes.push(...this.arena.u8.subarray(batch.offset[i]!, batch.offset[i]! + batch.size[i]!));
        frames++;
        if ((batch.flags[i]! & PACKET_CONTINUES) !== 0) continue;
        packets.push({ bytes: Uint8Array.from(bytes), frames });
        bytes = [];
        frames = 0;
      }
      this.user.release(batch);
    }
    return packets;
  }
}

for (const version of FRAME_VERSIONS) {
  test(`${version}: packets are copied into posted frames, whole and in order`, () => {
    const socket = new CopyMode({ version, ring: 32 });
    const room = socket.buffer.room;
    const expected = [60, 1, 1514, room].map((length) => socket.packet(length));
    socket.deliver();
    assert.deepEqual(
      socket.received().map(({ bytes }) => bytes),
      expected,
    );
    assert.equal(socket.kernel.counters.received, 4);
  });

  test(`${version}: without segments a packet that one frame cannot hold is too long; its neighbours come through`, () => {
    const socket = new CopyMode({ version });
    const first = socket.packet(60);
    socket.packet(socket.buffer.room + 1);
    socket.packet(1000, 1000);
    const joined = socket.packet(1000, 700); // two parts that fit one frame
    socket.deliver();
    assert.deepEqual(socket.received(), [
      { bytes: first, frames: 1 },
      { bytes: joined, frames: 1 },
    ]);
    assert.equal(socket.kernel.counters.tooLong, 2);
  });

  test(`${version}: with segments a long packet is spread over frames, however the kernel had it in parts (F9)`, () => {
    const socket = new CopyMode({ version, ring: 64, segments: true, buffer: { frames: 128, headroom: 64 } });
    const { room } = socket.buffer;
    const expected = [
      { bytes: socket.packet(room + 1), frames: 2 },
      { bytes: socket.packet(3 * room), frames: 3 },
      { bytes: socket.packet(1792, 1792, 1792, 4), frames: 4 },
      { bytes: socket.packet(10, 20, 30), frames: 1 },
      { bytes: socket.packet(room, 1), frames: 2 },
      { bytes: socket.packet(...Array<number>(MOST_PARTS).fill(700)), frames: Math.ceil((MOST_PARTS * 700) / room) },
    ];
    socket.deliver();
    assert.deepEqual(socket.received(), expected);
  });

  test(`${version}: a packet of more frames than a packet may have is too long`, () => {
    const socket = new CopyMode({ version, ring: 64, segments: true, buffer: { frames: 128 } });
    socket.packet(MOST_PARTS * socket.buffer.room + 1);
    const fits = socket.packet(MOST_PARTS * socket.buffer.room);
    socket.deliver();
    assert.deepEqual(socket.received(), [{ bytes: fits, frames: MOST_PARTS }]);
    assert.equal(socket.kernel.counters.tooLong, 1);
  });

  test(`${version}: packets for which no frame is posted are counted, one each, however many parts they have`, () => {
    const socket = new CopyMode({ version, ring: 8, segments: true });
    for (let i = 0; i < 12; i++) socket.packet(60);
    socket.packet(1000, 1000);
    socket.deliver();
    assert.equal(socket.received().length, 8);
    const { counters } = socket.kernel;
    assert.deepEqual([counters.received, counters.fillRingEmpty + counters.receiveRingFull], [8, 5]);
    socket.packet(60);
    socket.deliver();
    assert.equal(socket.received().length, 1, 'it goes on when there are frames again');
  });

  test(`${version}: a socket that only sends takes nothing, and counts nothing`, () => {
    const socket = new CopyMode({ version, receive: 0, fill: 0 });
    socket.packet(60);
    socket.deliver();
    assert.deepEqual({ ...socket.kernel.counters }, { ...new CopyMode({ version }).kernel.counters });
  });

  test(`${version}: random packets, in lists of any length: what arrives is what was sent, minus what was counted`, () => {
    for (let seed = 1; seed <= 12; seed++) {
      const random = new Random(seed);
      const socket = new CopyMode({ version, ring: 64, segments: true, buffer: { frames: 256 } });
      let lost = 0;
      for (let round = 0; round < 10; round++) {
        const sent: Uint8Array[] = [];
        for (let packets = random.below(80); packets > 0; packets--) {
          const parts = random.oneIn(5) ? random.between(1, 6) : 1;
          sent.push(socket.packet(...Array.from({ length: parts }, () => random.between(1, 1792))));
        }
        socket.deliver();
        const received = socket.received().map(({ bytes }) => bytes);
        // What is lost is lost from the end: frames came back only afterwards.
        let next = 0;
        for (const bytes of received) {
          while (next < sent.length && Buffer.compare(sent[next]!, bytes) !== 0) next++;
          assert.ok(next++ < sent.length, `seed ${seed}`);
        }
        lost += sent.length - received.length;
      }
      const { counters } = socket.kernel;
      assert.equal(counters.fillRingEmpty + counters.receiveRingFull + counters.tooLong, lost, `seed ${seed}`);
      socket.user.close();
      assert.ok(socket.poolIsWhole());
    }
  });
}
