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
    this.#put(at, bytes, value === undefined ? [] : [{ at, bytes, value, reads: { last: 0 } }]);
    if (!this.isWritten(at, bytes)) this.#written = this.#written.slice().fill(1, at, at + bytes);
  }

  /** These bytes may have changed, or not: a store went to a place that is not known. */
  forget(at: number, bytes: number): void {
    this.#put(at, bytes, []);
  }

  /** Puts parts in the place of what these bytes held. */
  #put(at: number, bytes: number, middle: StackPart[]): void {
    const first = this.#firstBehind(at);
    let next = first;
    const before: StackPart[] = [];
    const behind: StackPart[] = [];
    for (; next < this.#parts.length && this.#parts[next]!.at < at + bytes; next++) {
      for (const piece of remains(this.#parts[next]!, at, at + bytes)) (piece.at < at ? before : behind).push(piece);
    }
    const added = [...before, ...middle, ...behind];
    if (next === first && added.length === 0) return;
    const parts = this.#parts.slice();
    parts.splice(first, next - first, ...added);
    this.#parts = parts;
  }

  /** Index of the first part that ends behind a place. Parts are in order, so that half of them need not be looked at, and half of the rest. */
  #firstBehind(at: number): number {
    let low = 0;
    let high = this.#parts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const part = this.#parts[middle]!;
      if (part.at + part.bytes > at) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #overlapping(at: number, bytes: number): StackPart[] {
    const parts: StackPart[] = [];
    for (let i = this.#firstBehind(at); i < this.#parts.length && this.#parts[i]!.at < at + bytes; i++) {
      parts.push(this.#parts[i]!);
    }
    return parts;
  }

  /** What a load gives, or undefined for any bytes. @param time see {@link StackPart.reads} */
  read(at: number, bytes: number, signed: boolean, time: number): Value | undefined {
    const read = this.#overlapping(at, bytes);
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
    for (const { reads } of this.#overlapping(at, bytes)) reads.last = time;
  }

  /** Puts others in the place of values. */
  replace(change: (value: Value) => Value): void {
    let parts: StackPart[] | undefined;
    for (let i = 0; i < this.#parts.length; i++) {
      const part = this.#parts[i]!;
      const value = change(part.value);
      if (value === part.value) continue;
      parts ??= this.#parts.slice();
      parts[i] = { ...part, value };
    }
    if (parts !== undefined) this.#parts = parts;
  }
}

const NOTHING_WRITTEN = new Uint8Array(STACK_FRAME_BYTES);

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
