import {
  BPF_CLASS_MASK,
  BPF_JEQ,
  BPF_JGE,
  BPF_JGT,
  BPF_JLE,
  BPF_JLT,
  BPF_JMP,
  BPF_JNE,
  BPF_JSET,
  BPF_JSGE,
  BPF_JSGT,
  BPF_JSLE,
  BPF_JSLT,
  BPF_OPERATION_MASK,
} from '../opcodes.js';
import { type Fields, pushOperand } from './arithmetic.js';
import type { SubprogramBody } from './subprogram-body.js';
import * as wasm from './wasm/opcodes.js';

const COMPARISONS = new Map<number, readonly [wide: number, narrow: number]>([
  [BPF_JEQ, [wasm.I64_EQ, wasm.I32_EQ]],
  [BPF_JNE, [wasm.I64_NE, wasm.I32_NE]],
  [BPF_JGT, [wasm.I64_GT_U, wasm.I32_GT_U]],
  [BPF_JGE, [wasm.I64_GE_U, wasm.I32_GE_U]],
  [BPF_JLT, [wasm.I64_LT_U, wasm.I32_LT_U]],
  [BPF_JLE, [wasm.I64_LE_U, wasm.I32_LE_U]],
  [BPF_JSGT, [wasm.I64_GT_S, wasm.I32_GT_S]],
  [BPF_JSGE, [wasm.I64_GE_S, wasm.I32_GE_S]],
  [BPF_JSLT, [wasm.I64_LT_S, wasm.I32_LT_S]],
  [BPF_JSLE, [wasm.I64_LE_S, wasm.I32_LE_S]],
]);

/** Writes whether a conditional jump is taken, as a number of 32 bits that is 0 where it is not (RFC 9669, section 4.3). */
export function writeCondition(body: SubprogramBody, fields: Fields): void {
  const { code } = body;
  const isWide = (fields.opcode & BPF_CLASS_MASK) === BPF_JMP;
  const operation = fields.opcode & BPF_OPERATION_MASK;
  if (isWide) body.push(fields.destination);
  else body.pushLow(fields.destination);
  pushOperand(body, fields, isWide);
  if (operation !== BPF_JSET) {
    code.op(COMPARISONS.get(operation)![isWide ? 0 : 1]);
    return;
  }
  code.op(isWide ? wasm.I64_AND : wasm.I32_AND);
  if (!isWide) return;
  code.i64(0);
  code.op(wasm.I64_NE);
}
