import { PacketError } from '../../errors.js';
import { encodeInstructions, type Instruction } from '../instruction.js';
import type { Program, SourceLine } from '../program.js';
import { jumpDistance } from '../structure.js';
import { LineReader, quoteName } from './line-reader.js';
import { writeMap } from './map-text.js';
import { readInstruction } from './read-instruction.js';
import { sectionOf } from './sections.js';
import { type Names, writeInstruction } from './write-instruction.js';

/** How to write instructions. */
export interface DisassemblyOptions {
  /** Each with its slot and operation code in front, as the kernel does: `3: (b7) r0 = 1`. Default false. */
  readonly slots?: boolean;
  /** Places to jump to as labels (`slot_12:`, a line of their own), not as distances. Default false. */
  readonly labels?: boolean;
}

/** How to write a program. */
export interface ProgramTextOptions extends DisassemblyOptions {
  /** Lines of source, where they are known, as comments in front of what they were compiled to. Default false. */
  readonly source?: boolean;
}

/**
 * Writes instructions in the kernel's notation (verifier log, `bpftool prog dump xlated`), one a line, with `ll` behind 64-bit
 * immediates as LLVM does. Any slots can be written: what no text of that notation would give back is written as bytes (`.slot`), and
 * {@link assembleInstructions} gives back the very same slots.
 */
export function disassemble(instructions: readonly Instruction[], options: DisassemblyOptions = {}): string {
  const { slots = false, labels = false } = options;
  const lines = writeLines(instructions, 0, instructions.length, labels, {});
  return lines.map((line) => `${showLine(line, slots, instructions.length)}\n`).join('');
}

/**
 * Writes a program with its maps and functions, as {@link assemble} reads it: all of it but BTF and, unless as comments, lines of source.
 * Functions whose names are taken get their slot behind the name.
 */
export function disassembleProgram(program: Program, options: ProgramTextOptions = {}): string {
  const { slots = false, labels = !slots, source = false } = options;
  const { instructions, subprograms, maps, kernelFunctions } = program;
  const names = programNames(program);
  const lines = [`.license ${quoteName(program.license)}`];
  for (const name of kernelFunctions) lines.push(`.extern ${quoteName(name)}`);
  for (const map of maps) lines.push(...writeMap(map));
  lines.push(`.section ${sectionOf(program)}`);
  const comments = new Map(source ? program.lines.map((line) => [line.slot, showSource(line)]) : []);
  for (const [index, { start, end }] of subprograms.entries()) {
    if (index === 1) lines.push('.section .text');
    lines.push(`.function ${quoteName(names.subprogram(start) ?? program.name)}`);
    for (const line of writeLines(instructions, start, end, labels, names)) {
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
  const lines = writeLines(instructions, 0, instructions.length, false, programNames(program));
  return new Map(lines.map((line) => [line.slot, `${line.code}${line.text}`]));
}

/** A label, or an instruction. */
interface TextLine {
  readonly isLabel: boolean;
  readonly slot: number;
  /** Operation code as listings have it, `(b7) `; empty for labels and bytes. */
  readonly code: string;
  readonly text: string;
}

function showLine({ isLabel, slot, code, text }: TextLine, slots: boolean, end: number): string {
  return slots && !isLabel ? `${String(slot).padStart(String(end - 1).length)}: ${code}${text}` : text;
}

function showSource({ file, line, text }: SourceLine): string {
  return `; ${file}:${line}${text === '' ? '' : `: ${text.trim()}`}`.replaceAll('\n', ' ');
}

function programNames(program: Program) {
  const written = new Map(program.instructions.length === 0 ? [] : subprogramNames(program));
  return {
    subprogram: (slot: number) => written.get(slot),
    map: (index: number) => program.maps[index]?.name,
    kernelFunction: (index: number) => program.kernelFunctions[index],
  };
}

function* subprogramNames({ name, subprograms }: Program): Iterable<[start: number, name: string]> {
  const taken = new Set<string>();
  for (const [index, subprogram] of subprograms.entries()) {
    let unique = index === 0 ? name : subprogram.name;
    while (unique === '' || taken.has(unique)) unique += `_${subprogram.start}`;
    taken.add(unique);
    yield [subprogram.start, unique];
  }
}

/** Names by slot or index. */
interface NamesAt {
  readonly subprogram?: (slot: number) => string | undefined;
  readonly map?: (index: number) => string | undefined;
  readonly kernelFunction?: (index: number) => string | undefined;
}

function writeLines(
  instructions: readonly Instruction[],
  start: number,
  end: number,
  labels: boolean,
  names: NamesAt,
): TextLine[] {
  const places = labels ? findPlaces(instructions, start, end) : new Set<number>();
  const lines: TextLine[] = [];
  for (let slot = start; slot < end; ) {
    if (places.has(slot)) lines.push({ isLabel: true, slot, code: '', text: `slot_${slot}:` });
    const first = instructions[slot]!;
    const length = writable(instructions, slot, end);
    const text =
      length === 0
        ? writeBytes(first)
        : writeInstruction(first, instructions[slot + 1], namesFrom(slot, places, names))!;
    const code = length === 0 ? '' : `(${first.opcode.toString(16).padStart(2, '0')}) `;
    lines.push({ isLabel: false, slot, code, text });
    slot += Math.max(length, 1);
  }
  return lines;
}

function namesFrom(slot: number, places: ReadonlySet<number>, { subprogram, map, kernelFunction }: NamesAt): Names {
  const quoted = (name: string | undefined) => (name === undefined ? undefined : quoteName(name));
  return {
    jump: (distance) => (places.has(slot + 1 + distance) ? `slot_${slot + 1 + distance}` : undefined),
    subprogram: (distance) => quoted(subprogram?.(slot + 1 + distance)),
    map: (index) => quoted(map?.(index)),
    kernelFunction: (index) => quoted(kernelFunction?.(index)),
  };
}

/** How many slots the instruction in a slot has, if its text gives exactly those back; otherwise 0. */
function writable(instructions: readonly Instruction[], slot: number, end: number): number {
  const first = instructions[slot]!;
  const second = slot + 1 < end ? instructions[slot + 1] : undefined;
  const text = writeInstruction(first, second, {});
  const slots = text === undefined ? undefined : readBack(text);
  const same = slots?.every((read, index) => equal(read, instructions[slot + index]!));
  return slots !== undefined && same ? slots.length : 0;
}

/** The slots of a text, or undefined where it cannot be read: there is no register 11. */
function readBack(text: string): readonly Instruction[] | undefined {
  try {
    return readInstruction(new LineReader(text, { file: '', line: 1 })).slots;
  } catch (error) {
    if (error instanceof PacketError) return undefined;
    throw error;
  }
}

function equal(a: Instruction, b: Instruction): boolean {
  return (
    a.opcode === b.opcode &&
    a.destination === b.destination &&
    a.source === b.source &&
    a.offset === b.offset &&
    a.immediate === b.immediate
  );
}

function writeBytes(slot: Instruction): string {
  const bytes = Array.from(encodeInstructions([slot]), (byte) => byte.toString(16).padStart(2, '0'));
  return `.slot ${bytes.join(' ')}`;
}

/** Slots in the stretch that its jumps lead to. Second halves of wide instructions are none. */
function findPlaces(instructions: readonly Instruction[], start: number, end: number): Set<number> {
  const targets = new Set<number>();
  const begins = new Set<number>();
  for (let slot = start; slot < end; slot += Math.max(writable(instructions, slot, end), 1)) {
    begins.add(slot);
    const distance = jumpDistance(instructions[slot]!);
    if (distance !== undefined) targets.add(slot + 1 + distance);
  }
  return new Set([...targets].filter((slot) => begins.has(slot)));
}
