import { BPF_ALU64, BPF_CLASS_MASK, BPF_SOURCE_MASK, BPF_TO_BE } from '../opcodes.js';
import type { Fields } from './arithmetic.js';
import type { SubprogramBody } from './subprogram-body.js';
import * as wasm from './wasm/opcodes.js';

/** Bytes of a vector of which the first eight are those of its first number the other way round. */
const TURNED = [7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8];

/** Writes BPF_END: to little-endian, which numbers are already, to big-endian, or in BPF_ALU64 a swap (RFC 9669, section 4.2). */
export function writeByteOrder(body: SubprogramBody, { opcode, destination, immediate: bits }: Fields): void {
  const swaps = (opcode & BPF_CLASS_MASK) === BPF_ALU64 || (opcode & BPF_SOURCE_MASK) === BPF_TO_BE;
  if (bits === 64) {
    if (swaps) swapWide(body, destination);
  } else if (bits === 32) {
    if (swaps) swapWord(body, destination);
    else body.pushLow(destination);
    body.takeLow(destination);
  } else {
    if (swaps) swapHalf(body, destination);
    else pushMasked(body, destination, 0xffff);
    body.takeLow(destination);
  }
}

function pushMasked(body: SubprogramBody, register: number, mask: number): void {
  body.pushLow(register);
  body.code.i32(mask);
  body.code.op(wasm.I32_AND);
}

function swapHalf(body: SubprogramBody, register: number): void {
  const { code } = body;
  pushMasked(body, register, 0xff);
  code.i32(8);
  code.op(wasm.I32_SHL);
  body.pushLow(register);
  code.i32(8);
  code.op(wasm.I32_SHR_U);
  code.i32(0xff);
  code.op(wasm.I32_AND);
  code.op(wasm.I32_OR);
}

/** Two rotations put each byte into its place, and two masks choose. */
function swapWord(body: SubprogramBody, register: number): void {
  const { code } = body;
  body.pushLow(register);
  code.i32(8);
  code.op(wasm.I32_ROTL);
  code.i32(0x00ff00ff);
  code.op(wasm.I32_AND);
  body.pushLow(register);
  code.i32(24);
  code.op(wasm.I32_ROTL);
  code.i32(0xff00ff00);
  code.op(wasm.I32_AND);
  code.op(wasm.I32_OR);
}

function swapWide(body: SubprogramBody, register: number): void {
  const { code } = body;
  body.push(register);
  code.op(wasm.I64X2_SPLAT);
  body.push(register);
  code.op(wasm.I64X2_SPLAT);
  code.shuffle(TURNED);
  code.extract(wasm.I64X2_EXTRACT_LANE, 0);
  body.take(register);
}
