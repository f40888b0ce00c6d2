import { type Instruction, instruction, wideInstruction } from '../../src/ebpf/instruction.js';
import * as op from '../../src/ebpf/opcodes.js';
import type { Random } from './random.js';
import { randomStep } from './random-program.js';

/** What a wild program may name. */
export interface WildSurroundings {
  /** Maps that it is given. */
  readonly maps: number;
  /** Index of one of type prog_array among them. */
  readonly programArray: number;
  /** Addresses that lie about the ends of something. */
  readonly addresses: readonly number[];
}

/** Instructions that stay together; a jump leads to the first one of another part of the subprogram. */
interface WildPart {
  readonly instructions: Instruction[];
  /** Of a jump, which is the last instruction: index of the part that it leads to. */
  readonly jumpsTo?: number;
  /** Of a call, which is the first instruction: index of the subprogram that it calls. */
  readonly calls?: number;
}

const HELPERS = [1, 1, 1, 2, 3, 23, 44, 51, 54, 65];
const SIZES = [op.BPF_B, op.BPF_H, op.BPF_W, op.BPF_DW];
const COMPARISONS = [
  ...[op.BPF_JEQ, op.BPF_JNE, op.BPF_JSET, op.BPF_JGT, op.BPF_JGE, op.BPF_JLT, op.BPF_JLE],
  ...[op.BPF_JSGT, op.BPF_JSGE, op.BPF_JSLT, op.BPF_JSLE],
];
const exit = instruction(op.BPF_JMP | op.BPF_EXIT);
const move = (destination: number, source: number) =>
  instruction(op.BPF_ALU64 | op.BPF_MOV | op.BPF_X, { destination, source });
const set = (destination: number, immediate: number) =>
  instruction(op.BPF_ALU64 | op.BPF_MOV | op.BPF_K, { destination, immediate });

/**
 * A random program that no verifier takes: it jumps and calls wherever it likes, back, too, and follows any number as a pointer. But it reads no
 * register that nothing was written to, so that it does the same in all engines.
 *
 * @param steps parts of each of its subprograms, of which there are one to three
 */
export function wildProgram(random: Random, steps: number, surroundings: WildSurroundings): Instruction[] {
  const count = random.between(1, 3);
  const subprograms = Array.from({ length: count }, (_, index) =>
    wildSubprogram(random, steps, count, surroundings, index === 0),
  );
  const starts = subprograms.map((_, index) =>
    subprograms.slice(0, index).reduce((sum, parts) => sum + slots(parts), 0),
  );
  return subprograms.flatMap((parts, index) => placed(parts, starts[index]!, starts));
}

function slots(parts: readonly WildPart[]): number {
  return parts.reduce((sum, { instructions }) => sum + instructions.length, 0);
}

/** The instructions of a subprogram, with the distances of its jumps and calls. */
function placed(parts: readonly WildPart[], start: number, starts: readonly number[]): Instruction[] {
  const places = parts.map((_, index) => start + slots(parts.slice(0, index)));
  return parts.flatMap(({ instructions, jumpsTo, calls }, index) => {
    const after = places[index]! + instructions.length;
    if (jumpsTo !== undefined) {
      const jump = { ...instructions.at(-1)!, offset: places[jumpsTo]! - after };
      return [...instructions.slice(0, -1), jump];
    }
    if (calls === undefined) return instructions;
    return [{ ...instructions[0]!, immediate: starts[calls]! - places[index]! - 1 }, ...instructions.slice(1)];
  });
}

function wildSubprogram(
  random: Random,
  steps: number,
  subprograms: number,
  surroundings: WildSurroundings,
  isFirst: boolean,
): WildPart[] {
  const start = [
    ...[0, 2, 3, 4, 5, 7, 8, 9].map((register) => set(register, random.word() | 0)),
    ...(isFirst ? [...bounded(random), ...bounded(random)] : [move(6, random.pick([1, 10]))]),
    ...afterCall(random),
  ];
  const parts: WildPart[] = [{ instructions: start }];
  for (let i = 0; i < steps; i++) parts.push(wildPart(random, steps, subprograms, surroundings));
  parts.push({ instructions: [exit] });
  return parts;
}

function wildPart(random: Random, steps: number, subprograms: number, surroundings: WildSurroundings): WildPart {
  switch (random.below(11)) {
    case 0:
      return { instructions: wildCall(random, surroundings) };
    case 1:
      return { instructions: lookup(random, surroundings) };
    case 2:
      return wildJump(random, steps);
    case 3: {
      const call = instruction(op.BPF_JMP | op.BPF_CALL, { source: op.BPF_PSEUDO_CALL });
      return { instructions: [call, ...afterCall(random)], calls: random.below(subprograms) };
    }
    case 4:
    case 5:
      return { instructions: wildAccess(random, surroundings) };
    case 6:
      return { instructions: random.oneIn(3) ? [exit] : [move(random.below(10), random.below(11))] };
    default:
      return { instructions: randomStep(random) };
  }
}

/** What registers 1 to 5 hold after a call is not said. */
function afterCall(random: Random): Instruction[] {
  return [1, 2, 3, 4, 5].map((register) =>
    random.oneIn(2) ? set(register, random.between(-9, 9)) : move(register, random.pick([6, 7, 8, 9, 10])),
  );
}

function wildCall(random: Random, { maps, programArray }: WildSurroundings): Instruction[] {
  const tailCall = random.oneIn(5);
  const map = tailCall ? programArray : random.below(maps);
  return [
    ...(tailCall || random.oneIn(2) ? wideInstruction(tailCall ? 2 : 1, BigInt(map), op.BPF_PSEUDO_MAP_IDX) : []),
    tailCall ? set(3, random.below(3)) : set(2, random.pick([0, 1, 4, -4, 8])),
    ...(random.oneIn(2) && !tailCall
      ? [move(2, 10), move(3, 10), set(4, random.below(3)), ...below(2), ...below(3)]
      : []),
    instruction(op.BPF_JMP | op.BPF_CALL, { immediate: tailCall ? 12 : random.pick(HELPERS) }),
    ...afterCall(random),
  ];
}

/** Looks a key up, and reads and writes what was found, mostly where it was found. */
function lookup(random: Random, { maps }: WildSurroundings): Instruction[] {
  const value = random.pick([0, 7, 8]);
  const access = { destination: value, offset: random.pick([0, 0, 0, 0, 0, 4, 4, random.oneIn(3) ? 1 : 0]) };
  const size = random.pick(SIZES);
  const found = [
    instruction(op.BPF_STX | op.BPF_ATOMIC | op.BPF_W, {
      ...access,
      source: 9,
      immediate: random.pick([0, 1, 0xe1, 0xf1]),
    }),
    instruction(op.BPF_LDX | op.BPF_MEM | size, { source: value, destination: 9 }),
  ];
  const compare = random.oneIn(12) ? op.BPF_JNE : op.BPF_JEQ;
  return [
    instruction(op.BPF_ST | op.BPF_MEM | op.BPF_W, { destination: 10, offset: -4, immediate: random.below(4) }),
    move(2, 10),
    instruction(op.BPF_ALU64 | op.BPF_ADD | op.BPF_K, { destination: 2, immediate: random.oneIn(20) ? 1 : -4 }),
    ...wideInstruction(1, BigInt(random.below(maps)), op.BPF_PSEUDO_MAP_IDX),
    instruction(op.BPF_JMP | op.BPF_CALL, { immediate: 1 }),
    ...(value === 0 ? [] : [move(value, 0)]),
    ...afterCall(random),
    instruction(op.BPF_JMP | compare | op.BPF_K, { destination: random.oneIn(20) ? 9 : 0, offset: found.length }),
    ...found,
  ];
}

function below(register: number): Instruction[] {
  return [instruction(op.BPF_ALU64 | op.BPF_ADD | op.BPF_K, { destination: register, immediate: -8 })];
}

function wildJump(random: Random, steps: number): WildPart {
  const jumpsTo = random.below(steps + 2);
  if (random.oneIn(5)) return { instructions: [instruction(op.BPF_JMP | op.BPF_JA)], jumpsTo };
  const [destination, source] = [random.below(11), random.below(11)];
  const opcode = random.pick([op.BPF_JMP, op.BPF_JMP32]) | random.pick(COMPARISONS);
  if (random.oneIn(2)) return { instructions: [instruction(opcode | op.BPF_X, { destination, source })], jumpsTo };
  return { instructions: [instruction(opcode, { destination, immediate: random.between(-2, 2) })], jumpsTo };
}

/** An access in packet or stack; now and then at the end of something, or at any number. */
function wildAccess(random: Random, { addresses }: WildSurroundings): Instruction[] {
  const pointer = random.pick([7, 8]);
  const base = random.pick([6, 10]);
  if (!random.oneIn(6)) {
    const offset = base === 6 ? random.below(8) : random.pick([-8, -16, -512, random.between(-64, -8)]);
    return [move(pointer, base), anyAccess(random, pointer, offset)];
  }
  const added = instruction(op.BPF_ALU64 | op.BPF_ADD | op.BPF_X, { destination: pointer, source: random.below(10) });
  const prepared = random.pick([[set(pointer, random.pick(addresses))], [], [move(pointer, base), added]]);
  return [...prepared, anyAccess(random, pointer, random.pick([0, 0, -8, 8, -512, 60, random.between(-70, 70)]))];
}

function anyAccess(random: Random, pointer: number, offset: number): Instruction {
  const size = random.pick(SIZES);
  const value = random.pick([0, 1, 2, 3, 4, 5, 9]);
  switch (random.below(4)) {
    case 0:
      return instruction(op.BPF_LDX | op.BPF_MEM | size, { destination: value, source: pointer, offset });
    case 1:
      return instruction(op.BPF_ST | op.BPF_MEM | size, { destination: pointer, offset, immediate: random.word() | 0 });
    case 2:
      return instruction(op.BPF_STX | op.BPF_MEM | size, { destination: pointer, source: value, offset });
    default: {
      const wide = random.pick([op.BPF_W, op.BPF_DW]);
      const immediate = random.pick([0x00, 0x01, 0x40, 0x51, 0xa1, op.BPF_XCHG, op.BPF_CMPXCHG]);
      const place = random.oneIn(16) ? offset : offset & -8;
      return instruction(op.BPF_STX | op.BPF_ATOMIC | wide, {
        destination: pointer,
        source: value,
        offset: place,
        immediate,
      });
    }
  }
}

/** Compares with the packet's end as programs do, and then accesses so much, or more. Register 1 is the context. */
function bounded(random: Random): Instruction[] {
  const bytes = random.between(8, random.oneIn(8) ? 70 : 14);
  const compare = random.pick([op.BPF_JGT, op.BPF_JGE, op.BPF_JLE, op.BPF_JLT]);
  const swapped = random.oneIn(2);
  // Mostly within.
  const access = anyAccess(random, 6, random.oneIn(12) ? bytes - 1 : random.below(Math.max(bytes - 7, 1)));
  return [
    instruction(op.BPF_LDX | op.BPF_MEM | op.BPF_W, { destination: 6, source: 1 }),
    instruction(op.BPF_LDX | op.BPF_MEM | op.BPF_W, { destination: 8, source: 1, offset: 4 }),
    move(9, 6),
    instruction(op.BPF_ALU64 | op.BPF_ADD | op.BPF_K, { destination: 9, immediate: bytes }),
    instruction(op.BPF_JMP | compare | op.BPF_X, {
      destination: swapped ? 8 : 9,
      source: swapped ? 9 : 8,
      offset: 1,
    }),
    access,
  ];
}
