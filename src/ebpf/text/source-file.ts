import { didYouMean } from '../../suggestion.js';
import type { MapDefinition } from '../maps/contract.js';
import { LineReader, type Token } from './line-reader.js';
import { MapDeclarations } from './map-text.js';
import { type ReadInstruction, readInstruction } from './read-instruction.js';
import { SECTIONS, type Section } from './sections.js';

/** An instruction and where it stands. */
export interface Statement extends ReadInstruction {
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  /** The line without the space around it. */
  readonly text: string;
}

/** A function as the file has it. */
export interface SourceFunction {
  readonly name: string;
  /** Undefined for what only other functions call (`.text`). */
  readonly section: Section | undefined;
  readonly statements: Statement[];
  /** Slots of all statements. */
  slots: number;
  /** Slots in the function, by label. */
  readonly labels: Map<string, number>;
  readonly line: number;
}

/** All that a file says. */
export interface SourceFile {
  readonly file: string;
  readonly license: string;
  /** By name, in their order; so are the others. */
  readonly functions: ReadonlyMap<string, SourceFunction>;
  readonly maps: readonly MapDefinition[];
  /** Indexes of the maps by name. */
  readonly mapIndexes: ReadonlyMap<string, number>;
  readonly kernelFunctions: readonly string[];
  /** Indexes of the kernel functions by name. */
  readonly kernelFunctionIndexes: ReadonlyMap<string, number>;
}

/** Name of the function that instructions belong to before any has been named. */
const UNNAMED = 'program';

const DIRECTIVES = [
  '.license',
  '.extern',
  '.map',
  '.template',
  '.value',
  '.zeros',
  '.entry',
  '.section',
  '.text',
  '.function',
  '.slot',
];

/** Reads the lines of a file one by one. */
export class SourceFileReader {
  readonly #file: string;
  readonly #maps = new MapDeclarations();
  readonly #functions = new Map<string, SourceFunction>();
  readonly #kernelFunctions = new Set<string>();
  #license = 'Dual MIT/GPL';
  #section: Section | undefined = SECTIONS.get('xdp');
  #function: SourceFunction | undefined;

  constructor(file: string) {
    this.#file = file;
  }

  /** @throws PacketError PROGRAM_CORRUPT for the first line that is wrong */
  read(text: string): SourceFile {
    for (const [index, line] of text.split('\n').entries()) this.#readLine(line, index + 1);
    for (const { name, slots, line } of this.#functions.values()) {
      const reader = new LineReader('', { file: this.#file, line });
      if (slots === 0) reader.fail(`function ${name} has no instructions`, 'the least is: exit');
    }
    const maps = this.#maps.finish();
    const kernelFunctions = [...this.#kernelFunctions];
    return {
      file: this.#file,
      license: this.#license,
      functions: this.#functions,
      maps,
      mapIndexes: new Map(maps.map(({ name }, index) => [name, index])),
      kernelFunctions,
      kernelFunctionIndexes: new Map(kernelFunctions.map((name, index) => [name, index])),
    };
  }

  #readLine(text: string, line: number): void {
    const reader = new LineReader(text, { file: this.#file, line });
    while (reader.peek(1).text === ':' && reader.peek().kind !== 'operator') this.#readLabel(reader, line);
    const { kind, text: word, column } = reader.peek();
    if (kind === 'end') return;
    if (kind === 'word' && word.startsWith('.') && word !== '.slot') {
      this.#readDirective(reader, line);
      reader.end();
      return;
    }
    const current = this.#current(reader, line);
    const read = readInstruction(reader);
    current.statements.push({ ...read, line, column, text: text.trim() });
    current.slots += read.slots.length;
  }

  /** `name:`, or the number of a slot as listings have it, which says nothing new. */
  #readLabel(reader: LineReader, line: number): void {
    const listed = reader.peek().kind === 'number';
    const token = listed ? reader.take() : reader.name('a label', 'done: exit');
    reader.take();
    if (listed) return;
    const { labels, slots } = this.#current(reader, line);
    if (labels.has(token.text))
      reader.fail(`there is a label ${token.text} already`, 'labels are unique in their function', token);
    labels.set(token.text, slots);
  }

  #readDirective(reader: LineReader, line: number): void {
    const directive = reader.take();
    switch (directive.text) {
      case '.license':
        this.#license = reader.name('a licence', '.license GPL').text;
        return;
      case '.extern':
        this.#kernelFunctions.add(
          reader.name('the name of a kernel function', '.extern bpf_xdp_metadata_rx_hash').text,
        );
        return;
      case '.map':
        this.#maps.map(reader);
        return;
      case '.template':
        this.#maps.template(reader);
        return;
      case '.value':
        this.#maps.value(reader);
        return;
      case '.zeros':
        this.#maps.zeros(reader);
        return;
      case '.entry':
        this.#maps.entry(reader);
        return;
      case '.text':
        this.#enter(undefined);
        return;
      case '.section':
        this.#readSection(reader);
        return;
      case '.function':
        this.#begin(reader, reader.name('the name of a function', '.function count_packet'), line);
        return;
      default:
        reader.fail(
          `there is no directive ${directive.text}${didYouMean(directive.text, DIRECTIVES)}`,
          `it may be ${DIRECTIVES.join(', ')}`,
          directive,
        );
    }
  }

  #readSection(reader: LineReader): void {
    const sections = [...SECTIONS.keys(), '.text'];
    const example = `one of ${sections.join(', ')}`;
    const token = reader.name('the name of a section', example);
    const name = reader.takes('/') ? `${token.text}/${reader.name('the rest of the name', example).text}` : token.text;
    if (!sections.includes(name))
      reader.fail(`there is no section ${name}${didYouMean(name, sections)}`, example, token);
    this.#enter(SECTIONS.get(name));
  }

  #enter(section: Section | undefined): void {
    this.#section = section;
    this.#function = undefined;
  }

  #current(reader: LineReader, line: number): SourceFunction {
    return this.#function ?? this.#begin(reader, { ...reader.peek(), text: UNNAMED }, line);
  }

  #begin(reader: LineReader, name: Token, line: number): SourceFunction {
    if (this.#functions.has(name.text)) {
      reader.fail(
        `there is a function ${name.text} already`,
        'begin another one with a name of its own: .function name',
        name,
      );
    }
    this.#function = { name: name.text, section: this.#section, statements: [], slots: 0, labels: new Map(), line };
    this.#functions.set(name.text, this.#function);
    return this.#function;
  }
}
