/**
 * The eBPF engine: programs as data, their maps, and what runs them. It knows no sockets and runs anywhere, browsers included.
 *
 * @module
 */

export { createProgram } from './ebpf/create-program.js';
export * from './ebpf/execution.js';
export type { ArgumentType, Helper, HelperTable, ReturnType } from './ebpf/helpers/contract.js';
export {
  decodeInstructions,
  encodeInstructions,
  type Instruction,
  instruction,
  isWide,
  wideImmediate,
  wideInstruction,
} from './ebpf/instruction.js';
export { Machine, type MachineOptions } from './ebpf/machine.js';
export * from './ebpf/maps/contract.js';
export * from './ebpf/opcodes.js';
export {
  type BoundProgram,
  type Program,
  type ProgramObject,
  type ProgramPlace,
  type SourceLine,
  type Subprogram,
  sourceLineAt,
} from './ebpf/program.js';
