import { PacketError } from '../../errors.js';
import {
  EBPF_ADD,
  EBPF_ADD_IMMEDIATE,
  EBPF_ADD_IMMEDIATE_32,
  EBPF_AND_IMMEDIATE_32,
  EBPF_CALL,
  EBPF_EXIT,
  EBPF_JUMP,
  EBPF_JUMP_AT_LEAST_32,
  EBPF_JUMP_EQUAL_32,
  EBPF_JUMP_GREATER,
  EBPF_JUMP_LESS_32,
  EBPF_JUMP_NOT_EQUAL_32,
  EBPF_LOAD,
  EBPF_LOAD_WIDE,
  EBPF_MOVE,
  EBPF_MOVE_IMMEDIATE,
  EBPF_MOVE_IMMEDIATE_32,
  EBPF_OR_IMMEDIATE_32,
  EBPF_SHIFT_LEFT_IMMEDIATE_32,
  EBPF_STORE_WORD,
  EBPF_TO_BIG_ENDIAN,
  type EbpfInstruction,
  ebpf,
  LONGEST_EBPF_JUMP,
} from './ebpf-instructions.js';
import { comesNext, type Label, type MatchCode, type Operation, SCRATCH_WORDS } from './match-code.js';

// Which register is what.
const ACCUMULATOR = 0;
/** struct xdp_md, at first. */
const CONTEXT = 1;
/** Where the position is in memory, since the last `need`. */
const POINTER = 2;
const LIMIT = 3;
const PACKET = 6;
const POSITION = 7;
const PACKET_END = 8;
const QUEUE = 9;
const STACK = 10;

// struct xdp_md (linux/bpf.h)
const CONTEXT_DATA = 0;
const CONTEXT_DATA_END = 4;
const CONTEXT_QUEUE = 16;

const XDP_PASS = 2;
const BPF_FUNC_REDIRECT_MAP = 51;
/** In the source register of a wide load: the immediate is a map's descriptor. */
const BPF_PSEUDO_MAP_FD = 1;

const CALCULATE: Readonly<Record<Operation, number>> = {
  and: EBPF_AND_IMMEDIATE_32,
  or: EBPF_OR_IMMEDIATE_32,
  add: EBPF_ADD_IMMEDIATE_32,
  'shift-left': EBPF_SHIFT_LEFT_IMMEDIATE_32,
};
const JUMPS = {
  equal: { yes: EBPF_JUMP_EQUAL_32, no: EBPF_JUMP_NOT_EQUAL_32 },
  'at-least': { yes: EBPF_JUMP_AT_LEAST_32, no: EBPF_JUMP_LESS_32 },
} as const;

/** What an XDP program does with an accepted packet: instructions to the exit, with the receive queue in register 9. */
export type XdpAction = readonly EbpfInstruction[];

/** Ends with a verdict of enum xdp_action. */
export function xdpVerdict(verdict: number): XdpAction {
  return [ebpf(EBPF_MOVE_IMMEDIATE, { destination: 0, immediate: verdict }), ebpf(EBPF_EXIT)];
}

/** Gives the packet to the socket that a map (BPF_MAP_TYPE_XSKMAP) has for its queue, or else to the stack. */
export function xdpRedirect(map: number): XdpAction {
  return [
    ebpf(EBPF_LOAD_WIDE, { destination: 1, source: BPF_PSEUDO_MAP_FD, immediate: map }),
    ebpf(0), // the upper half of the wide load
    ebpf(EBPF_MOVE, { destination: 2, source: QUEUE }),
    ebpf(EBPF_MOVE_IMMEDIATE, { destination: 3, immediate: XDP_PASS }), // what an empty entry gives
    ebpf(EBPF_CALL, { immediate: BPF_FUNC_REDIRECT_MAP }),
    ebpf(EBPF_EXIT),
  ];
}

/**
 * Turns match code into an XDP program: accepted packets meet the action, others go to the stack. Scratch memory lies on the stack. Each
 * `need` compares pointers the way the kernel's verifier wants it of whoever reads a packet.
 *
 * @throws PacketError FLOW_TABLE_FULL for a jump that is too long
 */
export function xdpProgram({ steps }: MatchCode, action: XdpAction): EbpfInstruction[] {
  const program: EbpfInstruction[] = [];
  const places = new Map<Label, number>();
  const targets = new Map<number, Label>();
  const put = (code: number, fields: Parameters<typeof ebpf>[1]): void => {
    program.push(ebpf(code, fields));
  };
  const jump = (code: number, to: Label, fields: Parameters<typeof ebpf>[1] = {}): void => {
    targets.set(program.length, to);
    put(code, fields);
  };
  put(EBPF_LOAD[4], { destination: QUEUE, source: CONTEXT, offset: CONTEXT_QUEUE });
  if (steps.some(({ step }) => step === 'need')) {
    put(EBPF_LOAD[4], { destination: PACKET, source: CONTEXT, offset: CONTEXT_DATA });
    put(EBPF_LOAD[4], { destination: PACKET_END, source: CONTEXT, offset: CONTEXT_DATA_END });
    put(EBPF_MOVE_IMMEDIATE, { destination: POSITION, immediate: 0 });
  }
  for (const [index, step] of steps.entries()) {
    switch (step.step) {
      case 'label':
        places.set(step.label, program.length);
        break;
      case 'need':
        put(EBPF_MOVE, { destination: POINTER, source: PACKET });
        put(EBPF_ADD, { destination: POINTER, source: POSITION });
        put(EBPF_MOVE, { destination: LIMIT, source: POINTER });
        put(EBPF_ADD_IMMEDIATE, { destination: LIMIT, immediate: step.bytes });
        jump(EBPF_JUMP_GREATER, step.otherwise, { destination: LIMIT, source: PACKET_END });
        break;
      case 'skip':
        put(EBPF_ADD_IMMEDIATE, { destination: POSITION, immediate: step.bytes });
        break;
      case 'advance':
        put(EBPF_ADD, { destination: POSITION, source: ACCUMULATOR });
        put(EBPF_MOVE, { destination: POINTER, source: PACKET });
        put(EBPF_ADD, { destination: POINTER, source: POSITION });
        jump(EBPF_JUMP_GREATER, step.otherwise, { destination: POINTER, source: PACKET_END });
        break;
      case 'load':
        put(EBPF_LOAD[step.bytes], { destination: ACCUMULATOR, source: POINTER, offset: step.at });
        if (step.bytes > 1) put(EBPF_TO_BIG_ENDIAN, { destination: ACCUMULATOR, immediate: 8 * step.bytes });
        break;
      case 'metadata':
        // The one field there is: XDP programs see tags in the packet, or not at all.
        put(EBPF_MOVE, { destination: ACCUMULATOR, source: QUEUE });
        break;
      case 'set':
        put(EBPF_MOVE_IMMEDIATE_32, { destination: ACCUMULATOR, immediate: step.value });
        break;
      case 'store':
        put(EBPF_STORE_WORD, { destination: STACK, source: ACCUMULATOR, offset: stackOffset(step.word) });
        break;
      case 'recall':
        put(EBPF_LOAD[4], { destination: ACCUMULATOR, source: STACK, offset: stackOffset(step.word) });
        break;
      case 'calculate':
        put(CALCULATE[step.operation], { destination: ACCUMULATOR, immediate: step.value });
        break;
      case 'jump':
        if (!comesNext(steps, index, step.to)) jump(EBPF_JUMP, step.to);
        break;
      case 'branch': {
        const operands = { destination: ACCUMULATOR, immediate: step.value };
        if (comesNext(steps, index, step.yes)) {
          jump(JUMPS[step.test].no, step.no, operands);
          break;
        }
        jump(JUMPS[step.test].yes, step.yes, operands);
        if (!comesNext(steps, index, step.no)) jump(EBPF_JUMP, step.no);
        break;
      }
      case 'accept':
        program.push(...action);
        break;
      case 'refuse':
        program.push(...xdpVerdict(XDP_PASS));
        break;
    }
  }
  for (const [at, label] of targets) {
    const offset = places.get(label)! - at - 1;
    if (offset > LONGEST_EBPF_JUMP) {
      throw new PacketError('FLOW_TABLE_FULL', `a jump over ${offset} instructions, of at most ${LONGEST_EBPF_JUMP}`, {
        remedy: 'use fewer queues with rules',
      });
    }
    program[at] = { ...program[at]!, offset };
  }
  return program;
}

function stackOffset(word: number): number {
  return 4 * (word - SCRATCH_WORDS);
}
