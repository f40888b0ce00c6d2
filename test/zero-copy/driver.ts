import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PacketBatch } from '../../src/ring/packet-batch.js';
import type { PacketSocket } from '../../src/socket/packet-socket.js';
import { readNumberedFrame, writeNumberedFrame } from '../support/frames.js';
import { driver, FAR, NEAR, open } from './cards.js';

/** Bytes of each packet. */
const SIZE = 60;
const BURST = 64;
/** Frames to receive into: fewer than the cards' receive rings hold (256), so that all are in the device at once. */
const RECEIVE_FRAMES = 192;
const PATIENCE_MILLISECONDS = 3000;

function send(socket: PacketSocket, first: number): void {
  const batch = new PacketBatch(BURST);
  assert.equal(socket.allocate(batch), BURST);
  for (let i = 0; i < BURST; i++) {
    writeNumberedFrame(socket.bytes, batch.offset[i]!, SIZE, first + i);
    batch.size[i] = SIZE;
  }
  assert.equal(socket.send(batch), BURST);
}

/** Receives whole packets until `count` are there or none has come for so long, and keeps their frames. */
async function receive(socket: PacketSocket, count: number): Promise<{ numbers: number[]; kept: PacketBatch[] }> {
  const numbers: number[] = [];
  const kept: PacketBatch[] = [];
  while (numbers.length < count && (await socket.wait({ timeoutMilliseconds: PATIENCE_MILLISECONDS }))) {
    const batch = new PacketBatch(BURST);
    socket.receive(batch);
    for (let i = 0; i < batch.length; i++) {
      const number = readNumberedFrame(socket.bytes, batch.offset[i]!, batch.size[i]!, SIZE);
      assert.ok(number >= 0, `a packet of ${batch.size[i]} bytes is damaged`);
      numbers.push(number);
    }
    kept.push(batch);
  }
  return { numbers, kept };
}

for (const busyPoll of [undefined, { microseconds: 50 }]) {
  const how = busyPoll === undefined ? 'interrupts' : 'busy polling';
  test(`${driver}, ${how}: a queue that ran out of frames goes on when some are released`, async () => {
    await using far = await open(FAR, { receive: 'none' });
    await using near = await open(NEAR, {
      mode: 'xdp-zc',
      ring: 256,
      buffer: { frames: 256, sendFrames: 256 - RECEIVE_FRAMES, frameSize: 4096 },
      ...(busyPoll !== undefined && { busyPoll }),
    });
    const kept: PacketBatch[] = [];
    for (let first = 0; first < RECEIVE_FRAMES; first += BURST) {
      send(far, first);
      const burst = await receive(near, BURST);
      assert.equal(burst.numbers.length, BURST);
      kept.push(...burst.kept);
    }
    send(far, 1000); // finds no frame: lost, or held up in the emulator
    for (const batch of kept) near.release(batch);
    const late = await receive(near, BURST);
    for (const batch of late.kept) near.release(batch);
    send(far, 2000);
    const { numbers } = await receive(near, BURST);
    assert.deepEqual(
      numbers.sort((a, b) => a - b),
      Array.from({ length: BURST }, (_, i) => 2000 + i),
    );
  });
}
