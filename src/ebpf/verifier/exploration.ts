import { wideImmediate } from '../instruction.js';
import {
  BPF_ALU,
  BPF_ALU64,
  BPF_CALL,
  BPF_CLASS_MASK,
  BPF_EXIT,
  BPF_JA,
  BPF_JMP,
  BPF_JMP32,
  BPF_LDX,
  BPF_OPERATION_MASK,
  BPF_PSEUDO_CALL,
  BPF_PSEUDO_FUNC,
  BPF_PSEUDO_MAP_IDX,
  BPF_PSEUDO_MAP_IDX_VALUE,
  BPF_ST,
  BPF_STX,
} from '../opcodes.js';
import { jumpDistance } from '../structure.js';
import { followArithmetic } from './arithmetic.js';
import { constantBounds } from './bounds.js';
import { calledHelper, ENDED, followCall, followExit } from './calls.js';
import { MOST_FOLLOWED } from './contract.js';
import type { ControlFlow } from './control-flow.js';
import { describeRegisters } from './description.js';
import { followJump } from './jumps.js';
import { followLoad, followStore } from './loads-and-stores.js';
import { copyState, type State } from './state.js';
import { type Comparison, coversState, demandAll, forgetChanged, inheritDemands } from './state-comparison.js';
import { createPointer, PACKET_START } from './value.js';
import type { Walk } from './walk.js';

/** A state kept for comparison. */
interface Checkpoint {
  readonly slot: number;
  readonly state: State;
  readonly time: number;
  /** The one before it on its way. */
  readonly parent: Checkpoint | undefined;
  /** Ways from here, and checkpoints behind, that are still being followed. */
  open: number;
  hits: number;
  misses: number;
}

// A state is kept where so much has happened since the last one; in loops, which mostly come by with another state each time, more.
const LEAST_JUMPS = 2;
const LEAST_INSTRUCTIONS = 8;
const LEAST_JUMPS_IN_LOOP = 20;
const LEAST_INSTRUCTIONS_IN_LOOP = 100;
/** States on the way itself that are compared with, to find endless loops. */
const MOST_COMPARED_ON_WAY = 4;
/** States on the way itself that are passed over: a long loop leaves thousands. */
const MOST_ON_WAY = 64;
/** A state that is compared so much more often than it helps is given up. */
const MOST_MISSES = 16;

/** Follows all ways through a program, from the state that it begins with, until each has ended or come to what was seen before. */
export class Exploration {
  readonly reached: Uint8Array;
  #kept = 0;
  readonly #walk: Walk;
  readonly #flow: ControlFlow;
  readonly #checkpoints = new Map<number, Checkpoint[]>();
  readonly #open: { state: State; slot: number; parent: Checkpoint | undefined }[] = [];
  #parent: Checkpoint | undefined;
  #jumps = 0;
  #since = 0;

  constructor(walk: Walk, flow: ControlFlow) {
    this.#walk = walk;
    this.#flow = flow;
    this.reached = new Uint8Array(walk.program.instructions.length);
  }

  /** States kept. */
  get states(): number {
    return this.#kept;
  }

  /** @throws PacketError PROGRAM_REFUSED */
  run(): void {
    this.#follow();
    for (let next = this.#open.pop(); next !== undefined; next = this.#open.pop()) {
      this.#walk.state = next.state;
      this.#walk.slot = next.slot;
      this.#parent = next.parent;
      this.#follow();
    }
  }

  /** Follows one way to its end. */
  #follow(): void {
    const walk = this.#walk;
    const limit = walk.options.limit ?? MOST_FOLLOWED;
    for (;;) {
      const isCallback = this.#callsBack(walk.slot);
      if ((this.#flow.joins[walk.slot] === 1 || isCallback) && this.#isKnown(isCallback)) break;
      if (++walk.time > limit) walk.refuse(`more than ${limit} instructions had to be followed`);
      this.#since++;
      this.reached[walk.slot] = 1;
      walk.options.log?.(`${walk.slot}: ${describeRegisters(walk.frame)}`);
      const slot = this.#step();
      for (const fork of walk.forks.splice(0)) {
        if (this.#parent !== undefined) this.#parent.open++;
        this.#open.push({ ...fork, parent: this.#parent });
      }
      if (slot === ENDED) break;
      walk.slot = slot;
    }
    for (let at = this.#parent; at !== undefined && --at.open === 0; at = at.parent);
  }

  /** Follows one instruction. Returns the slot to go on at, or ENDED. */
  #step(): number {
    const walk = this.#walk;
    const instruction = walk.program.instructions[walk.slot]!;
    const { opcode } = instruction;
    switch (opcode & BPF_CLASS_MASK) {
      case BPF_ALU:
      case BPF_ALU64:
        followArithmetic(walk, instruction);
        return walk.slot + 1;
      case BPF_LDX:
        followLoad(walk, instruction);
        return walk.slot + 1;
      case BPF_ST:
      case BPF_STX:
        followStore(walk, instruction);
        return walk.slot + 1;
      case BPF_JMP:
      case BPF_JMP32: {
        this.#jumps++;
        const operation = opcode & BPF_OPERATION_MASK;
        if (operation === BPF_CALL) return followCall(walk, instruction);
        if (operation === BPF_EXIT) return followExit(walk);
        if (operation === BPF_JA) return walk.slot + 1 + jumpDistance(instruction)!;
        return followJump(walk, instruction);
      }
      default:
        this.#loadWide();
        return walk.slot + 2;
    }
  }

  #loadWide(): void {
    const walk = this.#walk;
    const { instructions, maps } = walk.program;
    const { destination, source, immediate } = instructions[walk.slot]!;
    const map = maps[immediate];
    switch (source) {
      case BPF_PSEUDO_MAP_IDX:
        walk.write(destination, createPointer('map', { map }));
        return;
      case BPF_PSEUDO_MAP_IDX_VALUE: {
        const offset = instructions[walk.slot + 1]!.immediate >>> 0;
        if (map!.type !== 'array') {
          walk.refuse(`map ${map!.name} of type ${map!.type} has no value with an address: only arrays have`);
        }
        if (offset >= map!.valueSize) {
          walk.refuse(`a value of map ${map!.name} has ${map!.valueSize} bytes, and no byte ${offset}`);
        }
        walk.write(destination, createPointer('map value', { map, offset }));
        return;
      }
      case BPF_PSEUDO_FUNC:
        walk.write(destination, createPointer('subprogram', { place: walk.slot + 1 + immediate }));
        return;
      default:
        walk.writeNumber(destination, constantBounds(wideImmediate(instructions, walk.slot)));
    }
  }

  #callsBack(slot: number): boolean {
    const instruction = this.#walk.program.instructions[slot]!;
    if (instruction.opcode !== (BPF_JMP | BPF_CALL) || instruction.source === BPF_PSEUDO_CALL) return false;
    return calledHelper(this.#walk, instruction).arguments.includes('callback');
  }

  /** Whether the state is one that was seen before; otherwise it may be kept. */
  #isKnown(isCallback: boolean): boolean {
    const walk = this.#walk;
    const list = this.#checkpoints.get(walk.slot) ?? [];
    const comparison = this.#comparison(false);
    let onWay = 0;
    for (let i = list.length - 1; i >= 0 && onWay < MOST_ON_WAY; i--) {
      const checkpoint = list[i]!;
      if (checkpoint.open === 0) {
        if (this.#isCovered(checkpoint, comparison)) return true;
        if (++checkpoint.misses > MOST_MISSES * (checkpoint.hits + 1)) list.splice(i, 1);
      } else if (checkpoint.state.frames.length === walk.state.frames.length && ++onWay <= MOST_COMPARED_ON_WAY) {
        if (isCallback && this.#isRepeated(checkpoint, onWay === 1)) return true;
        if (!isCallback) this.#refuseEndless(checkpoint);
      }
    }
    this.#keep(list, isCallback, onWay > 0);
    return false;
  }

  /** Whether all that can happen was found harmless when another state came by. */
  #isCovered(checkpoint: Checkpoint, comparison: Comparison): boolean {
    const { state, time } = checkpoint;
    if (!coversState(state, this.#walk.state, comparison, time)) return false;
    inheritDemands(state, this.#walk.state, comparison, time, this.#walk.time);
    checkpoint.hits++;
    return true;
  }

  /** Whether a callback has left the state as it was before, or one that is a case of it: then it may run as often as it likes. */
  #isRepeated({ state, time }: Checkpoint, isLast: boolean): boolean {
    const comparison = this.#comparison(true);
    let isCovered = coversState(state, this.#walk.state, comparison, time);
    if (!isCovered && isLast) {
      forgetChanged(this.#walk.state, state);
      isCovered = coversState(state, this.#walk.state, comparison, time);
    }
    // What the verdict on the older state depends on is not known yet.
    if (isCovered) demandAll(this.#walk.state);
    return isCovered;
  }

  #refuseEndless({ state, time }: Checkpoint): void {
    const comparison = this.#comparison(true);
    const now = this.#walk.state;
    if (!coversState(state, now, comparison, time) || !coversState(now, state, comparison, time)) return;
    this.#walk.refuse('a loop comes back with nothing changed, and so never ends');
  }

  #keep(list: Checkpoint[], isCallback: boolean, isLoop: boolean): void {
    const walk = this.#walk;
    const jumps = isLoop ? LEAST_JUMPS_IN_LOOP : LEAST_JUMPS;
    const instructions = isLoop ? LEAST_INSTRUCTIONS_IN_LOOP : LEAST_INSTRUCTIONS;
    const isDue = isLoop
      ? this.#jumps >= jumps || this.#since >= instructions
      : this.#jumps >= jumps && this.#since >= instructions;
    if (!isCallback && !isDue) return;
    const checkpoint = {
      slot: walk.slot,
      state: copyState(walk.state),
      time: walk.time,
      parent: this.#parent,
      open: 1,
      hits: 0,
      misses: 0,
    };
    list.push(checkpoint);
    this.#checkpoints.set(walk.slot, list);
    this.#parent = checkpoint;
    this.#kept++;
    this.#jumps = 0;
    this.#since = 0;
  }

  #comparison(exact: boolean): Comparison {
    const { frames } = this.#walk.state;
    // A frame that is called from goes on behind the call; one whose callback runs, at the call again.
    const live = frames.map((_, i) => {
      const next = frames[i + 1];
      const slot = next === undefined ? this.#walk.slot : next.isCallback ? next.callSite : next.callSite + 1;
      return this.#flow.live[slot]!;
    });
    return { exact, live, written: this.#walk.options.unwrittenStack === false };
  }
}

/** What a program finds: the context in register 1. */
export const CONTEXT = createPointer('context', { identity: PACKET_START });
