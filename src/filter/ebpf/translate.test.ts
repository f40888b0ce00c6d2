import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EbpfRuns } from '../../../test/support/ebpf-runs.js';
import { FILTER_EXPRESSIONS } from '../../../test/support/filter-expressions.js';
import { filterPacket } from '../../../test/support/filter-packets.js';
import { Random } from '../../../test/support/random.js';
import { randomClassicProgram } from '../../../test/support/random-classic-program.js';
import { XDP_DROP, XDP_PASS } from '../../ebpf/execution.js';
import { PacketError } from '../../errors.js';
import { disassembleClassicProgram } from '../classic/disassemble.js';
import type { ClassicInstruction } from '../classic/instruction.js';
import { ClassicInterpreter } from '../classic/interpreter.js';
import { compileExpression } from '../compile-expression.js';
import { filterProgram } from './filter-program.js';
import { translateFilter } from './translate.js';

const VERDICTS = { accepted: XDP_PASS, refused: XDP_DROP };

const compile = (expression: string): ClassicInstruction[] =>
  compileExpression(expression, { link: 'ethernet', tagMayBeBeside: false });

/** Both programs, one after the other, over the packets. @returns how many were accepted */
function compareEngines(
  runs: EbpfRuns,
  program: readonly ClassicInstruction[],
  packets: readonly Uint8Array[],
): number {
  const classic = new ClassicInterpreter(program);
  const executable = runs.prepare(filterProgram(program, VERDICTS).instructions);
  let accepted = 0;
  for (const packet of packets) {
    const wanted = classic.run(packet, 0, packet.length) === 0 ? XDP_DROP : XDP_PASS;
    const { fault, verdict } = runs.run(executable, packet);
    const hint = (): string => `${Buffer.from(packet).toString('hex')}\n${disassembleClassicProgram(program)}`;
    if (fault !== 0 || verdict !== wanted) assert.fail(`fault ${fault}, verdict ${verdict} for ${wanted}: ${hint()}`);
    if (verdict === XDP_PASS) accepted++;
  }
  return accepted;
}

test('filters have the same verdicts as eBPF', () => {
  const random = new Random(1);
  const packets = Array.from({ length: 300 }, () => filterPacket(random));
  const runs = new EbpfRuns();
  let accepted = 0;
  for (const expression of FILTER_EXPRESSIONS) accepted += compareEngines(runs, compile(expression), packets);
  assert.ok(accepted > 10_000, `${accepted}`);
});

test('property: any classic program has the same verdicts as eBPF', () => {
  const runs = new EbpfRuns();
  let accepted = 0;
  for (let seed = 1; seed <= 1500; seed++) {
    const random = new Random(seed);
    const program = randomClassicProgram(random, random.between(1, 40));
    const packets = Array.from({ length: 8 }, () => filterPacket(random));
    accepted += compareEngines(runs, program, packets);
  }
  assert.ok(accepted > 500 && accepted < 10_000, `${accepted}`);
});

test('bounds are compared once, instructions that nothing leads to are left out', () => {
  const { instructions } = translateFilter(compile('udp port 53'));
  assert.ok(instructions.length < 70, `${instructions.length}`);
  const unreachable = translateFilter([
    { code: 0x05, jumpTrue: 0, jumpFalse: 0, value: 1 },
    { code: 0x20, jumpTrue: 0, jumpFalse: 0, value: 12 },
    { code: 0x06, jumpTrue: 0, jumpFalse: 0, value: 1 },
  ]);
  assert.equal(unreachable.instructions.length, 3);
  assert.deepEqual(unreachable.ends, [{ at: 2, accepts: true }]);
});

test('a program that is none is refused', () => {
  assert.throws(
    () => translateFilter([{ code: 0x20, jumpTrue: 0, jumpFalse: 0, value: 0 }]),
    (error) => error instanceof PacketError && error.code === 'FILTER_CORRUPT',
  );
});
