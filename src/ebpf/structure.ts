import { PacketError } from '../errors.js';
import type { HelperTable } from './helpers/contract.js';
import { type Instruction, isWide } from './instruction.js';
import { wrongForm } from './instruction-form.js';
import {
  BPF_CALL,
  BPF_CLASS_MASK,
  BPF_EXIT,
  BPF_JA,
  BPF_JMP,
  BPF_JMP32,
  BPF_OPERATION_MASK,
  BPF_PSEUDO_CALL,
  BPF_PSEUDO_FUNC,
  BPF_PSEUDO_KFUNC_CALL,
  BPF_PSEUDO_MAP_IDX,
  BPF_PSEUDO_MAP_IDX_VALUE,
} from './opcodes.js';
import { type Program, type Subprogram, sourceLineAt } from './program.js';

/** Most slots of a program (BPF_COMPLEXITY_LIMIT_INSNS in linux/bpf.h). */
export const MOST_SLOTS = 1_000_000;

/**
 * Checks that a program is one: that each slot is an instruction of RFC 9669 with existing registers and reserved fields 0, that jumps stay
 * in their subprogram and hit the start of an instruction, that no subprogram runs over its end, and that the maps, helpers and subprograms
 * it names exist. What its instructions then do is for the verifier, and engines do not rely on that.
 *
 * @throws PacketError PROGRAM_REFUSED, with the slot and its instruction
 */
export function checkStructure(program: Program, helpers: HelperTable): void {
  const { instructions, subprograms } = program;
  if (instructions.length === 0) throw refusal('it has no instructions');
  if (instructions.length > MOST_SLOTS) {
    throw refusal(`it has ${instructions.length} slots, and a program has at most ${MOST_SLOTS}`);
  }
  const starts = instructionStarts(program);
  checkSubprograms(program, starts);
  const entries = new Set(subprograms.map(({ start }) => start));
  for (const subprogram of subprograms) {
    for (let slot = subprogram.start; slot < subprogram.end; slot++) {
      if (starts[slot] === 0) continue;
      checkReferences(program, helpers, entries, slot);
      checkTarget(program, starts, subprogram, slot);
    }
    checkEnd(program, starts, subprogram);
  }
}

/** Distance of a jump's target in slots, from the instruction after it; undefined for what is no jump. */
export function jumpDistance({ opcode, offset, immediate }: Instruction): number | undefined {
  const operations = opcode & BPF_CLASS_MASK;
  if (operations !== BPF_JMP && operations !== BPF_JMP32) return undefined;
  const operation = opcode & BPF_OPERATION_MASK;
  if (operation === BPF_CALL || operation === BPF_EXIT) return undefined;
  return operation === BPF_JA && operations === BPF_JMP32 ? immediate : offset;
}

/** Checks the form of each instruction. Returns 1 for each slot that starts one, 0 for second slots. */
function instructionStarts(program: Program): Uint8Array {
  const { instructions } = program;
  const starts = new Uint8Array(instructions.length);
  for (let slot = 0; slot < instructions.length; slot++) {
    const instruction = instructions[slot]!;
    starts[slot] = 1;
    const wrong = wrongForm(instruction);
    if (wrong !== undefined) throw refusalAt(program, slot, wrong);
    if (!isWide(instruction)) continue;
    const second = instructions[slot + 1];
    if (second === undefined) throw refusalAt(program, slot, 'its second slot is missing');
    if (second.opcode !== 0 || second.destination !== 0 || second.source !== 0 || second.offset !== 0) {
      throw refusalAt(program, slot, 'its second slot holds more than an immediate');
    }
    slot++;
  }
  return starts;
}

function checkSubprograms(program: Program, starts: Uint8Array): void {
  let expected = 0;
  for (const { name, start, end } of program.subprograms) {
    if (start !== expected || end <= start || end > starts.length) {
      throw refusal(`subprogram ${name} has the slots ${start} to ${end - 1}, and the next free one is ${expected}`);
    }
    if (starts[start] === 0) throw refusal(`subprogram ${name} starts in the second slot of an instruction`);
    expected = end;
  }
  if (expected !== starts.length) throw refusal(`slot ${expected} and what follows belong to no subprogram`);
}

function checkReferences(program: Program, helpers: HelperTable, entries: ReadonlySet<number>, slot: number): void {
  const { opcode, source } = program.instructions[slot]!;
  if (isWide(program.instructions[slot]!)) checkWide(program, entries, slot);
  else if (opcode === (BPF_JMP | BPF_CALL)) {
    if (source === BPF_PSEUDO_CALL) checkSubprogramStart(program, entries, slot);
    else checkCalled(program, helpers, slot);
  }
}

function checkCalled(program: Program, helpers: HelperTable, slot: number): void {
  const { source, immediate } = program.instructions[slot]!;
  if (source === BPF_PSEUDO_KFUNC_CALL) {
    const name = program.kernelFunctions[immediate];
    if (name === undefined) throw refusalAt(program, slot, `the program names no kernel function ${immediate}`);
    if (helpers.byName(name) === undefined) throw refusalAt(program, slot, `there is no kernel function ${name}`);
  } else if (helpers.byNumber(immediate) === undefined) {
    throw refusalAt(program, slot, `there is no helper ${immediate}`);
  }
}

function checkWide(program: Program, entries: ReadonlySet<number>, slot: number): void {
  const { source, immediate } = program.instructions[slot]!;
  const upper = program.instructions[slot + 1]!.immediate;
  switch (source) {
    case 0:
      return;
    case BPF_PSEUDO_FUNC:
    case BPF_PSEUDO_MAP_IDX:
      if (upper !== 0) throw refusalAt(program, slot, 'the immediate of its second slot must be 0');
      break;
    case BPF_PSEUDO_MAP_IDX_VALUE:
      break;
    default:
      throw refusalAt(program, slot, `immediates of kind ${source} are for Linux alone, or do not exist`);
  }
  if (source === BPF_PSEUDO_FUNC) checkSubprogramStart(program, entries, slot);
  else if (program.maps[immediate] === undefined) throw refusalAt(program, slot, `the program has no map ${immediate}`);
}

function checkSubprogramStart(program: Program, entries: ReadonlySet<number>, slot: number): void {
  const target = slot + 1 + program.instructions[slot]!.immediate;
  if (entries.has(target)) return;
  throw refusalAt(program, slot, `no subprogram starts at slot ${target}`);
}

function checkTarget(program: Program, starts: Uint8Array, { start, end, name }: Subprogram, slot: number): void {
  const distance = jumpDistance(program.instructions[slot]!);
  if (distance === undefined) return;
  const target = slot + 1 + distance;
  if (target < start || target >= end) {
    throw refusalAt(
      program,
      slot,
      `it leads to slot ${target}, out of subprogram ${name} (slots ${start} to ${end - 1})`,
    );
  }
  if (starts[target] === 0) throw refusalAt(program, slot, `it leads to slot ${target}, the second of an instruction`);
}

function checkEnd(program: Program, starts: Uint8Array, { end, name }: Subprogram): void {
  const last = starts[end - 1] === 0 ? end - 2 : end - 1;
  const { opcode } = program.instructions[last]!;
  const leaves = opcode === (BPF_JMP | BPF_EXIT) || opcode === (BPF_JMP | BPF_JA) || opcode === (BPF_JMP32 | BPF_JA);
  if (!leaves) throw refusalAt(program, last, `subprogram ${name} runs over its end: its last instruction goes on`);
}

function refusal(why: string): PacketError {
  return new PacketError('PROGRAM_REFUSED', `this is no eBPF program: ${why}`, {
    remedy: 'give the program as the compiler or assembler made it, whole and unchanged',
  });
}

function refusalAt(program: Program, slot: number, why: string): PacketError {
  const { opcode, destination, source, offset, immediate } = program.instructions[slot]!;
  const code = `0x${opcode.toString(16).padStart(2, '0')}`;
  const fields = `${code}, destination ${destination}, source ${source}, offset ${offset}, immediate ${immediate}`;
  const line = sourceLineAt(program, slot);
  const where = line === undefined ? '' : ` of ${line.file}:${line.line}`;
  return refusal(`slot ${slot} (${fields})${where}: ${why}`);
}
