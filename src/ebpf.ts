/// <reference lib="esnext.disposable" preserve="true" />
/**
 * The eBPF engine: XDP programs in process, in browsers, too. It knows no sockets and no kernel.
 *
 * @module tpacket4/ebpf
 */

// The memory that programs, maps and packets lie in
export { Arena, type ArenaMemory, type ArenaShare, type Region } from './arena/arena.js';
export type { Part } from './arena/free-parts.js';
// Running them
export { compiler, prepareCompiled } from './ebpf/compiler/compiler.js';
// Programs
export { createProgram, findSubprograms } from './ebpf/create-program.js';
export {
  CONTEXT_BYTES,
  CONTEXT_DATA,
  CONTEXT_DATA_END,
  CONTEXT_DATA_META,
  CONTEXT_EGRESS_IFINDEX,
  CONTEXT_INGRESS_IFINDEX,
  CONTEXT_RX_QUEUE_INDEX,
  CONTROL_BUDGET,
  CONTROL_BYTES,
  CONTROL_CPU,
  CONTROL_PACKET,
  CONTROL_REGISTERS,
  CONTROL_TAIL_CALLS,
  DEFAULT_BUDGET,
  type Engine,
  type Executable,
  FAULT_BUDGET,
  FAULT_CALL_DEPTH,
  FAULT_MEMORY,
  FAULT_NONE,
  HINT_HASH,
  HINT_TIME,
  HINT_VLAN,
  HINTS_BYTES,
  HINTS_HASH,
  HINTS_HASH_TYPE,
  HINTS_PRESENT,
  HINTS_TIME,
  HINTS_VLAN,
  MOST_CALL_FRAMES,
  MOST_TAIL_CALLS,
  PACKET_DATA,
  PACKET_DATA_END,
  PACKET_DATA_META,
  PACKET_EGRESS_IFINDEX,
  PACKET_FAULT,
  PACKET_FAULT_SLOT,
  PACKET_FIRST,
  PACKET_HINTS,
  PACKET_INGRESS_IFINDEX,
  PACKET_LIMIT,
  PACKET_RECORD_BYTES,
  PACKET_REDIRECT_FLAGS,
  PACKET_REDIRECT_MAP,
  PACKET_REDIRECT_TARGET,
  PACKET_RX_QUEUE_INDEX,
  PACKET_VERDICT,
  STACK_FRAME_BYTES,
  XDP_ABORTED,
  XDP_DROP,
  XDP_PASS,
  XDP_REDIRECT,
  XDP_TX,
} from './ebpf/execution.js';
// What they call
export type { ArgumentType, Helper, HelperTable, ReturnType } from './ebpf/helpers/contract.js';
export type { XdpHelperOptions } from './ebpf/helpers/options.js';
export * as registers from './ebpf/helpers/registers.js';
export { createHelperTable, createXdpHelpers, XDP_HELPERS } from './ebpf/helpers/xdp-helpers.js';
export {
  decodeInstructions,
  encodeInstructions,
  type Instruction,
  instruction,
  isWide,
  SLOT_BYTES,
  wideImmediate,
  wideInstruction,
} from './ebpf/instruction.js';
export { interpreter } from './ebpf/interpreter/interpreter.js';
export { Machine, type MachineOptions, SCRATCH_BYTES } from './ebpf/machine.js';
// Their maps
export {
  BPF_ANY,
  BPF_EXIST,
  BPF_F_INNER_MAP,
  BPF_F_MMAPABLE,
  BPF_F_NO_COMMON_LRU,
  BPF_F_NO_PREALLOC,
  BPF_F_NUMA_NODE,
  BPF_F_PRESERVE_ELEMS,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
  BPF_F_ZERO_SEED,
  BPF_NOEXIST,
  type EbpfMap,
  type InitialEntry,
  MAP_TYPES,
  type MapContents,
  type MapDefinition,
  type MapType,
  type RecordSource,
  type RedirectTargets,
  type ValueRow,
} from './ebpf/maps/contract.js';
export { createMap, type MapOfType } from './ebpf/maps/create-map.js';
// From files and text
export type { ObjectFile, OtherProgram, ReadObjectOptions, VariableValue } from './ebpf/object/contract.js';
export { readObject } from './ebpf/object/read-object.js';
export * as opcodes from './ebpf/opcodes.js';
export { type PreparedObject, prepareObject } from './ebpf/prepare-object.js';
export {
  type BoundProgram,
  type Program,
  type ProgramObject,
  type ProgramPlace,
  type SourceLine,
  type Subprogram,
  sourceLineAt,
} from './ebpf/program.js';
export type { Neighbour, Route, RoutedInterface, RouteKind, RoutingFacts } from './ebpf/routing/contract.js';
export { RoutingTable } from './ebpf/routing/routing-table.js';
export { checkStructure, MOST_SLOTS } from './ebpf/structure.js';
export { type AssemblyOptions, assemble, assembleInstructions } from './ebpf/text/assemble.js';
export { type DisassemblyOptions, disassemble } from './ebpf/text/disassemble.js';
// Whether they may run
export { type AccessFact, MOST_FOLLOWED, type Verification, type VerifyOptions } from './ebpf/verifier/contract.js';
export type { PointerKind } from './ebpf/verifier/value.js';
export { verify } from './ebpf/verifier/verify.js';
// What goes wrong
export { type ErrorCode, type ErrorFacts, PacketError, type PacketErrorData } from './errors.js';
