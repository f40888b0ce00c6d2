import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EbpfRuns } from '../../../test/support/ebpf-runs.js';
import { Random } from '../../../test/support/random.js';
import { randomProgram } from '../../../test/support/random-program.js';
import { ACCEPTED, HOSTILE } from '../../../test/support/verifier-programs.js';
import { PacketError } from '../../errors.js';
import { createProgram } from '../create-program.js';
import { XDP_HELPERS } from '../helpers/xdp-helpers.js';
import { encodeInstructions, type Instruction } from '../instruction.js';
import type { EbpfMap } from '../maps/contract.js';
import { createMap } from '../maps/create-map.js';
import type { Program } from '../program.js';
import { assemble } from '../text/assemble.js';
import { verify } from './verify.js';

const MUTANTS = 12_000;

/** Undefined where an engine or a verifier refuses. */
function unlessRefused<Kind>(attempt: () => Kind): Kind | undefined {
  try {
    return attempt();
  } catch (error) {
    if (error instanceof PacketError) return undefined;
    throw error;
  }
}

/** An instruction with one field changed a little, or copied from another one. */
function mutate(random: Random, instructions: readonly Instruction[]): Instruction[] {
  const mutant = [...instructions];
  for (let count = random.between(1, 3); count > 0; count--) {
    const slot = random.below(mutant.length);
    const old = mutant[slot]!;
    const other = random.pick(mutant);
    const by = random.pick([-8, -4, -2, -1, 1, 2, 4, 8]);
    const changes: Partial<Instruction>[] = [
      { destination: random.below(11) },
      { source: random.below(11) },
      { offset: old.offset + by },
      { immediate: (old.immediate + by) | 0 },
      { immediate: (random.pick([0, -1, 16, 64, 0x7fffffff]) ^ by) | 0 },
      { opcode: other.opcode },
      { opcode: (old.opcode & 0x0f) | (random.below(14) << 4) },
      { opcode: old.opcode ^ random.pick([1, 2, 4, 8, 0x10, 0x18, 0x20]) },
      other,
    ];
    mutant[slot] = { ...old, ...random.pick(changes) };
  }
  return mutant;
}

test('programs that are accepted neither fault nor run forever, however they came about', () => {
  const runs = new EbpfRuns();
  const bases: { program: Program; maps: EbpfMap[] }[] = [];
  for (const { text } of [...ACCEPTED, ...HOSTILE]) {
    const program = assemble(text).programs[0]!;
    const maps = unlessRefused(() => program.maps.map((definition) => createMap(runs.machine, definition)));
    if (maps !== undefined) bases.push({ program, maps });
  }
  for (let seed = 1; seed <= 40; seed++) {
    const random = new Random(seed);
    bases.push({ program: createProgram(randomProgram(random, random.between(5, 60))), maps: [] });
  }
  let accepted = 0;
  for (let seed = 1; seed <= MUTANTS; seed++) {
    const random = new Random(seed);
    const { program: base, maps } = random.pick(bases);
    const program = createProgram(mutate(random, base.instructions), { maps: base.maps });
    if (unlessRefused(() => verify(program, { helpers: XDP_HELPERS, limit: 20_000 })) === undefined) continue;
    accepted++;
    const executable = runs.prepare(program.instructions, maps);
    for (const bytes of [14, 40, 200]) {
      const packet = new Uint8Array(bytes);
      random.fill(packet, 0, bytes);
      const { fault, faultSlot } = runs.run(executable, packet);
      const text = `seed ${seed}, ${bytes} bytes: ${Buffer.from(encodeInstructions(program.instructions)).toString('hex')}`;
      assert.equal(fault, 0, `${text}: fault ${fault} at slot ${faultSlot}`);
    }
  }
  assert.ok(accepted > MUTANTS / 20, `${accepted} of ${MUTANTS} were accepted`);
});
