import type { ClassicInstruction } from '../../filter/classic/instruction.js';
import { type Draft, linkClassicProgram } from '../../filter/classic/link.js';
import type { Label, MatchCode, MetadataField, Operation } from './match-code.js';
import { comesNext } from './match-code.js';

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
const CALCULATE: Readonly<Record<Operation, number>> = {
  and: 0x54,
  or: 0x44,
  xor: 0xa4,
  add: 0x04,
  multiply: 0x24,
  'shift-left': 0x64,
  'shift-right': 0x74,
};
/** The same with the index register. */
const BY_INDEX = 0x08;
const LOAD_INDEX_SCRATCH = 0x61;

/** SKF_AD_OFF and what is beside the packet (linux/filter.h): offsets of loads that the kernel answers itself. */
const BESIDE_PACKET = 0x100000000 - 0x1000;
const METADATA: Readonly<Partial<Record<MetadataField, number>>> = {
  'vlan-tag': BESIDE_PACKET + 44,
  'vlan-present': BESIDE_PACKET + 48,
};

/** What a filter returns: how many bytes of the packet to keep. */
const WHOLE_PACKET = 0xffffffff;

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
      case 'combine':
        put(LOAD_INDEX_SCRATCH, step.word);
        put(CALCULATE[step.operation] | BY_INDEX);
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
  return linkClassicProgram(drafts, places);
}

/** A filter that keeps no packet. */
export function classicRefusal(): ClassicInstruction[] {
  return [{ code: RETURN, jumpTrue: 0, jumpFalse: 0, value: 0 }];
}
