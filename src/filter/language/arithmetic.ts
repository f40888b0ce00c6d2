import { type Span, spanOf } from './filter-error.js';
import { KEYWORD_SYNONYMS } from './names.js';
import { type Arithmetic, HEADER_NAMES, type HeaderName, type Operator } from './syntax.js';
import type { TokenReader } from './token-reader.js';
import { isToken } from './tokens.js';

/**
 * How strongly operators bind. `^` and `%` have no place among the others in libpcap's grammar: to their left they bind more strongly
 * than any, to their right more weakly.
 */
const STRENGTHS: Readonly<Record<Operator, { readonly left: number; readonly right: number }>> = {
  '|': { left: 1, right: 2 },
  '&': { left: 2, right: 3 },
  '<<': { left: 3, right: 4 },
  '>>': { left: 3, right: 4 },
  '+': { left: 4, right: 5 },
  '-': { left: 4, right: 5 },
  '*': { left: 5, right: 6 },
  '/': { left: 5, right: 6 },
  '^': { left: 7, right: 0 },
  '%': { left: 7, right: 0 },
};
/** Of the minus before an operand: only `^` and `%` bind more strongly. */
const NEGATION = 6;

/** Reads an arithmetic expression as far as it goes. @throws PacketError FILTER_SYNTAX */
export function parseArithmetic(reader: TokenReader, weakest = 0): Arithmetic {
  let left = parseOperand(reader);
  for (;;) {
    const token = reader.next;
    const strength =
      token.kind === 'sign' && Object.hasOwn(STRENGTHS, token.text) ? STRENGTHS[token.text as Operator] : undefined;
    if (token.kind !== 'sign' || strength === undefined || strength.left < weakest) return left;
    const operator = token.text as Operator;
    reader.advance();
    reader.deeper();
    const right = parseArithmetic(reader, strength.right);
    reader.shallower();
    left = { kind: 'calculate', operator, left, right, span: spanOf(left.span, right.span) };
  }
}

function parseOperand(reader: TokenReader): Arithmetic {
  const token = reader.next;
  if (reader.take('-')) {
    reader.deeper();
    const operand = parseArithmetic(reader, NEGATION);
    reader.shallower();
    return { kind: 'negate', operand, span: spanOf(token, operand.span) };
  }
  if (reader.at('(')) {
    const open = reader.open();
    const inner = parseArithmetic(reader);
    reader.close(open);
    return { ...inner, span: spanOf(open, reader.previous) };
  }
  if (token.kind === 'number') {
    reader.advance();
    return { kind: 'number', value: token.value, span: token };
  }
  if (reader.take('len') || reader.take('length')) return { kind: 'length', span: token };
  if (token.kind === 'word' && isToken(reader.peek(1), '[')) return parseBytes(reader, token.text, token);
  if (token.kind === 'word' && !reader.isKeyword(token.text)) throw reader.unknownWord();
  throw reader.unexpected('a number, len, or bytes of a header should stand here', 'for example: "tcp[13] & 2 != 0"');
}

/** `tcp[12:2]`: bytes from the index on, one where no size is given. */
function parseBytes(reader: TokenReader, word: string, first: Span): Arithmetic {
  const name = Object.hasOwn(KEYWORD_SYNONYMS, word) ? KEYWORD_SYNONYMS[word]! : word;
  const header = HEADER_NAMES.find((known) => known === name);
  if (header === undefined) {
    if (!reader.isKeyword(word)) throw reader.unknownWord();
    throw reader.error(first, `no bytes can be taken from ${word}`, `take them from one of ${HEADER_NAMES.join(', ')}`);
  }
  reader.advance();
  const open = reader.open();
  const index = parseArithmetic(reader);
  const size = reader.take(':') ? parseSize(reader) : 1;
  reader.close(open);
  return { kind: 'bytes', header: header satisfies HeaderName, index, size, span: spanOf(first, reader.previous) };
}

function parseSize(reader: TokenReader): 1 | 2 | 4 {
  const token = reader.next;
  const value = token.kind === 'number' ? token.value : undefined;
  if (value !== 1 && value !== 2 && value !== 4) {
    throw reader.unexpected('1, 2 or 4 bytes can be taken at once', 'write the index as in "ip[2:2]"');
  }
  reader.advance();
  return value;
}
