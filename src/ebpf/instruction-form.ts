import type { Instruction } from './instruction.js';
import {
  BPF_ALU,
  BPF_ALU64,
  BPF_ATOMIC,
  BPF_B,
  BPF_CALL,
  BPF_CLASS_MASK,
  BPF_CMPXCHG,
  BPF_DIV,
  BPF_DW,
  BPF_END,
  BPF_EXIT,
  BPF_FETCH,
  BPF_JA,
  BPF_JMP,
  BPF_JMP32,
  BPF_JSLE,
  BPF_LDX,
  BPF_LOAD_WIDE,
  BPF_MEM,
  BPF_MEMSX,
  BPF_MOD,
  BPF_MODE_MASK,
  BPF_MOV,
  BPF_NEG,
  BPF_OPERATION_MASK,
  BPF_PSEUDO_KFUNC_CALL,
  BPF_REG_FP,
  BPF_REGISTERS,
  BPF_SIZE_MASK,
  BPF_SOURCE_MASK,
  BPF_ST,
  BPF_STX,
  BPF_W,
  BPF_X,
  BPF_XCHG,
} from './opcodes.js';

/** Immediates of atomic operations: add, or, and, xor without and with BPF_FETCH, and the exchanges. */
const ATOMIC_OPERATIONS = new Set([0x00, 0x01, 0x40, 0x41, 0x50, 0x51, 0xa0, 0xa1, BPF_XCHG, BPF_CMPXCHG]);

/** Fields of an instruction that must be 0 unless its operation uses them. */
type Field = 'destination' | 'source' | 'offset' | 'immediate';

/**
 * What is wrong with an instruction by itself: an operation code that RFC 9669 does not have, a register that does not exist, a field that
 * is in use though reserved, a write to register 10. Undefined where nothing is. Where it leads and what it names is not looked at.
 */
export function wrongForm(instruction: Instruction): string | undefined {
  const { opcode, destination, source } = instruction;
  if (destination >= BPF_REGISTERS) return `register ${destination} does not exist`;
  const fault = wrongFields(instruction);
  if (fault !== undefined) return fault;
  if (usesSourceRegister(opcode) && source >= BPF_REGISTERS) return `register ${source} does not exist`;
  if (writtenRegister(instruction) === BPF_REG_FP) return 'register 10, the end of the stack frame, cannot be written';
  return undefined;
}

function wrongFields(instruction: Instruction): string | undefined {
  switch (instruction.opcode & BPF_CLASS_MASK) {
    case BPF_ALU:
    case BPF_ALU64:
      return wrongArithmetic(instruction);
    case BPF_JMP:
    case BPF_JMP32:
      return wrongJump(instruction);
    case BPF_LDX:
      return wrongLoad(instruction);
    case BPF_ST:
    case BPF_STX:
      return wrongStore(instruction);
    default:
      return instruction.opcode === BPF_LOAD_WIDE ? reserved(instruction, 'offset') : unknown(instruction);
  }
}

function wrongArithmetic(instruction: Instruction): string | undefined {
  const { opcode, offset, immediate } = instruction;
  const operation = opcode & BPF_OPERATION_MASK;
  const wide = (opcode & BPF_CLASS_MASK) === BPF_ALU64;
  const register = (opcode & BPF_SOURCE_MASK) === BPF_X;
  if (operation > BPF_END) return unknown(instruction);
  if (operation === BPF_NEG) {
    return register ? unknown(instruction) : reserved(instruction, 'source', 'offset', 'immediate');
  }
  if (operation === BPF_END) {
    if (wide && register) return unknown(instruction);
    if (immediate !== 16 && immediate !== 32 && immediate !== 64) return `bytes of ${immediate} bits cannot be swapped`;
    return reserved(instruction, 'source', 'offset');
  }
  const unused = reserved(instruction, register ? 'immediate' : 'source');
  if (unused !== undefined || offset === 0) return unused;
  if (operation === BPF_MOV && register && (offset === 8 || offset === 16 || (offset === 32 && wide))) return undefined;
  if ((operation === BPF_DIV || operation === BPF_MOD) && offset === 1) return undefined;
  return `the offset ${offset} means nothing here`;
}

function wrongJump(instruction: Instruction): string | undefined {
  const { opcode, source } = instruction;
  const operation = opcode & BPF_OPERATION_MASK;
  const wide = (opcode & BPF_CLASS_MASK) === BPF_JMP;
  const register = (opcode & BPF_SOURCE_MASK) === BPF_X;
  if (operation > BPF_JSLE) return unknown(instruction);
  if (operation === BPF_JA || operation === BPF_CALL || operation === BPF_EXIT) {
    if (register || (operation !== BPF_JA && !wide)) return unknown(instruction);
    if (operation === BPF_EXIT) return reserved(instruction, 'destination', 'source', 'offset', 'immediate');
    if (operation === BPF_JA) return reserved(instruction, 'destination', 'source', wide ? 'immediate' : 'offset');
    if (source > BPF_PSEUDO_KFUNC_CALL) return `calls of kind ${source} do not exist`;
    return reserved(instruction, 'destination', 'offset');
  }
  return reserved(instruction, register ? 'immediate' : 'source');
}

function wrongLoad(instruction: Instruction): string | undefined {
  const mode = instruction.opcode & BPF_MODE_MASK;
  const extended = mode === BPF_MEMSX && (instruction.opcode & BPF_SIZE_MASK) !== BPF_DW;
  return mode === BPF_MEM || extended ? reserved(instruction, 'immediate') : unknown(instruction);
}

function wrongStore(instruction: Instruction): string | undefined {
  const { opcode, immediate } = instruction;
  const mode = opcode & BPF_MODE_MASK;
  const size = opcode & BPF_SIZE_MASK;
  const register = (opcode & BPF_CLASS_MASK) === BPF_STX;
  if (mode === BPF_MEM) return reserved(instruction, register ? 'immediate' : 'source');
  if (mode !== BPF_ATOMIC || !register || (size !== BPF_W && size !== BPF_DW)) return unknown(instruction);
  return ATOMIC_OPERATIONS.has(immediate) ? undefined : `there is no atomic operation ${immediate}`;
}

function unknown({ opcode }: Instruction): string {
  return `there is no operation code 0x${opcode.toString(16).padStart(2, '0')}`;
}

function reserved(instruction: Instruction, ...fields: Field[]): string | undefined {
  const used = fields.find((field) => instruction[field] !== 0);
  return used === undefined ? undefined : `its ${used} must be 0, not ${instruction[used]}`;
}

/** Whether `source` is a register rather than the meaning of an immediate. */
function usesSourceRegister(opcode: number): boolean {
  const operations = opcode & BPF_CLASS_MASK;
  if (operations === BPF_LDX || operations === BPF_STX) return true;
  return operations >= BPF_ALU && (opcode & BPF_SOURCE_MASK) === BPF_X;
}

/** The register that an instruction of good form names to be written; what calls and `exit` write is not among it. */
export function writtenRegister({ opcode, destination, source, immediate }: Instruction): number | undefined {
  switch (opcode & BPF_CLASS_MASK) {
    case BPF_ALU:
    case BPF_ALU64:
    case BPF_LDX:
      return destination;
    case BPF_STX: {
      if ((opcode & BPF_MODE_MASK) !== BPF_ATOMIC || (immediate & BPF_FETCH) === 0) return undefined;
      return immediate === BPF_CMPXCHG ? 0 : source;
    }
    default:
      return opcode === BPF_LOAD_WIDE ? destination : undefined;
  }
}

/** Bytes that a load or store accesses. */
export function accessBytes(opcode: number): number {
  const size = opcode & BPF_SIZE_MASK;
  if (size === BPF_DW) return 8;
  if (size === BPF_W) return 4;
  return size === BPF_B ? 1 : 2;
}
