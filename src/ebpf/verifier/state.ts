import { StackMemory } from './stack-memory.js';
import { createPointer, type Identity, type Value } from './value.js';

/** Register 10 of a frame. */
const FRAME_POINTERS = Array.from({ length: 8 }, (_, place) => createPointer('stack', { place }));

/** What is known of a subprogram's frame. */
export interface Frame {
  /** First slot of the subprogram. */
  readonly subprogram: number;
  /** Slot of the call that it is to return to; -1 in the first frame. */
  readonly callSite: number;
  /** A helper has called it, and may call it again. */
  readonly isCallback: boolean;
  /** How much reserved memory there was when a helper called it: as much as there must be when it returns. */
  readonly reserved: number;
  /** Undefined where nothing was written. */
  readonly registers: (Value | undefined)[];
  readonly stack: StackMemory;
}

/** What is known at a place on one way through the program. */
export interface State {
  /** From the first to the current one. */
  readonly frames: Frame[];
  /** Reserved memory that was not given back. */
  reserved: readonly Identity[];
}

/** A new frame, with the stack at its disposal, number `place`. */
export function createFrame(
  parts: Pick<Frame, 'subprogram' | 'callSite' | 'isCallback' | 'reserved'>,
  place: number,
): Frame {
  const registers = new Array<Value | undefined>(11).fill(undefined);
  registers[10] = FRAME_POINTERS[place]!;
  return { ...parts, registers, stack: new StackMemory() };
}

/** A state that can change apart from the first. */
export function copyState({ frames, reserved }: State): State {
  return {
    frames: frames.map((frame) => ({ ...frame, registers: frame.registers.slice(), stack: frame.stack.copy() })),
    reserved,
  };
}

/** Puts others in the place of values, wherever they are. */
export function replaceValues({ frames }: State, change: (value: Value) => Value): void {
  for (const { registers, stack } of frames) {
    for (let register = 0; register < 10; register++) {
      const value = registers[register];
      if (value !== undefined) registers[register] = change(value);
    }
    stack.replace(change);
  }
}
