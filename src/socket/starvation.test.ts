import assert from 'node:assert/strict';
import { test } from 'node:test';
import { poolIsWhole } from '../../test/support/pool.js';
import { Random } from '../../test/support/random.js';
import { softKernel } from '../../test/support/soft.js';
import type { Mode } from '../kernel/contract.js';
import { PacketBuffer } from '../packet-buffer/packet-buffer.js';
import { PacketBatch } from '../ring/packet-batch.js';
import type { SoftKernel } from '../soft-kernel/soft-kernel.js';
import { openSocket } from './open-socket.js';
import type { PacketSocket } from './packet-socket.js';

/** Where an endless loop is given up. */
const MOST_PACKETS = 5_000_000;

const MODES: readonly Mode[] = ['v4', 'v4-zc', 'xdp-copy', 'xdp-zc'];

/** A device that always has packets, and one to forward to. */
async function endless(): Promise<SoftKernel> {
  const kernel = softKernel();
  await kernel.addNic({ name: 'in', wire: { kind: 'generator', packets: 16 } });
  await kernel.addNic({ name: 'out' });
  return kernel;
}

function sendWhole(kernel: SoftKernel, socket: PacketSocket, batch: PacketBatch): void {
  for (let tries = 0; batch.length > 0 && tries < 100_000; tries++) if (socket.send(batch) === 0) kernel.run(1);
  assert.equal(batch.length, 0, 'a batch was never sent');
}

/** Packets that are received within some looks; they are released. */
function receivedWithin(socket: PacketSocket, looks: number): number {
  const batch = new PacketBatch(64);
  let packets = 0;
  for (let look = 0; look < looks; look++) {
    packets += socket.receive(batch);
    socket.release(batch);
  }
  return packets;
}

for (const mode of MODES) {
  for (const capacity of [64, 600, 1024, 65536]) {
    test(`${mode}: batches of ${capacity} are forwarded on rings of 1024 without end`, async () => {
      await using kernel = await endless();
      await using socket = await openSocket({ kernel, interface: 'in', mode, receive: 'all' });
      const batch = new PacketBatch(capacity);
      let packets = 0;
      for (let round = 0; round < 400 && packets < 5000; round++) {
        kernel.run(16);
        packets += socket.receive(batch);
        sendWhole(kernel, socket, batch);
      }
      assert.ok(packets >= 5000, `${packets} packets`);
    });
  }

  test(`${mode}: everything held and then sent: receiving goes on (I10)`, async () => {
    await using kernel = await endless();
    const buffer = PacketBuffer.create({ arena: kernel.arena, frames: 512 });
    {
      await using from = await openSocket({ kernel, interface: 'in', mode, receive: 'all', buffer, ring: 64 });
      await using to = await openSocket({ kernel, interface: 'out', mode, receive: 'none', buffer, ring: 64 });
      const held: PacketBatch[] = [];
      for (let looks = 0; looks < 200; looks++) {
        const batch = new PacketBatch(32);
        if (from.receive(batch) > 0) held.push(batch);
      }
      assert.equal(
        held.reduce((sum, batch) => sum + batch.length, 0),
        256,
        'every frame for receiving can be held',
      );
      for (const batch of held) sendWhole(kernel, to, batch);
      kernel.run(50);
      assert.ok(receivedWithin(from, 100) > 0);
    }
    assert.ok(poolIsWhole(buffer));
  });

  test(`${mode}: frames that lie sent in the rings of a socket nobody uses are found`, async () => {
    await using kernel = await endless();
    const buffer = PacketBuffer.create({ arena: kernel.arena, frames: 64 });
    await using from = await openSocket({ kernel, interface: 'in', mode, receive: 'all', buffer, ring: 64 });
    await using to = await openSocket({ kernel, interface: 'out', mode, receive: 'none', buffer, ring: 64 });
    const batch = new PacketBatch(32);
    for (let looks = 0; looks < 50; looks++) {
      from.receive(batch);
      to.send(batch);
    }
    kernel.run(50);
    assert.ok(await from.wait({ timeoutMilliseconds: 1000 }), 'a wait finds them, too');
    assert.ok(receivedWithin(from, 100) > 0);
  });

  test(`${mode}: a socket without frames receives once a neighbour gives its own back, also while it waits`, async () => {
    await using kernel = await endless();
    const buffer = PacketBuffer.create({ arena: kernel.arena, frames: 128 });
    await using socket = await openSocket({ kernel, interface: 'in', mode, receive: 'all', buffer, ring: 32 });
    const neighbour = await openSocket({ kernel, interface: 'out', mode, receive: 'all', buffer, ring: 32 });
    const held = new PacketBatch(64);
    const batch = new PacketBatch(8);
    while (held.length < 32 && socket.receive(batch) > 0) {
      for (let i = 0; i < batch.length; i++) held.offset[held.length++] = batch.offset[i]!;
      batch.length = 0;
    }
    assert.equal(buffer.free('receive'), 0);
    assert.equal(await socket.wait({ timeoutMilliseconds: 5 }), false, 'nothing to receive into');
    const waiting = socket.wait({ timeoutMilliseconds: 1e6 });
    await neighbour.close();
    assert.equal(await waiting, true);
    assert.ok(receivedWithin(socket, 100) > 0);
    socket.release(held);
  });

  test(`${mode}: a receiver that would get no frame is refused, with a remedy; a sender is not`, async () => {
    await using kernel = await endless();
    const buffer = PacketBuffer.create({ arena: kernel.arena, frames: 64 });
    const options = { kernel, buffer, ring: 32 };
    {
      await using first = await openSocket({ ...options, interface: 'in', mode, receive: 'all' });
      await assert.rejects(openSocket({ ...options, interface: 'out', mode: [mode, 'v2'], receive: 'all' }), {
        code: 'NO_FRAMES',
        remedy: /more frames/,
      });
      await using sender = await openSocket({ ...options, interface: 'out', mode, receive: 'none' });
      assert.ok(first.mode.got === sender.mode.got);
    }
    assert.ok(poolIsWhole(buffer));
  });

  test(`${mode}: no socket starves while its pool has frames, whatever the sizes and whoever comes and goes`, async () => {
    for (let seed = 1; seed <= 40; seed++) await live(mode, new Random(seed));
  });
}

/** Rounds of a life, and the round after which the neighbour closes. */
const ROUNDS = 60;
const CLOSED_AFTER = 40;

/** One random life: ring, batch and frames of random sizes; packets are released, held or forwarded; a neighbour closes. */
async function live(mode: Mode, random: Random): Promise<void> {
  await using kernel = await endless();
  const ring = 2 ** random.between(3, 10);
  const capacity = random.pick([1, 2, 7, 64, ring - 1, ring, ring + 1, 4 * ring, 65536]);
  const frames = random.pick([2, 3, 8]) * ring + random.below(16);
  const buffer = PacketBuffer.create({ arena: kernel.arena, frames, sendFrames: random.below(ring) });
  const story = `seed ${random.seed}: ${mode}, ring ${ring}, batches of ${capacity}, ${frames} frames`;
  {
    const neighbour = await openSocket({ kernel, interface: 'out', mode, receive: 'all', buffer, ring });
    await using socket = await openSocket({ kernel, interface: 'in', mode, receive: 'all', buffer, ring });
    const held: PacketBatch[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      if (random.oneIn(2)) kernel.run(random.below(20));
      const batch = new PacketBatch(capacity);
      const count = socket.receive(batch);
      if (count === 0 && buffer.free('receive') > 0) {
        assert.ok(receivedWithin(socket, 50) > 0, `${story}: starves in round ${round}`);
      } else if (count > 0) {
        const fate = random.below(4);
        if (fate === 0) held.push(batch);
        else if (fate === 1) socket.release(batch);
        else sendWhole(kernel, fate === 2 || round > CLOSED_AFTER ? socket : neighbour, batch);
      }
      if (random.oneIn(8)) for (const one of held.splice(0)) socket.release(one);
      if (round === CLOSED_AFTER) await neighbour.close();
      if (round > CLOSED_AFTER) for (const one of held.splice(0)) socket.release(one);
    }
    assert.ok(receivedWithin(socket, 200) > 0, `${story}: starves in the end`);
  }
  assert.ok(poolIsWhole(buffer), `${story}: frames are missing`);
}

for (const mode of [...MODES, 'v2', 'v3'] as const) {
  test(`${mode}: the event loop runs although packets never cease: iterations end when they are aborted`, async () => {
    await using kernel = await endless();
    await using socket = await openSocket({ kernel, interface: 'in', mode, receive: 'all' });
    const controller = new AbortController();
    let packets = 0;
    for await (const _ of socket.packets({ signal: controller.signal })) {
      if (packets++ === 0) setTimeout(() => controller.abort(), 1);
      if (packets === MOST_PACKETS) break;
    }
    assert.ok(packets > 0 && packets < MOST_PACKETS, `${packets} packets`);
  });

  for (const strategy of ['event', 'hybrid', 'busy'] as const) {
    test(`${mode}: the event loop runs although packets never cease: loops that wait (${strategy})`, async () => {
      await using kernel = await endless();
      await using socket = await openSocket({ kernel, interface: 'in', mode, receive: 'all' });
      const controller = new AbortController();
      const batch = new PacketBatch(64);
      let packets = 0;
      const loop = async (): Promise<void> => {
        while (packets < MOST_PACKETS && (await socket.wait({ strategy, signal: controller.signal }))) {
          if (packets === 0) setTimeout(() => controller.abort(new Error('enough')), 1);
          packets += socket.receive(batch);
          socket.release(batch);
        }
      };
      await assert.rejects(loop, /enough/);
    });
  }
}
