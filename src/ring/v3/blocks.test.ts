import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PacketBatch } from '../packet-batch.js';
import { numberOf, packetOf, RingPair } from '../v2/ring-pair.test-support.js';

/** Block `block` of the receive ring as a DataView. */
function blockOf(pair: RingPair, block: number): DataView {
  const { base, entryBytes } = pair.maps.receive!;
  return new DataView(pair.arena.u8.buffer, base + block * entryBytes, entryBytes);
}

const statusOf = (pair: RingPair, block: number): number => blockOf(pair, block).getUint32(8, true);

describe('TPACKET_V3 blocks', () => {
  test('lie in memory as Linux writes them', () => {
    const pair = new RingPair({ version: 'v3' });
    pair.kernel.interfaceIndex = 9;
    pair.deliver([packetOf(1, 60)]);
    const first = { ...pair.time };
    pair.time = { seconds: first.seconds + 1, nanoseconds: 42 };
    pair.deliver([packetOf(2, 61), packetOf(3, 1000)]);
    assert.equal(statusOf(pair, 0), 0, 'still the kernel’s');
    pair.retire();
    const block = blockOf(pair, 0);
    assert.equal(block.getUint32(0, true), 2, 'version');
    assert.equal(block.getUint32(4, true), 48, 'offset_to_priv');
    assert.equal(block.getUint32(8, true), 1 | (1 << 5), 'block_status: user, time-out');
    assert.equal(block.getUint32(12, true), 3, 'num_pkts');
    assert.equal(block.getUint32(16, true), 48, 'offset_to_first_pkt');
    assert.equal(block.getUint32(20, true), 48 + 144 + 144 + 1088, 'blk_len');
    assert.equal(block.getBigUint64(24, true), 1n, 'seq_num');
    assert.equal(block.getUint32(32, true), first.seconds, 'ts_first_pkt');
    assert.equal(block.getUint32(36, true), first.nanoseconds);
    assert.equal(block.getUint32(40, true), first.seconds + 1, 'ts_last_pkt');
    assert.equal(block.getUint32(44, true), 42);
    const at = 48 + 144;
    assert.equal(block.getUint32(48, true), 144, 'tp_next_offset');
    assert.equal(block.getUint32(at, true), 144);
    assert.equal(block.getUint32(at + 144, true), 0, 'tp_next_offset of the last packet');
    assert.equal(block.getUint32(at + 4, true), first.seconds + 1, 'tp_sec');
    assert.equal(block.getUint32(at + 8, true), 42, 'tp_nsec');
    assert.equal(block.getUint32(at + 12, true), 61, 'tp_snaplen');
    assert.equal(block.getUint32(at + 16, true), 61, 'tp_len');
    assert.equal(block.getUint32(at + 20, true), 1, 'tp_status');
    assert.equal(block.getUint16(at + 24, true), 82, 'tp_mac');
    assert.equal(block.getUint16(at + 26, true), 96, 'tp_net');
    assert.equal(block.getUint16(at + 48, true), 17, 'sll_family');
    assert.equal(block.getUint16(at + 50), 0x0800, 'sll_protocol');
    assert.equal(block.getInt32(at + 52, true), 9, 'sll_ifindex');
    assert.equal(block.getUint8(at + 59), 6, 'sll_halen');
    assert.deepEqual(pair.arena.u8.slice(block.byteOffset + at + 82, block.byteOffset + at + 143), packetOf(2, 61));
  });

  test('keep headroom in front of each packet, rounded up to 16', () => {
    const pair = new RingPair({ version: 'v3', headroom: 100 });
    pair.deliver([packetOf(1, 60), packetOf(2, 61), packetOf(3, 1000)]);
    pair.retire();
    const block = blockOf(pair, 0);
    assert.equal(block.getUint32(48, true), 144 + 112, 'tp_next_offset');
    assert.deepEqual([block.getUint16(48 + 24, true), block.getUint16(48 + 26, true)], [82 + 112, 96 + 112]);
    const batch = new PacketBatch(3);
    assert.equal(pair.user.receive(batch), 3);
    for (let i = 0; i < 3; i++) pair.arena.u8.fill(0xee, batch.offset[i]! - 112, batch.offset[i]!);
    for (let i = 0; i < 3; i++) assert.deepEqual(pair.bytes(batch, i), packetOf(i + 1, [60, 61, 1000][i]!));
    pair.user.release(batch);
    assert.equal(statusOf(pair, 0), 0);
  });

  test('are handed over when the next packet does not fit, without the time-out bit, numbered in turn', () => {
    const pair = new RingPair({ version: 'v3' });
    pair.deliver([packetOf(1, 1400), packetOf(2, 1400)]);
    const { seconds } = pair.time;
    pair.time = { seconds: seconds + 1, nanoseconds: 0 };
    pair.deliver([packetOf(3, 1400)]);
    assert.equal(statusOf(pair, 0), 1);
    assert.equal(blockOf(pair, 0).getUint32(40, true), seconds, 'ts_last_pkt');
    assert.equal(blockOf(pair, 1).getUint32(32, true), seconds + 1, 'ts_first_pkt');
    assert.equal(blockOf(pair, 0).getUint32(12, true), 2);
    assert.equal(statusOf(pair, 1), 0);
    pair.retire();
    assert.equal(statusOf(pair, 1), 1 | (1 << 5));
    assert.equal(blockOf(pair, 1).getBigUint64(24, true), 2n);
  });

  test('are handed over when they have been open for the retire time, and not before', () => {
    const pair = new RingPair({ version: 'v3' });
    const { kernel } = pair;
    assert.equal(kernel.nextTick(), Number.POSITIVE_INFINITY);
    kernel.tick(5e6);
    assert.equal(statusOf(pair, 0), 0, 'an empty block stays');
    pair.deliver([packetOf(1)]);
    assert.ok(kernel.nextTick() <= 5e6, 'at the next step');
    kernel.tick(6e6);
    assert.equal(kernel.nextTick(), 7e6);
    pair.deliver([packetOf(2)]);
    kernel.tick(6_999_999);
    assert.equal(statusOf(pair, 0), 0);
    assert.equal(pair.kernel.counters.handedOver, 0);
    kernel.tick(7e6);
    assert.equal(statusOf(pair, 0), 1 | (1 << 5));
    assert.equal(pair.kernel.counters.received, 2);
    assert.equal(pair.kernel.counters.handedOver, 1, 'whoever waits is to look');
    assert.equal(kernel.nextTick(), Number.POSITIVE_INFINITY);
  });

  test('freeze the queue when none is free: packets are lost and counted until one is, and the next block says so', () => {
    const pair = new RingPair({ version: 'v3' });
    const batch = new PacketBatch(64);
    for (let i = 0; i < 12; i++) pair.deliver([packetOf(i, 1400)]);
    assert.equal(pair.kernel.counters.received, 8);
    assert.equal(pair.kernel.counters.receiveRingFull, 4);
    assert.equal(pair.user.receive(batch), 8);
    pair.user.release(batch);
    pair.deliver([packetOf(12), packetOf(13)]);
    pair.retire();
    assert.equal(statusOf(pair, 0), 1 | (1 << 2) | (1 << 5), 'user, LOSING, time-out');
    assert.equal(pair.user.receive(batch), 2);
    assert.equal(numberOf(pair.bytes(batch, 0)), 12);
    pair.user.release(batch);
    pair.deliver([packetOf(14)]);
    pair.retire();
    assert.equal(statusOf(pair, 1), 1 | (1 << 5));
  });

  test('cut a packet that is longer than a block, and hold nothing else then', () => {
    const pair = new RingPair({ version: 'v3' });
    const long = packetOf(1, 9000);
    pair.deliver([packetOf(0), long, packetOf(2)]);
    pair.retire();
    const batch = new PacketBatch(8);
    assert.equal(pair.user.receive(batch), 3);
    const room = 4096 - 48 - 82;
    assert.deepEqual([...batch.size.slice(0, 3)], [64, room, 64]);
    assert.deepEqual(pair.bytes(batch, 1), long.slice(0, room));
    assert.equal(blockOf(pair, 1).getUint32(48 + 16, true), 9000, 'tp_len');
    assert.equal(blockOf(pair, 1).getUint32(20, true), 4096, 'blk_len');
  });

  test('go back when all their packets are released, in whatever order, and when they were walked to the end', () => {
    const pair = new RingPair({ version: 'v3' });
    pair.deliver(Array.from({ length: 10 }, (_, i) => packetOf(i, 200)));
    pair.retire();
    const first = new PacketBatch(4);
    const second = new PacketBatch(4);
    const third = new PacketBatch(4);
    assert.equal(pair.user.receive(first), 4);
    pair.user.release(first);
    assert.notEqual(statusOf(pair, 0), 0, 'not walked to the end');
    pair.user.receive(second);
    pair.user.receive(third);
    assert.equal(third.length, 2);
    pair.user.release(third);
    assert.notEqual(statusOf(pair, 0), 0, 'the second batch is held');
    pair.user.release(second);
    assert.equal(statusOf(pair, 0), 0);
  });

  test('with few packets are given back at once, so that holding one packet of each does not hold the ring', () => {
    const pair = new RingPair({ version: 'v3', frames: 64 });
    const held: PacketBatch[] = [];
    for (let i = 0; i < 20; i++) {
      pair.deliver([packetOf(i), packetOf(1000 + i)]);
      pair.retire();
      const batch = new PacketBatch(2);
      assert.equal(pair.user.receive(batch), 2);
      const other = new PacketBatch(1);
      other.offset[0] = batch.offset[1]!;
      other.length = 1;
      other.origin = batch.origin;
      pair.user.release(other);
      batch.length = 1;
      held.push(batch);
    }
    assert.deepEqual(
      held.map((batch) => numberOf(pair.bytes(batch, 0))),
      Array.from({ length: 20 }, (_, i) => i),
    );
    assert.equal(pair.kernel.counters.receiveRingFull, 0);
    assert.equal(pair.user.counters.copiedOut, 40);
    for (const batch of held.reverse()) pair.user.release(batch);
    assert.equal(pair.buffer.free('receive') + pair.buffer.free('send'), 64);
  });

  test('with few packets stay as they are when there is no frame to copy to', () => {
    const pair = new RingPair({ version: 'v3', frames: 16 });
    const frames = new Int32Array(16);
    const taken = pair.buffer.pool.take(frames, 0, 16, 'receive');
    pair.deliver([packetOf(1)]);
    pair.retire();
    const batch = new PacketBatch(2);
    assert.equal(pair.user.receive(batch), 1);
    assert.equal(numberOf(pair.bytes(batch, 0)), 1);
    assert.deepEqual([pair.buffer.contains(batch.offset[0]!), pair.user.counters.copiedOut], [false, 0]);
    assert.notEqual(statusOf(pair, 0), 0);
    pair.user.release(batch);
    assert.equal(statusOf(pair, 0), 0);
    pair.buffer.pool.give(frames, 0, taken);
  });

  test('a batch may reach over several blocks', () => {
    const pair = new RingPair({ version: 'v3', receive: 8 });
    pair.deliver(Array.from({ length: 7 }, (_, i) => packetOf(i, 1400)));
    pair.retire();
    const batch = new PacketBatch(5);
    assert.equal(pair.user.receive(batch), 5);
    assert.deepEqual(
      [0, 1, 2, 3, 4].map((i) => numberOf(pair.bytes(batch, i))),
      [0, 1, 2, 3, 4],
    );
    pair.user.release(batch);
    assert.deepEqual([statusOf(pair, 0), statusOf(pair, 1)], [0, 0]);
    assert.notEqual(statusOf(pair, 2), 0);
    assert.equal(pair.user.receive(batch), 2);
  });

  test('without a packet, as older Linux hands them over, are stepped over and given back', () => {
    const pair = new RingPair({ version: 'v3' });
    for (let block = 0; block < 3; block++) {
      const view = blockOf(pair, block);
      view.setUint32(16, 48, true);
      view.setUint32(8, 1 | (1 << 5), true);
    }
    const batch = new PacketBatch(4);
    assert.equal(pair.user.receive(batch), 0);
    assert.deepEqual([statusOf(pair, 0), statusOf(pair, 1), statusOf(pair, 2)], [0, 0, 0]);
    assert.equal(pair.user.counters.invalid, 0);
  });

  test('whose contents were spoilt yield what can be found, and go back', () => {
    const pair = new RingPair({ version: 'v3' });
    const batch = new PacketBatch(8);
    const spoil: ((block: DataView) => void)[] = [
      (block) => block.setUint32(12, 0xffff_ffff, true),
      (block) => block.setUint32(16, 4090, true),
      (block) => block.setUint32(16, 50, true),
      (block) => block.setUint32(48, 3, true),
      (block) => block.setUint32(48, 0x7fff_fff8, true),
      (block) => block.setUint32(48 + 12, 0x7fff_ffff, true),
      (block) => block.setUint16(48 + 24, 0xffff, true),
      (block) => block.setUint32(12, 1000, true),
    ];
    spoil.forEach((damage, i) => {
      pair.deliver([packetOf(1, 700), packetOf(2, 700), packetOf(3, 700)]);
      pair.retire();
      damage(blockOf(pair, i % 4));
      const { base, entries, entryBytes } = pair.maps.receive!;
      const count = pair.user.receive(batch);
      for (let n = 0; n < count; n++) {
        assert.ok(batch.offset[n]! >= base && batch.offset[n]! + batch.size[n]! <= base + entries * entryBytes);
      }
      pair.user.release(batch);
      assert.equal(statusOf(pair, i % 4), 0);
      assert.ok(pair.user.counters.invalid > i);
    });
  });
});
