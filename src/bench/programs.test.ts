import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Arena } from '../arena/arena.js';
import { openCapture } from '../capture-file/open-capture.js';
import type { Mode } from '../kernel/contract.js';
import { PacketBatch } from '../ring/packet-batch.js';
import { openSocket } from '../socket/open-socket.js';
import { SoftKernel } from '../soft-kernel/soft-kernel.js';
import type { WireOptions } from '../wire/options.js';
import { PrefilledFrames, trafficWriter } from './prefilled-frames.js';
import { PROGRAMS, type ProgramName, Tally } from './programs.js';

const PACKETS = 500;
const MODES: readonly Mode[] = ['v2', 'v3', 'v4', 'v4-zc', 'xdp-copy', 'xdp-zc'];
const SIZES = [64, 65, 594, 1518];

/** Runs a program until nothing moves any more; returns its tally and the packets that left the device. */
async function run(program: ProgramName, mode: Mode, wire: WireOptions, turns: number) {
  const kernel = new SoftKernel({ arena: Arena.create(2 ** 28) });
  await kernel.addNic({ name: 'soft0', wire: { kind: 'record', wire } });
  const receive = program === 'txpush' ? 'none' : 'all';
  const socket = await openSocket({ kernel, interface: 'soft0', mode, receive, buffer: { frames: 8192 } });
  const frames = program === 'txpush' ? new PrefilledFrames(socket, trafficWriter({ size: SIZES })) : undefined;
  const batch = new PacketBatch(48);
  const tally = new Tally();
  for (let turn = 0; turn < turns; turn++) {
    PROGRAMS[program](socket, batch, 1, tally, frames);
    kernel.run(1);
  }
  // V3 hands a block over when it is full or after a millisecond.
  while (program !== 'txpush' && (await socket.wait({ timeoutMilliseconds: 5 })))
    PROGRAMS[program](socket, batch, 1, tally, frames);
  kernel.run(100);
  socket.release(batch);
  const recorded = await kernel.recording('soft0');
  await socket.close();
  await kernel.close();
  return { tally, packets: packetsOf(recorded) };
}

function packetsOf(capture: Uint8Array): Uint8Array[] {
  const reader = openCapture(capture);
  const packets: Uint8Array[] = [];
  while (reader.next())
    packets.push(reader.bytes.slice(reader.packet.offset, reader.packet.offset + reader.packet.length));
  return packets;
}

/** The packets that a generator with these sizes sends. */
function generated(count: number): Uint8Array[] {
  const write = trafficWriter({ size: SIZES });
  return Array.from({ length: count }, (_, i) => {
    const bytes = new Uint8Array(1600);
    return bytes.slice(0, write(bytes, 0, i, 1600));
  });
}

const generator: WireOptions = { kind: 'generator', size: SIZES, count: PACKETS };

for (const mode of MODES) {
  test(`rxdrop in mode ${mode} counts every packet and byte, and reads every header`, async () => {
    const { tally, packets } = await run('rxdrop', mode, generator, 100);
    assert.equal(tally.packets, PACKETS);
    assert.equal(
      tally.bytes,
      generated(PACKETS).reduce((sum, packet) => sum + packet.length, 0),
    );
    assert.equal(packets.length, 0);
  });

  test(`l2fwd in mode ${mode} sends every packet back with its addresses swapped and all else as it was`, async () => {
    const { tally, packets } = await run('l2fwd', mode, generator, 200);
    assert.equal(tally.packets, PACKETS);
    const expected = generated(PACKETS).map((packet) => {
      const swapped = packet.slice();
      swapped.set(packet.subarray(6, 12), 0);
      swapped.set(packet.subarray(0, 6), 6);
      return swapped;
    });
    assert.equal(packets.length, PACKETS);
    for (let i = 0; i < PACKETS; i++) assert.deepEqual(packets[i], expected[i], `packet ${i}`);
  });

  test(`txpush in mode ${mode} sends what was written beforehand`, async () => {
    const { tally, packets } = await run('txpush', mode, { kind: 'none' }, 100);
    assert.ok(tally.packets >= 1000, `${tally.packets}`);
    assert.ok(packets.length >= 1000);
    const known = new Set(generated(1024).map((packet) => Buffer.from(packet).toString('latin1')));
    for (const packet of packets) assert.ok(known.has(Buffer.from(packet).toString('latin1')));
  });
}
