import assert from 'node:assert/strict';
import { Arena } from '../../src/arena/arena.js';
import { PacketError } from '../../src/errors.js';
import type { Mode } from '../../src/kernel/contract.js';
import { SoftKernel } from '../../src/soft-kernel/soft-kernel.js';
import { Random } from '../support/random.js';
import { Adversary } from './adversary.js';
import { fillWithCanaries } from './canaries.js';
import { fuzz } from './fuzzing.js';
import { type DeviceKind, HOSTILE_MODES, type HostileSocket, Laboratory } from './laboratory.js';

// The kernel in this thread: the adversary writes between any two of its steps, and every run repeats with its seed.

let arena = Arena.create(2 ** 25);
const ROUNDS = 400;
/** What one step may take, in milliseconds: generous, since the machine may have other things to do. */
const LONGEST_STEP = 500;

class Siege {
  #hostile: HostileSocket | undefined;
  #adversary: Adversary | undefined;
  rebound = 0;

  constructor(
    private readonly kernel: SoftKernel,
    private readonly laboratory: Laboratory,
    private readonly random: Random,
  ) {}

  async begin(): Promise<void> {
    this.#hostile = await this.laboratory.openHostile();
    this.#adversary = new Adversary(arena.i32, this.random, this.#hostile.means);
  }

  async round(): Promise<void> {
    const { random, laboratory } = this;
    const socket = this.#hostile!.socket;
    for (let i = random.below(3); i > 0; i--) {
      this.#adversary!.attack();
      if (random.oneIn(2)) this.#timed(() => socket.kick(random.oneIn(2) ? 'receive' : 'transmit'));
    }
    if (random.oneIn(3)) laboratory.send(random.between(1, 16));
    this.step(random.below(4));
    if (random.oneIn(40)) await this.#steer();
    if (random.oneIn(60)) await this.#rebind();
    laboratory.receive();
    laboratory.observe();
    if (random.oneIn(20)) laboratory.canaries.check();
  }

  step(steps: number): void {
    for (let i = 0; i < steps; i++) this.#timed(() => this.kernel.run(1));
  }

  /** The neighbour gets what is on its way to it. */
  settle(): void {
    for (let tries = 0; !this.laboratory.receive(); tries++) {
      if (tries === 1000) assert.fail(`packets for the neighbour are lost: it has got ${this.laboratory.received}`);
      // V3 hands blocks over in time.
      this.kernel.clock.skipTo(this.kernel.now + 1e5);
      this.step(1);
    }
  }

  async #steer(): Promise<void> {
    try {
      await this.#hostile!.socket.steer(this.laboratory.hostileRules());
    } catch (error) {
      assert.ok(error instanceof PacketError, String(error));
    }
  }

  /** Goes away in the middle of everything, and comes back with other rings. */
  async #rebind(): Promise<void> {
    await this.end();
    this.rebound++;
    this.step(this.random.below(3));
    await this.begin();
  }

  async end(): Promise<void> {
    const { socket } = this.#hostile!;
    if (this.random.oneIn(2)) await socket.unbind();
    if (this.random.oneIn(2)) this.#adversary!.attack(); // the rings are still its own
    await socket.close();
  }

  #timed(work: () => void): void {
    const start = performance.now();
    work();
    const milliseconds = performance.now() - start;
    assert.ok(milliseconds < LONGEST_STEP, `a step took ${Math.round(milliseconds)} ms`);
  }
}

async function besiege(device: DeviceKind, hostile: Mode, seed: number): Promise<void> {
  const random = new Random(seed);
  const free = arena.freeBytes;
  fillWithCanaries(arena.u8);
  const kernel = new SoftKernel({ arena });
  const options = { kernel, arena, random, device, hostile };
  await Laboratory.addDevices(options);
  const before = kernel.pool.outstanding;
  const laboratory = await Laboratory.create(options);
  const siege = new Siege(kernel, laboratory, random);
  await siege.begin();
  for (let round = 0; round < ROUNDS; round++) {
    await siege.round();
    if (round % 10 === 9) siege.settle();
  }
  siege.settle();
  await siege.end();
  siege.step(50);
  laboratory.observe();
  await laboratory.checkAftermath(() => siege.step(1));
  assert.ok(laboratory.received > 100);
  await laboratory.close();
  siege.step(50);
  // A veth pair keeps the empty frames that a batch did not need.
  const slack = device === 'veth' ? 512 : 0;
  assert.ok(
    kernel.pool.outstanding <= before + slack,
    `${kernel.pool.outstanding - before} frames of the page pool are missing`,
  );
  await kernel.close();
  assert.equal(arena.freeBytes, free, 'arena memory was not given back');
}

for (const device of ['nic', 'veth'] as const) {
  for (const mode of HOSTILE_MODES) {
    fuzz(`a hostile application in ${mode} on a ${device}, kernel in the same thread`, 3, async (seed) => {
      try {
        await besiege(device, mode, seed);
      } catch (error) {
        arena = Arena.create(2 ** 25); // what is left in the old one nobody knows
        throw error;
      }
    });
  }
}
