import { CONTEXT_DATA, CONTEXT_DATA_END, CONTEXT_RX_QUEUE_INDEX, XDP_DROP, XDP_PASS } from '../../ebpf/execution.js';
import { type Instruction, instruction, wideInstruction } from '../../ebpf/instruction.js';
import {
  BPF_ADD,
  BPF_ALU,
  BPF_ALU64,
  BPF_AND,
  BPF_ATOMIC,
  BPF_B,
  BPF_CALL,
  BPF_DW,
  BPF_END,
  BPF_EXIT,
  BPF_H,
  BPF_JA,
  BPF_JEQ,
  BPF_JGE,
  BPF_JGT,
  BPF_JLT,
  BPF_JMP,
  BPF_JMP32,
  BPF_JNE,
  BPF_LDX,
  BPF_LSH,
  BPF_MEM,
  BPF_MOV,
  BPF_MUL,
  BPF_OR,
  BPF_PSEUDO_MAP_IDX,
  BPF_PSEUDO_MAP_IDX_VALUE,
  BPF_RSH,
  BPF_STX,
  BPF_TO_BE,
  BPF_W,
  BPF_X,
  BPF_XOR,
} from '../../ebpf/opcodes.js';
import { PacketError } from '../../errors.js';
import { translateFilter } from '../../filter/ebpf/translate.js';
import { SECOND_FACTOR, SECOND_SHIFT } from './cuckoo-table.js';
import {
  comesNext,
  type Label,
  type LookupTable,
  type MatchCode,
  type Operation,
  SCRATCH_WORDS,
} from './match-code.js';

// Which register is what.
const ACCUMULATOR = 0;
/** struct xdp_md, at first. */
const CONTEXT = 1;
/** Where the position is in memory, since the last `need`. */
const POINTER = 2;
const LIMIT = 3;
/** Operand from scratch memory. */
const OTHER = LIMIT;
/** For lookups. */
const VALUE = CONTEXT;
const SLOT = POINTER;
const HASH = 4;
const PACKET = 6;
const POSITION = 7;
const PACKET_END = 8;
const QUEUE = 9;
const STACK = 10;

const BPF_FUNC_MAP_LOOKUP_ELEM = 1;
const BPF_FUNC_REDIRECT_MAP = 51;
/** Furthest that a jump reaches, in slots. */
const LONGEST_JUMP = 0x7fff;

// Names end in 32 where the operation is on 32 bits, which clears the upper ones.
const LOAD = { 1: BPF_LDX | BPF_MEM | BPF_B, 2: BPF_LDX | BPF_MEM | BPF_H, 4: BPF_LDX | BPF_MEM | BPF_W } as const;
const STORE_WORD = BPF_STX | BPF_MEM | BPF_W;
const MOVE = BPF_ALU64 | BPF_MOV | BPF_X;
const MOVE_IMMEDIATE = BPF_ALU64 | BPF_MOV;
const MOVE_IMMEDIATE_32 = BPF_ALU | BPF_MOV;
const ADD = BPF_ALU64 | BPF_ADD | BPF_X;
const ADD_IMMEDIATE = BPF_ALU64 | BPF_ADD;
/** From network byte order; the immediate is the number of bits. */
const TO_BIG_ENDIAN = BPF_ALU | BPF_END | BPF_TO_BE;
const JUMP = BPF_JMP | BPF_JA;
const JUMP_GREATER = BPF_JMP | BPF_JGT | BPF_X;
const JUMP_EQUAL_64 = BPF_JMP | BPF_JEQ;
const JUMP_NOT_LESS = BPF_JMP32 | BPF_JGE | BPF_X;
const JUMP_DIFFERENT = BPF_JMP32 | BPF_JNE | BPF_X;
const MULTIPLY_IMMEDIATE = BPF_ALU64 | BPF_MUL;
const ATOMIC_64 = BPF_STX | BPF_ATOMIC | BPF_DW;
const CALL = BPF_JMP | BPF_CALL;
const EXIT = BPF_JMP | BPF_EXIT;

const CALCULATE: Readonly<Record<Operation, number>> = {
  and: BPF_ALU | BPF_AND,
  or: BPF_ALU | BPF_OR,
  xor: BPF_ALU | BPF_XOR,
  add: BPF_ALU | BPF_ADD,
  multiply: BPF_ALU | BPF_MUL,
  'shift-left': BPF_ALU | BPF_LSH,
  'shift-right': BPF_ALU | BPF_RSH,
};
const JUMPS = {
  equal: { yes: BPF_JMP32 | BPF_JEQ, no: BPF_JMP32 | BPF_JNE },
  'at-least': { yes: BPF_JMP32 | BPF_JGE, no: BPF_JMP32 | BPF_JLT },
} as const;

/** What an XDP program does with an accepted packet: instructions to the exit, with the receive queue in register 9. */
export type XdpAction = readonly Instruction[];

/** Ends with a verdict of enum xdp_action. */
export function xdpVerdict(verdict: number): XdpAction {
  return [instruction(MOVE_IMMEDIATE, { destination: 0, immediate: verdict }), instruction(EXIT)];
}

/**
 * Gives the packet to the socket that a map (of type xskmap) has for its queue, or else to the stack.
 *
 * @param map its index in the program's list of maps
 */
export function xdpRedirect(map: number): XdpAction {
  return [
    ...wideInstruction(1, BigInt(map), BPF_PSEUDO_MAP_IDX),
    instruction(MOVE, { destination: 2, source: QUEUE }),
    instruction(MOVE_IMMEDIATE, { destination: 3, immediate: XDP_PASS }), // what an empty entry gives
    instruction(CALL, { immediate: BPF_FUNC_REDIRECT_MAP }),
    instruction(EXIT),
  ];
}

/**
 * Drops the packet, and counts it for its queue.
 *
 * @param map (of type array, 8 bytes a queue) its index in the program's list of maps
 */
export function xdpCountedDrop(map: number): XdpAction {
  return [
    instruction(STORE_WORD, { destination: STACK, source: QUEUE, offset: stackOffset(0) }),
    ...wideInstruction(1, BigInt(map), BPF_PSEUDO_MAP_IDX),
    instruction(MOVE, { destination: 2, source: STACK }),
    instruction(ADD_IMMEDIATE, { destination: 2, immediate: stackOffset(0) }),
    instruction(CALL, { immediate: BPF_FUNC_MAP_LOOKUP_ELEM }),
    instruction(JUMP_EQUAL_64, { destination: 0, immediate: 0, offset: 2 }),
    instruction(MOVE_IMMEDIATE, { destination: 1, immediate: 1 }),
    instruction(ATOMIC_64, { destination: 0, source: 1, immediate: BPF_ADD }),
    ...xdpVerdict(XDP_DROP),
  ];
}

/**
 * Turns match code into an XDP program: accepted packets meet the action, dropped ones the other, the rest goes to the stack. Scratch memory lies on the stack. Each
 * `need` compares pointers the way the kernel's verifier wants it of whoever reads a packet.
 *
 * @throws PacketError FLOW_TABLE_FULL for a jump that is too long
 */
export function xdpProgram(
  { steps }: MatchCode,
  action: XdpAction,
  drop: XdpAction = xdpVerdict(XDP_DROP),
): Instruction[] {
  const program: Instruction[] = [];
  const places = new Map<Label, number>();
  const targets = new Map<number, Label>();
  const put = (opcode: number, fields: Parameters<typeof instruction>[1]): void => {
    program.push(instruction(opcode, fields));
  };
  const jump = (opcode: number, to: Label, fields: Parameters<typeof instruction>[1] = {}): void => {
    targets.set(program.length, to);
    put(opcode, fields);
  };
  put(LOAD[4], { destination: QUEUE, source: CONTEXT, offset: CONTEXT_RX_QUEUE_INDEX });
  if (steps.some(({ step }) => step === 'need' || step === 'filter')) {
    put(LOAD[4], { destination: PACKET, source: CONTEXT, offset: CONTEXT_DATA });
    put(LOAD[4], { destination: PACKET_END, source: CONTEXT, offset: CONTEXT_DATA_END });
    put(MOVE_IMMEDIATE, { destination: POSITION, immediate: 0 });
  }
  for (const [index, step] of steps.entries()) {
    switch (step.step) {
      case 'label':
        places.set(step.label, program.length);
        break;
      case 'need':
        put(MOVE, { destination: POINTER, source: PACKET });
        put(ADD, { destination: POINTER, source: POSITION });
        put(MOVE, { destination: LIMIT, source: POINTER });
        put(ADD_IMMEDIATE, { destination: LIMIT, immediate: step.bytes });
        jump(JUMP_GREATER, step.otherwise, { destination: LIMIT, source: PACKET_END });
        break;
      case 'skip':
        put(ADD_IMMEDIATE, { destination: POSITION, immediate: step.bytes });
        break;
      case 'advance':
        put(ADD, { destination: POSITION, source: ACCUMULATOR });
        put(MOVE, { destination: POINTER, source: PACKET });
        put(ADD, { destination: POINTER, source: POSITION });
        jump(JUMP_GREATER, step.otherwise, { destination: POINTER, source: PACKET_END });
        break;
      case 'load':
        put(LOAD[step.bytes], { destination: ACCUMULATOR, source: POINTER, offset: step.at });
        if (step.bytes > 1) put(TO_BIG_ENDIAN, { destination: ACCUMULATOR, immediate: 8 * step.bytes });
        break;
      case 'metadata':
        // The one field there is: XDP programs see tags in the packet, or not at all.
        put(MOVE, { destination: ACCUMULATOR, source: QUEUE });
        break;
      case 'set':
        put(MOVE_IMMEDIATE_32, { destination: ACCUMULATOR, immediate: step.value });
        break;
      case 'store':
        put(STORE_WORD, { destination: STACK, source: ACCUMULATOR, offset: stackOffset(step.word) });
        break;
      case 'recall':
        put(LOAD[4], { destination: ACCUMULATOR, source: STACK, offset: stackOffset(step.word) });
        break;
      case 'calculate':
        put(CALCULATE[step.operation], { destination: ACCUMULATOR, immediate: step.value });
        break;
      case 'combine':
        put(LOAD[4], { destination: OTHER, source: STACK, offset: stackOffset(step.word) });
        put(CALCULATE[step.operation] | BPF_X, { destination: ACCUMULATOR, source: OTHER });
        break;
      case 'lookup':
        writeLookup(program, step.map, step.table, step.least);
        break;
      case 'jump':
        if (!comesNext(steps, index, step.to)) jump(JUMP, step.to);
        break;
      case 'branch': {
        const operands = { destination: ACCUMULATOR, immediate: step.value };
        if (comesNext(steps, index, step.yes)) {
          jump(JUMPS[step.test].no, step.no, operands);
          break;
        }
        jump(JUMPS[step.test].yes, step.yes, operands);
        if (!comesNext(steps, index, step.no)) jump(JUMP, step.no);
        break;
      }
      case 'filter': {
        const start = program.length;
        const { instructions, ends } = translateFilter(step.program);
        program.push(...instructions);
        for (const { at, accepts } of ends) targets.set(start + at, accepts ? step.yes : step.no);
        break;
      }
      case 'accept':
        program.push(...action);
        break;
      case 'refuse':
        program.push(...xdpVerdict(XDP_PASS));
        break;
      case 'drop':
        program.push(...drop);
        break;
    }
  }
  for (const [at, label] of targets) {
    const offset = places.get(label)! - at - 1;
    if (offset > LONGEST_JUMP) {
      throw new PacketError('FLOW_TABLE_FULL', `a jump over ${offset} instructions, of at most ${LONGEST_JUMP}`, {
        remedy: 'use fewer queues with rules, or a shorter filter',
      });
    }
    program[at] = { ...program[at]!, offset };
  }
  return program;
}

/**
 * Looks a key up in a table and keeps the lesser of what is found and what a word has. No helper is called: a lookup costs 4 ns, where a hash
 * map of the kernel took 40. The key lies on the stack below scratch memory.
 */
function writeLookup(program: Instruction[], map: number, { offset, bits, words }: LookupTable, least: number): void {
  const slotBytes = 4 * (1 + words.length);
  const keyOffset = (index: number): number => stackOffset(0) - 4 * (words.length - index);
  const value = BigInt(map) | (BigInt(offset) << 32n);
  const put = (opcode: number, fields: Parameters<typeof instruction>[1]): number =>
    program.push(instruction(opcode, fields)) - 1;
  put(MOVE_IMMEDIATE_32, { destination: HASH, immediate: 0 });
  for (const [index, { word, mask, factor }] of words.entries()) {
    put(LOAD[4], { destination: ACCUMULATOR, source: STACK, offset: stackOffset(word) });
    if (mask !== -1) put(CALCULATE.and, { destination: ACCUMULATOR, immediate: mask });
    put(STORE_WORD, { destination: STACK, source: ACCUMULATOR, offset: keyOffset(index) });
    put(CALCULATE.multiply, { destination: ACCUMULATOR, immediate: factor });
    put(CALCULATE.add | BPF_X, { destination: HASH, source: ACCUMULATOR });
  }
  const found: number[] = [];
  let misses: number[] = [];
  const writeProbe = (): void => {
    misses = [];
    put(CALCULATE['shift-right'], { destination: SLOT, immediate: 32 - bits });
    put(MULTIPLY_IMMEDIATE, { destination: SLOT, immediate: slotBytes });
    program.push(...wideInstruction(VALUE, value, BPF_PSEUDO_MAP_IDX_VALUE));
    put(ADD, { destination: VALUE, source: SLOT });
    for (const index of words.keys()) {
      put(LOAD[4], { destination: ACCUMULATOR, source: VALUE, offset: 4 * (1 + index) });
      put(LOAD[4], { destination: SLOT, source: STACK, offset: keyOffset(index) });
      misses.push(put(JUMP_DIFFERENT, { destination: ACCUMULATOR, source: SLOT }));
    }
    put(LOAD[4], { destination: ACCUMULATOR, source: VALUE });
    misses.push(put(JUMP_EQUAL_64, { destination: ACCUMULATOR, immediate: 0 })); // a free slot
  };
  const jumpHere = (jumps: readonly number[]): void => {
    for (const at of jumps) program[at] = { ...program[at]!, offset: program.length - at - 1 };
  };
  put(MOVE, { destination: SLOT, source: HASH });
  writeProbe();
  found.push(put(JUMP, {}));
  jumpHere(misses);
  put(MOVE, { destination: SLOT, source: HASH });
  put(CALCULATE['shift-right'], { destination: SLOT, immediate: SECOND_SHIFT });
  put(CALCULATE.xor | BPF_X, { destination: SLOT, source: HASH });
  put(CALCULATE.multiply, { destination: SLOT, immediate: SECOND_FACTOR });
  writeProbe();
  jumpHere(found);
  put(CALCULATE.add, { destination: ACCUMULATOR, immediate: -1 });
  put(LOAD[4], { destination: SLOT, source: STACK, offset: stackOffset(least) });
  misses.push(put(JUMP_NOT_LESS, { destination: ACCUMULATOR, source: SLOT }));
  put(STORE_WORD, { destination: STACK, source: ACCUMULATOR, offset: stackOffset(least) });
  jumpHere(misses);
}

function stackOffset(word: number): number {
  return 4 * (word - SCRATCH_WORDS);
}
