import { decodeInstructions, type Instruction, SLOT_BYTES } from '../instruction.js';
import { corrupt } from './damage.js';
import type { ElfObject, ElfSymbol, Relocation, Section } from './elf/elf-object.js';

/** A function of the object. */
export interface CodeFunction {
  readonly name: string;
  readonly code: CodeSection;
  /** First slot in its section. */
  readonly start: number;
  /** Slot after its last. */
  readonly end: number;
  /** Whether other objects could call it; static ones are no programs by themselves. */
  readonly isGlobal: boolean;
}

/** A section of instructions. */
export interface CodeSection {
  readonly name: string;
  readonly instructions: readonly Instruction[];
  /** In the order of their slots; of two names for one place there is the first. */
  readonly functions: readonly CodeFunction[];
  /** The function that begins at a slot. */
  functionAt(slot: number): CodeFunction | undefined;
  /** What the loader has to fill in at a slot. */
  relocationAt(slot: number): Relocation | undefined;
}

/** All sections of instructions, by their index. @throws PacketError PROGRAM_CORRUPT */
export function readCode(object: ElfObject): Map<number, CodeSection> {
  const symbols = new Map<number, ElfSymbol[]>();
  for (const section of object.sections) if (section.isCode) symbols.set(section.index, []);
  for (const symbol of object.symbols) {
    if (symbol.kind === 'function' && symbol.section !== undefined) symbols.get(symbol.section.index)?.push(symbol);
  }
  return new Map([...symbols].map(([index, own]) => [index, readSection(object, object.sections[index]!, own)]));
}

function readSection(object: ElfObject, section: Section, symbols: readonly ElfSymbol[]): CodeSection {
  const where = `section ${section.name}`;
  if (section.contents.length % SLOT_BYTES !== 0) {
    throw corrupt(where, `${section.contents.length} bytes are no whole instructions`);
  }
  const relocations = new Map<number, Relocation>();
  for (const relocation of object.relocationsOf(section)) {
    const slot = slotOf(relocation.offset, `relocation of section ${section.name}`);
    if (relocations.has(slot)) throw corrupt(where, `slot ${slot} has two relocations`);
    relocations.set(slot, relocation);
  }
  const instructions = decodeInstructions(section.contents.bytes);
  const functions: CodeFunction[] = [];
  const byStart = new Map<number, CodeFunction>();
  const code: CodeSection = {
    name: section.name,
    instructions,
    functions,
    functionAt: (slot) => byStart.get(slot),
    relocationAt: (slot) => relocations.get(slot),
  };
  const sorted = symbols.toSorted((a, b) => a.value - b.value);
  const distinct = sorted.filter(({ value }, index) => value !== sorted[index - 1]?.value);
  for (const [index, symbol] of distinct.entries()) {
    const name = `function ${symbol.name}`;
    const start = slotOf(symbol.value, name);
    // Assemblers may leave the size out: then it reaches to the next function.
    const size = symbol.size > 0 ? symbol.size : (distinct[index + 1]?.value ?? section.size) - symbol.value;
    const end = start + slotOf(size, name);
    if (end > instructions.length) {
      throw corrupt(name, `it would end at slot ${end}, and section ${section.name} has ${instructions.length}`);
    }
    const read = { name: symbol.name, code, start, end, isGlobal: symbol.binding !== 'local' };
    functions.push(read);
    byStart.set(start, read);
  }
  return code;
}

function slotOf(offset: number, where: string): number {
  if (offset % SLOT_BYTES === 0) return offset / SLOT_BYTES;
  throw corrupt(where, `byte ${offset} is not the start of an instruction`);
}
