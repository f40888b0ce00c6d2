import assert from 'node:assert/strict';
import { test } from 'node:test';
import { objectBytes, testObjects } from '../../../test/support/objects.js';
import { Random } from '../../../test/support/random.js';
import { Arena } from '../../arena/arena.js';
import { type ErrorCode, PacketError } from '../../errors.js';
import { FAULT_NONE, PACKET_FAULT, PACKET_RECORD_BYTES } from '../execution.js';
import { XDP_HELPERS } from '../helpers/xdp-helpers.js';
import { interpreter } from '../interpreter/interpreter.js';
import { Machine } from '../machine.js';
import { prepareObject } from '../prepare-object.js';
import type { ProgramObject } from '../program.js';
import { readObject } from './read-object.js';

const MUTATIONS = 120;
const PACKETS = 4;
const FRAME_BYTES = 4096;
/** What each step may say of a damaged object. */
const REFUSALS: Readonly<Record<'read' | 'prepare', readonly ErrorCode[]>> = {
  read: ['PROGRAM_CORRUPT', 'PROGRAM_UNSUPPORTED'],
  prepare: ['PROGRAM_CORRUPT', 'PROGRAM_REFUSED', 'MAP_UNSUPPORTED', 'ARENA_EXHAUSTED'],
};
/** What fields of damaged files hold, beside any number. */
const WILD = [0, 1, 7, 8, 0xff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff];

/** Does a step. @returns undefined where it is refused as it may be */
function attempt<Result>(step: keyof typeof REFUSALS, what: string, run: () => Result): Result | undefined {
  try {
    return run();
  } catch (error) {
    const isRefusal = error instanceof PacketError && REFUSALS[step].includes(error.code);
    assert.ok(isRefusal, `${what}, ${step}: ${(error as Error).stack}`);
    return undefined;
  }
}

/** Changes bytes anywhere, or whole words; may cut the end off. */
function damage(original: Uint8Array, random: Random): Uint8Array {
  const length = random.oneIn(4) ? random.between(4, original.length) : original.length;
  const bytes = original.slice(0, length);
  const view = new DataView(bytes.buffer);
  for (let changes = random.between(1, 4); changes > 0; changes--) {
    if (random.oneIn(3)) view.setUint32(random.below(length >> 2) * 4, random.pick(WILD), true);
    else bytes[random.below(length)] = random.word();
  }
  return bytes;
}

/** Runs each program on packets. @returns how many came to their end on the first one */
function runAll(object: ProgramObject, random: Random, what: string): number {
  const arena = Arena.create(2 ** 23);
  const machine = new Machine(arena, { helpers: XDP_HELPERS, bytes: 2 ** 21 });
  const packets = arena.allocate(PACKETS * FRAME_BYTES).offset;
  const records = arena.allocate(PACKETS * PACKET_RECORD_BYTES).offset;
  // Neither packets nor programs can reach what is behind the machine and the packets.
  const canary = arena.allocate(FRAME_BYTES).offset;
  arena.u8.fill(0x5a, canary, canary + FRAME_BYTES);
  let ended = 0;
  for (const program of object.programs) {
    // The others may be those that are damaged.
    const prepared = attempt('prepare', what, () =>
      prepareObject({ programs: [program], maps: object.maps }, machine, interpreter),
    );
    if (prepared === undefined) continue;
    for (let i = 0; i < PACKETS; i++) {
      const [first, data] = [packets + i * FRAME_BYTES, packets + i * FRAME_BYTES + 256];
      random.fill(arena.u8, data, 300);
      arena.i32.set(
        [first, data, data, data + 60 + 50 * i, first + FRAME_BYTES, 1, 0, 0],
        (records + i * PACKET_RECORD_BYTES) >> 2,
      );
    }
    prepared.executables[0]!.run(records, PACKETS);
    if (arena.i32[(records >> 2) + PACKET_FAULT] === FAULT_NONE) ended++;
    assert.ok(
      arena.u8.subarray(canary, canary + FRAME_BYTES).every((byte) => byte === 0x5a),
      what,
    );
  }
  return ended;
}

test('damaged objects are refused with a reason, or run within bounds and come to an end', { timeout: 120_000 }, () => {
  const counts = { unread: 0, ended: 0, read: 0 };
  for (const name of testObjects()) {
    const original = objectBytes(name);
    for (let seed = 1; seed <= MUTATIONS; seed++) {
      const random = new Random(seed);
      const what = `${name}, seed ${seed}`;
      const bytes = damage(original, random);
      const object = attempt('read', what, () => readObject(bytes));
      if (object === undefined) counts.unread++;
      else {
        counts.read++;
        counts.ended += runAll(object, random, what);
      }
    }
  }
  for (const count of Object.values(counts)) assert.ok(count > 200, JSON.stringify(counts));
});
