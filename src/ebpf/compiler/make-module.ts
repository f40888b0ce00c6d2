import { type Code, TAIL_CALL } from '../code.js';
import type { Helper } from '../helpers/contract.js';
import type { Machine } from '../machine.js';
import type { EbpfMap } from '../maps/contract.js';
import { BPF_CALL, BPF_JMP, BPF_PSEUDO_CALL } from '../opcodes.js';
import type { BoundProgram } from '../program.js';
import { tailCall } from '../tail-call.js';
import type { FunctionNumbers } from './calls.js';
import { writeControlFlow } from './control-flow.js';
import { writeEnter, writeRun } from './entries.js';
import { findKnowledge } from './find-knowledge.js';
import { makeFlowGraph } from './flow-graph.js';
import { KnowledgeFollower } from './known-values.js';
import { SubprogramWriter } from './subprogram-writer.js';
import type { CodeWriter, Signature } from './wasm/code-writer.js';
import { encodeModule } from './wasm/module.js';
import { I32, UNREACHABLE } from './wasm/opcodes.js';

const NUMBER_TO_NUMBER: Signature = { parameters: [I32], results: [I32] };

/** A program as a module of WebAssembly, and what it imports. */
export interface ProgramModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly imports: Readonly<Record<string, (argument: number) => unknown>>;
}

/** What the module exports. */
export interface ProgramExports {
  run(records: number, count: number): void;
  enter(): void;
}

/**
 * Compiles a program: each subprogram becomes a function.
 *
 * @throws PacketError PROGRAM_REFUSED for a subprogram with too many blocks
 */
export function makeModule(bound: BoundProgram<EbpfMap>, machine: Machine, code: Code): ProgramModule {
  const helpers = [...new Set(code.helpers.filter((helper) => helper?.call !== undefined))] as Helper[];
  const { subprograms } = bound.program;
  const { maps } = bound;
  const lookups = helpers.length + 1;
  const first = lookups + maps.length;
  const numbers = new Map(subprograms.map(({ start }, index) => [start, first + index]));
  const functions: FunctionNumbers = {
    ofHelper: (helper) => helpers.indexOf(helper),
    tailCall: helpers.length,
    ofLookup: (map) => lookups + map,
    ofSubprogram: (slot) => numbers.get(slot)!,
  };
  const bodies = writeSubprograms(bound, machine, code, functions);
  const main = functions.ofSubprogram(0);
  const entries = main + subprograms.length;
  const bytes = encodeModule({
    imports: [
      ...helpers.map((_, index) => ({ name: `helper${index}`, signature: { parameters: [], results: [] } })),
      { name: 'tailCall', signature: NUMBER_TO_NUMBER },
      ...maps.map((_, index) => ({ name: `lookup${index}`, signature: NUMBER_TO_NUMBER })),
    ],
    functions: [...bodies, writeRun(machine, main), writeEnter(machine, main)],
    exports: [
      { name: 'run', index: entries },
      { name: 'enter', index: entries + 1 },
    ],
  });
  const imports: Record<string, (argument: number) => unknown> = { tailCall: (slot) => tailCall(machine, slot) };
  for (const [index, map] of maps.entries()) imports[`lookup${index}`] = (key) => map.lookupAt(key);
  for (const [index, { call }] of helpers.entries()) imports[`helper${index}`] = () => call!(machine);
  return { bytes, imports };
}

function writeSubprograms(
  bound: BoundProgram<EbpfMap>,
  machine: Machine,
  code: Code,
  functions: FunctionNumbers,
): CodeWriter[] {
  const { program, maps } = bound;
  const movesPacket = code.helpers.some((helper) => helper?.movesPacket === true || helper?.number === TAIL_CALL);
  const follower = new KnowledgeFollower(code, program, movesPacket);
  const isCalled = callsFirst(code);
  return program.subprograms.map(({ start, end }) => {
    const graph = makeFlowGraph(code, start, end);
    const knowledge = findKnowledge(graph, follower, start === 0 && !isCalled);
    const writer = new SubprogramWriter({ code, machine, maps, graph, follower, knowledge, functions });
    writer.writeBeginning();
    writeControlFlow(writer.body.code, graph, writer);
    writer.body.code.op(UNREACHABLE);
    return writer.body.code;
  });
}

/** Whether the program calls the subprogram that it begins with. */
function callsFirst({ opcodes, sources, immediates }: Code): boolean {
  return opcodes.some(
    (opcode, slot) =>
      opcode === (BPF_JMP | BPF_CALL) && sources[slot] === BPF_PSEUDO_CALL && slot + 1 + immediates[slot]! === 0,
  );
}
