import type { Edge, FlowGraph } from './flow-graph.js';
import { copyKnowledge, type Knowledge, type KnowledgeFollower, knowledgeAtStart, meet } from './known-values.js';

/** Rounds over a graph after which it is left at what is always known: programs of compilers need a few. */
const MOST_ROUNDS = 16;

/**
 * Finds what is known at the start of each block, on whatever way it is reached.
 *
 * @param isEntry whether the subprogram is where the program begins, and not called
 */
export function findKnowledge(graph: FlowGraph, follower: KnowledgeFollower, isEntry: boolean): Knowledge[] {
  const found: (Knowledge | undefined)[] = graph.map(() => undefined);
  found[0] = knowledgeAtStart(isEntry);
  let changed = true;
  const lead = (from: number, { to }: Edge, knowledge: Knowledge): void => {
    const there = found[to];
    if (there === undefined) found[to] = knowledge;
    else if (!meet(there, knowledge)) return;
    if (to <= from) changed = true; // what comes later is seen in this round
  };
  for (let round = 0; changed; round++) {
    if (round === MOST_ROUNDS) return graph.map(() => knowledgeAtStart(false));
    changed = false;
    for (const [number, { start, end, last, taken, next }] of graph.entries()) {
      const knowledge = copyKnowledge(found[number]!);
      for (let slot = start; slot < end; slot = slot === last ? end : follower.after(slot)) {
        follower.step(knowledge, slot);
      }
      if (taken !== undefined && next !== undefined) {
        const whenTaken = copyKnowledge(knowledge);
        follower.choose(whenTaken, last, true);
        follower.choose(knowledge, last, false);
        lead(number, taken, whenTaken);
        lead(number, next, knowledge);
      } else if (taken !== undefined) lead(number, taken, knowledge);
      else if (next !== undefined) lead(number, next, knowledge);
    }
  }
  return found.map((knowledge) => knowledge!);
}
