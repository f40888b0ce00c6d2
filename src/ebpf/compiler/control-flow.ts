import { PacketError } from '../../errors.js';
import { type Dominators, findDominators } from './dominators.js';
import type { Edge, FlowGraph } from './flow-graph.js';
import type { CodeWriter, Label } from './wasm/code-writer.js';
import { I32 } from './wasm/opcodes.js';

/** What the blocks of a graph are made of. */
export interface BlockWriter {
  /** Writes the instructions of a block, all but a jump at its end. A block that ends in an exit leaves the function. */
  writeInstructions(block: number): void;
  /** Writes the condition of the jump at the end of a block, as a number of 32 bits. */
  writeCondition(block: number): void;
  /** Charges what the jump at the end of a block costs when it goes back. */
  writeCharge(block: number, cost: number): void;
}

/** Blocks of a function above which finding dominators could take too long, whatever the graph. */
const MOST_STRUCTURED_BLOCKS = 20_000;
/** Most ways of a branch table that engines of WebAssembly take. */
const MOST_TABLE_BLOCKS = 65_000;

/**
 * Writes a graph in the structured control flow of WebAssembly. No instruction is ever reached behind what is written.
 *
 * @throws PacketError PROGRAM_REFUSED for a subprogram with too many blocks
 */
export function writeControlFlow(code: CodeWriter, graph: FlowGraph, blocks: BlockWriter): void {
  if (graph.length > MOST_TABLE_BLOCKS) {
    throw new PacketError('PROGRAM_REFUSED', `a subprogram of ${graph.length} blocks is too large to be compiled`, {
      remedy: 'run it in the interpreter, or make several programs of it',
    });
  }
  if (graph.length <= MOST_STRUCTURED_BLOCKS) {
    const dominators = findDominators(graph);
    if (dominators.isReducible) {
      new StructuredWriter(code, graph, dominators, blocks).write();
      return;
    }
  }
  writeDispatchLoop(code, graph, blocks);
}

/**
 * Graphs whose loops have one entry each (N. Ramsey, "Beyond Relooper", 2022): what a block dominates is written within it. Where ways meet,
 * a WebAssembly block ends just before; where a way leads back, a loop begins.
 */
class StructuredWriter {
  readonly #code: CodeWriter;
  readonly #graph: FlowGraph;
  readonly #dominators: Dominators;
  readonly #blocks: BlockWriter;
  /** By block: blocks below it in the dominator tree where ways meet, in rising order. */
  readonly #meetings: number[][];
  /** By block: the WebAssembly block that ends before it; the loop that begins with it. */
  readonly #endsBefore = new Map<number, Label>();
  readonly #loops = new Map<number, Label>();
  /** What is still to be written, the next last: trees may be deeper than the stack. */
  readonly #tasks: (() => void)[] = [];

  constructor(code: CodeWriter, graph: FlowGraph, dominators: Dominators, blocks: BlockWriter) {
    this.#code = code;
    this.#graph = graph;
    this.#dominators = dominators;
    this.#blocks = blocks;
    this.#meetings = graph.map(() => []);
    for (let block = 1; block < graph.length; block++) {
      if (this.#isMeeting(block)) this.#meetings[dominators.immediate[block]!]!.push(block);
    }
  }

  write(): void {
    this.#writeTree(0);
    for (let task = this.#tasks.pop(); task !== undefined; task = this.#tasks.pop()) task();
  }

  #isMeeting(block: number): boolean {
    return this.#dominators.forwardEdges[block]! > 1;
  }

  /** Writes a block with all that it dominates. */
  #writeTree(block: number): void {
    const isLoop = this.#dominators.isLoopHeader[block] === 1;
    if (isLoop) this.#loops.set(block, this.#code.loop());
    const meetings = this.#meetings[block]!;
    for (let i = meetings.length - 1; i >= 0; i--) this.#endsBefore.set(meetings[i]!, this.#code.block());
    const tasks = [() => this.#writeBlock(block)];
    for (const meeting of meetings) tasks.push(this.#end, () => this.#writeTree(meeting));
    if (isLoop) tasks.push(this.#end);
    this.#tasks.push(...tasks.reverse());
  }

  readonly #end = (): void => this.#code.end();

  #writeBlock(block: number): void {
    this.#blocks.writeInstructions(block);
    const { taken, next } = this.#graph[block]!;
    if (taken !== undefined && next !== undefined) this.#writeChoice(block, taken, next);
    else if (taken !== undefined) this.#writeJump(block, taken);
    else if (next !== undefined) this.#writeJump(block, next);
  }

  #writeChoice(block: number, taken: Edge, next: Edge): void {
    this.#blocks.writeCondition(block);
    const label = this.#labelOf(block, taken);
    if (label !== undefined && taken.cost === 0) {
      this.#code.branchIf(label);
      this.#writeJump(block, next);
      return;
    }
    this.#code.if();
    this.#tasks.push(() => this.#writeJump(block, next), this.#end);
    this.#writeJump(block, taken);
  }

  /** Goes from a block to another, which is written here unless there is a label to it. */
  #writeJump(block: number, edge: Edge): void {
    if (edge.cost > 0) this.#blocks.writeCharge(block, edge.cost);
    const label = this.#labelOf(block, edge);
    if (label === undefined) this.#tasks.push(() => this.#writeTree(edge.to));
    else this.#code.branch(label);
  }

  #labelOf(from: number, { to }: Edge): Label | undefined {
    if (to <= from) return this.#loops.get(to)!;
    return this.#isMeeting(to) ? this.#endsBefore.get(to)! : undefined;
  }
}

/** Any graph: a loop that goes to the block whose number a local has. */
function writeDispatchLoop(code: CodeWriter, graph: FlowGraph, blocks: BlockWriter): void {
  const current = code.local(I32);
  code.i32(0); // it is run for many packets
  code.set(current);
  const loop = code.loop();
  const labels: Label[] = graph.map(() => code.block()).reverse();
  code.get(current);
  code.branchTable(labels);
  const go = (block: number, { to, cost }: Edge): void => {
    if (cost > 0) blocks.writeCharge(block, cost);
    code.i32(to);
    code.set(current);
    code.branch(loop);
  };
  for (const [block, { taken, next }] of graph.entries()) {
    code.end();
    blocks.writeInstructions(block);
    if (taken !== undefined && next !== undefined) {
      blocks.writeCondition(block);
      code.if();
      go(block, taken);
      code.end();
    }
    const last = next ?? taken;
    if (last !== undefined) go(block, last);
  }
  code.end();
}
