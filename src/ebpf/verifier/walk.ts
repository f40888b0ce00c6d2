import { PacketError } from '../../errors.js';
import type { Program } from '../program.js';
import { type Bounds, constantBounds } from './bounds.js';
import type { AccessFact, VerifyOptions } from './contract.js';
import { describePlace, describeRegisters } from './description.js';
import type { Frame, State } from './state.js';
import { NumberValue, type Pointer, type Value } from './value.js';

/** What is to be followed later: a state, and where. */
export interface Fork {
  readonly state: State;
  readonly slot: number;
}

interface Result {
  readonly left: Bounds;
  readonly right: Bounds;
  readonly result: unknown;
}

/** The way through a program that is being followed, and what has been found on all ways so far. */
export class Walk {
  readonly program: Program;
  readonly options: VerifyOptions;
  /** Ways still to be followed, taken by the exploration after each step. */
  readonly forks: Fork[] = [];
  readonly accesses = new Map<number, AccessFact>();
  /** By slot of a call: index of its map, -1 where it is not always the same. */
  readonly calledMaps = new Map<number, number>();
  /** By first slot of a subprogram: bytes of stack. */
  readonly stackBytes = new Map<number, number>();
  /** By slot: what its last calculation or comparison of bounds gave. */
  readonly #results: (Result | undefined)[] = [];
  /** Bounds of immediates. */
  readonly #constants = new Map<number, Bounds>();
  /** Instructions followed so far. */
  time = 0;
  slot = 0;
  state: State;

  constructor(program: Program, options: VerifyOptions, state: State) {
    this.program = program;
    this.options = options;
    this.state = state;
  }

  get frame(): Frame {
    return this.state.frames.at(-1)!;
  }

  /** What a register holds. @throws PacketError PROGRAM_REFUSED where nothing was written to it */
  read(register: number): Value {
    const value = this.frame.registers[register];
    return value ?? this.refuse(`register ${register} was not written before it is read`);
  }

  write(register: number, value: Value | undefined): void {
    this.frame.registers[register] = value;
  }

  /** @param sources what the number was made from */
  writeNumber(register: number, bounds: Bounds, ...sources: readonly NumberValue[]): void {
    this.frame.registers[register] = new NumberValue(bounds, ...sources);
  }

  /** The bounds of an immediate, sign-extended. */
  constant(immediate: number): Bounds {
    let bounds = this.#constants.get(immediate);
    if (bounds === undefined) {
      bounds = constantBounds(BigInt(immediate));
      this.#constants.set(immediate, bounds);
    }
    return bounds;
  }

  /**
   * What the instruction makes of two bounds. Calculating them is most of the verifier's work, and an instruction on many ways mostly gets the
   * same ones.
   */
  result<Kind>(left: Bounds, right: Bounds, calculate: () => Kind): Kind {
    const before = this.#results[this.slot];
    if (before !== undefined && before.left === left && before.right === right) return before.result as Kind;
    const result = calculate();
    this.#results[this.slot] = { left, right, result };
    return result;
  }

  /** Notes what an access touches. */
  noteAccess(kind: Pointer['kind'], bytes: number, offset: number | undefined): void {
    const before = this.accesses.get(this.slot);
    if (before === undefined) this.accesses.set(this.slot, { region: kind, bytes, offset });
    else if (before.region !== kind) this.accesses.set(this.slot, { region: 'several', bytes, offset: undefined });
    else if (before.offset !== offset) this.accesses.set(this.slot, { region: kind, bytes, offset: undefined });
  }

  noteMap(index: number): void {
    const before = this.calledMaps.get(this.slot);
    this.calledMaps.set(this.slot, before === undefined || before === index ? index : -1);
  }

  /** Notes that a subprogram uses so many bytes of its stack. */
  noteStack(subprogram: number, bytes: number): void {
    if (bytes > (this.stackBytes.get(subprogram) ?? 0)) this.stackBytes.set(subprogram, bytes);
  }

  /** @throws PacketError PROGRAM_REFUSED, always */
  refuse(why: string): never {
    const place = describePlace(this.program, this.slot);
    throw refusal(this.program, `${place}: ${why}; registers: ${describeRegisters(this.frame)}`);
  }
}

/** What a program is refused with. */
export function refusal({ name }: Program, why: string): PacketError {
  return new PacketError('PROGRAM_REFUSED', `the verifier refuses the program ${name}: ${why}`, {
    remedy:
      'change the program so that it checks before what it does there; the option log shows each step that led to it',
  });
}
