import type { Code } from '../code.js';
import {
  BPF_CALL,
  BPF_CLASS_MASK,
  BPF_EXIT,
  BPF_JA,
  BPF_JMP,
  BPF_JMP32,
  BPF_LOAD_WIDE,
  BPF_OPERATION_MASK,
} from '../opcodes.js';

/** A way from one block to another. */
export interface Edge {
  /** Number of the block that it leads to. */
  readonly to: number;
  /** Instructions that going there costs: 0 unless it is a jump backwards. */
  readonly cost: number;
}

/** Instructions that run one after the other: only the last one may jump, only to the first one does a jump lead. */
export interface Block {
  /** First slot. */
  readonly start: number;
  /** Slot after the last. */
  readonly end: number;
  /** Last slot that begins an instruction. */
  readonly last: number;
  /** Where the last instruction leads when it jumps; undefined when it never does. */
  readonly taken: Edge | undefined;
  /** Where it goes on otherwise; undefined when it never does. */
  readonly next: Edge | undefined;
}

/** The blocks of a subprogram that can be reached, in reverse postorder: all but jumps backwards lead to higher numbers, if possible. */
export type FlowGraph = readonly Block[];

/** Whether an instruction can go somewhere else than to the next slot, within its subprogram; calls come back. */
function endsBlock(opcode: number): boolean {
  const operations = opcode & BPF_CLASS_MASK;
  if (operations !== BPF_JMP && operations !== BPF_JMP32) return false;
  return (opcode & BPF_OPERATION_MASK) !== BPF_CALL;
}

/** Finds the blocks of the subprogram whose slots are `start` to `end` - 1. */
export function makeFlowGraph(code: Code, start: number, end: number): FlowGraph {
  const drafts = new Map<number, Draft>();
  for (const draft of draftBlocks(code, start, end)) drafts.set(draft.start, draft);
  const order = reversePostorder(drafts, start);
  const numbers = new Map(order.map((first, number) => [first, number]));
  return order.map((first) => {
    const { last, end: after, taken, next } = drafts.get(first)!;
    return {
      start: first,
      last,
      end: after,
      taken: taken === undefined ? undefined : { to: numbers.get(taken)!, cost: taken <= last ? last - taken + 1 : 0 },
      next: next === undefined ? undefined : { to: numbers.get(next)!, cost: 0 },
    };
  });
}

/** A block whose edges lead to slots. */
interface Draft {
  readonly start: number;
  readonly last: number;
  readonly end: number;
  readonly taken: number | undefined;
  readonly next: number | undefined;
}

function draftBlocks(code: Code, start: number, end: number): Draft[] {
  const leads = new Uint8Array(end - start + 1);
  const targets = new Map<number, number>();
  for (let slot = start; slot < end; slot += width(code, slot)) {
    const opcode = code.opcodes[slot]!;
    if (!endsBlock(opcode)) continue;
    leads[slot + 1 - start] = 1;
    const operation = opcode & BPF_OPERATION_MASK;
    if (operation === BPF_EXIT) continue;
    const byImmediate = operation === BPF_JA && (opcode & BPF_CLASS_MASK) === BPF_JMP32;
    const target = slot + 1 + (byImmediate ? code.immediates[slot]! : code.offsets[slot]!);
    targets.set(slot, target);
    leads[target - start] = 1;
  }
  const drafts: Draft[] = [];
  let first = start;
  for (let slot = start; slot < end; ) {
    const after = slot + width(code, slot);
    if (after === end || leads[after - start] === 1) {
      const goesOn = !leavesForGood(code.opcodes[slot]!);
      drafts.push({
        start: first,
        last: slot,
        end: after,
        taken: targets.get(slot),
        next: goesOn ? after : undefined,
      });
      first = after;
    }
    slot = after;
  }
  return drafts;
}

function width(code: Code, slot: number): number {
  return code.opcodes[slot] === BPF_LOAD_WIDE ? 2 : 1;
}

function leavesForGood(opcode: number): boolean {
  if (!endsBlock(opcode)) return false;
  const operation = opcode & BPF_OPERATION_MASK;
  return operation === BPF_EXIT || operation === BPF_JA;
}

/** First slots of the blocks that can be reached. */
function reversePostorder(drafts: ReadonlyMap<number, Draft>, start: number): number[] {
  const seen = new Set([start]);
  const postorder: number[] = [];
  const path: { readonly draft: Draft; readonly waiting: number[] }[] = [];
  const enter = (first: number): void => {
    const draft = drafts.get(first)!;
    // What is waiting last is visited first, and so comes last in the order: the way on follows its block directly.
    const waiting = [draft.next, draft.taken].filter((slot) => slot !== undefined);
    path.push({ draft, waiting });
  };
  enter(start);
  while (path.length > 0) {
    const { draft, waiting } = path.at(-1)!;
    const slot = waiting.pop();
    if (slot === undefined) {
      postorder.push(draft.start);
      path.pop();
    } else if (!seen.has(slot)) {
      seen.add(slot);
      enter(slot);
    }
  }
  return postorder.reverse();
}
