import type { MapDefinition } from '../maps/contract.js';
import type { Program, ProgramObject, SourceLine } from '../program.js';
import { type DisassemblyOptions, type NamesAt, showLine, writeLines } from './disassemble.js';
import { quoteName } from './line-reader.js';
import { writeMap } from './map-text.js';
import { sectionOf } from './sections.js';
import { findSharedFunctions, type SharedFunction } from './shared-functions.js';

/** How to write programs. */
export interface ProgramTextOptions extends DisassemblyOptions {
  /** Lines of source, where they are known, as comments in front of what they were compiled to. Default false. */
  readonly source?: boolean;
}

/**
 * Writes a program with its maps and functions, as {@link assemble} reads it: all of it but BTF and, unless as comments, lines of source.
 * Functions whose names are taken get a number behind the name.
 */
export function disassembleProgram(program: Program, options: ProgramTextOptions = {}): string {
  return disassembleObject({ programs: [program], maps: program.maps }, options);
}

/**
 * Writes all programs of an object in one text. Functions that several of them have are written once; a program that comes back may have its
 * functions, maps and kernel functions in another order. The licence is that of the first program: an object has one.
 */
export function disassembleObject({ programs, maps }: ProgramObject, options: ProgramTextOptions = {}): string {
  const { slots = false, labels = !slots, source = false } = options;
  const names = new ObjectNames(programs, maps);
  const lines: string[] = [];
  if (programs.length > 0) lines.push(`.license ${quoteName(programs[0]!.license)}`);
  for (const name of names.kernelFunctions) lines.push(`.extern ${quoteName(name)}`);
  for (const [map, name] of names.maps) lines.push(...writeMap(map, name));
  let section = '';
  for (const shared of names.functions) {
    const { program, subprogram, isProgram } = shared;
    const needed = isProgram ? sectionOf(program) : '.text';
    if (needed !== section) lines.push(`.section ${needed}`);
    section = needed;
    lines.push(`.function ${quoteName(names.nameOf(shared))}`);
    const comments = new Map(source ? program.lines.map((line) => [line.slot, showSource(line)]) : []);
    const { start, end } = subprogram;
    for (const line of writeLines(program.instructions, start, end, labels, names.namesIn(program))) {
      const comment = comments.get(line.slot);
      if (comment !== undefined && !line.isLabel) lines.push(comment);
      lines.push(line.isLabel ? line.text : `  ${showLine(line, slots, end)}`);
    }
  }
  return lines.map((line) => `${line}\n`).join('');
}

/** The text of each instruction of a program by its slot, with names of maps and functions, and distances of jumps. */
export function listProgram(program: Program): ReadonlyMap<number, string> {
  const { instructions } = program;
  const names = new ObjectNames([program], program.maps).namesIn(program);
  const lines = writeLines(instructions, 0, instructions.length, false, names);
  return new Map(lines.map((line) => [line.slot, `${line.code}${line.text}`]));
}

function showSource({ file, line, text }: SourceLine): string {
  return `; ${file}:${line}${text === '' ? '' : `: ${text.trim()}`}`.replaceAll('\n', ' ');
}

/** Names of all that an object has, each once. */
class ObjectNames {
  /** What is to be written, programs first. */
  readonly functions: readonly SharedFunction[];
  readonly maps: ReadonlyMap<MapDefinition, string>;
  readonly kernelFunctions: ReadonlySet<string>;
  readonly #functionNames: ReadonlyMap<SharedFunction, string>;
  readonly #byProgram: ReadonlyMap<Program, readonly SharedFunction[]>;

  constructor(programs: readonly Program[], maps: readonly MapDefinition[]) {
    const { functions, byProgram } = findSharedFunctions(programs);
    this.functions = functions;
    this.#byProgram = byProgram;
    this.kernelFunctions = new Set(programs.flatMap(({ kernelFunctions }) => kernelFunctions));
    const used = new Set([...maps, ...programs.flatMap((program) => program.maps)]);
    this.maps = uniqueNames(used, ({ name }) => name, new Set());
    this.#functionNames = uniqueNames(functions, ({ name }) => name, this.kernelFunctions);
  }

  nameOf(shared: SharedFunction): string {
    return this.#functionNames.get(shared)!;
  }

  namesIn(program: Program): NamesAt {
    const { subprograms, maps, kernelFunctions } = program;
    const shared = this.#byProgram.get(program)!;
    const starts = new Map(subprograms.map(({ start }, index) => [start, shared[index]!]));
    return {
      subprogram: (slot) => {
        const called = starts.get(slot);
        return called && this.nameOf(called);
      },
      map: (index) => {
        const map = maps[index];
        return map && this.maps.get(map);
      },
      kernelFunction: (index) => kernelFunctions[index],
    };
  }
}

/** Gives each its name; where that is empty or taken, with a number behind it. */
function uniqueNames<Named>(
  all: Iterable<Named>,
  nameOf: (named: Named) => string,
  reserved: ReadonlySet<string>,
): Map<Named, string> {
  const taken = new Set(reserved);
  const names = new Map<Named, string>();
  for (const named of all) {
    let name = nameOf(named);
    for (let number = 2; name === '' || taken.has(name); number++) name = `${nameOf(named)}_${number}`;
    taken.add(name);
    names.set(named, name);
  }
  return names;
}
