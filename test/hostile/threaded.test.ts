import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Arena } from '../../src/arena/arena.js';
import { PacketError } from '../../src/errors.js';
import { nodeThreads } from '../../src/host/node-threads.js';
import type { Mode } from '../../src/kernel/contract.js';
import { ThreadedSoftKernel } from '../../src/soft-kernel/thread/threaded-kernel.js';
import { Random } from '../support/random.js';
import { fillWithCanaries } from './canaries.js';
import { fuzz } from './fuzzing.js';
import { type DeviceKind, HOSTILE_MODES, type HostileSocket, Laboratory } from './laboratory.js';
import { Scribbler } from './scribbler.js';

// The kernel on its own thread, the adversary on another: descriptors change between any two of the kernel's instructions. What
// happens depends on the threads' timing; a seed repeats what is tried, not when.

let arena = Arena.create(2 ** 25);
const MILLISECONDS = 300;
/** Until a packet that is on its way must be there: far beyond any pause of a busy machine. */
const LONGEST_WAIT = 20_000;

async function besiege(device: DeviceKind, hostile: Mode, seed: number): Promise<void> {
  const random = new Random(seed);
  const free = arena.freeBytes;
  fillWithCanaries(arena.u8);
  const kernel = new ThreadedSoftKernel({ host: nodeThreads(), arena, kernelBytes: 2 ** 24 });
  const scribbler = new Scribbler(arena.memory, seed);
  try {
    const options = { kernel, arena, random, device, hostile };
    await Laboratory.addDevices(options);
    const laboratory = await Laboratory.create(options);
    for (let life = 0; life < 2; life++) {
      const { socket, means } = await laboratory.openHostile();
      scribbler.start(means);
      await keepBusy(laboratory, socket, random);
      // It must not write into rings that are somebody else's: one memory has no pages to unmap.
      if (random.oneIn(2)) await socket.unbind();
      await scribbler.stop();
      await socket.close();
    }
    laboratory.observe();
    await laboratory.checkAftermath(() => sleep(1));
    assert.ok(laboratory.received > 20);
    await laboratory.close();
    await kernel.close();
    assert.equal(arena.freeBytes, free, 'arena memory was not given back');
  } catch (error) {
    arena = Arena.create(2 ** 25);
    throw error;
  } finally {
    await scribbler.end();
    await kernel.close().catch(() => {});
  }
}

async function keepBusy(laboratory: Laboratory, socket: HostileSocket['socket'], random: Random): Promise<void> {
  for (const end = performance.now() + MILLISECONDS / 2; performance.now() < end; ) {
    socket.kick(random.oneIn(2) ? 'receive' : 'transmit');
    laboratory.send(random.between(1, 16));
    if (random.oneIn(20)) {
      await socket.steer(laboratory.hostileRules()).catch((error) => assert.ok(error instanceof PacketError));
    }
    const deadline = performance.now() + LONGEST_WAIT;
    while (!laboratory.receive()) {
      if (performance.now() > deadline) assert.fail(`packets are lost: the neighbour has got ${laboratory.received}`);
      socket.kick('transmit');
      await laboratory.neighbour.wait({ timeoutMilliseconds: 5 });
    }
    laboratory.observe();
    laboratory.canaries.check();
  }
}

for (const device of ['nic', 'veth'] as const) {
  for (const mode of HOSTILE_MODES) {
    fuzz(`a hostile application in ${mode} on a ${device}, kernel and adversary on threads of their own`, 1, (seed) =>
      besiege(device, mode, seed),
    );
  }
}
