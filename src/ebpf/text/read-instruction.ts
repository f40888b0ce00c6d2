import { didYouMean } from '../../suggestion.js';
import { decodeInstructions, type Instruction, instruction } from '../instruction.js';
import {
  BPF_CALL,
  BPF_DW,
  BPF_EXIT,
  BPF_JA,
  BPF_JCOND,
  BPF_JMP,
  BPF_JMP32,
  BPF_K,
  BPF_LOAD_WIDE,
  BPF_MEM,
  BPF_PSEUDO_CALL,
  BPF_PSEUDO_KFUNC_CALL,
  BPF_ST,
  BPF_STX,
  BPF_X,
} from '../opcodes.js';
import { helperNumber } from './helper-names.js';
import type { LineReader, Token } from './line-reader.js';
import { readAssignment } from './read-assignment.js';
import { readLocked, readStoreRelease } from './read-atomic.js';
import {
  checkWidth,
  readCast,
  readImmediate,
  readMemory,
  readPlace,
  readRegister,
  seesRegister,
} from './read-operands.js';
import { JUMP_WORDS } from './words.js';

/** A name in an instruction that only the whole file knows. */
export interface Reference {
  readonly kind: 'jump' | 'call' | 'subprogram' | 'map';
  readonly name: string;
  /** From 1. */
  readonly column: number;
}

/** An instruction as its line has it. */
export interface ReadInstruction {
  /** Two for the wide instruction, otherwise one. */
  readonly slots: readonly Instruction[];
  /** Its value in the slots is 0 until the name is known. */
  readonly reference?: Reference;
}

const EXAMPLE = 'for example: r0 = 1, r1 = *(u32 *)(r2 +4), if r1 > 0x5 goto +3, call bpf_redirect_map#51, exit';

/**
 * Reads an instruction up to the end of its line. In front of it may stand its operation code, as the kernel prints it: `(b7) r0 = 1`.
 *
 * @throws PacketError PROGRAM_CORRUPT
 */
export function readInstruction(reader: LineReader): ReadInstruction {
  const code = readCode(reader);
  const read = readStatement(reader, code?.value === BPF_LOAD_WIDE);
  reader.end();
  if (code !== undefined && code.value !== read.slots[0]!.opcode) {
    const actual = read.slots[0]!.opcode.toString(16).padStart(2, '0');
    reader.fail(
      `(${code.token.text}) is not the operation code of this instruction`,
      `it is (${actual}); it may be left out`,
      code.token,
    );
  }
  return read;
}

function readCode(reader: LineReader): { readonly value: number; readonly token: Token } | undefined {
  if (!reader.takes('(')) return undefined;
  const token = reader.peek();
  if (!/^[\da-f]{2}$/.test(token.text)) reader.expected('an operation code of two hexadecimal digits', EXAMPLE);
  reader.take();
  reader.expect(EXAMPLE, ')');
  return { value: Number.parseInt(token.text, 16), token };
}

const STATEMENTS = ['exit', 'goto', 'gotol', 'if', 'call', 'may_goto', 'lock', 'store_release', '.slot'];

function readStatement(reader: LineReader, wide: boolean): ReadInstruction {
  if (seesRegister(reader)) return readAssignment(reader, wide);
  if (reader.takes('exit')) return { slots: [instruction(BPF_JMP | BPF_EXIT)] };
  if (reader.takes('goto')) return readJump(reader, BPF_JMP | BPF_JA);
  if (reader.takes('gotol')) return readLongJump(reader);
  if (reader.takes('if')) return readConditionalJump(reader);
  if (reader.takes('call')) return readCall(reader);
  if (reader.takes('*')) return readStore(reader);
  if (reader.takes('may_goto')) return readJump(reader, BPF_JMP | BPF_JCOND);
  if (reader.takes('lock')) return readLocked(reader);
  if (reader.takes('store_release')) return readStoreRelease(reader);
  if (reader.takes('.slot')) return readSlot(reader);
  const { kind, text } = reader.peek();
  if (/^[rw]\d+$/.test(text)) reader.fail(`there is no register ${text}`, 'registers are r0 to r10, and w0 to w10');
  const meant = kind === 'word' ? didYouMean(text, STATEMENTS) : '';
  return reader.expected(`an instruction${meant}`, EXAMPLE);
}

const JUMP_EXAMPLE = 'for example: goto +3, goto pc+3, goto done';

function readJump(reader: LineReader, opcode: number, parts: Partial<Instruction> = {}): ReadInstruction {
  const place = readPlace(reader, 16, 'a label or a distance in slots', JUMP_EXAMPLE);
  if ('distance' in place) return { slots: [instruction(opcode, { ...parts, offset: place.distance })] };
  return { slots: [instruction(opcode, parts)], reference: { kind: 'jump', ...place } };
}

function readLongJump(reader: LineReader): ReadInstruction {
  const opcode = BPF_JMP32 | BPF_JA;
  const place = readPlace(reader, 32, 'a label or a distance in slots', JUMP_EXAMPLE);
  if ('distance' in place) return { slots: [instruction(opcode, { immediate: place.distance })] };
  return { slots: [instruction(opcode)], reference: { kind: 'jump', ...place } };
}

function readConditionalJump(reader: LineReader): ReadInstruction {
  const left = readRegister(reader, 'rw');
  const comparison = JUMP_WORDS.get(reader.peek().text);
  if (comparison === undefined) {
    reader.expected(
      'a comparison',
      `one of ${[...JUMP_WORDS.keys()].join(' ')}; s is for signed, & for bits in common`,
    );
  }
  reader.take();
  const parts = seesRegister(reader)
    ? { source: readRegister(reader, left.letter).number }
    : { immediate: readImmediate(reader, true) };
  reader.expect('a conditional jump looks so: if r1 > 0x5 goto +3', 'goto');
  const opcode = (left.letter === 'r' ? BPF_JMP : BPF_JMP32) | comparison | ('source' in parts ? BPF_X : BPF_K);
  return readJump(reader, opcode, { destination: left.number, ...parts });
}

const CALL_EXAMPLE =
  'for example: call 51, call bpf_redirect_map#51, call bpf_redirect_map, call pc+12, call count_packet';

function readCall(reader: LineReader): ReadInstruction {
  const opcode = BPF_JMP | BPF_CALL;
  const token = reader.peek();
  const next = reader.peek(1);
  const after = reader.peek(2);
  // A number with a sign is a distance: llvm-objdump writes "call -1" where the linker is to put a function.
  if (token.kind === 'number') return { slots: [instruction(opcode, { immediate: readNumber(reader) })] };
  if (token.text === 'kernel' && next.text === '-' && after.text === 'function') {
    reader.expect(CALL_EXAMPLE, 'kernel', '-', 'function', '#');
    return { slots: [instruction(opcode, { source: BPF_PSEUDO_KFUNC_CALL, immediate: readNumber(reader) })] };
  }
  if (token.kind === 'word' && next.text === '#') return readNumberedCall(reader);
  const place = readPlace(reader, 32, 'a function, a helper, its number or a distance', CALL_EXAMPLE);
  if (!('distance' in place)) return { slots: [instruction(opcode)], reference: { kind: 'call', ...place } };
  // bpftool writes the function's name behind the distance: "call pc+2#bpf_prog_5bbbe8a7271c8ff4_F".
  if (reader.takes('#')) reader.name('the name of a function', CALL_EXAMPLE);
  return { slots: [instruction(opcode, { source: BPF_PSEUDO_CALL, immediate: place.distance })] };
}

function readNumber(reader: LineReader): number {
  return Number(reader.number('a number', -0x80000000n, 0x7fffffffn, CALL_EXAMPLE));
}

/** `bpf_redirect_map#51`. Behind the name of a kernel function stands a number that only the running kernel knows. */
function readNumberedCall(reader: LineReader): ReadInstruction {
  const opcode = BPF_JMP | BPF_CALL;
  const token = reader.take();
  reader.take();
  const number = readNumber(reader);
  const known = helperNumber(token.text);
  if (token.text === 'unknown' || known === number) return { slots: [instruction(opcode, { immediate: number })] };
  if (known === undefined) {
    return { slots: [instruction(opcode)], reference: { kind: 'call', name: token.text, column: token.column } };
  }
  return reader.fail(
    `helper ${token.text} has the number ${known}, not ${number}`,
    `write call ${token.text}#${known}`,
    token,
  );
}

function readStore(reader: LineReader): ReadInstruction {
  const { size } = readCast(reader, 'u');
  const { base, offset } = readMemory(reader);
  reader.expect('a store looks so: *(u32 *)(r10 -4) = r1', '=');
  const parts = { destination: base, offset };
  if (!seesRegister(reader)) {
    const immediate = readImmediate(reader, size !== BPF_DW);
    return { slots: [instruction(BPF_ST | BPF_MEM | size, { ...parts, immediate })] };
  }
  const source = readRegister(reader, 'rw');
  checkWidth(reader, source, size);
  return { slots: [instruction(BPF_STX | BPF_MEM | size, { ...parts, source: source.number })] };
}

/** `.slot 95 00 00 00 00 00 00 00`: eight bytes as they are, for what the notation has nothing for. */
function readSlot(reader: LineReader): ReadInstruction {
  const bytes: number[] = [];
  while (bytes.length < 8) {
    if (!/^[\da-f]{2}$/i.test(reader.peek().text))
      reader.expected('eight bytes of two hexadecimal digits', '.slot 95 00 00 00 00 00 00 00');
    bytes.push(Number.parseInt(reader.take().text, 16));
  }
  return { slots: decodeInstructions(Uint8Array.from(bytes)) };
}
