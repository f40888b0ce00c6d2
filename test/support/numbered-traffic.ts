import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { PacketBatch } from '../../src/ring/packet-batch.js';
import type { PacketSocket } from '../../src/socket/packet-socket.js';
import { readNumberedFrame, writeNumberedFrame } from './frames.js';

/** Receives until `count` numbered frames are there; checks number, length and content of each. */
export async function receiveNumbered(socket: PacketSocket, count: number, size: number): Promise<void> {
  const batch = new PacketBatch(64);
  let next = 0;
  while (next < count) {
    if (socket.receive(batch) === 0) {
      assert.ok(await socket.wait({ timeoutMilliseconds: 5000 }), `packet ${next} never came`);
      continue;
    }
    for (let i = 0; i < batch.length; i++) {
      assert.equal(readNumberedFrame(socket.bytes, batch.offset[i]!, batch.size[i]!, size), next++);
    }
    socket.release(batch);
  }
}

/** Sends `count` numbered frames, waiting for room, and waits until the kernel has sent them. */
export async function sendNumbered(socket: PacketSocket, count: number, size: number): Promise<void> {
  const batch = new PacketBatch(50);
  for (let written = 0; written < count; ) {
    const room = socket.allocate(batch, Math.min(50, count - written));
    for (let i = 0; i < room; i++) {
      writeNumberedFrame(socket.bytes, batch.offset[i]!, size, written++);
      batch.size[i] = size;
    }
    while (batch.length > 0) {
      if (socket.send(batch) === 0) assert.ok(await socket.wait({ for: 'send', timeoutMilliseconds: 2000 }));
    }
  }
  await sentByKernel(socket, count);
}

/** Waits until the kernel has sent so many. */
export async function sentByKernel(socket: PacketSocket, count: number): Promise<void> {
  for (let i = 0; (await socket.statistics()).kernelSent < count; i++) {
    assert.ok(i < 400, 'frames never came back');
    await sleep(5);
  }
}

/** Sends packets as they are, in one batch, and waits until the kernel has sent them. */
export async function sendPackets(socket: PacketSocket, packets: readonly Uint8Array[]): Promise<void> {
  const before = (await socket.statistics()).kernelSent;
  const batch = new PacketBatch(packets.length);
  assert.equal(socket.allocate(batch), packets.length);
  packets.forEach((packet, i) => {
    socket.bytes.set(packet, batch.offset[i]!);
    batch.size[i] = packet.length;
  });
  while (batch.length > 0) {
    if (socket.send(batch) === 0) assert.ok(await socket.wait({ for: 'send', timeoutMilliseconds: 2000 }));
  }
  await sentByKernel(socket, before + packets.length);
}

/** Receives `count` packets and returns copies. */
export async function receivePackets(socket: PacketSocket, count: number): Promise<Uint8Array[]> {
  const batch = new PacketBatch(64);
  const packets: Uint8Array[] = [];
  while (packets.length < count) {
    if (socket.receive(batch) === 0) {
      assert.ok(await socket.wait({ timeoutMilliseconds: 5000 }), `${packets.length} of ${count} packets came`);
      continue;
    }
    for (let i = 0; i < batch.length; i++) {
      packets.push(socket.bytes.slice(batch.offset[i]!, batch.offset[i]! + batch.size[i]!));
    }
    socket.release(batch);
  }
  return packets;
}
