import {
  BPF_ADD,
  BPF_ALU64,
  BPF_AND,
  BPF_ARSH,
  BPF_CLASS_MASK,
  BPF_DIV,
  BPF_LSH,
  BPF_MOD,
  BPF_MOV,
  BPF_MUL,
  BPF_NEG,
  BPF_OPERATION_MASK,
  BPF_OR,
  BPF_RSH,
  BPF_SOURCE_MASK,
  BPF_SUB,
  BPF_X,
  BPF_XOR,
} from '../opcodes.js';
import type { SubprogramBody } from './subprogram-body.js';
import * as wasm from './wasm/opcodes.js';

/** Fields of an instruction. */
export interface Fields {
  readonly opcode: number;
  readonly destination: number;
  readonly source: number;
  readonly offset: number;
  readonly immediate: number;
}

/** Operations that WebAssembly has, too: on 64 and on 32 bits. Its shifts use the lowest bits of the distance, as those of eBPF do. */
const SIMPLE = new Map<number, readonly [wide: number, narrow: number]>([
  [BPF_ADD, [wasm.I64_ADD, wasm.I32_ADD]],
  [BPF_SUB, [wasm.I64_SUB, wasm.I32_SUB]],
  [BPF_MUL, [wasm.I64_MUL, wasm.I32_MUL]],
  [BPF_OR, [wasm.I64_OR, wasm.I32_OR]],
  [BPF_AND, [wasm.I64_AND, wasm.I32_AND]],
  [BPF_XOR, [wasm.I64_XOR, wasm.I32_XOR]],
  [BPF_LSH, [wasm.I64_SHL, wasm.I32_SHL]],
  [BPF_RSH, [wasm.I64_SHR_U, wasm.I32_SHR_U]],
  [BPF_ARSH, [wasm.I64_SHR_S, wasm.I32_SHR_S]],
]);
/** Sign-extending moves by their number of bits. */
const EXTENSIONS = new Map<number, readonly [wide: number, narrow: number]>([
  [8, [wasm.I64_EXTEND8_S, wasm.I32_EXTEND8_S]],
  [16, [wasm.I64_EXTEND16_S, wasm.I32_EXTEND16_S]],
  [32, [wasm.I64_EXTEND32_S, wasm.I64_EXTEND32_S]],
]);

/** Writes an instruction of BPF_ALU or BPF_ALU64, all but BPF_END (RFC 9669, section 4.1). */
export function writeArithmetic(body: SubprogramBody, fields: Fields): void {
  const { code } = body;
  const { opcode, destination, offset } = fields;
  const isWide = (opcode & BPF_CLASS_MASK) === BPF_ALU64;
  const operation = opcode & BPF_OPERATION_MASK;
  if (operation === BPF_DIV || operation === BPF_MOD) writeDivision(body, fields, isWide, operation === BPF_MOD);
  else if (operation === BPF_MOV) {
    pushOperand(body, fields, isWide);
    if (offset !== 0) code.op(EXTENSIONS.get(offset)![isWide ? 0 : 1]);
  } else if (operation === BPF_NEG) {
    if (isWide) code.i64(0);
    else code.i32(0);
    pushDestination(body, fields, isWide);
    code.op(isWide ? wasm.I64_SUB : wasm.I32_SUB);
  } else {
    pushDestination(body, fields, isWide);
    pushOperand(body, fields, isWide);
    code.op(SIMPLE.get(operation)![isWide ? 0 : 1]);
  }
  if (isWide) body.take(destination);
  else body.takeLow(destination);
}

function pushDestination(body: SubprogramBody, { destination }: Fields, isWide: boolean): void {
  if (isWide) body.push(destination);
  else body.pushLow(destination);
}

/** The second operand: source register or sign-extended immediate. */
export function pushOperand(body: SubprogramBody, { opcode, source, immediate }: Fields, isWide: boolean): void {
  const isRegister = (opcode & BPF_SOURCE_MASK) === BPF_X;
  if (isRegister && isWide) body.push(source);
  else if (isRegister) body.pushLow(source);
  else if (isWide) body.code.i64(immediate);
  else body.code.i32(immediate);
}

/** Division by zero gives 0, its remainder the dividend; where WebAssembly traps, eBPF does not. */
function writeDivision(body: SubprogramBody, fields: Fields, isWide: boolean, isRemainder: boolean): void {
  const { code } = body;
  const { opcode, offset, immediate } = fields;
  const isSigned = offset === 1;
  const hasConstant = (opcode & BPF_SOURCE_MASK) !== BPF_X;
  const none = (): void => {
    if (isRemainder) pushDestination(body, fields, isWide);
    else if (isWide) code.i64(0);
    else code.i32(0);
  };
  const divide = (): void => {
    if (isSigned && !isRemainder && !(hasConstant && immediate !== -1)) writeSignedQuotient(body, fields, isWide);
    else {
      pushDestination(body, fields, isWide);
      pushOperand(body, fields, isWide);
      code.op(divisionOpcode(isWide, isSigned, isRemainder));
    }
  };
  if (hasConstant && immediate === 0) none();
  else if (hasConstant) divide();
  else {
    pushOperand(body, fields, isWide);
    code.op(isWide ? wasm.I64_EQZ : wasm.I32_EQZ);
    code.if(isWide ? wasm.I64 : wasm.I32);
    none();
    code.else();
    divide();
    code.end();
  }
}

/** WebAssembly traps on the lowest number divided by -1; 0 less the dividend is what eBPF gives. */
function writeSignedQuotient(body: SubprogramBody, fields: Fields, isWide: boolean): void {
  const { code } = body;
  pushOperand(body, fields, isWide);
  if (isWide) code.i64(-1);
  else code.i32(-1);
  code.op(isWide ? wasm.I64_EQ : wasm.I32_EQ);
  code.if(isWide ? wasm.I64 : wasm.I32);
  if (isWide) code.i64(0);
  else code.i32(0);
  pushDestination(body, fields, isWide);
  code.op(isWide ? wasm.I64_SUB : wasm.I32_SUB);
  code.else();
  pushDestination(body, fields, isWide);
  pushOperand(body, fields, isWide);
  code.op(divisionOpcode(isWide, true, false));
  code.end();
}

function divisionOpcode(isWide: boolean, isSigned: boolean, isRemainder: boolean): number {
  if (isWide && isSigned) return isRemainder ? wasm.I64_REM_S : wasm.I64_DIV_S;
  if (isWide) return isRemainder ? wasm.I64_REM_U : wasm.I64_DIV_U;
  if (isSigned) return isRemainder ? wasm.I32_REM_S : wasm.I32_DIV_S;
  return isRemainder ? wasm.I32_REM_U : wasm.I32_DIV_U;
}
