import { createProgram } from '../../ebpf/create-program.js';
import { CONTEXT_DATA, CONTEXT_DATA_END } from '../../ebpf/execution.js';
import { type Instruction, instruction } from '../../ebpf/instruction.js';
import * as ebpf from '../../ebpf/opcodes.js';
import type { Program } from '../../ebpf/program.js';
import type { ClassicInstruction } from '../classic/instruction.js';
import { CONTEXT, PACKET, PACKET_END } from './registers.js';
import { translateFilter } from './translate.js';

/** What becomes of packets: numbers of enum xdp_action in linux/bpf.h. */
export interface FilterVerdicts {
  /** Of those that the filter accepts. */
  readonly accepted: number;
  /** Of the others. */
  readonly refused: number;
}

const LOAD_WORD = ebpf.BPF_LDX | ebpf.BPF_MEM | ebpf.BPF_W;

/**
 * A whole XDP program of a classic one, without maps.
 *
 * @throws PacketError FILTER_CORRUPT unless the program passes `checkClassicProgram`
 */
export function filterProgram(program: readonly ClassicInstruction[], { accepted, refused }: FilterVerdicts): Program {
  const filter = translateFilter(program);
  const instructions: Instruction[] = [
    instruction(LOAD_WORD, { destination: PACKET, source: CONTEXT, offset: CONTEXT_DATA }),
    instruction(LOAD_WORD, { destination: PACKET_END, source: CONTEXT, offset: CONTEXT_DATA_END }),
  ];
  const start = instructions.length;
  instructions.push(...filter.instructions);
  for (const accepts of [true, false]) {
    const ends = filter.ends.filter((end) => end.accepts === accepts);
    for (const { at } of ends) {
      const slot = start + at;
      instructions[slot] = { ...instructions[slot]!, offset: instructions.length - slot - 1 };
    }
    if (ends.length > 0) instructions.push(...verdict(accepts ? accepted : refused));
  }
  return createProgram(instructions, { name: 'tp4_filter' });
}

function verdict(number: number): Instruction[] {
  return [
    instruction(ebpf.BPF_ALU64 | ebpf.BPF_MOV, { destination: 0, immediate: number }),
    instruction(ebpf.BPF_JMP | ebpf.BPF_EXIT),
  ];
}
