import { instruction, wideInstruction } from '../instruction.js';
import {
  BPF_ABS,
  BPF_ALU,
  BPF_ALU64,
  BPF_DW,
  BPF_END,
  BPF_IND,
  BPF_K,
  BPF_LD,
  BPF_LDX,
  BPF_MEM,
  BPF_MEMSX,
  BPF_MOV,
  BPF_NEG,
  BPF_PSEUDO_BTF_ID,
  BPF_PSEUDO_FUNC,
  BPF_PSEUDO_MAP_FD,
  BPF_PSEUDO_MAP_IDX,
  BPF_PSEUDO_MAP_IDX_VALUE,
  BPF_PSEUDO_MAP_VALUE,
  BPF_TO_BE,
  BPF_X,
} from '../opcodes.js';
import type { LineReader } from './line-reader.js';
import { readAtomic, seesAtomic } from './read-atomic.js';
import type { ReadInstruction } from './read-instruction.js';
import {
  checkWidth,
  type Register,
  readCast,
  readImmediate,
  readMemory,
  readPlace,
  readRegister,
  readSame,
  readSigned,
  seesRegister,
} from './read-operands.js';
import { ARITHMETIC_WORDS } from './words.js';

const EXAMPLE = 'for example: r1 += 5, r1 = r2, r1 = *(u32 *)(r2 +4), r1 = be16 r1, r1 = map[name], r1 = 0x5 ll';

/**
 * Reads an instruction that begins with a register.
 *
 * @param wide whether a number is the 64-bit immediate also where no `ll` follows
 */
export function readAssignment(reader: LineReader, wide: boolean): ReadInstruction {
  const target = readRegister(reader, 'rw');
  const word = ARITHMETIC_WORDS.get(reader.peek().text);
  if (word === undefined) reader.expected('an operator', `one of ${[...ARITHMETIC_WORDS.keys()].join(' ')}`);
  reader.take();
  if (word.operation === BPF_MOV) return readValue(reader, target, wide);
  return arithmetic(reader, target, word.operation, word.offset);
}

function arithmetic(
  reader: LineReader,
  { letter, number }: Register,
  operation: number,
  offset: number,
): ReadInstruction {
  const opcode = (letter === 'r' ? BPF_ALU64 : BPF_ALU) | operation;
  if (seesRegister(reader)) {
    const source = readRegister(reader, letter).number;
    return { slots: [instruction(opcode | BPF_X, { destination: number, source, offset })] };
  }
  const immediate = readImmediate(reader, letter === 'w');
  return { slots: [instruction(opcode | BPF_K, { destination: number, offset, immediate })] };
}

function readValue(reader: LineReader, target: Register, wide: boolean): ReadInstruction {
  const { kind, text } = reader.peek();
  if (kind === 'number' || (text === '-' && reader.peek(1).kind === 'number')) return readNumber(reader, target, wide);
  if (seesRegister(reader)) return arithmetic(reader, target, BPF_MOV, 0);
  if (reader.takes('-')) return readNegation(reader, target);
  if (reader.takes('*')) return readLoad(reader, target);
  if (text === '(') return readSignExtension(reader, target);
  if (kind === 'word') {
    if (seesAtomic(reader)) return readAtomic(reader, target);
    if (/^(?:be|le|bswap)(?:16|32|64)$/.test(text)) return readByteOrder(reader, target);
    if (reader.takes('map')) return readMap(reader, target);
    if (reader.takes('subprog')) return readSubprogram(reader, target);
    if (reader.takes('btf')) {
      reader.expect(EXAMPLE, '[', 'id', ':');
      const immediate = readIndex(reader);
      reader.expect(EXAMPLE, ']');
      return wideParts(reader, target, immediate, BPF_PSEUDO_BTF_ID);
    }
  }
  return reader.expected('a register, a number or another value', EXAMPLE);
}

function readNumber(reader: LineReader, target: Register, wide: boolean): ReadInstruction {
  const after = reader.peek(reader.peek().text === '-' ? 2 : 1);
  if (!wide && after.text !== 'll') return arithmetic(reader, target, BPF_MOV, 0);
  const value = reader.number('a number', -(1n << 63n), (1n << 64n) - 1n, 'the immediate has 64 bits');
  reader.takes('ll');
  return wideParts(reader, target, value, 0);
}

function wideParts(
  reader: LineReader,
  { letter, number }: Register,
  immediate: bigint,
  source: number,
): ReadInstruction {
  if (letter === 'w') reader.fail(`w${number} has 32 bits, the value 64`, `write r${number}`);
  return { slots: wideInstruction(number, immediate, source) };
}

function readNegation(reader: LineReader, target: Register): ReadInstruction {
  readSame(reader, target, 'a register can only be negated in place');
  const opcode = (target.letter === 'r' ? BPF_ALU64 : BPF_ALU) | BPF_NEG;
  return { slots: [instruction(opcode, { destination: target.number })] };
}

function readByteOrder(reader: LineReader, target: Register): ReadInstruction {
  const [, word, bits] = /^([a-z]+)(\d+)$/.exec(reader.take().text)!;
  if (target.letter === 'w')
    reader.fail('byte order is changed in r registers', `write r${target.number} on both sides`);
  readSame(reader, target, 'the byte order of a register can only be changed in place');
  const opcode = word === 'bswap' ? BPF_ALU64 | BPF_END : BPF_ALU | BPF_END | (word === 'be' ? BPF_TO_BE : 0);
  return { slots: [instruction(opcode, { destination: target.number, immediate: Number(bits) })] };
}

function readSignExtension(reader: LineReader, target: Register): ReadInstruction {
  reader.expect(EXAMPLE, '(');
  const [, bits] = /^s(8|16|32)$/.exec(reader.peek().text) ?? [];
  if (bits === undefined || (bits === '32' && target.letter === 'w')) {
    reader.expected(
      target.letter === 'w' ? 's8 or s16' : 's8, s16 or s32',
      'a move that sign-extends looks so: r1 = (s8)r2',
    );
  }
  reader.take();
  reader.expect('a move that sign-extends looks so: r1 = (s8)r2', ')');
  const source = readRegister(reader, target.letter).number;
  const opcode = (target.letter === 'r' ? BPF_ALU64 : BPF_ALU) | BPF_MOV | BPF_X;
  return { slots: [instruction(opcode, { destination: target.number, source, offset: Number(bits) })] };
}

function readLoad(reader: LineReader, target: Register): ReadInstruction {
  const { letter, size } = readCast(reader, 'us');
  if (reader.takes('skb')) return readPacketLoad(reader, target, letter, size);
  if (letter === 's' && target.letter === 'w')
    reader.fail('loads that sign-extend fill all 64 bits', `write r${target.number}`);
  checkWidth(reader, target, size);
  const { base, offset } = readMemory(reader);
  const opcode = BPF_LDX | (letter === 'u' ? BPF_MEM : BPF_MEMSX) | size;
  return { slots: [instruction(opcode, { destination: target.number, source: base, offset })] };
}

/** The packet access of classic BPF: `r0 = *(u8 *)skb[5]`, `r0 = *(u8 *)skb[r1 + 5]`. */
function readPacketLoad(reader: LineReader, target: Register, letter: string, size: number): ReadInstruction {
  if (target.letter !== 'r' || target.number !== 0 || letter !== 'u' || size === BPF_DW) {
    reader.fail('this packet access loads u8, u16 or u32 into r0', 'for example: r0 = *(u16 *)skb[12]');
  }
  const example = 'for example: r0 = *(u8 *)skb[5] or r0 = *(u8 *)skb[r1 + 5]';
  reader.expect(example, '[');
  const indirect = seesRegister(reader);
  const source = indirect ? readRegister(reader, 'r').number : 0;
  const immediate = indirect ? readPacketOffset(reader) : readImmediate(reader, false);
  reader.expect(example, ']');
  return { slots: [instruction(BPF_LD | (indirect ? BPF_IND : BPF_ABS) | size, { source, immediate })] };
}

/** What stands behind the register of a packet access: `+ 5`, `+ -5` as the kernel has it, or nothing. */
function readPacketOffset(reader: LineReader): number {
  if (reader.peek().text === ']') return 0;
  if (reader.peek().text === '+' && reader.peek(1).text === '-') reader.take();
  return Number(readSigned(reader, 'an offset', -0x80000000n, 0x7fffffffn));
}

/** `map[name]`, `map[index:0]`, `map[fd:5]`, and the place in a map's first value: `map[name][0]+8`. */
function readMap(reader: LineReader, target: Register): ReadInstruction {
  reader.expect(EXAMPLE, '[');
  const numbered = reader.peek(1).text === ':';
  const token = reader.name('the name of a map', EXAMPLE);
  if (numbered && token.text !== 'fd' && token.text !== 'index') {
    reader.fail(
      `a map has a name, an index or an fd, no ${token.text}`,
      'write map[name], map[index:0] or map[fd:5]',
      token,
    );
  }
  if (numbered) reader.take();
  const immediate = numbered ? readIndex(reader) : 0n;
  reader.expect(EXAMPLE, ']');
  const descriptor = numbered && token.text === 'fd';
  if (!reader.takes('[')) {
    const read = wideParts(reader, target, immediate, descriptor ? BPF_PSEUDO_MAP_FD : BPF_PSEUDO_MAP_IDX);
    return numbered ? read : { ...read, reference: { kind: 'map', name: token.text, column: token.column } };
  }
  reader.expect("a place in a map's first value looks so: r1 = map[name][0]+8", '0', ']', '+');
  const place = reader.number('an offset in the value', 0n, 0xffffffffn, 'it counts bytes');
  const source = descriptor ? BPF_PSEUDO_MAP_VALUE : BPF_PSEUDO_MAP_IDX_VALUE;
  const read = wideParts(reader, target, BigInt.asUintN(32, immediate) | (place << 32n), source);
  return numbered ? read : { ...read, reference: { kind: 'map', name: token.text, column: token.column } };
}

function readIndex(reader: LineReader): bigint {
  // The upper slot stays 0: it does not take part in the sign.
  return BigInt.asUintN(32, reader.number('a number', -0x80000000n, 0x7fffffffn, 'it has 32 bits'));
}

function readSubprogram(reader: LineReader, target: Register): ReadInstruction {
  const example = 'the address of a function looks so: r2 = subprog[name] or r2 = subprog[+12]';
  reader.expect(example, '[');
  const place = readPlace(reader, 32, 'a function or a distance in slots', example);
  reader.expect(example, ']');
  const distance = 'distance' in place ? BigInt.asUintN(32, BigInt(place.distance)) : 0n;
  const read = wideParts(reader, target, distance, BPF_PSEUDO_FUNC);
  return 'distance' in place ? read : { ...read, reference: { kind: 'subprogram', ...place } };
}
