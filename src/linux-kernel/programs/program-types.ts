import { findSubprograms } from '../../ebpf/create-program.js';
import type { Program, SourceLine } from '../../ebpf/program.js';
import { BPF_BTF_LOAD } from '../constants.js';
import { Struct } from '../struct.js';
import type { SystemCalls } from '../system-calls.js';
import { ProgramBtf } from './program-btf.js';

/** Bytes of struct bpf_func_info and struct bpf_line_info. */
export const FUNCTION_INFO_BYTES = 8;
export const LINE_INFO_BYTES = 16;
/** The largest column that a line has room for; lines have 22 bits. */
const MOST_COLUMN = 1023;
const MOST_LINE = 2 ** 22 - 1;

/** A program described to the kernel: names of functions, their types, the lines of source. */
export interface ProgramTypes {
  /** Descriptor of the loaded BTF. */
  readonly descriptor: number;
  readonly functions: Struct;
  readonly lines: Struct;
}

/**
 * Loads the types of a program. Verifier and tools then name its functions and lines; functions that helpers call back cannot do without.
 *
 * @returns undefined where there is nothing to tell, or where the kernel does not take it: it can do without
 * @throws PacketError PROGRAM_CORRUPT where the program's BTF is none
 */
export function loadProgramTypes(calls: SystemCalls, program: Program): ProgramTypes | undefined {
  const { subprograms, lines, btf } = program;
  if (btf === undefined && lines.length === 0 && subprograms.length < 2) return undefined;
  // A kernel may not know all kinds of types that a compiler uses; names it knows.
  const sources = btf === undefined ? [undefined] : [btf, undefined];
  for (const source of sources) {
    const described = describe(program, new ProgramBtf(source));
    const descriptor = loadBtf(calls, described.bytes);
    if (descriptor >= 0) return { descriptor, functions: described.functions, lines: described.lines };
  }
  return undefined;
}

function loadBtf(calls: SystemCalls, bytes: Uint8Array): number {
  const types = Struct.of(bytes);
  return calls.bpf(BPF_BTF_LOAD, new Struct(32).pointer(0, types, calls.address(types)).u32(16, types.length));
}

function describe(
  program: Program,
  types: ProgramBtf,
): { readonly bytes: Uint8Array; readonly functions: Struct; readonly lines: Struct } {
  // The kernel counts functions by the calls that it finds.
  const called = findSubprograms(program.instructions);
  const functions = new Struct(called.length * FUNCTION_INFO_BYTES);
  for (const [index, { start, name }] of called.entries()) {
    const known = program.subprograms.find((one) => one.start === start);
    const number =
      known?.typeId !== undefined && types.isFunction(known.typeId)
        ? known.typeId
        : types.plainFunction(known?.name ?? name);
    functions.u32(index * FUNCTION_INFO_BYTES, start).u32(index * FUNCTION_INFO_BYTES + 4, number);
  }
  const starts = called.map(({ start }) => start);
  const records = lineRecords(program, starts);
  const lines = new Struct(records.length * LINE_INFO_BYTES);
  for (const [index, { slot, file, text, line, column }] of records.entries()) {
    const place = Math.min(line, MOST_LINE) * (MOST_COLUMN + 1) + Math.min(column, MOST_COLUMN);
    const at = index * LINE_INFO_BYTES;
    lines.u32(at, slot).u32(at + 4, types.text(file));
    lines.u32(at + 8, types.text(text)).u32(at + 12, place);
  }
  return { bytes: types.bytes(), functions, lines };
}

/** The lines as the kernel wants them: in order, at most one for a slot, and one where each function begins. */
function lineRecords({ lines, instructions }: Program, starts: readonly number[]): SourceLine[] {
  if (lines.length === 0) return [];
  const bySlot = new Map<number, SourceLine>();
  for (const slot of starts) bySlot.set(slot, { slot, file: '', line: 0, column: 0, text: '' });
  for (const line of lines) {
    const isInstruction = (instructions[line.slot]?.opcode ?? 0) !== 0; // not the second slot of a wide one
    if (isInstruction) bySlot.set(line.slot, line);
  }
  return [...bySlot.values()].sort((a, b) => a.slot - b.slot);
}
