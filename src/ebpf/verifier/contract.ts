import type { HelperTable } from '../helpers/contract.js';
import type { PointerKind } from './value.js';

/** Most instructions that the verifier follows, over all ways through a program (BPF_COMPLEXITY_LIMIT_INSNS). */
export const MOST_FOLLOWED = 1_000_000;

/** How a program is verified. */
export interface VerifyOptions {
  /** What the program may call. */
  readonly helpers: HelperTable;
  /** Most instructions to follow over all ways through the program, 1 to 1,000,000, which is also the default. */
  readonly limit?: number;
  /**
   * Whether programs may read stack that they have not written: Linux lets those of root and of CAP_PERFMON. What they read is left from
   * runs before. By default true.
   */
  readonly unwrittenStack?: boolean;
  /** Is given a line for each instruction followed: its slot and what the registers hold before it. */
  readonly log?: (line: string) => void;
}

/** What a load, store or atomic operation was found to touch: always bytes inside of it. */
export interface AccessFact {
  /** What it touches on all ways, or `several`. */
  readonly region: PointerKind | 'several';
  /** Bytes accessed. */
  readonly bytes: number;
  /**
   * Byte offset in the region where it is the same on all ways, and the region itself too: from the packet's start, from the upper end of the
   * current frame (negative), in the map's value. Otherwise undefined.
   */
  readonly offset: number | undefined;
}

/** What was found out about a program that may run. */
export interface Verification {
  /** Instructions followed, over all ways. */
  readonly followed: number;
  /** States kept for comparison. */
  readonly states: number;
  /** Bytes of stack that each subprogram uses, in the order of `program.subprograms`. */
  readonly stackBytes: readonly number[];
  /** Bytes of stack of the deepest chain of calls, each frame rounded up to 16. */
  readonly deepestStackBytes: number;
  /**
   * By slot, for each load, store and atomic operation that can be reached. Engines may drop their own check where the region is `stack`,
   * `context` or `map value`, and where it is packet, as far as they trust the verifier.
   */
  readonly accesses: ReadonlyMap<number, AccessFact>;
  /** By slot of a helper's call: index of the map that it is always called with. */
  readonly calledMaps: ReadonlyMap<number, number>;
  /** 1 for each slot that a run can reach; the others are code behind conditions that never hold. */
  readonly reached: Uint8Array;
}
