import { type Instruction, isWide } from '../instruction.js';
import {
  BPF_ABS,
  BPF_ALU,
  BPF_ALU64,
  BPF_ATOMIC,
  BPF_CALL,
  BPF_CLASS_MASK,
  BPF_CMPXCHG,
  BPF_DW,
  BPF_END,
  BPF_EXIT,
  BPF_FETCH,
  BPF_IND,
  BPF_JA,
  BPF_JCOND,
  BPF_JMP,
  BPF_JMP32,
  BPF_LD,
  BPF_LDX,
  BPF_LOAD_ACQ,
  BPF_MEM,
  BPF_MEMSX,
  BPF_MODE_MASK,
  BPF_MOV,
  BPF_NEG,
  BPF_OPERATION_MASK,
  BPF_PSEUDO_BTF_ID,
  BPF_PSEUDO_CALL,
  BPF_PSEUDO_FUNC,
  BPF_PSEUDO_KFUNC_CALL,
  BPF_PSEUDO_MAP_FD,
  BPF_PSEUDO_MAP_IDX,
  BPF_PSEUDO_MAP_IDX_VALUE,
  BPF_PSEUDO_MAP_VALUE,
  BPF_SIZE_MASK,
  BPF_SOURCE_MASK,
  BPF_ST,
  BPF_STORE_REL,
  BPF_STX,
  BPF_TO_BE,
  BPF_X,
  BPF_XCHG,
} from '../opcodes.js';
import { helperName } from './helper-names.js';
import { ARITHMETIC_WORDS, ATOMIC_WORDS, JUMP_WORDS, SIZES, wordOf } from './words.js';

/** What to write instead of numbers; a number is written where the answer is undefined. */
export interface Names {
  /** Of a place to jump to, by the distance in slots from the next one. */
  jump?(distance: number): string | undefined;
  /** Of a function, by the distance in slots from the next one. */
  subprogram?(distance: number): string | undefined;
  /** Of a map, by its index. */
  map?(index: number): string | undefined;
  /** Of a kernel function, by its index. */
  kernelFunction?(index: number): string | undefined;
}

/**
 * Writes an instruction as the kernel does. Operands that the notation does not show are taken to be 0.
 *
 * @param second the slot after it, for the wide instruction
 * @returns undefined where the notation has nothing for the operation code
 */
export function writeInstruction(
  first: Instruction,
  second: Instruction | undefined,
  names: Names,
): string | undefined {
  switch (first.opcode & BPF_CLASS_MASK) {
    case BPF_ALU:
    case BPF_ALU64:
      return writeArithmetic(first);
    case BPF_JMP:
    case BPF_JMP32:
      return writeJump(first, names);
    case BPF_LD:
      return isWide(first) ? second && writeWide(first, second, names) : writePacketLoad(first);
    case BPF_LDX:
      return writeLoad(first);
    case BPF_ST:
      return writeStore(first, String(first.immediate));
    case BPF_STX:
      return (first.opcode & BPF_MODE_MASK) === BPF_ATOMIC ? writeAtomic(first) : writeStore(first, `r${first.source}`);
    default:
      return undefined;
  }
}

function writeArithmetic({ opcode, destination, source, offset, immediate }: Instruction): string | undefined {
  const operation = opcode & BPF_OPERATION_MASK;
  const letter = (opcode & BPF_CLASS_MASK) === BPF_ALU64 ? 'r' : 'w';
  const target = `${letter}${destination}`;
  if (operation === BPF_END) return writeByteOrder(opcode, destination, immediate);
  if (operation === BPF_NEG) return `${target} = -${target}`;
  const register = (opcode & BPF_SOURCE_MASK) === BPF_X;
  if (operation === BPF_MOV && register && offset !== 0) return `${target} = (s${offset})${letter}${source}`;
  const operator = wordOf(ARITHMETIC_WORDS, (word) => word.operation === operation && word.offset === offset);
  return operator && `${target} ${operator} ${register ? `${letter}${source}` : immediate}`;
}

function writeByteOrder(opcode: number, destination: number, bits: number): string {
  const swap = (opcode & BPF_CLASS_MASK) === BPF_ALU64;
  const word = swap ? 'bswap' : (opcode & BPF_SOURCE_MASK) === BPF_TO_BE ? 'be' : 'le';
  return `r${destination} = ${word}${bits} r${destination}`;
}

function writeJump({ opcode, destination, source, offset, immediate }: Instruction, names: Names): string | undefined {
  const operation = opcode & BPF_OPERATION_MASK;
  const short = (opcode & BPF_CLASS_MASK) === BPF_JMP;
  if (operation === BPF_JA) return short ? `goto ${place(offset, names)}` : `gotol ${place(immediate, names)}`;
  if (operation === BPF_JCOND) return short ? `may_goto ${place(offset, names)}` : undefined;
  if (operation === BPF_EXIT) return 'exit';
  if (operation === BPF_CALL) return writeCall(source, immediate, names);
  const comparison = wordOf(JUMP_WORDS, (word) => word === operation);
  if (comparison === undefined) return undefined;
  const letter = short ? 'r' : 'w';
  const operand = (opcode & BPF_SOURCE_MASK) === BPF_X ? `${letter}${source}` : `0x${(immediate >>> 0).toString(16)}`;
  return `if ${letter}${destination} ${comparison} ${operand} goto ${place(offset, names)}`;
}

function place(distance: number, names: Names): string {
  return names.jump?.(distance) ?? `pc${signed(distance)}`;
}

function writeCall(source: number, immediate: number, names: Names): string | undefined {
  switch (source) {
    case 0:
      return `call ${helperName(immediate)}#${immediate}`;
    case BPF_PSEUDO_CALL:
      return `call ${names.subprogram?.(immediate) ?? `pc${signed(immediate)}`}`;
    case BPF_PSEUDO_KFUNC_CALL:
      return `call ${names.kernelFunction?.(immediate) ?? `kernel-function#${immediate}`}`;
    default:
      return undefined;
  }
}

function writeWide(
  { destination, source, immediate }: Instruction,
  second: Instruction,
  names: Names,
): string | undefined {
  const target = `r${destination}`;
  const inValue = `[0]+${second.immediate >>> 0}`;
  const map = () => names.map?.(immediate) ?? `index:${immediate}`;
  switch (source) {
    case 0: {
      const high = (second.immediate >>> 0).toString(16);
      const low = (immediate >>> 0).toString(16);
      return `${target} = 0x${high === '0' ? low : high + low.padStart(8, '0')} ll`;
    }
    case BPF_PSEUDO_MAP_FD:
      return `${target} = map[fd:${immediate}]`;
    case BPF_PSEUDO_MAP_VALUE:
      return `${target} = map[fd:${immediate}]${inValue}`;
    case BPF_PSEUDO_BTF_ID:
      return `${target} = btf[id:${immediate}]`;
    case BPF_PSEUDO_FUNC:
      return `${target} = subprog[${names.subprogram?.(immediate) ?? signed(immediate)}]`;
    case BPF_PSEUDO_MAP_IDX:
      return `${target} = map[${map()}]`;
    case BPF_PSEUDO_MAP_IDX_VALUE:
      return `${target} = map[${map()}]${inValue}`;
    default:
      return undefined;
  }
}

function writePacketLoad({ opcode, source, immediate }: Instruction): string | undefined {
  const mode = opcode & BPF_MODE_MASK;
  if (mode === BPF_ABS) return `r0 = *(u${bits(opcode)} *)skb[${immediate}]`;
  return mode === BPF_IND ? `r0 = *(u${bits(opcode)} *)skb[r${source} + ${immediate}]` : undefined;
}

function writeLoad({ opcode, destination, source, offset }: Instruction): string | undefined {
  const mode = opcode & BPF_MODE_MASK;
  if (mode !== BPF_MEM && mode !== BPF_MEMSX) return undefined;
  const letter = mode === BPF_MEM ? 'u' : 's';
  return `r${destination} = *(${letter}${bits(opcode)} *)(r${source} ${signed(offset)})`;
}

function writeStore({ opcode, destination, offset }: Instruction, value: string): string | undefined {
  if ((opcode & BPF_MODE_MASK) !== BPF_MEM) return undefined;
  return `*(u${bits(opcode)} *)(r${destination} ${signed(offset)}) = ${value}`;
}

function writeAtomic({ opcode, destination, source, offset, immediate }: Instruction): string | undefined {
  const memory = `(u${bits(opcode)} *)(r${destination} ${signed(offset)})`;
  if (immediate === BPF_LOAD_ACQ) {
    return `r${destination} = load_acquire((u${bits(opcode)} *)(r${source} ${signed(offset)}))`;
  }
  if (immediate === BPF_STORE_REL) return `store_release(${memory}, r${source})`;
  const prefix = (opcode & BPF_SIZE_MASK) === BPF_DW ? 'atomic64' : 'atomic';
  if (immediate === BPF_XCHG) return `r${source} = ${prefix}_xchg(${memory}, r${source})`;
  if (immediate === BPF_CMPXCHG) return `r0 = ${prefix}_cmpxchg(${memory}, r0, r${source})`;
  const operation = immediate & ~BPF_FETCH;
  const word = wordOf(ATOMIC_WORDS, (value) => value === operation);
  if (word === undefined) return undefined;
  if (operation !== immediate) return `r${source} = ${prefix}_fetch_${word}(${memory}, r${source})`;
  const operator = wordOf(ARITHMETIC_WORDS, (value) => value.operation === operation);
  return `lock *${memory} ${operator} r${source}`;
}

function bits(opcode: number): number {
  return wordOf(SIZES, (size) => size === (opcode & BPF_SIZE_MASK))!;
}

function signed(number: number): string {
  return number < 0 ? String(number) : `+${number}`;
}
