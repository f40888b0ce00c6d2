import { PacketError } from '../../errors.js';
import { encodeInstructions, type Instruction } from '../instruction.js';
import { jumpDistance } from '../structure.js';
import { LineReader, quoteName } from './line-reader.js';
import { readInstruction } from './read-instruction.js';
import { type Names, writeInstruction } from './write-instruction.js';

/** How to write instructions. */
export interface DisassemblyOptions {
  /** Each with its slot and operation code in front, as the kernel does: `3: (b7) r0 = 1`. Default false. */
  readonly slots?: boolean;
  /** Places to jump to as labels (`slot_12:`, a line of their own), not as distances. Default false. */
  readonly labels?: boolean;
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

/** A label, or an instruction. */
export interface TextLine {
  readonly isLabel: boolean;
  readonly slot: number;
  /** Operation code as listings have it, `(b7) `; empty for labels and bytes. */
  readonly code: string;
  readonly text: string;
}

/** A line as text. @param end slot after the last one, as wide as which slots are written */
export function showLine({ isLabel, slot, code, text }: TextLine, slots: boolean, end: number): string {
  return slots && !isLabel ? `${String(slot).padStart(String(end - 1).length)}: ${code}${text}` : text;
}

/** Names by slot or index. */
export interface NamesAt {
  readonly subprogram?: (slot: number) => string | undefined;
  readonly map?: (index: number) => string | undefined;
  readonly kernelFunction?: (index: number) => string | undefined;
}

/** Writes the slots from one to before another. */
export function writeLines(
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
