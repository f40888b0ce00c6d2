import type { Instruction } from './instruction.js';
import type { MapDefinition } from './maps/contract.js';

/** What a program is attached for (enum bpf_attach_type); it decides what it may do. */
export type ProgramPlace = 'xdp' | 'xdp/devmap' | 'xdp/cpumap';

/** A function of a program. */
export interface Subprogram {
  /** Name of the function, for messages. */
  readonly name: string;
  /** First slot. */
  readonly start: number;
  /** Slot after its last. */
  readonly end: number;
  /** Its type in the program's BTF, where there is one. */
  readonly typeId?: number;
}

/** Where a line of source begins, as compilers note it with -g. */
export interface SourceLine {
  /** First slot of what the line was compiled to. */
  readonly slot: number;
  /** Path as the compiler noted it. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1; 0 where unknown. */
  readonly column: number;
  /** Text of the line, as BTF has it; may be empty. */
  readonly text: string;
}

/**
 * An eBPF program on its own: what loaders and assemblers make, and verifier, interpreter, compiler and bpf(2) take. It is plain data and
 * says nothing yet about where its maps are; {@link BoundProgram} does. Nothing in it has been checked: that is for the verifier.
 */
export interface Program {
  /** Name of its first function. */
  readonly name: string;
  /** Where it runs. */
  readonly place: ProgramPlace;
  /** Licence, which decides about some helpers in Linux. */
  readonly license: string;
  /** Whether it takes packets of several frames (section `xdp.frags`, BPF_F_XDP_HAS_FRAGS; F9). */
  readonly segments: boolean;
  /**
   * One for each slot. Maps are named by their index in `maps` (BPF_PSEUDO_MAP_IDX, BPF_PSEUDO_MAP_IDX_VALUE), kernel functions by their
   * index in `kernelFunctions`, subprograms by their distance in slots.
   */
  readonly instructions: readonly Instruction[];
  /** In the order of their slots, without gaps; the first one is where the program begins. */
  readonly subprograms: readonly Subprogram[];
  /** Maps that its instructions name. */
  readonly maps: readonly MapDefinition[];
  /** Names of kernel functions that it calls (BPF_PSEUDO_KFUNC_CALL). */
  readonly kernelFunctions: readonly string[];
  /** In the order of their slots. Empty without BTF. */
  readonly lines: readonly SourceLine[];
  /** The object's BTF section, for Linux: it names the types of functions and maps. */
  readonly btf?: Uint8Array;
}

/** What an object file or an assembler file holds. */
export interface ProgramObject {
  /** All programs, in the order of the file. */
  readonly programs: readonly Program[];
  /** All maps, those that no program uses among them. Programs that share one have the same definition object. */
  readonly maps: readonly MapDefinition[];
}

/** A program whose maps exist: `maps[i]` is what `program.maps[i]` asked for. `Kind` is the engine's map, or Linux's. */
export interface BoundProgram<Kind> {
  /** The program. */
  readonly program: Program;
  /** Its maps, in the order of the program's list. */
  readonly maps: readonly Kind[];
}

/** The line of source that a slot belongs to, or undefined where none is known. */
export function sourceLineAt({ lines }: Program, slot: number): SourceLine | undefined {
  return lines.findLast((line) => line.slot <= slot);
}

/** What the names of kernel functions that read hints begin with. */
const HINT_FUNCTION = 'bpf_xdp_metadata_';

/** Whether the program reads hints of a device (F11): kernels want it bound to one. */
export function readsHints({ kernelFunctions }: Program): boolean {
  return kernelFunctions.some((name) => name.startsWith(HINT_FUNCTION));
}
