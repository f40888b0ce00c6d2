import { type Program, sourceLineAt } from '../../ebpf/program.js';
import { listProgram } from '../../ebpf/text/program-text.js';
import type { TraceStep } from '../../ebpf/tracing/contract.js';
import type { Landmarks } from '../../ebpf/trial/landmarks.js';

/** A step as JSON has it. */
export interface StepReport {
  readonly program: string;
  readonly slot: number;
  /** Line of source where the compiler has noted one, `count.c:12: text`. */
  readonly source?: string;
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
        ...sourceOf(program, slot),
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

/** Assembler's lines of source are the instructions themselves. */
function sourceOf(program: Program, slot: number): Pick<StepReport, 'source'> {
  const line = program.btf === undefined ? undefined : sourceLineAt(program, slot);
  return line === undefined ? {} : { source: `${line.file}:${line.line}: ${line.text.trim()}` };
}

/** A line for each step; where another program or line of source goes on, one with that. */
export function renderTrace(steps: readonly StepReport[]): string[] {
  const width = String(Math.max(...steps.map(({ slot }) => slot))).length;
  return steps.flatMap(({ program, slot, source, instruction, registers }, index) => {
    const changes = Object.entries(registers).map(
      ([name, { value, pointsTo }]) => `${name} = ${value}${pointsTo === undefined ? '' : ` (${pointsTo})`}`,
    );
    const text = `${String(slot).padStart(width)}: ${instruction.padEnd(TEXT_WIDTH)}  ${changes.join(', ')}`.trimEnd();
    const before = steps[index - 1];
    const lines = [text];
    if (source !== undefined && source !== before?.source) lines.unshift(`; ${source}`);
    if (before !== undefined && program !== before.program) lines.unshift(`${program}:`);
    return lines.map((line) => `    ${line}`);
  });
}
