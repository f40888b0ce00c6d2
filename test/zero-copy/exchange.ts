import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PacketError } from '../../src/errors.js';
import { PacketBatch } from '../../src/ring/packet-batch.js';
import type { PacketSocket } from '../../src/socket/packet-socket.js';
import { readNumberedFrame, writeNumberedFrame } from '../support/frames.js';
import { driver, FAR, NEAR, open } from './cards.js';

/** Frames each way. */
const FRAMES = 5000;
/** Most frames on their way at once: the emulated cards lose or reorder what their receive rings of 256 do not hold. */
const IN_FLIGHT = 200;
/** The exchange ends when nothing has come for so long. */
const PATIENCE_MILLISECONDS = 3000;

const sizeOf = (number: number): number => [60, 1514, 61, 777, 128][number % 5]!;

/** Sends and receives at both ends at once; each frame's content and place in the order is checked. */
async function exchange(ends: readonly [PacketSocket, PacketSocket]): Promise<void> {
  const sent = [0, 0];
  const received = [0, 0];
  const batch = new PacketBatch(64);
  let last = performance.now();
  while (received.some((count) => count < FRAMES) && performance.now() - last < PATIENCE_MILLISECONDS) {
    let moved = 0;
    for (const me of [0, 1] as const) {
      const socket = ends[me];
      const room = Math.min(FRAMES - sent[me]!, IN_FLIGHT - (sent[me]! - received[1 - me]!), batch.capacity);
      const count = socket.allocate(batch, room);
      for (let i = 0; i < count; i++) {
        const number = sent[me]! + i;
        batch.size[i] = sizeOf(number);
        writeNumberedFrame(socket.bytes, batch.offset[i]!, batch.size[i]!, number);
      }
      sent[me]! += socket.send(batch);
      socket.release(batch);
      moved += socket.receive(batch);
      for (let i = 0; i < batch.length; i++) {
        const number = received[me]!++;
        assert.equal(
          readNumberedFrame(socket.bytes, batch.offset[i]!, batch.size[i]!, sizeOf(number)),
          number,
          `frame ${number} of ${batch.size[i]} bytes on ${socket.interface}`,
        );
      }
      socket.release(batch);
    }
    if (moved > 0) last = performance.now();
    else await ends[0].wait({ timeoutMilliseconds: 1 });
  }
  assert.deepEqual(received, [FRAMES, FRAMES]);
}

test(`${driver}: the best mode is zero-copy, and frames cross both ways, whole and in order`, async () => {
  await using near = await open(NEAR);
  await using far = await open(FAR);
  for (const socket of [near, far]) assert.deepEqual(socket.mode, { got: 'xdp-zc', refused: [], exclusive: true });
  await exchange([near, far]);
  for (const socket of [near, far]) {
    const { drops, sent, received, copied } = await socket.statistics();
    assert.deepEqual({ drops, sent, received, copied }, { drops: {}, sent: FRAMES, received: FRAMES, copied: 0 });
  }
});

test(`${driver}: zero-copy at one end, copies at the other`, async () => {
  await using near = await open(NEAR, { mode: 'xdp-zc' });
  await using far = await open(FAR, { mode: 'xdp-copy' });
  assert.deepEqual([near.mode.got, far.mode.got], ['xdp-zc', 'xdp-copy']);
  await exchange([near, far]);
});

test(`${driver}: frames of 2048 bytes are enough, or are refused with what to do`, async () => {
  await using far = await open(FAR);
  let near: PacketSocket;
  try {
    near = await open(NEAR, { mode: 'xdp-zc', buffer: { frames: 2048 } });
  } catch (error) {
    assert.ok(error instanceof PacketError);
    assert.deepEqual([driver, error.code, error.remedy], ['igb', 'FRAME_TOO_SMALL', 'frameSize: 4096']);
    return;
  }
  await using socket = near;
  assert.equal(driver, 'virtio_net');
  await exchange([socket, far]);
});

test(`${driver}: a refusal by the driver costs no more than its rung: the next one works with the same buffer`, async () => {
  // Neither driver takes packets of several frames in zero-copy.
  await using near = await open(NEAR, { segments: true });
  await using far = await open(FAR);
  assert.equal(near.mode.got, 'xdp-copy');
  assert.deepEqual(
    near.mode.refused.map(({ mode }) => mode),
    ['xdp-zc'],
  );
  await exchange([near, far]);
});
