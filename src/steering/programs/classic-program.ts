import type { Label, MatchCode, MetadataField, Operation } from './match-code.js';
import { comesNext } from './match-code.js';

/** One instruction of classic BPF (struct sock_filter in linux/filter.h); jumps count from the next instruction. */
export interface ClassicInstruction {
  readonly code: number;
  readonly jumpTrue: number;
  readonly jumpFalse: number;
  /** 0 to 2^32 - 1. */
  readonly value: number;
}

/** Most instructions of a classic program (BPF_MAXINSNS in linux/bpf_common.h). */
export const MOST_CLASSIC_INSTRUCTIONS = 4096;
/** Bytes of an instruction in memory. */
export const CLASSIC_INSTRUCTION_BYTES = 8;

// Operation codes (linux/bpf_common.h): class, size or operation, mode or source.
const LOAD_LENGTH = 0x80;
const LOAD_ABSOLUTE_WORD = 0x20;
const LOAD_IMMEDIATE = 0x00;
const LOAD_SCRATCH = 0x60;
const STORE_SCRATCH = 0x02;
const LOAD_INDEX_IMMEDIATE = 0x01;
const INDEX_TO_ACCUMULATOR = 0x87;
const ACCUMULATOR_TO_INDEX = 0x07;
const ADD_INDEX = 0x0c;
const SUBTRACT_INDEX = 0x1c;
const JUMP = 0x05;
const JUMP_EQUAL = 0x15;
const JUMP_AT_LEAST = 0x35;
const JUMP_AT_LEAST_INDEX = 0x3d;
const RETURN = 0x06;
/** Loads relative to the index register, by bytes. */
const LOAD_PACKET = { 1: 0x50, 2: 0x48, 4: 0x40 } as const;
const CALCULATE: Readonly<Record<Operation, number>> = { and: 0x54, or: 0x44, add: 0x04, 'shift-left': 0x64 };

/** SKF_AD_OFF and what is beside the packet (linux/filter.h): offsets of loads that the kernel answers itself. */
const BESIDE_PACKET = 0x100000000 - 0x1000;
const METADATA: Readonly<Partial<Record<MetadataField, number>>> = {
  'vlan-tag': BESIDE_PACKET + 44,
  'vlan-present': BESIDE_PACKET + 48,
};

/** What a filter returns: how many bytes of the packet to keep. */
const WHOLE_PACKET = 0xffffffff;

/** Furthest that a conditional jump reaches. */
const LONGEST_JUMP = 255;

/** An instruction whose jumps are still labels; undefined is the next instruction. */
interface Draft {
  readonly code: number;
  readonly value: number;
  readonly jump?: { readonly yes: Label | undefined; readonly no: Label | undefined };
}

/**
 * Turns match code into a classic BPF program, for SO_ATTACH_FILTER on a socket whose packets begin with their Ethernet header. The
 * accumulator is A, the position X, scratch memory M. It may come out longer than the kernel takes: that is the caller's to check.
 */
export function classicProgram({ steps }: MatchCode): ClassicInstruction[] {
  const drafts: Draft[] = [];
  const places = new Map<Label, number>();
  const put = (code: number, value = 0): void => {
    drafts.push({ code, value });
  };
  const branch = (code: number, value: number, yes: Label | undefined, no: Label | undefined): void => {
    drafts.push({ code, value, jump: { yes, no } });
  };
  put(LOAD_INDEX_IMMEDIATE, 0);
  for (const [index, step] of steps.entries()) {
    const unlessNext = (label: Label): Label | undefined => (comesNext(steps, index, label) ? undefined : label);
    switch (step.step) {
      case 'label':
        places.set(step.label, drafts.length);
        break;
      case 'need':
        put(LOAD_LENGTH);
        put(SUBTRACT_INDEX);
        branch(JUMP_AT_LEAST, step.bytes, undefined, step.otherwise);
        break;
      case 'skip':
        put(INDEX_TO_ACCUMULATOR);
        put(CALCULATE.add, step.bytes);
        put(ACCUMULATOR_TO_INDEX);
        break;
      case 'advance':
        put(ADD_INDEX);
        put(ACCUMULATOR_TO_INDEX);
        put(LOAD_LENGTH);
        branch(JUMP_AT_LEAST_INDEX, 0, undefined, step.otherwise);
        break;
      case 'load':
        put(LOAD_PACKET[step.bytes], step.at);
        break;
      case 'metadata':
        put(LOAD_ABSOLUTE_WORD, METADATA[step.field]!);
        break;
      case 'set':
        put(LOAD_IMMEDIATE, step.value);
        break;
      case 'store':
        put(STORE_SCRATCH, step.word);
        break;
      case 'recall':
        put(LOAD_SCRATCH, step.word);
        break;
      case 'calculate':
        put(CALCULATE[step.operation], step.value);
        break;
      case 'jump':
        if (!comesNext(steps, index, step.to)) branch(JUMP, 0, step.to, undefined);
        break;
      case 'branch':
        branch(
          step.test === 'equal' ? JUMP_EQUAL : JUMP_AT_LEAST,
          step.value,
          unlessNext(step.yes),
          unlessNext(step.no),
        );
        break;
      case 'accept':
        put(RETURN, WHOLE_PACKET);
        break;
      case 'refuse':
        put(RETURN, 0);
        break;
    }
  }
  return link(drafts, places);
}

/** A filter that keeps no packet. */
export function classicRefusal(): ClassicInstruction[] {
  return [{ code: RETURN, jumpTrue: 0, jumpFalse: 0, value: 0 }];
}

/** The program as the kernel reads it, in this machine's byte order, which is little-endian. */
export function encodeClassicProgram(program: readonly ClassicInstruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * CLASSIC_INSTRUCTION_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [index, { code, jumpTrue, jumpFalse, value }] of program.entries()) {
    const at = index * CLASSIC_INSTRUCTION_BYTES;
    view.setUint16(at, code, true);
    view.setUint8(at + 2, jumpTrue);
    view.setUint8(at + 3, jumpFalse);
    view.setUint32(at + 4, value, true);
  }
  return bytes;
}

/** Resolves labels. A conditional jump too far for its byte goes over two plain jumps behind it, which reach anywhere. */
function link(drafts: readonly Draft[], places: ReadonlyMap<Label, number>): ClassicInstruction[] {
  const isFar = new Array<boolean>(drafts.length).fill(false);
  let starts = startsOf(isFar);
  const distance = (from: number, label: Label | undefined): number =>
    label === undefined ? 0 : starts[places.get(label)!]! - starts[from]! - 1;
  // Each far jump lengthens others: until none changes any more.
  for (let changed = true; changed; starts = startsOf(isFar)) {
    changed = false;
    for (const [index, { code, jump }] of drafts.entries()) {
      if (jump === undefined || code === JUMP || isFar[index]) continue;
      if (distance(index, jump.yes) <= LONGEST_JUMP && distance(index, jump.no) <= LONGEST_JUMP) continue;
      isFar[index] = true;
      changed = true;
    }
  }
  const program: ClassicInstruction[] = [];
  for (const [index, { code, value, jump }] of drafts.entries()) {
    const yes = distance(index, jump?.yes);
    const no = distance(index, jump?.no);
    if (code === JUMP) program.push({ code, jumpTrue: 0, jumpFalse: 0, value: yes });
    else if (!isFar[index]) program.push({ code, jumpTrue: yes, jumpFalse: no, value });
    else {
      // "Next" is behind the two jumps.
      program.push({ code, jumpTrue: 0, jumpFalse: 1, value });
      program.push({ code: JUMP, jumpTrue: 0, jumpFalse: 0, value: jump?.yes === undefined ? 1 : yes - 1 });
      program.push({ code: JUMP, jumpTrue: 0, jumpFalse: 0, value: jump?.no === undefined ? 0 : no - 2 });
    }
  }
  return program;
}

/** Where each draft starts in the program, and where the program ends. */
function startsOf(isFar: readonly boolean[]): number[] {
  const starts = [0];
  for (const far of isFar) starts.push(starts.at(-1)! + (far ? 3 : 1));
  return starts;
}
