import { parseIpAddress } from '../../packet/ip-address.js';
import { parseMacAddress } from '../../packet/mac-address.js';
import { filterError } from './filter-error.js';
import { CONSTANTS } from './names.js';
import { SIGNS, type Sign, type Token } from './tokens.js';

const SPACE = /[ \t\r\n]+/y;
const ESCAPED = /\\[^ !()\n\t]+/y;
/** Letters and digits, with dots, dashes and underscores between them. */
const IDENTIFIER = /[A-Za-z0-9](?:[-_.A-Za-z0-9]*[.A-Za-z0-9])?/y;
const NUMBER = /0[xX][0-9A-Fa-f]+|[0-9]+/y;
const DOTTED = /[0-9A-Fa-fxX]+(?:\.[0-9A-Fa-fxX]+){1,3}/y;
const HEXADECIMAL_DOTTED = /^(?:0[xX][0-9A-Fa-f]+|[0-9]+)$/;
const MAC =
  /[0-9A-Fa-f]{1,2}([-:.])[0-9A-Fa-f]{1,2}(?:\1[0-9A-Fa-f]{1,2}){4}|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}|[0-9A-Fa-f]{12}/y;
const IPV6 = /(?:[0-9A-Fa-f]{0,4}:){2,}[0-9A-Fa-f.]*/y;

/** Most tokens of an expression: a program has 4096 instructions at most, and few of these come from less than a token. */
const MOST_TOKENS = 8192;

/** Signs that are another way to write a word or sign. */
const SYNONYMS: Readonly<Record<string, string>> = { '&&': 'and', '||': 'or', '!': 'not', '==': '=' };

/**
 * Cuts an expression into tokens; the last one is `end`. Of what could begin at a character, the longest counts.
 *
 * @throws PacketError FILTER_SYNTAX
 */
export function tokenize(expression: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; ; ) {
    at += lengthOf(SPACE, expression, at);
    if (at >= expression.length) break;
    const token = tokenAt(expression, at);
    if (tokens.push(token) > MOST_TOKENS) {
      throw filterError(
        'FILTER_SYNTAX',
        expression,
        token,
        `an expression has at most ${MOST_TOKENS} words and signs`,
        'use networks and ranges of ports in the place of many hosts and ports',
      );
    }
    at = token.end;
  }
  tokens.push({ kind: 'end', start: expression.length, end: expression.length });
  return tokens;
}

function tokenAt(expression: string, start: number): Token {
  const escaped = lengthOf(ESCAPED, expression, start);
  if (escaped > 0) {
    const end = start + escaped;
    return { kind: 'word', text: expression.slice(start + 1, end), escaped: true, start, end };
  }
  const identifier = lengthOf(IDENTIFIER, expression, start);
  const mac = lengthOf(MAC, expression, start);
  if (mac > 0 && mac >= identifier) {
    const end = start + mac;
    const text = expression.slice(start, end);
    const bytes = /^[0-9A-Fa-f]{12}$/.test(text) ? text.match(/../g)!.join(':') : text.replaceAll(/[-.]/g, ':');
    const address = parseMacAddress(/^.{4}\./.test(text) ? text : bytes);
    if (address !== undefined) return { kind: 'mac', address, start, end };
  }
  const ipv6 = lengthOf(IPV6, expression, start);
  if (ipv6 > 0) {
    const end = start + ipv6;
    const address = parseIpAddress(expression.slice(start, end));
    if (address?.version === 6) return { kind: 'ipv6', words: address.words, start, end };
    throw filterError(
      'FILTER_SYNTAX',
      expression,
      { start, end },
      `${expression.slice(start, end)} is neither an IPv6 address nor an Ethernet address`,
      'write IPv6 addresses as 2001:db8::1 and Ethernet addresses as 02:00:00:00:00:01',
    );
  }
  const dotted = lengthOf(DOTTED, expression, start);
  if (dotted > 0 && dotted >= identifier) {
    const end = start + dotted;
    const parts = expression.slice(start, end).split('.');
    if (parts.every((part) => HEXADECIMAL_DOTTED.test(part))) {
      return { kind: 'dotted', parts: parts.map((part) => numberOf(part, expression, start, end)), start, end };
    }
  }
  const number = lengthOf(NUMBER, expression, start);
  if (number > 0 && number >= identifier) {
    const end = start + number;
    const value = numberOf(expression.slice(start, end), expression, start, end);
    return { kind: 'number', value, named: false, start, end };
  }
  if (identifier > 0) {
    const end = start + identifier;
    const text = expression.slice(start, end);
    const constant = CONSTANTS.get(text);
    if (constant !== undefined) return { kind: 'number', value: constant, named: true, start, end };
    return { kind: 'word', text, escaped: false, start, end };
  }
  return signAt(expression, start);
}

function signAt(expression: string, start: number): Token {
  const two = expression.slice(start, start + 2);
  for (const written of [two, two.slice(0, 1)]) {
    const end = start + written.length;
    const synonym = SYNONYMS[written];
    if (synonym !== undefined && synonym !== '=') return { kind: 'word', text: synonym, escaped: false, start, end };
    const text = (synonym ?? written) as Sign;
    if (SIGNS.includes(text)) return { kind: 'sign', text, start, end };
  }
  const character = String.fromCodePoint(expression.codePointAt(start)!);
  throw filterError(
    'FILTER_SYNTAX',
    expression,
    { start, end: start + character.length },
    `the character ${JSON.stringify(character)} has no place in a filter expression`,
    'see pcap-filter(7) for the language',
  );
}

/** A number as C writes it: decimal, hexadecimal behind 0x, octal behind 0. */
function numberOf(text: string, expression: string, start: number, end: number): number {
  const octal = /^0[0-9]/.test(text);
  if (octal && /[89]/.test(text)) {
    throw filterError(
      'FILTER_SYNTAX',
      expression,
      { start, end },
      `${text} begins with 0, so it is octal, and has a digit above 7`,
      `write ${text.replace(/^0+/, '')} for the decimal number`,
    );
  }
  const value = octal ? Number.parseInt(text, 8) : Number(text);
  if (value > 0xffffffff) {
    throw filterError(
      'FILTER_SYNTAX',
      expression,
      { start, end },
      `${text} does not fit into 32 bits`,
      'numbers go up to 4294967295 (0xffffffff)',
    );
  }
  return value;
}

/** Characters that the sticky pattern matches there; 0 for none. */
function lengthOf(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex - at : 0;
}
