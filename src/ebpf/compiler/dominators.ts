import type { Edge, FlowGraph } from './flow-graph.js';

/** Which block must be passed on every way to another. */
export interface Dominators {
  /** By block: the closest other block that every way to it passes; of the first block itself. */
  readonly immediate: Int32Array;
  /** By block: how many edges lead to it from blocks before it. */
  readonly forwardEdges: Int32Array;
  /** By block: whether an edge leads to it from itself or a block after it. */
  readonly isLoopHeader: Uint8Array;
  /** Whether every such edge comes from a block that its target dominates: each loop then has one entry. */
  readonly isReducible: boolean;
}

/** The edges that leave a block. */
export function edgesOf({ taken, next }: FlowGraph[number]): Edge[] {
  return [taken, next].filter((edge) => edge !== undefined);
}

/** Finds the dominators in a graph in reverse postorder (Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm"). */
export function findDominators(graph: FlowGraph): Dominators {
  const predecessors: number[][] = graph.map(() => []);
  const forwardEdges = new Int32Array(graph.length);
  const isLoopHeader = new Uint8Array(graph.length);
  for (const [from, block] of graph.entries()) {
    for (const { to } of edgesOf(block)) {
      predecessors[to]!.push(from);
      if (to > from) forwardEdges[to] = forwardEdges[to]! + 1;
      else isLoopHeader[to] = 1;
    }
  }
  const immediate = new Int32Array(graph.length).fill(-1);
  immediate[0] = 0;
  for (let changed = true; changed; ) {
    changed = false;
    for (let block = 1; block < graph.length; block++) {
      let found = -1;
      for (const from of predecessors[block]!) {
        if (immediate[from] === -1) continue;
        found = found === -1 ? from : common(immediate, from, found);
      }
      if (immediate[block] === found) continue;
      immediate[block] = found;
      changed = true;
    }
  }
  return { immediate, forwardEdges, isLoopHeader, isReducible: isReducible(graph, immediate) };
}

/** The closest block that dominates both. */
function common(immediate: Int32Array, first: number, second: number): number {
  while (first !== second) {
    if (first > second) first = immediate[first]!;
    else second = immediate[second]!;
  }
  return first;
}

function isReducible(graph: FlowGraph, immediate: Int32Array): boolean {
  for (const [from, block] of graph.entries()) {
    for (const { to } of edgesOf(block)) {
      if (to > from) continue;
      let above = from;
      while (above > to) above = immediate[above]!;
      if (above !== to) return false;
    }
  }
  return true;
}
