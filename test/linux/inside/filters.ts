import assert from 'node:assert/strict';
import { test } from 'node:test';
import { XDP_DROP, XDP_PASS } from '../../../src/ebpf/execution.js';
import type { ClassicInstruction } from '../../../src/filter/classic/instruction.js';
import { ClassicInterpreter } from '../../../src/filter/classic/interpreter.js';
import { compileExpression } from '../../../src/filter/compile-expression.js';
import { filterProgram } from '../../../src/filter/ebpf/filter-program.js';
import { loadProgram } from '../../../src/linux-kernel/programs/program-loading.js';
import { TestRuns } from '../../../src/linux-kernel/programs/test-run.js';
import { SystemCalls } from '../../../src/linux-kernel/system-calls.js';
import { FILTER_EXPRESSIONS } from '../../support/filter-expressions.js';
import { filterPacket } from '../../support/filter-packets.js';
import { Random } from '../../support/random.js';
import { randomClassicProgram } from '../../support/random-classic-program.js';

/** Test runs want a whole Ethernet header. */
const SHORTEST = 14;

const calls = await SystemCalls.load();

function compareWithLinux(program: readonly ClassicInstruction[], packets: readonly Uint8Array[], name: string): void {
  const classic = new ClassicInterpreter(program);
  const runs = new TestRuns(calls);
  const descriptor = loadProgram(calls, filterProgram(program, { accepted: XDP_PASS, refused: XDP_DROP }), []);
  try {
    for (const packet of packets) {
      const wanted = classic.run(packet, 0, packet.length) === 0 ? XDP_DROP : XDP_PASS;
      const { verdict } = runs.run(descriptor, packet);
      assert.equal(verdict, wanted, `${name}: ${Buffer.from(packet).toString('hex')}`);
    }
  } finally {
    calls.close(descriptor);
  }
}

function packetsOf(random: Random, count: number): Uint8Array[] {
  const packets: Uint8Array[] = [];
  while (packets.length < count) {
    const packet = filterPacket(random);
    if (packet.length >= SHORTEST) packets.push(packet);
  }
  return packets;
}

test("filters pass Linux's verifier, and have the same verdicts there", () => {
  const packets = packetsOf(new Random(1), 60);
  for (const expression of FILTER_EXPRESSIONS) {
    const program = compileExpression(expression, { link: 'ethernet', tagMayBeBeside: false });
    compareWithLinux(program, packets, expression);
  }
});

test("any classic program passes Linux's verifier as eBPF, and has the same verdicts there", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = new Random(seed);
    const program = randomClassicProgram(random, random.between(1, 40));
    compareWithLinux(program, packetsOf(random, 6), `seed ${seed}`);
  }
});
