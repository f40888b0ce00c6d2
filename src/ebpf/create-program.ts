import { type Instruction, isWide } from './instruction.js';
import { BPF_CALL, BPF_JMP, BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC } from './opcodes.js';
import type { Program, Subprogram } from './program.js';

/** A program of instructions alone: an XDP program named "program", without maps, its subprograms found from its calls. */
export function createProgram(
  instructions: readonly Instruction[],
  parts: Partial<Omit<Program, 'instructions'>> = {},
): Program {
  return {
    name: 'program',
    place: 'xdp',
    license: 'Dual MIT/GPL',
    segments: false,
    subprograms: findSubprograms(instructions),
    maps: [],
    kernelFunctions: [],
    lines: [],
    ...parts,
    instructions,
  };
}

/**
 * Finds the subprograms: one begins at slot 0, one wherever a call or the address of a function leads. What leads out of the program, or
 * into the middle of a wide instruction, is left to the verifier.
 */
export function findSubprograms(instructions: readonly Instruction[]): Subprogram[] {
  const starts = new Set([0]);
  for (let slot = 0; slot < instructions.length; slot++) {
    const { opcode, source, immediate } = instructions[slot]!;
    const called = opcode === (BPF_JMP | BPF_CALL) && source === BPF_PSEUDO_CALL;
    const named = isWide(instructions[slot]!) && source === BPF_PSEUDO_FUNC;
    const target = slot + 1 + immediate;
    if ((called || named) && target >= 0 && target < instructions.length) starts.add(target);
    if (isWide(instructions[slot]!)) slot++;
  }
  const sorted = [...starts].sort((a, b) => a - b);
  return sorted.map((start, index) => ({
    name: index === 0 ? 'main' : `function_${start}`,
    start,
    end: sorted[index + 1] ?? instructions.length,
  }));
}
