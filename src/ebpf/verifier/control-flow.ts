import type { HelperTable } from '../helpers/contract.js';
import { type Instruction, isWide } from '../instruction.js';
import {
  BPF_ALU,
  BPF_ALU64,
  BPF_ATOMIC,
  BPF_CALL,
  BPF_CLASS_MASK,
  BPF_CMPXCHG,
  BPF_END,
  BPF_EXIT,
  BPF_FETCH,
  BPF_JA,
  BPF_JMP,
  BPF_JMP32,
  BPF_LDX,
  BPF_MODE_MASK,
  BPF_MOV,
  BPF_OPERATION_MASK,
  BPF_PSEUDO_CALL,
  BPF_PSEUDO_FUNC,
  BPF_PSEUDO_KFUNC_CALL,
  BPF_SOURCE_MASK,
  BPF_ST,
  BPF_STX,
  BPF_X,
} from '../opcodes.js';
import type { Program } from '../program.js';
import { jumpDistance } from '../structure.js';

/** What can be said of a program without following values. */
export interface ControlFlow {
  /** 1 for each slot where ways meet: states are compared there. */
  readonly joins: Uint8Array;
  /** By slot: a bit for each register that is read from there on before it is written. */
  readonly live: Uint16Array;
  /** First slot of the subprogram of each slot. */
  readonly subprograms: Int32Array;
  /** A slot that no way leads to, or -1. */
  readonly unreachable: number;
}

/** Follows the jumps and calls of a program whose structure was checked. */
export function followControl(program: Program, helpers: HelperTable): ControlFlow {
  const { instructions } = program;
  const entered = new Int32Array(instructions.length);
  const reached = new Uint8Array(instructions.length);
  const open = [0];
  entered[0] = 1;
  reached[0] = 1;
  const enter = (slot: number) => {
    entered[slot]!++;
    if (reached[slot] === 1) return;
    reached[slot] = 1;
    open.push(slot);
  };
  const joins = new Uint8Array(instructions.length);
  for (let slot = open.pop(); slot !== undefined; slot = open.pop()) {
    for (const next of successors(instructions, slot)) enter(next);
    const called = calledSubprogram(instructions[slot]!, slot);
    if (called === undefined) continue;
    enter(called);
    joins[called] = 1;
    if (!isWide(instructions[slot]!)) joins[slot + 1] = 1;
  }
  let unreachable = -1;
  for (let slot = instructions.length - 1; slot >= 0; slot--) {
    if (entered[slot]! > 1) joins[slot] = 1;
    if (reached[slot] === 0 && !(slot > 0 && isWide(instructions[slot - 1]!))) unreachable = slot;
  }
  const subprograms = new Int32Array(instructions.length);
  for (const { start, end } of program.subprograms) subprograms.fill(start, start, end);
  return { joins, live: liveRegisters(program, helpers), subprograms, unreachable };
}

/** Slots that an instruction may go on at, in its subprogram. */
function successors(instructions: readonly Instruction[], slot: number): number[] {
  const instruction = instructions[slot]!;
  if (isWide(instruction)) return [slot + 2];
  if (instruction.opcode === (BPF_JMP | BPF_EXIT)) return [];
  const distance = jumpDistance(instruction);
  if (distance === undefined) return [slot + 1];
  const isAlways = (instruction.opcode & BPF_OPERATION_MASK) === BPF_JA;
  return isAlways ? [slot + 1 + distance] : [slot + 1, slot + 1 + distance];
}

function calledSubprogram({ opcode, source, immediate }: Instruction, slot: number): number | undefined {
  const isCall = opcode === (BPF_JMP | BPF_CALL) && source === BPF_PSEUDO_CALL;
  const isNamed = opcode === 0x18 && source === BPF_PSEUDO_FUNC;
  return isCall || isNamed ? slot + 1 + immediate : undefined;
}

/** Goes from each slot to those that lead to it, as long as something changes: each changes at most once for each register. */
function liveRegisters(program: Program, helpers: HelperTable): Uint16Array {
  const { instructions } = program;
  const live = new Uint16Array(instructions.length);
  const origins = new Origins(instructions);
  const open: number[] = [];
  const isOpen = new Uint8Array(instructions.length);
  const demand = (slot: number) => {
    if (isOpen[slot] === 1) return;
    isOpen[slot] = 1;
    open.push(slot);
  };
  for (let slot = 0; slot < instructions.length; slot += isWide(instructions[slot]!) ? 2 : 1) demand(slot);
  for (let slot = open.pop(); slot !== undefined; slot = open.pop()) {
    isOpen[slot] = 0;
    const instruction = instructions[slot]!;
    const isCall = instruction.opcode === (BPF_JMP | BPF_CALL);
    const { reads, writes } = isCall
      ? { reads: argumentsOf(program, helpers, slot, live), writes: CLOBBERED }
      : registersOf(instruction);
    let after = 0;
    for (const next of successors(instructions, slot)) after |= live[next]!;
    const before = (after & ~writes) | reads;
    if (before === live[slot]) continue;
    live[slot] = before;
    origins.forEach(slot, demand);
  }
  return live;
}

/** Registers 1 to 5, as far as what is called reads them. */
function argumentsOf(program: Program, helpers: HelperTable, slot: number, live: Uint16Array): number {
  const { instructions, kernelFunctions } = program;
  const called = calledSubprogram(instructions[slot]!, slot);
  if (called !== undefined) return live[called]! & ARGUMENTS;
  const { source, immediate } = instructions[slot]!;
  const isNamed = source === BPF_PSEUDO_KFUNC_CALL;
  const helper = isNamed ? helpers.byName(kernelFunctions[immediate]!) : helpers.byNumber(immediate);
  return ((2 << helper!.arguments.length) - 1) & ARGUMENTS;
}

/** At most so many slots depend on one: two that it leads to, and the subprogram that it calls. */
const EDGES = 3;

/** From where each slot is reached, as lists in two arrays. */
class Origins {
  /** By slot: its first edge plus 1. By edge, which is EDGES times its origin and a bit: the next one plus 1. */
  readonly #first: Int32Array;
  readonly #next: Int32Array;

  constructor(instructions: readonly Instruction[]) {
    this.#first = new Int32Array(instructions.length);
    this.#next = new Int32Array(instructions.length * EDGES);
    for (let slot = 0; slot < instructions.length; slot += isWide(instructions[slot]!) ? 2 : 1) {
      const targets = successors(instructions, slot);
      const called = calledSubprogram(instructions[slot]!, slot);
      if (called !== undefined) targets.push(called);
      for (const [i, target] of targets.entries()) {
        const edge = slot * EDGES + i;
        this.#next[edge] = this.#first[target]!;
        this.#first[target] = edge + 1;
      }
    }
  }

  forEach(slot: number, visit: (origin: number) => void): void {
    for (let edge = this.#first[slot]!; edge !== 0; edge = this.#next[edge - 1]!) visit(Math.floor((edge - 1) / EDGES));
  }
}

const ARGUMENTS = 0b11_1110;
const CLOBBERED = 0b11_1111;

/** Sets of registers that an instruction other than a call reads and writes. */
function registersOf({ opcode, destination, source, immediate }: Instruction): { reads: number; writes: number } {
  const left = 1 << destination;
  const right = 1 << source;
  const operation = opcode & BPF_OPERATION_MASK;
  const second = (opcode & BPF_SOURCE_MASK) === BPF_X && operation !== BPF_END ? right : 0;
  switch (opcode & BPF_CLASS_MASK) {
    case BPF_ALU:
    case BPF_ALU64:
      return { reads: (operation === BPF_MOV ? 0 : left) | second, writes: left };
    case BPF_JMP:
    case BPF_JMP32:
      if (operation === BPF_EXIT) return { reads: 1, writes: 0 };
      return operation === BPF_JA ? { reads: 0, writes: 0 } : { reads: left | second, writes: 0 };
    case BPF_LDX:
      return { reads: right, writes: left };
    case BPF_ST:
      return { reads: left, writes: 0 };
    case BPF_STX: {
      if ((opcode & BPF_MODE_MASK) !== BPF_ATOMIC) return { reads: left | right, writes: 0 };
      if (immediate === BPF_CMPXCHG) return { reads: left | right | 1, writes: 1 };
      return { reads: left | right, writes: (immediate & BPF_FETCH) === 0 ? 0 : right };
    }
    default:
      return { reads: 0, writes: left };
  }
}
