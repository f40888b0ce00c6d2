import type { Program } from '../../ebpf/program.js';
import { listProgram } from '../../ebpf/text/program-text.js';
import type { TraceStep } from '../../ebpf/tracing/contract.js';
import type { Landmarks } from '../../ebpf/trial/landmarks.js';

/** A step as JSON has it. */
export interface StepReport {
  readonly program: string;
  readonly slot: number;
  readonly instruction: string;
  /** What registers hold now, by name: hexadecimal, with what it points to. */
  readonly registers: Readonly<Record<string, RegisterReport>>;
}

export interface RegisterReport {
  readonly value: string;
  readonly pointsTo?: string;
}

/** Fits most instructions. */
const TEXT_WIDTH = 40;
const FRAME_POINTER = 10;

/** Tells what was executed, with the instructions' text and what registers point to. */
export class TraceReporter {
  readonly #landmarks: Landmarks;
  readonly #listings = new Map<Program, ReadonlyMap<number, string>>();

  constructor(landmarks: Landmarks) {
    this.#landmarks = landmarks;
  }

  report(trace: readonly TraceStep[]): StepReport[] {
    let framePointer = this.#landmarks.firstFrame;
    return trace.map(({ program, slot, written }) => {
      framePointer = written.find(({ register }) => register === FRAME_POINTER)?.value ?? framePointer;
      const registers = written.map(({ register, value }) => {
        const pointsTo = this.#landmarks.nameOf(value, framePointer);
        return [`r${register}`, { value: `0x${value.toString(16)}`, ...(pointsTo !== undefined && { pointsTo }) }];
      });
      return {
        program: program.name,
        slot,
        instruction: this.#listing(program).get(slot)!,
        registers: Object.fromEntries(registers) as StepReport['registers'],
      };
    });
  }

  #listing(program: Program): ReadonlyMap<number, string> {
    const listing = this.#listings.get(program) ?? listProgram(program);
    this.#listings.set(program, listing);
    return listing;
  }
}

/** A line for each step; where another program goes on, one with its name. */
export function renderTrace(steps: readonly StepReport[]): string[] {
  const width = String(Math.max(...steps.map(({ slot }) => slot))).length;
  return steps.flatMap(({ program, slot, instruction, registers }, index) => {
    const changes = Object.entries(registers).map(
      ([name, { value, pointsTo }]) => `${name} = ${value}${pointsTo === undefined ? '' : ` (${pointsTo})`}`,
    );
    const text = `${String(slot).padStart(width)}: ${instruction.padEnd(TEXT_WIDTH)}  ${changes.join(', ')}`.trimEnd();
    const isOther = index > 0 && program !== steps[index - 1]!.program;
    return isOther ? [`    ${program}:`, `    ${text}`] : [`    ${text}`];
  });
}
