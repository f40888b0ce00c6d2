import { type Instruction, instruction, isWide, SLOT_BYTES } from '../instruction.js';
import type { MapDefinition } from '../maps/contract.js';
import {
  BPF_CALL,
  BPF_JMP,
  BPF_PSEUDO_CALL,
  BPF_PSEUDO_FUNC,
  BPF_PSEUDO_KFUNC_CALL,
  BPF_PSEUDO_MAP_IDX,
  BPF_PSEUDO_MAP_IDX_VALUE,
} from '../opcodes.js';
import type { Program, SourceLine, Subprogram } from '../program.js';
import { MOST_SLOTS } from '../structure.js';
import type { CodeNotes } from './code-notes.js';
import type { CodeFunction, CodeSection } from './code-section.js';
import { corrupt, unsupported } from './damage.js';
import { R_BPF_64_32, R_BPF_64_64 } from './elf/constants.js';
import type { Relocation } from './elf/elf-object.js';
import type { Externals } from './externals.js';
import type { ObjectMaps } from './maps/object-maps.js';

/** What programs of an object are put together from. */
export interface LinkSources {
  /** Sections of instructions by their index. */
  readonly code: ReadonlyMap<number, CodeSection>;
  readonly maps: ObjectMaps;
  readonly externals: Externals;
  readonly notes: CodeNotes;
}

/** What linking makes of a program. */
export type LinkedCode = Pick<Program, 'instructions' | 'subprograms' | 'maps' | 'kernelFunctions' | 'lines'>;

/** Puts programs together: a function, and behind it each that it calls, however indirectly, from whatever section. */
export class Linker {
  readonly #sources: LinkSources;
  /** Slots that all programs of the object may still have: functions that many programs call are in each of them. */
  #slotsLeft = MOST_SLOTS;

  constructor(sources: LinkSources) {
    this.#sources = sources;
  }

  /** @throws PacketError PROGRAM_CORRUPT, PROGRAM_UNSUPPORTED */
  link(entry: CodeFunction): LinkedCode {
    const linking = new Linking(this.#sources, (slots) => {
      this.#slotsLeft -= slots;
      if (this.#slotsLeft < 0) {
        throw corrupt(`function ${entry.name}`, `the programs would have more than ${MOST_SLOTS} instructions`);
      }
    });
    return linking.run(entry);
  }
}

/** Where the walk through a function is. */
interface Walk {
  readonly walked: CodeFunction;
  /** Slot of its section. */
  slot: number;
}

/** One program being put together. Functions come in the order in which a walk along the calls meets them, as in libbpf. */
class Linking {
  readonly #sources: LinkSources;
  readonly #take: (slots: number) => void;
  readonly #instructions: Instruction[] = [];
  readonly #subprograms: Subprogram[] = [];
  readonly #lines: SourceLine[] = [];
  readonly #maps: MapDefinition[] = [];
  readonly #mapIndices = new Map<MapDefinition, number>();
  readonly #kernelFunctions = new Map<string, number>();
  readonly #starts = new Map<CodeFunction, number>();
  readonly #walks: Walk[] = [];

  constructor(sources: LinkSources, take: (slots: number) => void) {
    this.#sources = sources;
    this.#take = take;
  }

  run(entry: CodeFunction): LinkedCode {
    this.#startOf(entry);
    // The functions in the walk are no calls of calls here: a long chain of them must not use up the stack.
    for (let walk = this.#walks.at(-1); walk !== undefined; walk = this.#walks.at(-1)) {
      if (walk.slot < walk.walked.end) this.#step(walk);
      else this.#walks.pop();
    }
    return {
      instructions: this.#instructions,
      subprograms: this.#subprograms,
      maps: this.#maps,
      kernelFunctions: [...this.#kernelFunctions.keys()],
      lines: this.#lines,
    };
  }

  /** Where a function begins in the program, which it becomes part of. */
  #startOf(found: CodeFunction): number {
    const known = this.#starts.get(found);
    if (known !== undefined) return known;
    const { name, code, start, end } = found;
    this.#take(end - start);
    const first = this.#instructions.length;
    for (let slot = start; slot < end; slot++) {
      const line = this.#sources.notes.lineAt(code.name, slot);
      if (line !== undefined) this.#lines.push({ ...line, slot: this.#instructions.length });
      this.#instructions.push(code.instructions[slot]!);
    }
    const typeId = this.#sources.notes.typeAt(code.name, start);
    const part = { name, start: first, end: this.#instructions.length };
    this.#subprograms.push(typeId === undefined ? part : { ...part, typeId });
    this.#starts.set(found, first);
    this.#walks.push({ walked: found, slot: start });
    return first;
  }

  /** Fills in the instruction that a walk is at, and goes to the next one. */
  #step(walk: Walk): void {
    const { walked, slot } = walk;
    const { code, start, end } = walked;
    const read = code.instructions[slot]!;
    const relocation = code.relocationAt(slot);
    const at = this.#starts.get(walked)! + slot - start;
    const where = `section ${code.name}, slot ${slot} (function ${walked.name})`;
    walk.slot++;
    if (isWide(read)) {
      walk.slot++;
      if (walk.slot > end) throw corrupt(where, 'half of a wide instruction');
      if (code.relocationAt(slot + 1) !== undefined) throw corrupt(where, 'its second half has a relocation');
      if (relocation !== undefined) this.#fillAddress(where, at, read, relocation);
    } else if (read.opcode === (BPF_JMP | BPF_CALL)) {
      if (relocation !== undefined) this.#fillCall(where, at, read, relocation);
      else if (read.source === BPF_PSEUDO_CALL) this.#call(where, at, read, code, slot + 1 + read.immediate);
    } else if (relocation !== undefined) {
      throw corrupt(where, 'a relocation, and the instruction neither calls nor loads an address');
    }
  }

  /** A wide instruction that loads the address of a map, a variable or a function. */
  #fillAddress(where: string, at: number, read: Instruction, { type, symbol }: Relocation): void {
    if (type !== R_BPF_64_64) throw corrupt(where, `relocations of type ${type} are not for addresses`);
    const { name, section } = symbol;
    if (symbol.isExternal) throw this.#sources.externals.refusal(where, name);
    if (section === undefined) throw corrupt(where, `${name} is in no section`);
    const offset = symbol.value + read.immediate;
    const code = this.#sources.code.get(section.index);
    if (code !== undefined) {
      const distance = this.#startOf(this.#functionAt(where, code, offset / SLOT_BYTES)) - at - 1;
      this.#setWide(at, read, BPF_PSEUDO_FUNC, distance, 0);
      return;
    }
    const map = this.#sources.maps.at(section, offset);
    if (map === undefined) {
      const remedy = 'variables are in .data, .rodata and .bss, maps in .maps';
      throw unsupported(
        where,
        `what is at byte ${offset} of section ${section.name} (${name}) is no map or variable`,
        remedy,
      );
    }
    const index = this.#mapIndex(map.definition);
    if (map.isData) this.#setWide(at, read, BPF_PSEUDO_MAP_IDX_VALUE, index, offset);
    else this.#setWide(at, read, BPF_PSEUDO_MAP_IDX, index, 0);
  }

  /** A call of a function that the compiler could not fill in: of another section, or of the kernel. */
  #fillCall(where: string, at: number, read: Instruction, { type, symbol }: Relocation): void {
    if (type !== R_BPF_64_32) throw corrupt(where, `relocations of type ${type} are not for calls`);
    const { name, section } = symbol;
    if (symbol.isExternal) {
      const { externals } = this.#sources;
      if (!externals.isKernelFunction(name)) throw externals.refusal(where, name);
      const index = this.#kernelFunctions.get(name) ?? this.#kernelFunctions.size;
      this.#kernelFunctions.set(name, index);
      this.#instructions[at] = { ...read, source: BPF_PSEUDO_KFUNC_CALL, immediate: index };
      return;
    }
    const code = section === undefined ? undefined : this.#sources.code.get(section.index);
    if (code === undefined) throw corrupt(where, `it calls ${name}, which is no function`);
    this.#call(where, at, read, code, symbol.value / SLOT_BYTES + read.immediate + 1);
  }

  #call(where: string, at: number, read: Instruction, code: CodeSection, slot: number): void {
    const distance = this.#startOf(this.#functionAt(where, code, slot)) - at - 1;
    this.#instructions[at] = { ...read, source: BPF_PSEUDO_CALL, immediate: distance };
  }

  #functionAt(where: string, code: CodeSection, slot: number): CodeFunction {
    const found = code.functionAt(slot);
    if (found === undefined) throw corrupt(where, `no function begins at slot ${slot} of section ${code.name}`);
    return found;
  }

  #setWide(at: number, read: Instruction, source: number, low: number, high: number): void {
    this.#instructions[at] = { ...read, source, immediate: low };
    this.#instructions[at + 1] = instruction(0, { immediate: high });
  }

  #mapIndex(definition: MapDefinition): number {
    const known = this.#mapIndices.get(definition);
    if (known !== undefined) return known;
    const index = this.#maps.push(definition) - 1;
    this.#mapIndices.set(definition, index);
    return index;
  }
}
