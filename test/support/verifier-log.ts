import { encodeInstructions, type Instruction, SLOT_BYTES } from '../../src/ebpf/instruction.js';
import { BPF_PROG_LOAD } from '../../src/linux-kernel/constants.js';
import { Struct } from '../../src/linux-kernel/struct.js';
import type { SystemCalls } from '../../src/linux-kernel/system-calls.js';

/** What Linux's verifier tells of a program, whether it takes it or not. @param type of enum bpf_prog_type */
export function verifierLog(calls: SystemCalls, program: readonly Instruction[], type: number): string {
  const instructions = new Struct(program.length * SLOT_BYTES);
  instructions.bytes.set(encodeInstructions(program));
  const licence = new Struct(16).text(0, 'GPL\0');
  const log = new Struct(2 ** 20);
  const attributes = new Struct(148)
    .u32(0, type)
    .u32(4, program.length)
    .pointer(8, instructions, calls.address(instructions))
    .pointer(16, licence, calls.address(licence))
    .u32(24, 2) // each instruction
    .u32(28, log.length)
    .pointer(32, log, calls.address(log));
  const descriptor = calls.bpf(BPF_PROG_LOAD, attributes);
  if (descriptor >= 0) calls.close(descriptor);
  return log.readText(0, log.length);
}
