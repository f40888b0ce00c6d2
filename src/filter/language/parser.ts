import { parseArithmetic } from './arithmetic.js';
import { filterError, type Span, spanOf } from './filter-error.js';
import { primitiveOf, type Qualifiers } from './identifiers.js';
import { tokenize } from './lexer.js';
import { FOREIGN_KEYWORDS, KEYWORD_SYNONYMS, LLC_KINDS } from './names.js';
import {
  type Comparison,
  type Direction,
  HEADER_NAMES,
  type HeaderName,
  PROTOCOL_NAMES,
  type Primitive,
  type ProtocolName,
  type Syntax,
} from './syntax.js';
import { TokenReader } from './token-reader.js';
import { isToken, type Token } from './tokens.js';

const TYPES = ['host', 'net', 'port', 'portrange'] as const;
const COMPARISONS: readonly string[] = ['=', '!=', '<', '<=', '>', '>='];
/** Signs behind a number or a group that make it part of a relation. */
const ARITHMETIC_SIGNS: readonly string[] = [...COMPARISONS, '+', '-', '*', '/', '%', '&', '|', '^', '<<', '>>'];
/** Words that may stand before an address, a port or `proto`. */
const QUALIFYING_PROTOCOLS: readonly string[] = [...PROTOCOL_NAMES, 'ether'];

/** What has been read, and the qualifiers that an abbreviation behind it takes over. */
interface Term {
  readonly syntax: Syntax;
  readonly qualifiers: Qualifiers | undefined;
}

/**
 * Reads a filter expression in the language of pcap-filter(7).
 *
 * @returns undefined for an expression without words, which every packet matches
 * @throws PacketError FILTER_SYNTAX that shows where
 */
export function parseFilter(expression: string): Syntax | undefined {
  const reader = new TokenReader(expression, tokenize(expression));
  if (reader.atEnd()) return undefined;
  const { syntax } = parseExpression(reader, undefined);
  if (!reader.atEnd()) {
    const remedy = 'join two conditions by "and" or "or"; a name that is also a keyword needs a backslash before it';
    throw reader.unexpected(isToken(reader.next, ')') ? 'this closes nothing' : 'no condition ends like this', remedy);
  }
  return syntax;
}

/** Conditions joined by `and` and `or`, which bind alike, from left to right. */
function parseExpression(reader: TokenReader, inherited: Qualifiers | undefined): Term {
  let term = parseOperand(reader, inherited);
  for (;;) {
    const kind = reader.take('and') ? 'and' : reader.take('or') ? 'or' : undefined;
    if (kind === undefined) return term;
    const right = parseOperand(reader, term.qualifiers);
    term = { syntax: { kind, left: term.syntax, right: right.syntax }, qualifiers: right.qualifiers };
  }
}

/** One condition, or an identifier that takes over the qualifiers before it. */
function parseOperand(reader: TokenReader, inherited: Qualifiers | undefined): Term {
  let negated = false;
  while (reader.take('not')) negated = !negated;
  const { syntax, qualifiers } =
    beginsIdentifier(reader) && !beginsRelation(reader)
      ? parseAbbreviation(reader, inherited)
      : parseTerm(reader, inherited);
  return { syntax: negated ? { kind: 'not', operand: syntax } : syntax, qualifiers };
}

/** `or 443` behind `port 80`. */
function parseAbbreviation(reader: TokenReader, inherited: Qualifiers | undefined): Term {
  if (inherited === undefined) {
    const token = reader.next;
    if (token.kind === 'word' && !token.escaped) throw reader.unknownWord();
    throw reader.unexpected(
      'this needs to be said what it is',
      'put host, net, port or another type before it, as in "host 192.0.2.1"',
    );
  }
  const [token, behind] = [reader.next, reader.peek(1)];
  // "port 53 and tpc port 80": more than a name.
  if (token.kind === 'word' && !token.escaped && !endsTerm(behind)) throw reader.unknownWord();
  return { syntax: parseIdentifiers(reader, inherited), qualifiers: inherited };
}

/** An identifier, or several in parentheses that share qualifiers. */
function parseIdentifiers(reader: TokenReader, qualifiers: Qualifiers): Syntax {
  let negated = false;
  while (reader.take('not')) negated = !negated;
  let syntax: Syntax;
  if (reader.at('(')) {
    const open = reader.open();
    syntax = parseIdentifiers(reader, qualifiers);
    for (;;) {
      const kind = reader.take('and') ? 'and' : reader.take('or') ? 'or' : undefined;
      if (kind === undefined) break;
      syntax = { kind, left: syntax, right: parseIdentifiers(reader, qualifiers) };
    }
    reader.close(open);
  } else syntax = primitiveOf(reader, qualifiers);
  return negated ? { kind: 'not', operand: syntax } : syntax;
}

/** Whether an identifier, or a group of identifiers, comes next. */
function beginsIdentifier(reader: TokenReader): boolean {
  let ahead = 0;
  while (isToken(reader.peek(ahead), '(') || isToken(reader.peek(ahead), 'not')) ahead++;
  const token = reader.peek(ahead);
  if (token.kind === 'word') return token.escaped || !reader.isKeyword(token.text);
  if (token.kind === 'number') {
    let behind = ahead + 1;
    while (isToken(reader.peek(behind), ')')) behind++;
    return !isArithmetic(reader, behind);
  }
  return token.kind === 'dotted' || token.kind === 'ipv6' || token.kind === 'mac';
}

/** Whether an arithmetic relation comes next. */
function beginsRelation(reader: TokenReader): boolean {
  const token = reader.next;
  if (token.kind === 'number') return isArithmetic(reader, 1);
  if (isToken(token, '-') || isToken(token, 'len') || isToken(token, 'length')) return true;
  if (isToken(token, '(')) return isArithmetic(reader, reader.groupLength());
  return token.kind === 'word' && !token.escaped && isToken(reader.peek(1), '[');
}

function isArithmetic(reader: TokenReader, ahead: number): boolean {
  const token = reader.peek(ahead);
  return token.kind === 'sign' && ARITHMETIC_SIGNS.includes(token.text);
}

function parseTerm(reader: TokenReader, inherited: Qualifiers | undefined): Term {
  if (beginsRelation(reader)) return unqualified(parseRelation(reader));
  if (reader.at('(')) {
    const open = reader.open();
    const term = parseExpression(reader, inherited);
    reader.close(open);
    return term;
  }
  const token = reader.next;
  if (token.kind !== 'word') throw reader.unexpected('a condition should stand here', 'for example: tcp port 80');
  const word = synonymOf(token.text);
  const foreign = FOREIGN_KEYWORDS.get(word);
  if (foreign !== undefined) {
    throw filterError(
      'FILTER_UNSUPPORTED',
      reader.expression,
      token,
      `${token.text} is about ${foreign}, which are not supported`,
      'test bytes of the packet, as in "ether[0] = 1"',
    );
  }
  const special = parseSpecial(reader, word);
  return special === undefined ? parseQualified(reader) : unqualified(special);
}

function unqualified(syntax: Syntax): Term {
  return { syntax, qualifiers: undefined };
}

/** Primitives that begin with a word of their own. */
function parseSpecial(reader: TokenReader, word: string): Syntax | undefined {
  const span = reader.next;
  switch (word) {
    case 'broadcast':
    case 'multicast':
      reader.advance();
      return { kind: word, over: 'ether', span };
    case 'less':
    case 'greater': {
      reader.advance();
      const limit = reader.number(`${word} needs a number of bytes`, `for example: ${word} 128`);
      const length = { kind: 'length', span } as const;
      const comparison = word === 'less' ? '<=' : '>=';
      const right = { kind: 'number', value: limit.value, span: limit.span } as const;
      return { kind: 'relation', comparison, left: length, right, span: spanOf(span, limit.span) };
    }
    case 'vlan':
    case 'mpls':
    case 'pppoes': {
      reader.advance();
      const number = reader.optionalNumber();
      checkLimit(reader, word, number);
      return { kind: word, number: number?.value, span: spanOf(span, number?.span ?? span) };
    }
    case 'llc': {
      reader.advance();
      const next = reader.next;
      const control = next.kind === 'word' && Object.hasOwn(LLC_KINDS, next.text) ? LLC_KINDS[next.text] : undefined;
      if (control !== undefined) reader.advance();
      return { kind: 'llc', control, span: spanOf(span, reader.previous) };
    }
    case 'pppoed':
    case 'inbound':
    case 'outbound':
      reader.advance();
      return { kind: word, number: undefined, span };
    case 'ifindex': {
      reader.advance();
      const { value, span: last } = reader.number('ifindex needs the index of an interface', 'for example: ifindex 2');
      return { kind: 'interface-index', number: value, span: spanOf(span, last) };
    }
    case 'gateway':
      throw filterError(
        'FILTER_UNSUPPORTED',
        reader.expression,
        span,
        'gateway needs names of hosts, which are not looked up',
        'write "ether host ADDRESS and not host ADDRESS"',
      );
    case 'geneve':
      throw filterError(
        'FILTER_UNSUPPORTED',
        reader.expression,
        span,
        'geneve is not supported: what lies inside begins at a place that varies',
        'write "udp dst port 6081", and test bytes behind it',
      );
    default:
      return undefined;
  }
}

/** Largest numbers of tags, labels and sessions. */
const LIMITS = { vlan: 4095, mpls: 0xfffff, pppoes: 0xffff } as const;

function checkLimit(
  reader: TokenReader,
  word: keyof typeof LIMITS,
  number: { readonly value: number; readonly span: Span } | undefined,
): void {
  if (number === undefined || number.value <= LIMITS[word]) return;
  const message = `${word} ${number.value} is above the largest number there is`;
  throw reader.error(number.span, message, `${word} takes numbers from 0 to ${LIMITS[word]}`);
}

function parseRelation(reader: TokenReader): Syntax {
  const left = parseArithmetic(reader);
  const sign = reader.next;
  if (sign.kind !== 'sign' || !COMPARISONS.includes(sign.text)) {
    throw reader.unexpected('a calculation needs something to be compared with', 'for example: "ip[8] < 5"');
  }
  reader.advance();
  const right = parseArithmetic(reader);
  return {
    kind: 'relation',
    comparison: sign.text as Comparison,
    left,
    right,
    span: spanOf(left.span, right.span),
  };
}

/** Protocol, direction and type, each of which may be missing, then identifiers; or a protocol alone. */
function parseQualified(reader: TokenReader): Term {
  const first = reader.next;
  const protocol = takeWord(reader, QUALIFYING_PROTOCOLS);
  if (protocol !== undefined) {
    const alone = parseBehindProtocol(reader, protocol, first);
    if (alone !== undefined) return unqualified(alone);
  }
  const direction = takeDirection(reader);
  const type = takeWord(reader, TYPES);
  const proto = direction === undefined && type === undefined && reader.take('proto');
  if (direction === undefined && type === undefined && !proto) {
    if (reader.at('protochain')) throw refuseProtochain(reader);
    throw protocol === undefined ? reader.unknownWord() : missing(reader);
  }
  const qualifiers: Qualifiers = {
    protocol: protocol as Qualifiers['protocol'],
    direction: direction ?? 'either',
    type: proto ? 'proto' : (type ?? 'host'),
    span: spanOf(first, reader.previous),
  };
  if (!beginsIdentifier(reader)) throw missing(reader);
  return { syntax: parseIdentifiers(reader, qualifiers), qualifiers };
}

/** What may stand behind a protocol but qualifiers: nothing, `broadcast`, `multicast`. */
function parseBehindProtocol(reader: TokenReader, protocol: string, first: Span): Primitive | undefined {
  const cast = takeWord(reader, ['broadcast', 'multicast'] as const);
  if (cast !== undefined) {
    const over = protocol;
    const span = spanOf(first, reader.previous);
    if (over === 'ether' || over === 'ip' || (over === 'ip6' && cast === 'multicast'))
      return { kind: cast, over, span };
    const known = cast === 'broadcast' ? 'ether and ip' : 'ether, ip and ip6';
    throw reader.error(span, `${protocol} has no ${cast}`, `${cast} goes with ${known}`);
  }
  if (!endsTerm(reader.next)) return undefined;
  if (protocol === 'ether') {
    throw reader.error(
      first,
      'every packet has a link layer',
      'say more about it, as in "ether host 02:00:00:00:00:01"',
    );
  }
  return { kind: 'protocol', name: protocol as ProtocolName, span: first };
}

/** Whether nothing that belongs to a condition stands here. */
function endsTerm(token: Token): boolean {
  return token.kind === 'end' || ['and', 'or', ')'].some((text) => isToken(token, text));
}

function takeDirection(reader: TokenReader): Direction | undefined {
  const first = reader.at('src') ? 'src' : reader.at('dst') ? 'dst' : undefined;
  if (first === undefined) return undefined;
  reader.advance();
  const joined = reader.at('or') ? 'either' : reader.at('and') ? 'both' : undefined;
  if (joined !== undefined && isToken(reader.peek(1), first === 'src' ? 'dst' : 'src')) {
    reader.advance();
    reader.advance();
    return joined;
  }
  return first === 'src' ? 'source' : 'destination';
}

function takeWord<T extends string>(reader: TokenReader, words: readonly T[]): T | undefined {
  const token = reader.next;
  if (token.kind !== 'word' || token.escaped) return undefined;
  const word = words.find((known) => known === synonymOf(token.text));
  if (word !== undefined) reader.advance();
  return word;
}

function synonymOf(word: string): string {
  return Object.hasOwn(KEYWORD_SYNONYMS, word) ? KEYWORD_SYNONYMS[word]! : word;
}

/** Something that qualifiers need is not there. */
function missing(reader: TokenReader): Error {
  const token = reader.next;
  if (token.kind === 'word' && !token.escaped && reader.isKeyword(token.text)) {
    return reader.unexpected(
      `${token.text} is a keyword, and a name or number should stand here`,
      `write \\${token.text} if it is the name of a protocol, host or port`,
    );
  }
  const previous = reader.previous;
  if (previous.kind === 'word' && HEADER_NAMES.includes(previous.text as HeaderName)) {
    return reader.unexpected(
      `${previous.text} is not followed by this`,
      'write "tcp port 80", "ip host 192.0.2.1", "tcp[0] = 1", or join conditions by "and" or "or"',
    );
  }
  return reader.unexpected('a name, number or address should stand here', 'for example: host 192.0.2.1, port 80');
}

function refuseProtochain(reader: TokenReader): Error {
  return filterError(
    'FILTER_UNSUPPORTED',
    reader.expression,
    reader.next,
    'protochain is not supported: it takes a loop, which no kernel lets a filter have',
    'write "ip6 proto NUMBER", which looks at the first header and behind a fragment header',
  );
}
