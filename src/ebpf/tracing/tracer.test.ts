import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EbpfRuns } from '../../../test/support/ebpf-runs.js';
import { Random } from '../../../test/support/random.js';
import { RANDOM_PROGRAM_BYTES, randomProgram } from '../../../test/support/random-program.js';
import { PacketError } from '../../errors.js';
import { createProgram } from '../create-program.js';
import { DEFAULT_BUDGET, FAULT_BUDGET, FAULT_CALL_DEPTH, FAULT_MEMORY } from '../execution.js';
import { XDP_HELPERS } from '../helpers/xdp-helpers.js';
import { interpreter } from '../interpreter/interpreter.js';
import { prepareObject } from '../prepare-object.js';
import type { Program } from '../program.js';
import { assemble, assembleInstructions } from '../text/assemble.js';
import { originalSlot } from './instrument.js';
import { Tracer } from './tracer.js';

/** Runs a program with and without a tracer. */
function runBoth(program: Program, packet?: Uint8Array, budget = DEFAULT_BUDGET) {
  const plain = new EbpfRuns({ budget });
  const expected = plain.run(interpreter.prepare({ program, maps: [] }, plain.machine), packet);
  const tracer = new Tracer(XDP_HELPERS);
  const runs = new EbpfRuns({ helpers: tracer.helpers, budget: budget * 2 });
  const traced = interpreter.prepare({ program: tracer.addProgram(program), maps: [] }, runs.machine);
  tracer.begin(true);
  const result = runs.run(traced, packet);
  return { expected, result, trace: tracer.finish(runs.machine)!, executed: tracer.executed };
}

const programOf = (text: string) => createProgram(assembleInstructions(text));
const slots = (trace: ReturnType<typeof runBoth>['trace']) => trace.map(({ slot }) => slot);

test('random programs do the same with a tracer, and each step tells what its register holds', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = new Random(seed);
    const program = createProgram(randomProgram(random, random.between(5, 60)));
    const packet = new Uint8Array(RANDOM_PROGRAM_BYTES);
    random.fill(packet, 0, packet.length);
    const { expected, result, trace, executed } = runBoth(program, packet);
    assert.deepEqual(result, expected, `seed ${seed}`);
    assert.equal(trace.length, executed);
    const last = trace.flatMap(({ written }) => written.filter(({ register }) => register === 0)).at(-1);
    assert.equal(last?.value, expected.result, `seed ${seed}`);
  }
});

test('jumps, calls, wide immediates and returns are followed in their order', () => {
  const program = programOf(`
    r6 = 0x100000002 ll
    r1 = 3
  again:
    r1 += -1
    if r1 != 0 goto again
    call twice
    exit
  twice:
    r6 = 7
    r0 = r6
    r0 *= 2
    exit`);
  const { expected, result, trace } = runBoth(program);
  assert.equal(result.result, 14n);
  assert.equal(expected.result, 14n);
  assert.deepEqual(slots(trace), [0, 2, 3, 4, 3, 4, 3, 4, 5, 7, 8, 9, 10, 6]);
  const written = (index: number) => trace[index]!.written.map(({ register, value }) => [register, value]);
  assert.deepEqual(written(0), [[6, 0x100000002n]]);
  assert.deepEqual(written(7), []);
  assert.deepEqual(written(9), [[6, 7n]]);
  assert.deepEqual(
    trace[12]!.written.map(({ register }) => register),
    [6, 10],
    'a return gives back what was the caller’s',
  );
});

test('what is set to what it was is told, too', () => {
  const { trace } = runBoth(programOf('r0 = 5\nr0 = 5\nexit\n'));
  assert.deepEqual(trace[1]!.written, [{ register: 0, value: 5n }]);
});

test('budgets are used up, frames run out and accesses fail at the same instruction', () => {
  for (const [text, fault, budget] of [
    ['again: r1 = 0x5 ll\nr0 = 1\ngoto again\n', FAULT_BUDGET, 1000],
    ['r0 = 1\ncall next\nexit\nnext: r1 = 0x7 ll\nr0 += 1\nif r0 > 50 goto next\ngoto next\n', FAULT_BUDGET, 77],
    ['r0 = 1\ncall next\ncall next\nexit\nnext: r1 = 0x7 ll\nr0 += 1\nexit\n', FAULT_BUDGET, 7],
    ['call again\nexit\nagain: call again\nexit\n', FAULT_CALL_DEPTH, undefined],
    ['r1 = 0x5 ll\nr0 = *(u8 *)(r1 +0)\nexit\n', FAULT_MEMORY, undefined],
  ] as const) {
    const { expected, result, trace } = runBoth(programOf(text), undefined, budget);
    assert.equal(expected.fault, fault, text);
    assert.equal(result.fault, fault, text);
    assert.equal(originalSlot(result.faultSlot), expected.faultSlot, text);
    assert.equal(trace.at(-1)!.slot, expected.faultSlot, text);
  }
});

test('a tail call goes on in the trace with the other program', () => {
  const object = assemble(`
    .map programs prog_array key 4 value 4 entries 2
    .entry 1 second
    .function first
      r2 = map[programs]
      r3 = 1
      call bpf_tail_call#12
      r0 = 0
      exit
    .function second
      r0 = 2
      exit`);
  const tracer = new Tracer(XDP_HELPERS);
  const runs = new EbpfRuns({ helpers: tracer.helpers });
  const traced = { ...object, programs: object.programs.map((program) => tracer.addProgram(program)) };
  const [executable] = prepareObject(traced, runs.machine, interpreter).executables;
  tracer.begin(true);
  assert.equal(runs.run(executable!).verdict, 2);
  assert.deepEqual(
    tracer.finish(runs.machine)!.map(({ program, slot }) => [program.name, slot]),
    [
      ['first', 0],
      ['first', 2],
      ['first', 3],
      ['second', 0],
      ['second', 1],
    ],
  );
});

test('instructions are counted also where no steps are noted', () => {
  const tracer = new Tracer(XDP_HELPERS);
  const runs = new EbpfRuns({ helpers: tracer.helpers });
  const executable = interpreter.prepare(
    { program: tracer.addProgram(programOf('r0 = 1\nexit\n')), maps: [] },
    runs.machine,
  );
  for (let i = 0; i < 2; i++) {
    tracer.begin(false);
    runs.run(executable);
    assert.equal(tracer.executed, 2);
    assert.equal(tracer.finish(runs.machine), undefined);
  }
});

test('a jump that would be too far with probes between is refused', () => {
  const long = programOf(`r0 = 1\nif r0 == 2 goto end\n${'r0 = 1\n'.repeat(16_384)}end: exit\n`);
  assert.throws(
    () => new Tracer(XDP_HELPERS).addProgram(long),
    (error: unknown) =>
      error instanceof PacketError && error.code === 'PROGRAM_REFUSED' && /slot 1/.test(error.message),
  );
  const { expected, result } = runBoth(programOf(`gotol end\n${'r0 = 1\n'.repeat(16_384)}end: r0 = 9\nexit\n`));
  assert.deepEqual([expected.result, result.result], [9n, 9n]);
});
