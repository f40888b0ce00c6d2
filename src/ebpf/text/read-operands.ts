import { BPF_DW } from '../opcodes.js';
import type { LineReader } from './line-reader.js';
import { SIZES } from './words.js';

/** A register as an instruction names it. */
export interface Register {
  readonly number: number;
  /** `r`: all 64 bits, or `w`: the lower 32. */
  readonly letter: string;
}

/** Memory of an access: `(r2 +4)`. */
export interface Memory {
  readonly base: number;
  /** Bytes. */
  readonly offset: number;
}

/** A place as a distance in slots from the next one, or by name. */
export type Place = { readonly distance: number } | { readonly name: string; readonly column: number };

const REGISTER = /^([rw])(10|\d)$/;

/** Whether the next token is a register. */
export function seesRegister(reader: LineReader): boolean {
  const { kind, text } = reader.peek();
  return kind === 'word' && REGISTER.test(text);
}

/** Takes a register. @param letters which ones it may have, such as `r` or `rw` */
export function readRegister(reader: LineReader, letters: string): Register {
  const { text } = reader.peek();
  const [, letter, number] = REGISTER.exec(text) ?? [];
  if (!seesRegister(reader) || !letters.includes(letter!)) {
    const [first] = letters;
    reader.expected(
      letters.length === 1 ? `a register ${first}0 to ${first}10` : 'a register r0 to r10 or w0 to w10',
      'r registers have 64 bits, w registers are their lower 32; both operands of an instruction are of one kind',
    );
  }
  reader.take();
  return { number: Number(number), letter: letter! };
}

/** Takes the same register once more. */
export function readSame(reader: LineReader, { letter, number }: Register, why: string): void {
  if (!reader.takes(`${letter}${number}`)) reader.expected(`${letter}${number}`, why);
}

/**
 * Takes the 32-bit immediate.
 *
 * @param unsigned whether 2^31 to 2^32 - 1 stand for the same bits: where nothing is sign-extended, or where the kernel prints it so
 */
export function readImmediate(reader: LineReader, unsigned: boolean): number {
  const maximum = unsigned ? 0xffffffffn : 0x7fffffffn;
  const remedy = 'an immediate has 32 bits and is sign-extended; a register takes 64 bits so: r1 = 0x123456789 ll';
  return Number(BigInt.asIntN(32, reader.number('a register or an immediate', -0x80000000n, maximum, remedy)));
}

/** Takes `*(u32 *)`, the `*` in front being taken already, or `(u32 *)`. Returns letter and size. */
export function readCast(reader: LineReader, letters: string): { readonly letter: string; readonly size: number } {
  reader.expect('a memory access looks so: r1 = *(u32 *)(r2 +4)', '(');
  const [, letter, bits] = /^([us])(8|16|32|64)$/.exec(reader.peek().text) ?? [];
  if (letter === undefined || !letters.includes(letter) || (letter === 's' && bits === '64')) {
    reader.expected(
      letters.includes('s') ? 'u8, u16, u32, u64, s8, s16 or s32' : 'u8, u16, u32 or u64',
      's8, s16 and s32 are loads that sign-extend; all else is unsigned',
    );
  }
  reader.take();
  reader.expect('a memory access looks so: r1 = *(u32 *)(r2 +4)', '*', ')');
  return { letter, size: SIZES.get(Number(bits))! };
}

/** Takes `(r2 +4)`. */
export function readMemory(reader: LineReader): Memory {
  reader.expect('memory is a register and an offset: (r2 +4)', '(');
  const memory = readBase(reader);
  reader.expect('memory is a register and an offset: (r2 +4)', ')');
  return memory;
}

/** Takes `r2 +4`. */
export function readBase(reader: LineReader): Memory {
  const base = readRegister(reader, 'r').number;
  return { base, offset: Number(readSigned(reader, 'an offset', -0x8000n, 0x7fffn)) };
}

/** Takes a number that has its sign: `+4`. */
export function readSigned(reader: LineReader, what: string, minimum: bigint, maximum: bigint): bigint {
  if (reader.peek().text !== '-' && !reader.takes('+'))
    reader.expected(`${what} with its sign`, 'write +0 where it is nothing');
  return reader.number(what, minimum, maximum, `${what} goes from ${minimum} to ${maximum}`);
}

/** Takes `pc+3`, `+3` or a name. @param bits how many the distance has */
export function readPlace(reader: LineReader, bits: number, what: string, example: string): Place {
  const { kind, text, column } = reader.peek();
  const next = reader.peek(1);
  const counted = text === 'pc' && kind === 'word' && next.kind === 'operator' && /^[-+]$/.test(next.text);
  if (counted) reader.take();
  if (counted || (kind === 'operator' && (text === '+' || text === '-'))) {
    const limit = 1n << BigInt(bits - 1);
    return { distance: Number(readSigned(reader, 'a distance', -limit, limit - 1n)) };
  }
  return { name: reader.name(what, example).text, column };
}

/** Refuses a w register where all 64 bits are accessed. */
export function checkWidth(reader: LineReader, { letter, number }: Register, size: number): void {
  if (letter === 'w' && size === BPF_DW) {
    reader.fail(`w${number} has 32 bits, the memory 64`, `write r${number}, or another size of memory`);
  }
}
