import { PacketError } from '../../errors.js';

/** A word, number, operator or quoted text of a line; at its end a token of kind `end`. */
export interface Token {
  readonly kind: 'word' | 'number' | 'operator' | 'text' | 'end';
  /** As written; of `text` with its quotes, which {@link LineReader.name} takes off. */
  readonly text: string;
  /** From 1. */
  readonly column: number;
}

/** Where a line is. */
export interface LinePlace {
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

// Comments begin with ";" (as source lines in the kernel's own listings do) or "//". "#" cannot begin one: "call map_lookup_elem#1".
// llvm-objdump ends lines with the symbol that a jump leads to: "goto +0x3 <LBB0_2>".
// Groups: end, operator, word, number; what is in none is quoted text. Named ones would be an object for each token.
const TOKEN =
  /\s*(?:(;|\/\/|<[^<>]*>\s*$|$)|(s(?:>>=|\/=|%=|<=|>=|<|>)|<<=|>>=|[-+*/%&|^=!<>]=|[-=+*/<>&()[\],:#])|([A-Za-z_.$][\w.$]*)|(\d\w*)|"(?:[^"\\]|\\.)*")/y;

/** From the space between tokens to what follows. */
const SPACE = /\s*/y;

const NUMBER = /^(?:\d{1,20}|0x[\da-f]{1,16})$/i;

/** What can stand without quotes. */
const PLAIN_NAME = /^[A-Za-z_.$][\w.$]*$/;

/** Reads one line of assembler text from left to right. Every method that expects something throws a PacketError that says what and where. */
export class LineReader {
  readonly #place: LinePlace;
  readonly #tokens: Token[];
  #next = 0;

  /** @throws PacketError PROGRAM_CORRUPT for characters that no line can have */
  constructor(text: string, place: LinePlace) {
    this.#place = place;
    this.#tokens = this.#scan(text);
  }

  /** The token that is next, `ahead` tokens on. */
  peek(ahead = 0): Token {
    return this.#tokens[Math.min(this.#next + ahead, this.#tokens.length - 1)]!;
  }

  /** Takes the next token. */
  take(): Token {
    const token = this.peek();
    if (token.kind !== 'end') this.#next++;
    return token;
  }

  /** Takes the next token if it is this operator or word. */
  takes(text: string): boolean {
    if (this.peek().text !== text) return false;
    this.#next++;
    return true;
  }

  /** Takes these operators and words, in this order. */
  expect(example: string, ...texts: string[]): void {
    for (const text of texts) if (!this.takes(text)) this.expected(`"${text}"`, example);
  }

  /** Takes a name, plain or in quotes. */
  name(what: string, example: string): Token {
    const { kind } = this.peek();
    if (kind !== 'word' && kind !== 'text') this.expected(what, example);
    const token = this.take();
    return kind === 'word' ? token : { ...token, text: this.#unquote(token) };
  }

  /** Takes a whole number, decimal or hexadecimal, perhaps with a sign. */
  number(what: string, minimum: bigint, maximum: bigint, remedy: string): bigint {
    const first = this.peek();
    const negative = this.takes('-');
    if (this.peek().kind !== 'number') this.expected(what, remedy);
    const { text } = this.take();
    const value = NUMBER.test(text) ? BigInt(text) * (negative ? -1n : 1n) : undefined;
    if (value !== undefined && value >= minimum && value <= maximum) return value;
    return this.fail(
      `${what} must be a number from ${minimum} to ${maximum}, not ${negative ? '-' : ''}${text}`,
      remedy,
      first,
    );
  }

  /** Nothing may follow. */
  end(): void {
    if (this.peek().kind !== 'end') {
      this.fail(
        `expected the end of the line, found ${shown(this.peek())}`,
        'write one instruction a line; comments begin with ; or //',
      );
    }
  }

  expected(what: string, example: string): never {
    this.fail(`expected ${what}, found ${shown(this.peek())}`, example);
  }

  /** @throws PacketError PROGRAM_CORRUPT with file, line and column of the token */
  fail(message: string, remedy: string, { column }: { readonly column: number } = this.peek()): never {
    throw textError(message, remedy, { ...this.#place, column });
  }

  #scan(text: string): Token[] {
    const tokens: Token[] = [];
    for (let at = 0; ; at = TOKEN.lastIndex) {
      TOKEN.lastIndex = at;
      const match = TOKEN.exec(text);
      if (match === null) this.#refuse(text, at);
      const [whole, end, operator, word, number] = match;
      if (end !== undefined) {
        tokens.push({ kind: 'end', text: '', column: TOKEN.lastIndex - end.length + 1 });
        return tokens;
      }
      const found = operator ?? word ?? number ?? whole.trimStart();
      const kind =
        operator !== undefined ? 'operator' : word !== undefined ? 'word' : number !== undefined ? 'number' : 'text';
      tokens.push({ kind, text: found, column: TOKEN.lastIndex - found.length + 1 });
    }
  }

  #refuse(text: string, from: number): never {
    SPACE.lastIndex = from;
    SPACE.test(text);
    const at = SPACE.lastIndex;
    const found = JSON.stringify(String.fromCodePoint(text.codePointAt(at)!));
    this.fail(
      `${found} cannot stand here`,
      'comments begin with ; or //, and names with unusual characters stand in "quotes"',
      { column: at + 1 },
    );
  }

  #unquote(token: Token): string {
    try {
      return JSON.parse(token.text) as string;
    } catch {
      return this.fail(
        `${token.text} is no text as JSON has it`,
        'write special characters as JSON does: \\" or \\u0000',
        token,
      );
    }
  }
}

/** The error of assembler text. */
export function textError(
  message: string,
  remedy: string,
  place: LinePlace & { readonly column: number },
): PacketError {
  return new PacketError('PROGRAM_CORRUPT', `${place.file}:${place.line}:${place.column}: ${message}`, { remedy });
}

/** A name as {@link LineReader.name} takes it: in quotes where it must be. */
export function quoteName(name: string): string {
  // JSON leaves line separators as they are; lines end at "\n" alone, so that they may stand.
  return PLAIN_NAME.test(name) ? name : JSON.stringify(name);
}

function shown({ kind, text }: Token): string {
  if (kind === 'end') return 'the end of the line';
  return kind === 'text' ? text : `"${text}"`;
}
