import { PacketError } from '../../errors.js';
import { type Instruction, instruction, isWide } from '../instruction.js';
import { BPF_CALL, BPF_JA, BPF_JMP, BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC } from '../opcodes.js';
import type { Program } from '../program.js';
import { jumpDistance } from '../structure.js';

/**
 * The program with a call of a helper in front of each instruction. Each slot becomes two, so that slots, distances and what a budget pays
 * for are doubled exactly:
 *
 *     slot i: instruction             becomes   2i: call probe, instruction
 *     slots i, i + 1: wide immediate  becomes   2i: call probe, goto +0, wide immediate
 *
 * @param probe number of the helper of slot 0; each slot has one of its own
 * @throws PacketError PROGRAM_REFUSED where a jump would be too far
 */
export function instrument(program: Program, probe: number): Program {
  const { instructions } = program;
  const probed: Instruction[] = [];
  for (let slot = 0; slot < instructions.length; slot++) {
    probed.push(instruction(BPF_JMP | BPF_CALL, { immediate: probe + slot }));
    const current = instructions[slot]!;
    if (!isWide(current)) {
      probed.push(stretch(current, slot));
      continue;
    }
    const second = instructions[slot + 1];
    // From the wide instruction a function is one slot less away than twice as far: it stands one behind its usual place.
    const isFunction = current.source === BPF_PSEUDO_FUNC;
    probed.push(instruction(BPF_JMP | BPF_JA));
    probed.push(isFunction ? { ...current, immediate: current.immediate * 2 - 1 } : current);
    if (second !== undefined) probed.push(second);
    slot++;
  }
  return {
    ...program,
    instructions: probed,
    subprograms: program.subprograms.map((subprogram) => ({
      ...subprogram,
      start: subprogram.start * 2,
      end: subprogram.end * 2,
    })),
    lines: program.lines.map((line) => ({ ...line, slot: line.slot * 2 })),
  };
}

/** The slot of the program that a slot of the instrumented one came from: of what executes, but for probes. */
export function originalSlot(slot: number): number {
  return slot >> 1;
}

/** Doubles the distance of a jump or call. */
function stretch(current: Instruction, slot: number): Instruction {
  const { opcode, source, offset, immediate } = current;
  if (opcode === (BPF_JMP | BPF_CALL)) {
    return source === BPF_PSEUDO_CALL ? { ...current, immediate: immediate * 2 } : current;
  }
  const distance = jumpDistance(current);
  if (distance === undefined) return current;
  if (distance !== offset) return { ...current, immediate: distance * 2 };
  if (offset < -0x4000 || offset > 0x3fff) {
    throw new PacketError('PROGRAM_REFUSED', `slot ${slot}: its jump of ${offset} slots is too far to be traced`, {
      remedy: 'trace a shorter program: jumps may go up to 16383 slots',
    });
  }
  return { ...current, offset: offset * 2 };
}
