import { ByteWriter } from './byte-writer.js';
import {
  BLOCK,
  BR,
  BR_IF,
  BR_TABLE,
  CALL,
  ELSE,
  END,
  I8X16_SHUFFLE,
  I32_CONST,
  I64_CONST,
  IF,
  LOCAL_GET,
  LOCAL_SET,
  LOCAL_TEE,
  LOOP,
  NO_RESULT,
} from './opcodes.js';

/** A block, loop or if that is open: its number from the outermost, which branches name. */
export type Label = number;

/** Parameters and results of a function: types of WebAssembly. */
export interface Signature {
  readonly parameters: readonly number[];
  readonly results: readonly number[];
}

/** Writes the body of one function: its locals and instructions. */
export class CodeWriter {
  readonly signature: Signature;
  readonly #code = new ByteWriter();
  readonly #locals: number[] = [];
  /** Blocks that are open, the function's own not counted. */
  #depth = 0;

  constructor(signature: Signature) {
    this.signature = signature;
  }

  /** Bytes of code so far. */
  get length(): number {
    return this.#code.length;
  }

  /** A new local of a type, 0 at the start; returns its index. */
  local(type: number): number {
    this.#locals.push(type);
    return this.signature.parameters.length + this.#locals.length - 1;
  }

  /** An instruction without immediates. */
  op(opcode: number): void {
    if (opcode > 0xff) this.#code.byte(opcode >> 8);
    if (opcode > 0xff) this.#code.unsigned(opcode & 0xff);
    else this.#code.byte(opcode);
  }

  get(local: number): void {
    this.#withIndex(LOCAL_GET, local);
  }

  set(local: number): void {
    this.#withIndex(LOCAL_SET, local);
  }

  tee(local: number): void {
    this.#withIndex(LOCAL_TEE, local);
  }

  call(functionIndex: number): void {
    this.#withIndex(CALL, functionIndex);
  }

  /** @param value signed or unsigned 32 bits */
  i32(value: number): void {
    this.#code.byte(I32_CONST);
    this.#code.signed(value | 0);
  }

  /** @param value signed 32 bits, which are sign-extended */
  i64(value: number): void {
    this.#code.byte(I64_CONST);
    this.#code.signed(value);
  }

  /** A 64-bit constant of two words. */
  i64Words(low: number, high: number): void {
    this.#code.byte(I64_CONST);
    this.#code.signedWide((BigInt(high) << 32n) | BigInt(low >>> 0));
  }

  /** A load or store, at whatever address is on the stack plus `offset`. */
  memory(opcode: number, offset: number): void {
    this.op(opcode);
    this.#code.unsigned(0); // nothing is said about alignment
    this.#code.unsigned(offset);
  }

  /** Makes one vector of two. @param bytes which of their 32 bytes stands in each place */
  shuffle(bytes: readonly number[]): void {
    this.op(I8X16_SHUFFLE);
    for (const byte of bytes) this.#code.byte(byte);
  }

  /** Takes one number out of a vector. */
  extract(opcode: number, lane: number): void {
    this.op(opcode);
    this.#code.byte(lane);
  }

  /** Opens a block. @param result type of its result, or NO_RESULT */
  block(result: number = NO_RESULT): Label {
    return this.#open(BLOCK, result);
  }

  loop(): Label {
    return this.#open(LOOP, NO_RESULT);
  }

  if(result: number = NO_RESULT): Label {
    return this.#open(IF, result);
  }

  else(): void {
    this.#code.byte(ELSE);
  }

  end(): void {
    this.#code.byte(END);
    this.#depth--;
  }

  branch(label: Label): void {
    this.#withIndex(BR, this.#depth - label);
  }

  branchIf(label: Label): void {
    this.#withIndex(BR_IF, this.#depth - label);
  }

  /** Branches to the label whose index is on the stack, to the last one for all other numbers. */
  branchTable(labels: readonly Label[]): void {
    this.#withIndex(BR_TABLE, labels.length - 1);
    for (const label of labels) this.#code.unsigned(this.#depth - label);
  }

  /** The finished body, as the code section has it. */
  bytes(): Uint8Array {
    const body = new ByteWriter();
    const runs: { type: number; count: number }[] = [];
    for (const type of this.#locals) {
      const last = runs.at(-1);
      if (last?.type === type) last.count++;
      else runs.push({ type, count: 1 });
    }
    body.unsigned(runs.length);
    for (const { type, count } of runs) {
      body.unsigned(count);
      body.byte(type);
    }
    body.append(this.#code.bytes());
    body.byte(END);
    return body.bytes();
  }

  #open(opcode: number, result: number): Label {
    this.#code.byte(opcode);
    this.#code.byte(result);
    return ++this.#depth;
  }

  #withIndex(opcode: number, index: number): void {
    this.#code.byte(opcode);
    this.#code.unsigned(index);
  }
}
