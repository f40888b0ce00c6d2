import { type Instruction, instruction, wideInstruction } from '../../src/ebpf/instruction.js';
import * as op from '../../src/ebpf/opcodes.js';
import type { Random } from './random.js';

/** Bytes of a packet that such a program reads and writes; it gives 0 for shorter ones. */
export const RANDOM_PROGRAM_BYTES = 64;

/** Registers that hold numbers; register 6 is the packet, 10 the stack. */
const NUMBERS = [0, 1, 2, 3, 4, 5, 7, 8, 9];
/** Bytes of the stack in use, from register 10 down. */
const STACK_BYTES = 64;
const SIZES = [op.BPF_B, op.BPF_H, op.BPF_W, op.BPF_DW];
const CALCULATIONS = [
  ...[op.BPF_ADD, op.BPF_SUB, op.BPF_MUL, op.BPF_DIV, op.BPF_MOD, op.BPF_OR, op.BPF_AND, op.BPF_XOR],
  ...[op.BPF_LSH, op.BPF_RSH, op.BPF_ARSH],
];
const COMPARISONS = [
  ...[op.BPF_JEQ, op.BPF_JNE, op.BPF_JSET, op.BPF_JGT, op.BPF_JGE, op.BPF_JLT, op.BPF_JLE],
  ...[op.BPF_JSGT, op.BPF_JSGE, op.BPF_JSLT, op.BPF_JSLE],
];
const ATOMICS = [op.BPF_ADD, op.BPF_OR, op.BPF_AND, op.BPF_XOR].flatMap((operation) => [
  operation,
  operation | op.BPF_FETCH,
]);

/**
 * A random program that Linux's verifier accepts and that gives the same everywhere: it fills registers and stack from the packet,
 * calculates, loads, stores and jumps forward at random, and leaves registers in the packet and a mix of them in its result.
 *
 * @param steps random instructions
 */
export function randomProgram(random: Random, steps: number): Instruction[] {
  const body = randomBody(random, steps);
  const end = [
    ...NUMBERS.filter((register) => register !== 0).map((register) =>
      instruction(op.BPF_ALU64 | op.BPF_XOR | op.BPF_X, { destination: 0, source: register }),
    ),
    ...NUMBERS.slice(1, 9).map((source, index) =>
      instruction(op.BPF_STX | op.BPF_MEM | op.BPF_DW, { destination: 6, source, offset: index * 8 }),
    ),
    instruction(op.BPF_JMP | op.BPF_EXIT),
  ];
  return [...start(), ...body, ...end];
}

/** Leaves short packets alone, and takes numbers and stack from the others. */
function start(): Instruction[] {
  const load = (destination: number, source: number, offset: number, size: number) =>
    instruction(op.BPF_LDX | op.BPF_MEM | size, { destination, source, offset });
  const move = (destination: number, source: number) =>
    instruction(op.BPF_ALU64 | op.BPF_MOV | op.BPF_X, { destination, source });
  const numbers = NUMBERS.map((register, index) => load(register, 6, (index * 8) % RANDOM_PROGRAM_BYTES, op.BPF_DW));
  return [
    instruction(op.BPF_ALU64 | op.BPF_MOV | op.BPF_K, { destination: 0 }),
    load(6, 1, 0, op.BPF_W),
    load(7, 1, 4, op.BPF_W),
    move(8, 6),
    instruction(op.BPF_ALU64 | op.BPF_ADD | op.BPF_K, { destination: 8, immediate: RANDOM_PROGRAM_BYTES }),
    instruction(op.BPF_JMP | op.BPF_JLE | op.BPF_X, { destination: 8, source: 7, offset: 1 }),
    instruction(op.BPF_JMP | op.BPF_EXIT),
    ...numbers,
    ...Array.from({ length: STACK_BYTES / 8 }, (_, index) =>
      instruction(op.BPF_STX | op.BPF_MEM | op.BPF_DW, {
        destination: 10,
        source: NUMBERS[index]!,
        offset: -8 * (index + 1),
      }),
    ),
  ];
}

function randomBody(random: Random, steps: number): Instruction[] {
  const parts = Array.from({ length: steps }, () => randomStep(random));
  const body: Instruction[] = [];
  // From the last one: a jump goes over some of what is behind it.
  for (let i = parts.length - 1; i >= 0; i--) {
    const part = parts[i]!;
    if (random.oneIn(12)) {
      let over = 0;
      const skipped = random.between(0, Math.min(6, parts.length - 1 - i));
      for (let j = i + 1; j <= i + skipped; j++) over += parts[j]!.length;
      part.push(randomJump(random, over));
    }
    body.unshift(...part);
  }
  return body;
}

/** A random instruction that uses registers, packet and stack as {@link randomProgram} does; a wide one is two slots. */
export function randomStep(random: Random): Instruction[] {
  const destination = random.pick(NUMBERS);
  const source = random.pick(NUMBERS);
  switch (random.below(9)) {
    case 0:
      return wideInstruction(destination, (BigInt(randomWord(random)) << 32n) | BigInt(randomWord(random)));
    case 1:
      return [randomMove(random, destination, source)];
    case 2:
      return [randomByteOrder(random, destination)];
    case 3:
    case 4:
      return [randomAccess(random, destination, source)];
    case 5:
      return [randomAtomic(random, source)];
    default:
      return [randomCalculation(random, destination, source)];
  }
}

function randomCalculation(random: Random, destination: number, source: number): Instruction {
  const group = random.pick([op.BPF_ALU, op.BPF_ALU64]);
  if (random.oneIn(10)) return instruction(group | op.BPF_NEG, { destination });
  const operation = random.pick(CALCULATIONS);
  const divides = operation === op.BPF_DIV || operation === op.BPF_MOD;
  const shifts = operation === op.BPF_LSH || operation === op.BPF_RSH || operation === op.BPF_ARSH;
  const offset = divides ? random.below(2) : 0;
  if (random.oneIn(2)) return instruction(group | operation | op.BPF_X, { destination, source, offset });
  // Linux refuses to divide by a constant 0, and to shift by as much as all bits.
  const any = divides ? randomWord(random) | 1 : randomWord(random);
  const immediate = shifts ? random.below(group === op.BPF_ALU ? 32 : 64) : any;
  return instruction(group | operation, { destination, offset, immediate });
}

function randomMove(random: Random, destination: number, source: number): Instruction {
  const wide = random.oneIn(2);
  const opcode = (wide ? op.BPF_ALU64 : op.BPF_ALU) | op.BPF_MOV;
  if (random.oneIn(3)) return instruction(opcode, { destination, immediate: randomWord(random) });
  return instruction(opcode | op.BPF_X, {
    destination,
    source,
    offset: random.pick(wide ? [0, 8, 16, 32] : [0, 8, 16]),
  });
}

function randomByteOrder(random: Random, destination: number): Instruction {
  const opcode = random.pick([
    op.BPF_ALU | op.BPF_END | op.BPF_TO_LE,
    op.BPF_ALU | op.BPF_END | op.BPF_TO_BE,
    op.BPF_ALU64 | op.BPF_END,
  ]);
  return instruction(opcode, { destination, immediate: random.pick([16, 32, 64]) });
}

/** A load or store in the packet, anywhere, or on the stack, where Linux wants multiples of the size. */
function randomAccess(random: Random, destination: number, source: number): Instruction {
  const size = random.pick(SIZES);
  const bytes = { [op.BPF_B]: 1, [op.BPF_H]: 2, [op.BPF_W]: 4, [op.BPF_DW]: 8 }[size]!;
  const isPacket = random.oneIn(2);
  const base = isPacket ? 6 : 10;
  const offset = isPacket
    ? random.below(RANDOM_PROGRAM_BYTES - bytes + 1)
    : random.below(STACK_BYTES / bytes) * bytes - STACK_BYTES;
  if (random.oneIn(2)) {
    const mode = size !== op.BPF_DW && random.oneIn(2) ? op.BPF_MEMSX : op.BPF_MEM;
    return instruction(op.BPF_LDX | mode | size, { destination, source: base, offset });
  }
  if (random.oneIn(3)) {
    return instruction(op.BPF_ST | op.BPF_MEM | size, { destination: base, offset, immediate: randomWord(random) });
  }
  return instruction(op.BPF_STX | op.BPF_MEM | size, { destination: base, source, offset });
}

function randomAtomic(random: Random, source: number): Instruction {
  const size = random.pick([op.BPF_W, op.BPF_DW]);
  const bytes = size === op.BPF_W ? 4 : 8;
  const offset = random.below(STACK_BYTES / bytes) * bytes - STACK_BYTES;
  const immediate = random.pick([...ATOMICS, op.BPF_XCHG, op.BPF_CMPXCHG]);
  return instruction(op.BPF_STX | op.BPF_ATOMIC | size, { destination: 10, source, offset, immediate });
}

function randomJump(random: Random, offset: number): Instruction {
  const opcode = random.pick([op.BPF_JMP, op.BPF_JMP32]) | random.pick(COMPARISONS);
  const destination = random.pick(NUMBERS);
  if (random.oneIn(2)) return instruction(opcode, { destination, offset, immediate: randomWord(random) });
  return instruction(opcode | op.BPF_X, { destination, source: random.pick(NUMBERS), offset });
}

/** A word of 32 bits, often one at an edge. */
function randomWord(random: Random): number {
  return random.pick([0, 1, 0xffffffff, 0x80000000, 0x7fffffff, random.word(), random.word(), random.below(256)]);
}
