import { parseArgs } from 'node:util';
import { checkInteger, checkPowerOfTwo, PacketError } from '../errors.js';
import { checkChoice } from '../options.js';
import { didYouMean } from '../suggestion.js';
import { checkNumber } from '../wire/numbers.js';

/** The options of a command, as `node:util` takes them. */
export type OptionTable = Readonly<Record<string, { type: 'string' | 'boolean'; short?: string; multiple?: boolean }>>;

/** What was written on a command line. */
export class CommandLine {
  readonly positionals: readonly string[];
  readonly #values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

  /** @throws PacketError INVALID_OPTION for options that are not in the table, or lack their value */
  constructor(command: string, args: readonly string[], options: OptionTable) {
    const table = { ...options, help: { type: 'boolean' as const, short: 'h' } };
    try {
      const { values, positionals } = parseArgs({ args: [...args], options: table, allowPositionals: true });
      this.#values = values;
      this.positionals = positionals;
    } catch (cause) {
      throw explain(command, Object.keys(table), cause as Error);
    }
  }

  has(option: string): boolean {
    return this.#values[option] === true;
  }

  text(option: string): string | undefined {
    const value = this.#values[option];
    return typeof value === 'string' ? value : undefined;
  }

  /** Every value of an option that may be given several times. */
  texts(option: string): string[] {
    const value = this.#values[option];
    return Array.isArray(value) ? value.map(String) : [];
  }

  /** @throws PacketError INVALID_OPTION that names option, value and range */
  integer(option: string, fallback: number, minimum: number, maximum: number): number {
    const text = this.text(option);
    return text === undefined ? fallback : checkInteger(`--${option}`, wholeNumber(text), minimum, maximum);
  }

  powerOfTwo(option: string, fallback: number, minimum: number, maximum: number): number {
    const text = this.text(option);
    return text === undefined ? fallback : checkPowerOfTwo(`--${option}`, wholeNumber(text), minimum, maximum);
  }

  number(option: string, fallback: number, minimum: number, maximum: number): number {
    const text = this.text(option);
    if (text === undefined) return fallback;
    const value = /^\d*\.?\d+$/.test(text) ? Number(text) : text;
    return checkNumber(`--${option}`, value, minimum, maximum);
  }

  /** Whole numbers with commas between them, each at most once. */
  integers(option: string, minimum: number, maximum: number): number[] | undefined {
    const parts = this.#list(option);
    return parts && [...new Set(parts.map((part) => checkInteger(`--${option}`, wholeNumber(part), minimum, maximum)))];
  }

  choice<Choice extends string>(option: string, choices: readonly Choice[]): Choice | undefined {
    const text = this.text(option);
    return text === undefined ? undefined : checkChoice(`--${option}`, text, choices);
  }

  /** Words of a list, with commas between them, each at most once. */
  choices<Choice extends string>(option: string, choices: readonly Choice[]): Choice[] | undefined {
    const words = this.#list(option);
    return words && [...new Set(words.map((word) => checkChoice(`--${option}`, word, choices)))];
  }

  /**
   * Refuses options that would have no effect.
   *
   * @param where how it is that they have none: "without --heap"
   */
  expectNone(options: readonly string[], where: string): void {
    const given = options.find((option) => this.#values[option] !== undefined);
    if (given === undefined) return;
    throw new PacketError('INVALID_OPTION', `--${given} has no effect ${where}`, { remedy: `leave --${given} out` });
  }

  #list(option: string): string[] | undefined {
    const parts = this.text(option)?.split(',');
    if (parts?.includes('')) {
      throw new PacketError('INVALID_OPTION', `--${option}: "${this.text(option)}" is not a list such as a,b,c`, {
        remedy: 'put one comma between two of its words, and none at its ends',
      });
    }
    return parts;
  }
}

/** A number where the text is one; else the text, which the range check then shows. */
function wholeNumber(text: string): number | string {
  return /^\d+$/.test(text) ? Number(text) : text;
}

function explain(command: string, known: readonly string[], cause: Error): PacketError {
  const unknown = /Unknown option '--?([^']*)'/.exec(cause.message)?.[1];
  const remedy = `${command} --help lists the options`;
  if (unknown !== undefined) {
    const what = `there is no option --${unknown}${didYouMean(unknown, known)}`;
    return new PacketError('INVALID_OPTION', what, { cause, remedy });
  }
  const lacking = /--([\w-]+)[^']*' argument (?:missing|is ambiguous)/.exec(cause.message)?.[1];
  if (lacking !== undefined) {
    return new PacketError('INVALID_OPTION', `--${lacking} lacks its value`, {
      cause,
      remedy: `write it behind the option; one that begins with a dash as --${lacking}=VALUE`,
    });
  }
  return new PacketError('INVALID_OPTION', cause.message.split('\n')[0]!.replace(/\. .*$/, ''), { cause, remedy });
}
