import { STACK_FRAME_BYTES } from '../execution.js';
import { BPF_AND } from '../opcodes.js';
import { constantBounds, isConstant, loadedBounds, lowerHalf } from './bounds.js';
import { calculate64, extendSign } from './bounds-arithmetic.js';
import { NumberValue, type Value } from './value.js';

/** A value that was stored, and where: bytes from the lower end of the frame. Parts never overlap. */
export interface StackPart {
  readonly at: number;
  readonly bytes: number;
  readonly value: Value;
  /** Time of the last read; a part that was not read since a state was kept is nothing that the state depends on. */
  readonly reads: { last: number };
}

/** What is known of a stack frame. Copies share what they have until one of them changes it. */
export class StackMemory {
  /** In the order of their places. */
  #parts: readonly StackPart[] = [];
  /** 1 for each byte that was written; what has no part holds anything. */
  #written: Uint8Array = NOTHING_WRITTEN;

  copy(): StackMemory {
    const copy = new StackMemory();
    copy.#parts = this.#parts;
    copy.#written = this.#written;
    return copy;
  }

  get parts(): readonly StackPart[] {
    return this.#parts;
  }

  /** Whether each byte that `other` has written is written here, too. */
  hasWrittenAllOf(other: StackMemory): boolean {
    if (this.#written === other.#written) return true;
    return other.#written.every((written, at) => written === 0 || this.#written[at] === 1);
  }

  isWritten(at: number, bytes: number): boolean {
    return this.#written.subarray(at, at + bytes).every((written) => written === 1);
  }

  /** @param value undefined for anything */
  write(at: number, bytes: number, value: Value | undefined): void {
    this.forget(at, bytes);
    if (value !== undefined) {
      const index = this.#parts.findIndex((part) => part.at > at);
      const part = { at, bytes, value, reads: { last: 0 } };
      const before = index < 0 ? this.#parts : this.#parts.slice(0, index);
      this.#parts = [...before, part, ...(index < 0 ? [] : this.#parts.slice(index))];
    }
    if (!this.isWritten(at, bytes)) this.#written = this.#written.slice().fill(1, at, at + bytes);
  }

  /** These bytes may have changed, or not: a store went to a place that is not known. */
  forget(at: number, bytes: number): void {
    if (!this.#parts.some((part) => overlaps(part, at, bytes))) return;
    this.#parts = this.#parts.flatMap((part) => (overlaps(part, at, bytes) ? remains(part, at, at + bytes) : [part]));
  }

  /** What a load gives, or undefined for any bytes. @param time see {@link StackPart.reads} */
  read(at: number, bytes: number, signed: boolean, time: number): Value | undefined {
    const read = this.#parts.filter((part) => overlaps(part, at, bytes));
    for (const { reads } of read) reads.last = time;
    const [first] = read;
    if (first === undefined) return undefined;
    if (first.at === at && first.bytes === bytes && bytes === 8) return first.value;
    if (first.at === at && bytes <= first.bytes && first.value instanceof NumberValue) {
      return new NumberValue(shortened(first.value, bytes, signed), first.value);
    }
    return assembled(read, at, bytes, signed);
  }

  /** Something reads these bytes, without saying what it makes of them. */
  noteRead(at: number, bytes: number, time: number): void {
    for (const part of this.#parts) if (overlaps(part, at, bytes)) part.reads.last = time;
  }

  /** Puts others in the place of values. */
  replace(change: (value: Value) => Value): void {
    let changed = false;
    const parts = this.#parts.map((part) => {
      const value = change(part.value);
      if (value === part.value) return part;
      changed = true;
      return { ...part, value };
    });
    if (changed) this.#parts = parts;
  }
}

const NOTHING_WRITTEN = new Uint8Array(STACK_FRAME_BYTES);

function overlaps(part: StackPart, at: number, bytes: number): boolean {
  return part.at < at + bytes && at < part.at + part.bytes;
}

function shortened(value: NumberValue, bytes: number, signed: boolean) {
  if (bytes === 8) return value.bounds;
  if (signed) return extendSign(value.bounds, bytes * 8);
  if (bytes === 4) return lowerHalf(value.bounds);
  return calculate64(BPF_AND, value.bounds, loadedBounds(bytes, false), false);
}

/** What is left of a part when the bytes from `from` to before `to` are overwritten: of a known number its other bytes. */
function remains(part: StackPart, from: number, to: number): StackPart[] {
  const { at, bytes, value, reads } = part;
  if (!(value instanceof NumberValue) || !isConstant(value.bounds)) return [];
  const piece = (start: number, end: number): StackPart[] => {
    if (start >= end) return [];
    const number = (value.bounds.least >> BigInt((start - at) * 8)) & ((1n << BigInt((end - start) * 8)) - 1n);
    return [{ at: start, bytes: end - start, value: new NumberValue(constantBounds(number), value), reads }];
  };
  return [...piece(at, Math.min(from, at + bytes)), ...piece(Math.max(to, at), at + bytes)];
}

/** A number that several known ones make up. */
function assembled(parts: readonly StackPart[], at: number, bytes: number, signed: boolean): Value | undefined {
  let number = 0n;
  let covered = 0;
  for (const part of parts) {
    if (!(part.value instanceof NumberValue) || !isConstant(part.value.bounds)) return undefined;
    const stored = BigInt.asUintN(part.bytes * 8, part.value.bounds.least);
    number |= part.at < at ? stored >> BigInt((at - part.at) * 8) : stored << BigInt((part.at - at) * 8);
    covered += Math.min(part.at + part.bytes, at + bytes) - Math.max(part.at, at);
  }
  if (covered < bytes) return undefined;
  const low = signed ? BigInt.asIntN(bytes * 8, number) : BigInt.asUintN(bytes * 8, number);
  return new NumberValue(constantBounds(low), ...parts.map(({ value }) => value as NumberValue));
}
