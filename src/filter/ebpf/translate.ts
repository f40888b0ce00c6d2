import { CONTEXT_INGRESS_IFINDEX } from '../../ebpf/execution.js';
import { type Instruction, instruction } from '../../ebpf/instruction.js';
import * as ebpf from '../../ebpf/opcodes.js';
import { checkClassicProgram } from '../classic/check-program.js';
import type { ClassicInstruction } from '../classic/instruction.js';
import * as op from '../classic/opcodes.js';
import { GREATEST, type Knowledge, knownOnBoth, NOTHING_KNOWN } from './knowledge.js';
import {
  ACCUMULATOR,
  CONTEXT,
  INDEX,
  LIMIT,
  PACKET,
  PACKET_END,
  PLACE,
  POINTER,
  SCRATCH_OFFSET,
  STACK,
} from './registers.js';

/** A classic program as a piece of an eBPF program; its ends are jumps that the code around is to resolve. */
export interface EbpfFilter {
  readonly instructions: readonly Instruction[];
  readonly ends: readonly FilterEnd[];
}

/** A jump out of the filter: which instruction, and whether the packet is accepted. */
export interface FilterEnd {
  readonly at: number;
  readonly accepts: boolean;
}

type Operands = Parameters<typeof instruction>[1];
type Target = number | 'accept' | 'refuse';

/** Furthest that the kernel's verifier looks into a packet (MAX_PACKET_OFF in kernel/bpf/verifier.c). */
const FURTHEST = 0xffff;
/** Largest offset of a load. */
const MOST_OFFSET = 0x7fff;
const CLASS_MASK = 0x07;
const SIZE_MASK = 0x18;
const MODE_MASK = 0xe0;
const OPERATION_MASK = 0xf0;
const MOST_SHIFT = 31;

// Names end in 32 where the operation is on 32 bits, which clears the upper ones.
const MOVE = ebpf.BPF_ALU64 | ebpf.BPF_MOV | ebpf.BPF_X;
const MOVE_32 = ebpf.BPF_ALU | ebpf.BPF_MOV | ebpf.BPF_X;
const MOVE_IMMEDIATE_32 = ebpf.BPF_ALU | ebpf.BPF_MOV;
const ADD = ebpf.BPF_ALU64 | ebpf.BPF_ADD | ebpf.BPF_X;
const ADD_IMMEDIATE = ebpf.BPF_ALU64 | ebpf.BPF_ADD;
const ADD_IMMEDIATE_32 = ebpf.BPF_ALU | ebpf.BPF_ADD;
const SUBTRACT = ebpf.BPF_ALU64 | ebpf.BPF_SUB | ebpf.BPF_X;
const TO_BIG_ENDIAN = ebpf.BPF_ALU | ebpf.BPF_END | ebpf.BPF_TO_BE;
const JUMP = ebpf.BPF_JMP | ebpf.BPF_JA;
const JUMP_GREATER = ebpf.BPF_JMP | ebpf.BPF_JGT | ebpf.BPF_X;
const JUMP_GREATER_IMMEDIATE = ebpf.BPF_JMP | ebpf.BPF_JGT;

/** Jumps of classic BPF, and those that go the other way; none for common bits. */
const JUMPS: Readonly<Record<number, { readonly yes: number; readonly no: number | undefined }>> = {
  [op.BPF_JEQ]: { yes: ebpf.BPF_JEQ, no: ebpf.BPF_JNE },
  [op.BPF_JGT]: { yes: ebpf.BPF_JGT, no: ebpf.BPF_JLE },
  [op.BPF_JGE]: { yes: ebpf.BPF_JGE, no: ebpf.BPF_JLT },
  [op.BPF_JSET]: { yes: ebpf.BPF_JSET, no: undefined },
};

/**
 * Turns a classic program into eBPF that reads the packet directly, as XDP programs do: bounds are compared the way the kernel's verifier
 * wants it, each once. The verdict is that of the classic program, whose packet is all that the first frame holds; nothing is beside it
 * but the interface's index. The code around has the packet's ends and the context in their registers; all others are lost.
 *
 * @throws PacketError FILTER_CORRUPT unless the program passes `checkClassicProgram`
 */
export function translateFilter(program: readonly ClassicInstruction[]): EbpfFilter {
  checkClassicProgram(program);
  return new Translation(program).run();
}

class Translation {
  readonly #program: readonly ClassicInstruction[];
  readonly #instructions: Instruction[] = [];
  /** First slot of each classic instruction. */
  readonly #starts: number[] = [];
  readonly #jumps: { readonly at: number; readonly target: Target }[] = [];
  readonly #known: (Knowledge | undefined)[] = [];
  /** Of the instruction at hand; undefined once nothing comes behind it. */
  #now: Knowledge | undefined;

  constructor(program: readonly ClassicInstruction[]) {
    this.#program = program;
  }

  run(): EbpfFilter {
    this.#put(MOVE_IMMEDIATE_32, { destination: ACCUMULATOR });
    this.#put(MOVE_IMMEDIATE_32, { destination: INDEX });
    this.#known[0] = NOTHING_KNOWN;
    for (const [at, classic] of this.#program.entries()) {
      this.#starts[at] = this.#instructions.length;
      this.#now = this.#known[at];
      // The verifier wants no instruction that nothing leads to.
      if (this.#now === undefined) continue;
      this.#translate(at, classic);
      if (this.#now !== undefined) this.#reach(at + 1);
    }
    const ends: FilterEnd[] = [];
    for (const { at, target } of this.#jumps) {
      if (typeof target === 'string') ends.push({ at, accepts: target === 'accept' });
      else this.#instructions[at] = { ...this.#instructions[at]!, offset: this.#starts[target]! - at - 1 };
    }
    return { instructions: this.#instructions, ends };
  }

  #put(opcode: number, operands: Operands = {}): void {
    this.#instructions.push(instruction(opcode, operands));
  }

  #jump(opcode: number, target: Target, operands: Operands = {}): void {
    this.#jumps.push({ at: this.#instructions.length, target });
    this.#put(opcode, operands);
  }

  /** Another way leads to an instruction, with what is known now. */
  #reach(at: number): void {
    const before = this.#known[at];
    this.#known[at] = before === undefined ? this.#now : knownOnBoth(before, this.#now!);
  }

  #know(knowledge: Partial<Knowledge>): void {
    this.#now = { ...this.#now!, ...knowledge };
  }

  #setAccumulator(most: number): void {
    this.#know({ accumulator: most });
  }

  #setIndex(most: number): void {
    this.#know({ index: most, pointer: undefined });
  }

  #translate(at: number, { code, value, jumpTrue, jumpFalse }: ClassicInstruction): void {
    switch (code & CLASS_MASK) {
      case op.BPF_LD:
        this.#load(code, value);
        break;
      case op.BPF_LDX:
        this.#loadIndex(code, value);
        break;
      case op.BPF_ST:
      case op.BPF_STX: {
        const source = (code & CLASS_MASK) === op.BPF_ST ? ACCUMULATOR : INDEX;
        this.#put(ebpf.BPF_STX | ebpf.BPF_MEM | ebpf.BPF_W, {
          ...{ destination: STACK, source, offset: SCRATCH_OFFSET + 4 * value },
        });
        break;
      }
      case op.BPF_ALU:
        this.#calculate(code, value);
        break;
      case op.BPF_JMP:
        this.#branch(at, code, value, jumpTrue, jumpFalse);
        break;
      case op.BPF_RET:
        this.#return(code, value);
        break;
      default:
        if ((code & 0xf8) === op.BPF_TXA) {
          this.#put(MOVE_32, { destination: ACCUMULATOR, source: INDEX });
          this.#setAccumulator(this.#now!.index);
        } else {
          this.#put(MOVE_32, { destination: INDEX, source: ACCUMULATOR });
          this.#setIndex(this.#now!.accumulator);
        }
    }
  }

  #load(code: number, value: number): void {
    const size = sizeOf(code);
    switch (code & MODE_MASK) {
      case op.BPF_ABS:
        if (value >= op.SKF_AD_OFF) this.#loadBeside(value - op.SKF_AD_OFF);
        else this.#loadPacket(ACCUMULATOR, size, value);
        break;
      case op.BPF_IND:
        // Where the sum may pass 2^32, it has to be calculated.
        if (value + size > MOST_OFFSET || this.#now!.index > GREATEST - MOST_OFFSET) this.#loadAnywhere(size, value);
        else this.#loadBehindIndex(size, value);
        break;
      default:
        this.#setAccumulator(this.#loadWord(ACCUMULATOR, code, value));
    }
  }

  #loadIndex(code: number, value: number): void {
    if (code !== (op.BPF_LDX | op.BPF_B | op.BPF_MSH)) {
      this.#setIndex(this.#loadWord(INDEX, code, value));
      return;
    }
    this.#loadPacket(INDEX, 1, value);
    if (this.#now === undefined) return;
    this.#put(ebpf.BPF_ALU | ebpf.BPF_AND, { destination: INDEX, immediate: 0x0f });
    this.#put(ebpf.BPF_ALU | ebpf.BPF_LSH, { destination: INDEX, immediate: 2 });
    this.#setIndex(4 * 0x0f);
  }

  /** Loads that both registers have. @returns the most that comes of it */
  #loadWord(destination: number, code: number, value: number): number {
    switch (code & MODE_MASK) {
      case op.BPF_IMM:
        this.#put(MOVE_IMMEDIATE_32, { destination, immediate: value });
        return value;
      case op.BPF_LEN:
        this.#put(MOVE, { destination, source: PACKET_END });
        this.#put(SUBTRACT, { destination, source: PACKET });
        this.#put(MOVE_32, { destination, source: destination });
        return GREATEST;
      default:
        this.#put(ebpf.BPF_LDX | ebpf.BPF_MEM | ebpf.BPF_W, {
          ...{ destination, source: STACK, offset: SCRATCH_OFFSET + 4 * value },
        });
        return GREATEST;
    }
  }

  /** XDP programs see what arrives, tags in the packet: what the classic program asks for is 0. */
  #loadBeside(what: number): void {
    if (what === op.SKF_AD_IFINDEX) {
      this.#put(ebpf.BPF_LDX | ebpf.BPF_MEM | ebpf.BPF_W, {
        ...{ destination: ACCUMULATOR, source: CONTEXT, offset: CONTEXT_INGRESS_IFINDEX },
      });
      this.#setAccumulator(GREATEST);
    } else {
      this.#put(MOVE_IMMEDIATE_32, { destination: ACCUMULATOR });
      this.#setAccumulator(0);
    }
  }

  /** Bytes at a place that is known. */
  #loadPacket(destination: number, size: number, place: number): void {
    const end = place + size;
    if (end > FURTHEST) {
      this.#leave('refuse');
      return;
    }
    if (end > this.#now!.bytes) {
      this.#compareEnd(PACKET, end);
      this.#know({ bytes: end });
    }
    if (place <= MOST_OFFSET) this.#read(destination, size, PACKET, place);
    else {
      this.#put(MOVE, { destination: PLACE, source: PACKET });
      this.#put(ADD_IMMEDIATE, { destination: PLACE, immediate: place });
      this.#read(destination, size, PLACE, 0);
    }
    if (destination === ACCUMULATOR) this.#setAccumulator(mostOf(size));
  }

  /** Bytes so far behind the index, which the pointer leads to. */
  #loadBehindIndex(size: number, place: number): void {
    const end = place + size;
    const furthest = FURTHEST - end;
    let pointer = this.#now!.pointer;
    if (pointer === undefined || pointer.most > furthest) {
      if (this.#now!.index > furthest) {
        this.#jump(JUMP_GREATER_IMMEDIATE, 'refuse', { destination: INDEX, immediate: furthest });
        this.#know({ index: furthest });
      }
      this.#put(MOVE, { destination: POINTER, source: PACKET });
      this.#put(ADD, { destination: POINTER, source: INDEX });
      pointer = { bytes: 0, most: this.#now!.index };
    }
    if (end > pointer.bytes) {
      this.#compareEnd(POINTER, end);
      pointer = { ...pointer, bytes: end };
    }
    this.#know({ pointer });
    this.#read(ACCUMULATOR, size, POINTER, place);
    this.#setAccumulator(mostOf(size));
  }

  /** Bytes at the sum of index and place modulo 2^32. */
  #loadAnywhere(size: number, place: number): void {
    this.#put(MOVE_32, { destination: PLACE, source: INDEX });
    this.#put(ADD_IMMEDIATE_32, { destination: PLACE, immediate: place });
    this.#jump(JUMP_GREATER_IMMEDIATE, 'refuse', { destination: PLACE, immediate: FURTHEST - size });
    this.#put(ADD, { destination: PLACE, source: PACKET });
    this.#compareEnd(PLACE, size);
    this.#read(ACCUMULATOR, size, PLACE, 0);
    this.#setAccumulator(mostOf(size));
  }

  /** Leaves unless so many bytes follow a pointer. */
  #compareEnd(pointer: number, bytes: number): void {
    this.#put(MOVE, { destination: LIMIT, source: pointer });
    this.#put(ADD_IMMEDIATE, { destination: LIMIT, immediate: bytes });
    this.#jump(JUMP_GREATER, 'refuse', { destination: LIMIT, source: PACKET_END });
  }

  #read(destination: number, size: number, source: number, offset: number): void {
    const width = size === 4 ? ebpf.BPF_W : size === 2 ? ebpf.BPF_H : ebpf.BPF_B;
    this.#put(ebpf.BPF_LDX | ebpf.BPF_MEM | width, { destination, source, offset });
    if (size > 1) this.#put(TO_BIG_ENDIAN, { destination, immediate: 8 * size });
  }

  #calculate(code: number, value: number): void {
    const operation = code & OPERATION_MASK;
    const byIndex = (code & op.BPF_X) !== 0 && operation !== op.BPF_NEG;
    const isDivision = operation === op.BPF_DIV || operation === op.BPF_MOD;
    const isShift = operation === op.BPF_LSH || operation === op.BPF_RSH;
    if (byIndex && isDivision) {
      this.#jump(ebpf.BPF_JMP32 | ebpf.BPF_JEQ, 'refuse', { destination: INDEX, immediate: 0 });
    }
    if (byIndex && isShift) {
      // More than all bits leave nothing; eBPF would shift by the distance's lowest bits.
      this.#put(ebpf.BPF_JMP32 | ebpf.BPF_JLE, { destination: INDEX, immediate: MOST_SHIFT, offset: 2 });
      this.#put(MOVE_IMMEDIATE_32, { destination: ACCUMULATOR });
      this.#put(JUMP, { offset: 1 });
    }
    // Operations have the same numbers in both.
    if (byIndex) this.#put(ebpf.BPF_ALU | operation | ebpf.BPF_X, { destination: ACCUMULATOR, source: INDEX });
    else
      this.#put(ebpf.BPF_ALU | operation, {
        destination: ACCUMULATOR,
        immediate: operation === op.BPF_NEG ? 0 : value,
      });
    this.#setAccumulator(!byIndex && operation === op.BPF_AND ? value : GREATEST);
  }

  #branch(at: number, code: number, value: number, jumpTrue: number, jumpFalse: number): void {
    if (code === (op.BPF_JMP | op.BPF_JA)) {
      this.#leave(this.#target(at + 1 + value));
      return;
    }
    const yes = this.#target(at + 1 + jumpTrue);
    const no = this.#target(at + 1 + jumpFalse);
    const { yes: positive, no: negative } = JUMPS[code & OPERATION_MASK]!;
    const operands =
      (code & op.BPF_X) !== 0
        ? { destination: ACCUMULATOR, source: INDEX }
        : { destination: ACCUMULATOR, immediate: value };
    const compare = (operation: number, target: Target): void =>
      this.#jump(ebpf.BPF_JMP32 | operation | (code & op.BPF_X), target, operands);
    if (yes === no) this.#leave(yes);
    else if (yes === at + 1 && negative !== undefined) {
      this.#reachTarget(no);
      compare(negative, no);
    } else {
      this.#reachTarget(yes);
      compare(positive, yes);
      if (no !== at + 1) this.#leave(no);
    }
  }

  /** Goes somewhere else; nothing comes behind. */
  #leave(target: Target): void {
    this.#reachTarget(target);
    this.#jump(JUMP, target);
    this.#now = undefined;
  }

  #reachTarget(target: Target): void {
    if (typeof target === 'number') this.#reach(target);
  }

  /** The instruction, or the end that it is. */
  #target(at: number): Target {
    const { code, value } = this.#program[at]!;
    if (code !== (op.BPF_RET | op.BPF_K)) return at;
    return value === 0 ? 'refuse' : 'accept';
  }

  #return(code: number, value: number): void {
    if ((code & (op.BPF_A | op.BPF_X)) !== op.BPF_A) {
      this.#leave(value === 0 ? 'refuse' : 'accept');
      return;
    }
    this.#jump(ebpf.BPF_JMP32 | ebpf.BPF_JEQ, 'refuse', { destination: ACCUMULATOR, immediate: 0 });
    this.#leave('accept');
  }
}

function sizeOf(code: number): 1 | 2 | 4 {
  return (code & SIZE_MASK) === op.BPF_W ? 4 : (code & SIZE_MASK) === op.BPF_H ? 2 : 1;
}

/** Most that so many bytes come to. */
function mostOf(size: number): number {
  return 2 ** (8 * size) - 1;
}
