import type { PacketError } from '../../errors.js';
import { closest } from '../../suggestion.js';
import { filterError, type Span } from './filter-error.js';
import { FOREIGN_KEYWORDS, KEYWORD_SYNONYMS, KEYWORDS } from './names.js';
import { isToken, type Token } from './tokens.js';

/** Deepest parentheses and brackets in each other. */
const DEEPEST = 200;

const ALL_KEYWORDS = new Set([...KEYWORDS, ...FOREIGN_KEYWORDS.keys(), ...Object.keys(KEYWORD_SYNONYMS)]);

/** A number of an expression, and where it stands. */
export interface ReadNumber {
  readonly value: number;
  readonly span: Span;
}

/** The tokens of an expression, read from left to right, and the errors that parsers throw. */
export class TokenReader {
  readonly expression: string;
  readonly #tokens: readonly Token[];
  /** Token after the parenthesis that closes the one with this number. */
  readonly #groupEnds = new Map<number, number>();
  #position = 0;
  #depth = 0;

  constructor(expression: string, tokens: readonly Token[]) {
    this.expression = expression;
    this.#tokens = tokens;
    const open: number[] = [];
    for (const [index, token] of tokens.entries()) {
      if (isToken(token, '(')) open.push(index);
      else if (isToken(token, ')') && open.length > 0) this.#groupEnds.set(open.pop()!, index + 1);
    }
  }

  get next(): Token {
    return this.#tokens[this.#position]!;
  }

  /** The token before the next one. */
  get previous(): Token {
    return this.#tokens[Math.max(0, this.#position - 1)]!;
  }

  /** The token so many places behind the next one; at most `end`. */
  peek(ahead: number): Token {
    return this.#tokens[Math.min(this.#position + ahead, this.#tokens.length - 1)]!;
  }

  /** Tokens of the group that the next token, a parenthesis, opens; where nothing closes it, all that are left. */
  groupLength(): number {
    return (this.#groupEnds.get(this.#position) ?? this.#tokens.length) - this.#position;
  }

  advance(): Token {
    const token = this.next;
    if (token.kind !== 'end') this.#position++;
    return token;
  }

  atEnd(): boolean {
    return this.next.kind === 'end';
  }

  at(text: string): boolean {
    return isToken(this.next, text);
  }

  /** Reads the sign or word, if it is next. */
  take(text: string): boolean {
    if (!this.at(text)) return false;
    this.advance();
    return true;
  }

  /** Reads an opening parenthesis or bracket. */
  open(): Token {
    this.deeper();
    return this.advance();
  }

  /** Reads what closes it. */
  close(open: Token): void {
    const [sign, name] = isToken(open, '[') ? [']', 'bracket'] : [')', 'parenthesis'];
    if (!this.take(sign)) {
      const behind = this.next;
      if (behind.kind === 'end') throw this.error(open, `this ${name} is never closed`, `put "${sign}" where it ends`);
      throw this.unexpected(`"${sign}" should stand here`, `it closes the ${name} at character ${open.start + 1}`);
    }
    this.#depth--;
  }

  /** Counts a level of nesting; {@link shallower} ends it. */
  deeper(): void {
    this.#depth++;
    if (this.#depth > DEEPEST) {
      throw this.error(
        this.next,
        `this is nested more than ${DEEPEST} deep`,
        'leave out parentheses that change nothing',
      );
    }
  }

  shallower(): void {
    this.#depth--;
  }

  isKeyword(text: string): boolean {
    return ALL_KEYWORDS.has(text);
  }

  /** Reads a number, in parentheses or not. */
  number(message: string, remedy: string): ReadNumber {
    const found = this.optionalNumber();
    if (found === undefined) throw this.unexpected(message, remedy);
    return found;
  }

  /** Reads a number, in parentheses or not, if one is next. */
  optionalNumber(): ReadNumber | undefined {
    let depth = 0;
    while (isToken(this.peek(depth), '(')) depth++;
    if (this.peek(depth).kind !== 'number') return undefined;
    const opened: Token[] = [];
    for (let i = 0; i < depth; i++) opened.push(this.open());
    const token = this.advance() as Token & { readonly kind: 'number' };
    while (opened.length > 0) this.close(opened.pop()!);
    return { value: token.value, span: token };
  }

  error(span: Span, message: string, remedy: string): PacketError {
    return filterError('FILTER_SYNTAX', this.expression, span, message, remedy);
  }

  /** The next token cannot stand here. */
  unexpected(message: string, remedy: string): PacketError {
    const end = this.next.kind === 'end' ? 'the expression ends too early: ' : '';
    return this.error(this.next, end + message, remedy);
  }

  /** The next token is a word that there is not. */
  unknownWord(): PacketError {
    const token = this.next;
    const text = token.kind === 'word' ? token.text : '';
    if (text.includes('-') && ['len', 'length'].includes(text.split('-')[0]!)) {
      return this.error(token, `${text} is read as one word`, 'put spaces around the minus');
    }
    const meant = closest(text, KEYWORDS);
    if (meant !== undefined && meant !== text) {
      return this.error(token, `there is no word ${text} (did you mean ${meant}?)`, `write ${meant}`);
    }
    if (this.isKeyword(text))
      return this.unexpected(`${text} cannot stand here`, 'see pcap-filter(7) for the language');
    const remedy = 'put host, net, port or another type before a name, as in "port http"';
    return this.error(token, `there is no word ${text}`, remedy);
  }
}
