import type { ClassicInstruction } from '../classic/instruction.js';
import { type Draft, linkClassicProgram } from '../classic/link.js';
import * as op from '../classic/opcodes.js';
import type { Test } from './condition.js';
import { ACCEPT, type Decision, REFUSE } from './decision.js';
import type { PacketSize, Value } from './value.js';

const SIZES: Readonly<Record<PacketSize, number>> = { 1: op.BPF_B, 2: op.BPF_H, 4: op.BPF_W };
const JUMPS: Readonly<Record<Test['comparison'], number>> = {
  equal: op.BPF_JEQ,
  greater: op.BPF_JGT,
  'at-least': op.BPF_JGE,
  'any-bits': op.BPF_JSET,
};
/** Operations and comparisons whose sides may change places. */
const COMMUTATIVE = new Set([op.BPF_ADD, op.BPF_MUL, op.BPF_AND, op.BPF_OR, op.BPF_XOR]);
const SYMMETRIC = new Set<Test['comparison']>(['equal', 'any-bits']);

/** What the two registers hold. */
interface Registers {
  readonly accumulator: Value | undefined;
  readonly index: Value | undefined;
}

/**
 * Writes a decision down as a program that keeps `keep` bytes of accepted packets. Values that are in a register already are not loaded
 * again.
 *
 * @returns undefined when a calculation needs more scratch words than there are
 */
export function emitDecision(decision: Decision, keep: number): ClassicInstruction[] | undefined {
  const drafts: Draft[] = [];
  const places = new Map<number, number>();
  const order = decision.order();
  // Of the tests to come: what the registers hold, whichever way leads there.
  const registers = new Map<number, Registers>();
  for (const number of order) {
    places.set(number, drafts.length);
    const { test, yes, no } = decision.step(number);
    const writer = new TestWriter(drafts, registers.get(number));
    writer.write(test, yes, no);
    if (writer.mostScratch > op.BPF_MEMWORDS) return undefined;
    for (const next of [yes, no]) {
      registers.set(next, registers.has(next) ? both(registers.get(next)!, writer.registers) : writer.registers);
    }
  }
  const ends = order.flatMap((number) => [decision.step(number).yes, decision.step(number).no]).concat(decision.first);
  for (const [end, value] of [
    [ACCEPT, keep],
    [REFUSE, 0],
  ] as const) {
    if (!ends.includes(end)) continue;
    places.set(end, drafts.length);
    drafts.push({ code: op.BPF_RET, value });
  }
  return linkClassicProgram(drafts, places);
}

function both(first: Registers, second: Registers): Registers {
  return {
    accumulator: first.accumulator === second.accumulator ? first.accumulator : undefined,
    index: first.index === second.index ? first.index : undefined,
  };
}

/** Writes one test: what it compares into the registers, then the jump. */
class TestWriter {
  /** Scratch words used at a time. */
  mostScratch = 0;
  readonly #drafts: Draft[];
  #accumulator: Value | undefined;
  #index: Value | undefined;
  #scratch = 0;

  constructor(drafts: Draft[], registers: Registers | undefined) {
    this.#drafts = drafts;
    this.#accumulator = registers?.accumulator;
    this.#index = registers?.index;
  }

  get registers(): Registers {
    return { accumulator: this.#accumulator, index: this.#index };
  }

  write({ comparison, left, right }: Test, yes: number, no: number): void {
    const code = op.BPF_JMP | JUMPS[comparison];
    if (right.kind === 'constant') {
      this.#accumulate(left);
      this.#drafts.push({ code, value: right.value, jump: { yes, no } });
    } else {
      this.#loadBoth(left, right, SYMMETRIC.has(comparison));
      this.#drafts.push({ code: code | op.BPF_X, value: 0, jump: { yes, no } });
    }
  }

  #put(code: number, value = 0): void {
    this.#drafts.push({ code, value });
  }

  /** Brings a value into the accumulator. */
  #accumulate(value: Value): void {
    if (this.#accumulator === value) return;
    if (this.#index === value) this.#put(op.BPF_MISC | op.BPF_TXA);
    else this.#calculate(value);
    this.#accumulator = value;
  }

  #calculate(value: Value): void {
    switch (value.kind) {
      case 'constant':
        this.#put(op.BPF_LD | op.BPF_IMM, value.value);
        break;
      case 'length':
        this.#put(op.BPF_LD | op.BPF_LEN);
        break;
      case 'beside':
        this.#put(op.BPF_LD | SIZES[value.size] | op.BPF_ABS, op.SKF_AD_OFF + value.at);
        break;
      case 'packet':
        if (value.base === undefined) this.#put(op.BPF_LD | SIZES[value.size] | op.BPF_ABS, value.at);
        else {
          this.#indexBy(value.base);
          this.#put(op.BPF_LD | SIZES[value.size] | op.BPF_IND, value.at);
        }
        break;
      case 'header-length':
        this.#indexBy(value);
        this.#put(op.BPF_MISC | op.BPF_TXA);
        break;
      case 'negate':
        this.#accumulate(value.operand);
        this.#put(op.BPF_ALU | op.BPF_NEG);
        break;
      case 'calculate':
        if (value.right.kind === 'constant') {
          this.#accumulate(value.left);
          this.#put(op.BPF_ALU | value.operation, value.right.value);
        } else {
          this.#loadBoth(value.left, value.right, COMMUTATIVE.has(value.operation));
          this.#put(op.BPF_ALU | value.operation | op.BPF_X);
        }
        break;
    }
  }

  /** Brings a value into the index register; the accumulator may be lost. */
  #indexBy(value: Value): void {
    if (this.#index === value) return;
    if (this.#accumulator === value || !isDirect(value)) {
      this.#accumulate(value);
      this.#put(op.BPF_MISC | op.BPF_TAX);
    } else if (value.kind === 'constant') this.#put(op.BPF_LDX | op.BPF_IMM, value.value);
    else if (value.kind === 'length') this.#put(op.BPF_LDX | op.BPF_LEN);
    else if (value.kind === 'header-length') this.#put(op.BPF_LDX | op.BPF_B | op.BPF_MSH, value.at);
    this.#index = value;
  }

  /** Brings one value into the accumulator and another into the index register; where they may change places, either way round. */
  #loadBoth(left: Value, right: Value, mayChange: boolean): void {
    if (this.#accumulator === left && this.#index === right) return;
    if (isDirect(right)) {
      this.#accumulate(left);
      this.#indexBy(right);
    } else if (mayChange && isDirect(left)) this.#loadBoth(right, left, false);
    else if (!usesIndex(left, right)) {
      this.#indexBy(right);
      this.#accumulate(left);
    } else if (mayChange && !usesIndex(right, left)) this.#loadBoth(right, left, false);
    else {
      this.#accumulate(right);
      const word = this.#scratch++;
      this.mostScratch = Math.max(this.mostScratch, this.#scratch);
      this.#put(op.BPF_ST, word);
      this.#accumulate(left);
      this.#put(op.BPF_LDX | op.BPF_MEM, word);
      this.#index = right;
      this.#scratch--;
    }
  }
}

/** Whether the index register can be loaded with it at once. */
function isDirect(value: Value): boolean {
  return value.kind === 'constant' || value.kind === 'length' || value.kind === 'header-length';
}

/** Whether calculating a value changes the index register when it holds `index`. */
function usesIndex(value: Value, index: Value): boolean {
  if (value === index) return false;
  switch (value.kind) {
    case 'packet':
      return value.base !== undefined && value.base !== index;
    case 'header-length':
      return true;
    case 'negate':
      return usesIndex(value.operand, index);
    case 'calculate':
      return value.right.kind !== 'constant' || usesIndex(value.left, index);
    default:
      return false;
  }
}
