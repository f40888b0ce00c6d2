import type { Program } from '../program.js';

/** A register and what is in it. */
export interface RegisterValue {
  /** 0 to 10. */
  readonly register: number;
  /** 64 bits, unsigned. */
  readonly value: bigint;
}

/** An instruction that was executed. */
export interface TraceStep {
  /** The program that it is of: after a tail call another one. */
  readonly program: Program;
  /** Slot of the instruction in it. */
  readonly slot: number;
  /** The registers that it wrote, with what they hold now, in the order of their numbers. */
  readonly written: readonly RegisterValue[];
}
