import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Arena } from '../../arena/arena.js';
import { PacketBuffer } from '../../packet-buffer/packet-buffer.js';
import { OUTCOME_UNKNOWN, PACKET_METADATA, PacketBatch } from '../packet-batch.js';
import { requestChecksum, requestLaunchTime, requestTimestamp } from './transmit-metadata.js';
import { TransmitTimestamps } from './transmit-timestamps.js';

const buffer = PacketBuffer.create({ arena: Arena.create(2 ** 20), frames: 8 });
const { u8 } = buffer.arena;
const view = new DataView(u8.buffer);

/** A batch with one packet of 60 bytes in each frame, and nothing but 0xff in front. */
function packets(count: number): PacketBatch {
  const batch = new PacketBatch(count);
  for (let i = 0; i < count; i++) {
    const frame = buffer.base + i * buffer.frameSize;
    u8.fill(0xff, frame, frame + buffer.frameSize);
    batch.offset[i] = frame + buffer.dataOffset;
    batch.size[i] = 60;
  }
  batch.length = count;
  return batch;
}

/** The metadata of a packet: flags, start and field of the checksum, launch time. */
function metadata(batch: PacketBatch, index: number): unknown[] {
  const at = batch.offset[index]! - 24;
  return [
    view.getBigUint64(at, true),
    view.getUint16(at + 8, true),
    view.getUint16(at + 10, true),
    view.getBigUint64(at + 16, true),
  ];
}

test('requests lie where struct xsk_tx_metadata has them, alone and together', () => {
  const batch = packets(4);
  assert.equal(requestChecksum(buffer, batch, 0, 34, 6), true);
  assert.deepEqual(metadata(batch, 0).slice(0, 3), [2n, 34, 6]);
  assert.equal(requestTimestamp(buffer, batch, 1), true);
  assert.equal(metadata(batch, 1)[0], 1n);
  assert.equal(requestLaunchTime(buffer, batch, 2, 1_700_000_000, 123_456_789), true);
  assert.deepEqual([metadata(batch, 2)[0], metadata(batch, 2)[3]], [4n, 1_700_000_000_123_456_789n]);
  requestTimestamp(buffer, batch, 3);
  requestLaunchTime(buffer, batch, 3, 1, 0);
  requestChecksum(buffer, batch, 3, 14, 2);
  assert.deepEqual(metadata(batch, 3), [7n, 14, 2, 1_000_000_000n]);
  assert.deepEqual([...batch.flags], new Array(4).fill(PACKET_METADATA));
});

test('launch times are exact to the nanosecond, as long as there are 32 bits of seconds', () => {
  const batch = packets(1);
  const times = [0, 1, 65535, 65536, 4_294_967, 2 ** 31, 2 ** 32 - 1];
  for (const seconds of times) {
    for (const nanoseconds of [0, 1, 294_967_295, 294_967_296, 999_999_999]) {
      assert.equal(requestLaunchTime(buffer, batch, 0, seconds, nanoseconds), true);
      assert.equal(metadata(batch, 0)[3], BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds));
    }
  }
  for (const [seconds, nanoseconds] of [
    [-1, 0],
    [0.5, 0],
    [2 ** 32, 0],
    [Number.NaN, 0],
    [0, -1],
    [0, 1e9],
    [0, Number.NaN],
  ] as const) {
    batch.flags[0] = 0;
    assert.equal(requestLaunchTime(buffer, batch, 0, seconds, nanoseconds), false);
    assert.equal(batch.flags[0], 0);
  }
});

test('without room in front nothing is written', () => {
  const batch = packets(1);
  const at = batch.offset[0]!;
  for (const offset of [buffer.base + 20, at + 2, buffer.base - 64, 0]) {
    batch.offset[0] = offset;
    assert.equal(requestTimestamp(buffer, batch, 0), false);
    assert.equal(requestLaunchTime(buffer, batch, 0, 1, 1), false);
    assert.equal(requestChecksum(buffer, batch, 0, 14, 6), false);
  }
  assert.equal(batch.flags[0], 0);
  assert.ok(u8.subarray(buffer.base, buffer.base + buffer.frameSize).every((byte) => byte === 0xff));
});

/** What the kernel does when a packet was sent. */
function answer(at: number, time: bigint): void {
  view.setBigUint64(at - 16, time, true);
}

test('times of sent packets come back exactly, and only where they were asked for', () => {
  const timestamps = new TransmitTimestamps(buffer);
  const times = [0n, 999_999_999n, 1_700_000_000_123_456_789n, 4_294_967_295_999_999_999n];
  const batch = packets(6);
  batch.outcome.fill(OUTCOME_UNKNOWN);
  for (let i = 0; i < 4; i++) requestTimestamp(buffer, batch, i);
  requestLaunchTime(buffer, batch, 4, 5, 6);
  timestamps.posting(batch);
  for (let i = 0; i < 4; i++) answer(batch.offset[i]!, times[i]!);
  timestamps.completed(batch);
  const told = Array.from(
    batch.seconds,
    (seconds, i) => BigInt(seconds) * 1_000_000_000n + BigInt(batch.nanoseconds[i]!),
  );
  assert.deepEqual(told, [...times, 0n, 0n]);
});

test('a question that was not posted, or a packet that could not be sent, has no time', () => {
  const timestamps = new TransmitTimestamps(buffer);
  const batch = packets(3);
  for (let i = 0; i < 3; i++) {
    requestTimestamp(buffer, batch, i);
    answer(batch.offset[i]!, 77n);
  }
  timestamps.posting(batch);
  batch.dropFirst(2); // they were sent, the third was not
  timestamps.left(batch);
  const back = packets(3);
  for (let i = 0; i < 3; i++) answer(back.offset[i]!, 77n);
  back.outcome.set([OUTCOME_UNKNOWN, 22, OUTCOME_UNKNOWN]);
  timestamps.completed(back);
  assert.deepEqual([...back.nanoseconds], [77, 0, 0]);
  timestamps.completed(back); // told once
  assert.deepEqual([...back.nanoseconds], [0, 0, 0]);
});
