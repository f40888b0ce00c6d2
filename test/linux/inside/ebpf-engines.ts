import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createProgram } from '../../../src/ebpf/create-program.js';
import { encodeInstructions } from '../../../src/ebpf/instruction.js';
import { loadProgram } from '../../../src/linux-kernel/programs/program-loading.js';
import { TestRuns } from '../../../src/linux-kernel/programs/test-run.js';
import { SystemCalls } from '../../../src/linux-kernel/system-calls.js';
import { EbpfRuns } from '../../support/ebpf-runs.js';
import { ENGINES } from '../../support/engines.js';
import { Random } from '../../support/random.js';
import { RANDOM_PROGRAM_BYTES, randomProgram } from '../../support/random-program.js';

const PROGRAMS = 400;
const PACKETS = 6;

test("random programs have the kernel's results and packets in interpreter and compiler", async () => {
  const calls = await SystemCalls.load();
  const engines = ENGINES.map((engine) => new EbpfRuns({ engine }));
  const kernel = new TestRuns(calls);
  let different = 0;
  for (let seed = 1; seed <= PROGRAMS; seed++) {
    const random = new Random(seed);
    const program = randomProgram(random, random.between(5, 80));
    const executables = engines.map((runs) => runs.prepare(program));
    const descriptor = loadProgram(calls, createProgram(program), []);
    try {
      for (let i = 0; i < PACKETS; i++) {
        const packet = new Uint8Array(random.pick([RANDOM_PROGRAM_BYTES - 1, RANDOM_PROGRAM_BYTES, 200]));
        random.fill(packet, 0, packet.length);
        const text = `seed ${seed}, packet ${i}: ${Buffer.from(encodeInstructions(program)).toString('hex')}`;
        const theirs = kernel.run(descriptor, packet);
        for (const [index, runs] of engines.entries()) {
          const ours = runs.run(executables[index]!, packet);
          assert.equal(ours.fault, 0, text);
          assert.equal(ours.verdict >>> 0, theirs.verdict >>> 0, text);
          assert.deepEqual(Buffer.from(ours.packet), Buffer.from(theirs.packet), text);
        }
        if (Buffer.compare(theirs.packet, packet) !== 0) different++;
      }
    } finally {
      calls.close(descriptor);
    }
  }
  assert.ok(different > PROGRAMS, 'the programs change packets');
});
