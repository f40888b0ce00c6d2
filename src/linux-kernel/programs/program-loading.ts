import { encodeInstructions, type Instruction, isWide, SLOT_BYTES } from '../../ebpf/instruction.js';
import {
  BPF_CALL,
  BPF_JMP,
  BPF_PSEUDO_KFUNC_CALL,
  BPF_PSEUDO_MAP_FD,
  BPF_PSEUDO_MAP_IDX,
  BPF_PSEUDO_MAP_IDX_VALUE,
  BPF_PSEUDO_MAP_VALUE,
} from '../../ebpf/opcodes.js';
import type { Program, ProgramPlace } from '../../ebpf/program.js';
import { MOST_SLOTS } from '../../ebpf/structure.js';
import {
  BPF_F_XDP_DEV_BOUND_ONLY,
  BPF_F_XDP_HAS_FRAGS,
  BPF_PROG_LOAD,
  BPF_PROG_TYPE_XDP,
  BPF_XDP,
  BPF_XDP_CPUMAP,
  BPF_XDP_DEVMAP,
  ENOSPC,
} from '../constants.js';
import { Struct } from '../struct.js';
import type { SystemCalls } from '../system-calls.js';
import { bpfError } from './bpf-error.js';
import { kernelFunctionNumber } from './kernel-functions.js';
import { kernelName } from './object-name.js';
import { ProgramRefusal, programRefusal } from './program-refusal.js';
import { FUNCTION_INFO_BYTES, LINE_INFO_BYTES, loadProgramTypes } from './program-types.js';

/** Room for what the verifier says, in bytes. Kernels before 6.4 fail with ENOSPC where it is too small; the second is their most. */
const LOG_BYTES = [2 ** 20, 2 ** 24 - 1] as const;

const ATTACH_TYPES: Readonly<Record<ProgramPlace, number>> = {
  xdp: BPF_XDP,
  'xdp/devmap': BPF_XDP_DEVMAP,
  'xdp/cpumap': BPF_XDP_CPUMAP,
};

/**
 * Loads a program.
 *
 * @param maps descriptors of the program's maps, in the order of `program.maps`
 * @param device index of the interface whose hints it reads; 0 for a program that reads none
 * @returns its descriptor, which is the caller's
 * @throws PacketError PROGRAM_REFUSED (a {@link ProgramRefusal}), PROGRAM_CORRUPT (its BTF), NO_PRIVILEGE, SYSTEM_CALL
 */
export function loadProgram(calls: SystemCalls, program: Program, maps: readonly number[], device = 0): number {
  const { name, license, place, segments } = program;
  const slots = relocate(program, maps);
  const instructions = Struct.of(encodeInstructions(slots));
  const licence = new Struct(license.length + 1).text(0, license);
  const attributes = new Struct(152)
    .u32(0, BPF_PROG_TYPE_XDP)
    .u32(4, instructions.length / SLOT_BYTES)
    .pointer(8, instructions, calls.address(instructions))
    .pointer(16, licence, calls.address(licence))
    .u32(44, (segments ? BPF_F_XDP_HAS_FRAGS : 0) | (device === 0 ? 0 : BPF_F_XDP_DEV_BOUND_ONLY))
    .text(48, kernelName(name))
    .u32(64, device)
    .u32(68, ATTACH_TYPES[place]);
  const types = loadProgramTypes(calls, program);
  if (types !== undefined) {
    const { descriptor, functions, lines } = types;
    attributes.u32(72, descriptor);
    attributes.u32(76, FUNCTION_INFO_BYTES).pointer(80, functions, calls.address(functions));
    attributes.u32(88, functions.length / FUNCTION_INFO_BYTES);
    attributes.u32(92, LINE_INFO_BYTES).pointer(96, lines, calls.address(lines));
    attributes.u32(104, lines.length / LINE_INFO_BYTES);
  }
  try {
    return loadOrExplain(calls, program, attributes);
  } finally {
    if (types !== undefined) calls.close(types.descriptor); // the program holds it
  }
}

function loadOrExplain(calls: SystemCalls, program: Program, attributes: Struct): number {
  const loaded = calls.bpf(BPF_PROG_LOAD, attributes);
  if (loaded >= 0) return loaded;
  // Once more for the reason: the log costs time, and before Linux 6.4 one that is too long fails a good program.
  for (const bytes of LOG_BYTES) {
    const log = new Struct(bytes);
    attributes.u32(24, 1).u32(28, log.length).pointer(32, log, calls.address(log));
    const again = calls.bpf(BPF_PROG_LOAD, attributes);
    if (again >= 0) return again; // what was short before (memory, say) is not any more
    if (again === -ENOSPC && bytes !== LOG_BYTES[1]) continue;
    const text = log.readText(0, log.length).trim();
    // Without a word of the verifier's it did not come to look at the program.
    if (text === '') throw bpfError('BPF_PROG_LOAD', -again, `load the program ${program.name}`);
    throw programRefusal(program, -again, text);
  }
  throw bpfError('BPF_PROG_LOAD', ENOSPC, `load the program ${program.name}`);
}

/** The slots as the kernel takes them: maps by descriptor, kernel functions by the number of their type. */
function relocate(program: Program, maps: readonly number[]): Instruction[] {
  const { instructions, kernelFunctions } = program;
  if (instructions.length > MOST_SLOTS) {
    throw new ProgramRefusal(
      `load the program ${program.name}: it has ${instructions.length} slots, and a program has at most ${MOST_SLOTS}`,
      undefined,
      '',
      { remedy: 'make it smaller, or several programs that call each other by tail call' },
    );
  }
  const slots = [...instructions];
  for (let slot = 0; slot < slots.length; slot++) {
    const instruction = slots[slot]!;
    const { opcode, source, immediate } = instruction;
    if (isWide(instruction)) {
      const isMap = source === BPF_PSEUDO_MAP_IDX;
      if (isMap || source === BPF_PSEUDO_MAP_IDX_VALUE) {
        const map = maps[immediate];
        if (map === undefined) throw refusalAt(program, slot, `the program has no map ${immediate}`);
        slots[slot] = { ...instruction, source: isMap ? BPF_PSEUDO_MAP_FD : BPF_PSEUDO_MAP_VALUE, immediate: map };
      }
      slot++;
    } else if (opcode === (BPF_JMP | BPF_CALL) && source === BPF_PSEUDO_KFUNC_CALL) {
      const name = kernelFunctions[immediate];
      if (name === undefined) throw refusalAt(program, slot, `the program names no kernel function ${immediate}`);
      const number = kernelFunctionNumber(name);
      if (!number.known) throw refusalAt(program, slot, `kernel function ${name}: ${number.why}`);
      slots[slot] = { ...instruction, offset: 0, immediate: number.value };
    }
  }
  return slots;
}

function refusalAt({ name }: Program, slot: number, why: string): ProgramRefusal {
  return new ProgramRefusal(`load the program ${name}: slot ${slot}: ${why}`, slot, '', {
    remedy: 'give the program as the compiler or assembler made it, and a kernel that has what it names',
  });
}
