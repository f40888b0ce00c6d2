import { PacketError } from '../errors.js';
import type { Helper, HelperTable } from './helpers/contract.js';
import { isWide } from './instruction.js';
import type { Machine } from './machine.js';
import type { EbpfMap } from './maps/contract.js';
import {
  BPF_CALL,
  BPF_JMP,
  BPF_PSEUDO_CALL,
  BPF_PSEUDO_FUNC,
  BPF_PSEUDO_KFUNC_CALL,
  BPF_PSEUDO_MAP_IDX,
  BPF_PSEUDO_MAP_IDX_VALUE,
} from './opcodes.js';
import type { BoundProgram, Program } from './program.js';
import { checkStructure } from './structure.js';

/** The one helper that engines do themselves (bpf_tail_call in enum bpf_func_id). */
export const TAIL_CALL = 12;

/** A program's slots in columns, with what they name looked up: what engines work with. A column has one element for each slot. */
export interface Code {
  readonly opcodes: Uint8Array;
  readonly destinations: Uint8Array;
  readonly sources: Uint8Array;
  readonly offsets: Int16Array;
  /** Of wide instructions what they load: the lower word here, the upper one in the next slot. */
  readonly immediates: Int32Array;
  /** At the first slot of a subprogram how many slots it has; elsewhere 0. */
  readonly subprogramSlots: Int32Array;
  /** At a call of a helper or kernel function what is called. */
  readonly helpers: readonly (Helper | undefined)[];
}

/**
 * Checks a program's structure and makes its columns.
 *
 * @throws PacketError PROGRAM_REFUSED where it is no program, its maps are not the machine's, it takes the address of a value in a map that
 *   is no array, or calls a helper that calls back
 */
export function makeCode(bound: BoundProgram<EbpfMap>, machine: Machine): Code {
  const { program, maps } = bound;
  const { instructions } = program;
  checkStructure(program, machine.helpers);
  checkMaps(bound, machine);
  const immediates = Int32Array.from(instructions, ({ immediate }) => immediate);
  const helpers: (Helper | undefined)[] = [];
  for (const [slot, { opcode, source, immediate }] of instructions.entries()) {
    const isCall = opcode === (BPF_JMP | BPF_CALL) && source !== BPF_PSEUDO_CALL;
    helpers.push(isCall ? calledHelper(program, slot, machine.helpers) : undefined);
    if (!isWide(instructions[slot]!)) continue;
    if (source === BPF_PSEUDO_MAP_IDX) immediates[slot] = maps[immediate]!.handle;
    if (source === BPF_PSEUDO_FUNC) immediates[slot] = slot + 1 + immediate;
    if (source !== BPF_PSEUDO_MAP_IDX_VALUE) continue;
    immediates[slot] = valueAddress(maps[immediate]!, immediates[slot + 1]!, slot);
    immediates[slot + 1] = 0;
  }
  const subprogramSlots = new Int32Array(instructions.length);
  for (const { start, end } of program.subprograms) subprogramSlots[start] = end - start;
  return {
    opcodes: Uint8Array.from(instructions, ({ opcode }) => opcode),
    destinations: Uint8Array.from(instructions, ({ destination }) => destination),
    sources: Uint8Array.from(instructions, ({ source }) => source),
    offsets: Int16Array.from(instructions, ({ offset }) => offset),
    immediates,
    subprogramSlots,
    helpers,
  };
}

function checkMaps({ program, maps }: BoundProgram<EbpfMap>, machine: Machine): void {
  const missing = program.maps.findIndex((_, index) => {
    const map = maps[index];
    return map === undefined || machine.map(map.handle) !== map;
  });
  if (missing < 0) return;
  throw new PacketError(
    'PROGRAM_REFUSED',
    `map ${program.maps[missing]!.name} was not made on the machine that the program is to run on`,
    { remedy: 'make all maps with createMap on this machine, in the order of the program' },
  );
}

function calledHelper(program: Program, slot: number, table: HelperTable): Helper {
  const { source, immediate } = program.instructions[slot]!;
  const helper =
    source === BPF_PSEUDO_KFUNC_CALL ? table.byName(program.kernelFunctions[immediate]!)! : table.byNumber(immediate)!;
  if (helper.call === undefined && helper.number !== TAIL_CALL) {
    throw new PacketError('PROGRAM_REFUSED', `slot ${slot}: programs cannot call ${helper.name} here`, {
      remedy: 'write the loop with jumps',
    });
  }
  return helper;
}

function valueAddress({ row, definition }: EbpfMap, offset: number, slot: number): number {
  if (row === undefined || offset < 0 || offset >= definition.valueSize) {
    const why = row === undefined ? 'its values are no row' : `its value has ${definition.valueSize} bytes`;
    throw new PacketError('PROGRAM_REFUSED', `slot ${slot}: no address ${offset} in map ${definition.name}: ${why}`, {
      remedy: 'keep global variables in a map of type array, and stay within its first value',
    });
  }
  return row.first + offset;
}
