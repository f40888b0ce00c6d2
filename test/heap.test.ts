import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { getHeapStatistics } from 'node:v8';
import type { Mode } from '../src/kernel/contract.js';
import { PacketBatch } from '../src/ring/packet-batch.js';
import { openSocket } from '../src/socket/open-socket.js';
import type { PacketSocket } from '../src/socket/packet-socket.js';
import { softKernel } from './support/soft.js';

// No allocation per packet: neither by the user side nor by the kernel, which here runs inline.

const MODES: readonly Mode[] = ['v2', 'v3', 'v4', 'v4-zc', 'xdp-copy', 'xdp-zc'];
const WARM_UP = 200_000;
const PACKETS = 1_000_000;
/** Packets between looks at the heap: an object each (16 bytes at least) would not fill the young generation meanwhile. */
const SLICE = 20_000;
/** The smallest object is 16 times that. */
const MOST_BYTES_A_PACKET = 1;
const MOST_IDLE_LOOKS = 100_000;

type Program = (socket: PacketSocket, batch: PacketBatch, packets: number) => void;

const rxdrop: Program = (socket, batch, packets) => {
  let idle = 0;
  for (let moved = 0; moved < packets && idle < MOST_IDLE_LOOKS; ) {
    if (socket.receive(batch) === 0) idle++;
    moved += batch.length;
    socket.release(batch);
  }
  assert.ok(idle < MOST_IDLE_LOOKS, 'nothing is received');
};

const txpush: Program = (socket, batch, packets) => {
  let idle = 0;
  for (let moved = 0; moved < packets && idle < MOST_IDLE_LOOKS; ) {
    socket.allocate(batch);
    for (let i = 0; i < batch.length; i++) batch.size[i] = 60;
    const sent = socket.send(batch);
    if (sent === 0) idle++;
    moved += sent;
    socket.release(batch);
  }
  assert.ok(idle < MOST_IDLE_LOOKS, 'nothing is sent');
};

const forward: Program = (socket, batch, packets) => {
  let idle = 0;
  for (let moved = 0; moved < packets && idle < MOST_IDLE_LOOKS; ) {
    if (socket.receive(batch) === 0) idle++;
    moved += socket.send(batch);
    socket.release(batch);
  }
  assert.ok(idle < MOST_IDLE_LOOKS, 'nothing is forwarded');
};

function collectGarbage(): void {
  assert.ok(globalThis.gc, 'the tests run with --expose-gc');
  globalThis.gc();
}

/** A million packets are tried again this often before their allocations count. */
const MOST_ROUNDS = 3;

const heapBytes = (): number => getHeapStatistics().used_heap_size;

describe('the heap does not grow with the packets', () => {
  for (const mode of MODES) {
    for (const [name, program] of Object.entries({ rxdrop, txpush, forward })) {
      test(`${name} in ${mode}`, async () => {
        await using kernel = softKernel();
        await kernel.addNic({ name: 'soft0', wire: { kind: 'generator' } });
        const receive = name === 'txpush' ? 'none' : 'all';
        await using socket = await openSocket({ kernel, interface: 'soft0', mode, receive, blockSize: 32768 });
        const batch = new PacketBatch(64);
        program(socket, batch, WARM_UP);
        collectGarbage();
        const before = heapBytes();
        // What the compiler still does shows in one round, what a packet costs in each.
        let allocated = Number.POSITIVE_INFINITY;
        for (let round = 0; round < MOST_ROUNDS && allocated >= PACKETS * MOST_BYTES_A_PACKET; round++) {
          allocated = 0;
          for (let moved = 0; moved < PACKETS; moved += SLICE) {
            const start = heapBytes();
            program(socket, batch, SLICE);
            // A collection in between hides what was allocated before it, not what comes after.
            allocated += Math.max(0, heapBytes() - start);
          }
        }
        collectGarbage();
        const kept = heapBytes() - before;
        assert.ok(kept < PACKETS * MOST_BYTES_A_PACKET, `${kept} bytes are kept after ${PACKETS} packets`);
        assert.ok(
          allocated < PACKETS * MOST_BYTES_A_PACKET,
          `${allocated} bytes were allocated for ${PACKETS} packets`,
        );
      });
    }
  }
});
