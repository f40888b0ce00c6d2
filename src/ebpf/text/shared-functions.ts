import { type Instruction, isWide } from '../instruction.js';
import type { MapDefinition } from '../maps/contract.js';
import {
  BPF_CALL,
  BPF_JMP,
  BPF_PSEUDO_CALL,
  BPF_PSEUDO_FUNC,
  BPF_PSEUDO_KFUNC_CALL,
  BPF_PSEUDO_MAP_IDX,
  BPF_PSEUDO_MAP_IDX_VALUE,
} from '../opcodes.js';
import type { Program, Subprogram } from '../program.js';

/** A function that one program has, or several programs have alike. */
export interface SharedFunction {
  readonly name: string;
  /** One of those that have it, and where. */
  readonly program: Program;
  readonly subprogram: Subprogram;
  /** Whether a program begins with it. */
  readonly isProgram: boolean;
}

/** Functions of some programs, each once: programs in their order, then the others as they appear. */
export interface SharedFunctions {
  readonly functions: readonly SharedFunction[];
  /** Of each program its functions, in the order of its subprograms. */
  readonly byProgram: ReadonlyMap<Program, readonly SharedFunction[]>;
}

/** A function of a program while those that are alike are being found. */
interface Candidate extends SharedFunction {
  readonly callees: readonly Candidate[];
  /** Two are alike while theirs are the same. */
  kind: string;
}

/**
 * Finds functions that are the same in several programs: with the same name and instructions, maps and kernel functions being compared
 * themselves, and calling functions that are the same. Functions of one program always stay apart.
 */
export function findSharedFunctions(programs: readonly Program[]): SharedFunctions {
  const maps = [...new Set(programs.flatMap((program) => program.maps))];
  const mapNumbers = new Map(maps.map((map, number) => [map, number]));
  const byProgram = programs.map((program, index) => candidatesOf(program, programs.slice(0, index), mapNumbers));
  const candidates = byProgram.flat();
  // What calls different functions is different; so is what calls that, and so on.
  for (let kinds = 0; ; ) {
    const refined = candidates.map(({ kind, callees }) => [kind, ...callees.map((callee) => callee.kind)].join(' '));
    const numbers = new Map([...new Set(refined)].map((kind, number) => [kind, String(number)]));
    for (const [index, candidate] of candidates.entries()) candidate.kind = numbers.get(refined[index]!)!;
    if (numbers.size === kinds) break;
    kinds = numbers.size;
  }
  const functions = new Map<string, SharedFunction>();
  const inOrder = [...candidates].sort((a, b) => Number(b.isProgram) - Number(a.isProgram));
  for (const candidate of inOrder) if (!functions.has(candidate.kind)) functions.set(candidate.kind, candidate);
  const shared = (candidate: Candidate) => functions.get(candidate.kind)!;
  return {
    functions: [...functions.values()],
    byProgram: new Map(programs.map((program, index) => [program, byProgram[index]!.map(shared)])),
  };
}

/** @param before programs of the same object: of two with one name both are written */
function candidatesOf(
  program: Program,
  before: readonly Program[],
  mapNumbers: ReadonlyMap<MapDefinition, number>,
): Candidate[] {
  const { subprograms, instructions } = program;
  const starts = new Set(subprograms.map(({ start }) => start));
  const seen = new Map<string, number>();
  const candidates = subprograms.map((subprogram, index) => {
    const name = index === 0 ? program.name : subprogram.name;
    const isProgram = index === 0;
    const twins = isProgram ? before.filter((other) => other.name === name).length : 0;
    const content = JSON.stringify([name, twins, contentOf(program, subprogram, starts, mapNumbers)]);
    const times = seen.get(content) ?? 0;
    seen.set(content, times + 1);
    return { name, program, subprogram, isProgram, callees: [] as Candidate[], kind: `${times} ${content}` };
  });
  const byStart = new Map(candidates.map((candidate) => [candidate.subprogram.start, candidate]));
  for (const { subprogram, callees } of candidates) {
    for (let slot = subprogram.start; slot < subprogram.end; slot++) {
      const called = byStart.get(calledSlot(instructions[slot]!, slot));
      if (called !== undefined) callees.push(called);
    }
  }
  return candidates;
}

/** Its slots, with what is called left out, and what is named in place of indexes. */
function contentOf(
  { instructions, maps, kernelFunctions }: Program,
  { start, end }: Subprogram,
  starts: ReadonlySet<number>,
  mapNumbers: ReadonlyMap<MapDefinition, number>,
): unknown[] {
  return instructions.slice(start, end).map((current, index) => {
    const { opcode, destination, source, offset, immediate } = current;
    const isMap = isWide(current) && (source === BPF_PSEUDO_MAP_IDX || source === BPF_PSEUDO_MAP_IDX_VALUE);
    const isKernelCall = opcode === (BPF_JMP | BPF_CALL) && source === BPF_PSEUDO_KFUNC_CALL;
    const map = isMap ? maps[immediate] : undefined;
    const named = isKernelCall ? kernelFunctions[immediate] : map && `map ${mapNumbers.get(map)}`;
    const isCall = starts.has(calledSlot(current, start + index));
    return [opcode, destination, source, offset, isCall ? 'function' : (named ?? immediate)];
  });
}

/** Where the function is that an instruction in a slot calls or takes the address of; -1 where it does neither. */
function calledSlot(current: Instruction, slot: number): number {
  const { opcode, source, immediate } = current;
  const calls = opcode === (BPF_JMP | BPF_CALL) && source === BPF_PSEUDO_CALL;
  return calls || (isWide(current) && source === BPF_PSEUDO_FUNC) ? slot + 1 + immediate : -1;
}
