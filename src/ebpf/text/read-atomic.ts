import { instruction } from '../instruction.js';
import {
  BPF_ATOMIC,
  BPF_CMPXCHG,
  BPF_DW,
  BPF_FETCH,
  BPF_LOAD_ACQ,
  BPF_STORE_REL,
  BPF_STX,
  BPF_W,
  BPF_XCHG,
} from '../opcodes.js';
import type { LineReader } from './line-reader.js';
import type { ReadInstruction } from './read-instruction.js';
import { checkWidth, type Register, readBase, readCast, readMemory, readRegister, readSame } from './read-operands.js';
import { ARITHMETIC_WORDS, ATOMIC_WORDS } from './words.js';

/** Atomic operations that leave something in a register, as the kernel (`atomic64_xchg`) and LLVM (`xchg_64`) name them. */
const ATOMIC =
  /^(?:atomic(?<kernel64>64)?_(?:fetch_(?<fetch>add|or|and|xor)|(?<kernel>xchg|cmpxchg))|(?<llvm>xchg|cmpxchg)(?<llvm32>32)?_(?<bits>32|64)|load_acquire)$/;

/** Whether the next token is an atomic operation that leaves something in a register. */
export function seesAtomic(reader: LineReader): boolean {
  return ATOMIC.test(reader.peek().text);
}

/** Takes what stands behind `r1 = `: `atomic64_fetch_add((u64 *)(r2 +0), r1)`, `load_acquire((u64 *)(r2 +0))`. */
export function readAtomic(reader: LineReader, target: Register): ReadInstruction {
  const name = reader.take();
  if (name.text === 'load_acquire') return readLoadAcquire(reader, target);
  const { kernel64, fetch, kernel, llvm, bits } = ATOMIC.exec(name.text)!.groups!;
  const example = 'for example: r1 = atomic64_fetch_add((u64 *)(r2 +0), r1), r0 = cmpxchg_64(r2 +0, r0, r1)';
  reader.expect(example, '(');
  let size = bits === '64' ? BPF_DW : BPF_W;
  if (llvm === undefined) {
    size = readCast(reader, 'u').size;
    if ((size !== BPF_W && size !== BPF_DW) || (kernel64 !== undefined && size !== BPF_DW)) {
      reader.fail(
        `${name.text} is of ${kernel64 === undefined ? '32 or ' : ''}64 bits`,
        'write atomic for u32, atomic64 for u64',
        name,
      );
    }
  }
  const { base, offset } = llvm === undefined ? readMemory(reader) : readBase(reader);
  checkWidth(reader, target, size);
  reader.expect(example, ',');
  let source = target.number;
  if ((kernel ?? llvm) === 'cmpxchg') {
    if (target.number !== 0)
      reader.fail('this instruction compares with r0, and leaves there what was in memory', example, name);
    readSame(reader, target, 'this instruction compares with r0');
    reader.expect(example, ',');
    source = readRegister(reader, target.letter).number;
  } else {
    readSame(reader, target, 'the register that is the operand receives what was in memory');
  }
  reader.expect(example, ')');
  const exchange = (kernel ?? llvm) === 'xchg' ? BPF_XCHG : BPF_CMPXCHG;
  const immediate = fetch === undefined ? exchange : ATOMIC_WORDS.get(fetch)! | BPF_FETCH;
  return { slots: [instruction(BPF_STX | BPF_ATOMIC | size, { destination: base, source, offset, immediate })] };
}

function readLoadAcquire(reader: LineReader, target: Register): ReadInstruction {
  const example = 'an ordered load looks so: r1 = load_acquire((u64 *)(r2 +0))';
  reader.expect(example, '(');
  const { size } = readCast(reader, 'u');
  const { base, offset } = readMemory(reader);
  checkWidth(reader, target, size);
  reader.expect(example, ')');
  const parts = { destination: target.number, source: base, offset, immediate: BPF_LOAD_ACQ };
  return { slots: [instruction(BPF_STX | BPF_ATOMIC | size, parts)] };
}

/** Takes what stands behind `store_release`: `((u64 *)(r1 +0), r2)`. */
export function readStoreRelease(reader: LineReader): ReadInstruction {
  const example = 'an ordered store looks so: store_release((u64 *)(r1 +0), r2)';
  reader.expect(example, '(');
  const { size } = readCast(reader, 'u');
  const { base, offset } = readMemory(reader);
  reader.expect(example, ',');
  const source = readRegister(reader, 'rw');
  checkWidth(reader, source, size);
  reader.expect(example, ')');
  const parts = { destination: base, source: source.number, offset, immediate: BPF_STORE_REL };
  return { slots: [instruction(BPF_STX | BPF_ATOMIC | size, parts)] };
}

/** Takes what stands behind `lock`: `*(u64 *)(r1 +0) += r2`. */
export function readLocked(reader: LineReader): ReadInstruction {
  const example = 'an atomic operation looks so: lock *(u64 *)(r1 +0) += r2';
  reader.expect(example, '*');
  const column = reader.peek(1);
  const { size } = readCast(reader, 'u');
  if (size !== BPF_W && size !== BPF_DW)
    reader.fail('atomic operations are of 32 or 64 bits', 'write u32 or u64', column);
  const { base, offset } = readMemory(reader);
  const operation = ARITHMETIC_WORDS.get(reader.peek().text)?.operation;
  if (operation === undefined || ![...ATOMIC_WORDS.values()].includes(operation))
    reader.expected('+=, |=, &= or ^=', example);
  reader.take();
  const source = readRegister(reader, 'rw');
  checkWidth(reader, source, size);
  const parts = { destination: base, source: source.number, offset, immediate: operation };
  return { slots: [instruction(BPF_STX | BPF_ATOMIC | size, parts)] };
}
