import { didYouMean } from '../../suggestion.js';
import { findSubprograms } from '../create-program.js';
import { type Instruction, isWide } from '../instruction.js';
import {
  BPF_CALL,
  BPF_CLASS_MASK,
  BPF_JA,
  BPF_JMP,
  BPF_JMP32,
  BPF_OPERATION_MASK,
  BPF_PSEUDO_CALL,
  BPF_PSEUDO_KFUNC_CALL,
  BPF_PSEUDO_MAP_IDX,
  BPF_PSEUDO_MAP_IDX_VALUE,
} from '../opcodes.js';
import type { Program, SourceLine } from '../program.js';
import { MOST_SLOTS } from '../structure.js';
import { HELPER_NAMES, helperNumber } from './helper-names.js';
import { textError } from './line-reader.js';
import type { Reference } from './read-instruction.js';
import type { Section } from './sections.js';
import type { SourceFile, SourceFunction, Statement } from './source-file.js';

/**
 * Puts a program together: its function, behind it those that it calls (and those that they call), in the order of the file. Names become
 * distances, indexes and numbers. Its maps and kernel functions are those of the file that it uses, in the order of the file.
 *
 * @throws PacketError PROGRAM_CORRUPT for names that there are not, and for jumps that are too far
 */
export function linkProgram(source: SourceFile, main: SourceFunction, { place, segments }: Section): Program {
  const linker = new Linker(source, main);
  const { instructions, lines } = linker;
  return {
    name: main.name,
    place,
    license: source.license,
    segments,
    instructions: linker.compactIndexes(),
    subprograms: findSubprograms(instructions).map((subprogram) => ({
      ...subprogram,
      name: linker.nameAt(subprogram.start) ?? subprogram.name,
    })),
    maps: linker.usedMaps.map((index) => source.maps[index]!),
    kernelFunctions: linker.usedKernelFunctions.map((index) => source.kernelFunctions[index]!),
    lines,
  };
}

class Linker {
  readonly instructions: Instruction[] = [];
  readonly lines: SourceLine[] = [];
  readonly #source: SourceFile;
  readonly #starts = new Map<SourceFunction, number>();
  readonly #names = new Map<number, string>();

  constructor(source: SourceFile, main: SourceFunction) {
    this.#source = source;
    const called = reachable(source, main);
    let start = 0;
    for (const current of [main, ...called]) {
      this.#starts.set(current, start);
      this.#names.set(start, current.name);
      start += current.slots;
    }
    if (start > MOST_SLOTS) {
      throw textError(`program ${main.name} has ${start} slots`, `Linux takes no program of more than ${MOST_SLOTS}`, {
        file: source.file,
        line: main.line,
        column: 1,
      });
    }
    for (const current of this.#starts.keys()) {
      for (const statement of current.statements) this.#place(current, statement);
    }
  }

  /** Name of the function or label that was called in a slot. */
  nameAt(slot: number): string | undefined {
    return this.#names.get(slot);
  }

  /** Indexes in the file of the maps that are used. */
  get usedMaps(): number[] {
    return used(this.instructions, isMapIndex, this.#source.maps.length);
  }

  /** Indexes in the file of the kernel functions that are used. */
  get usedKernelFunctions(): number[] {
    return used(this.instructions, isKernelCall, this.#source.kernelFunctions.length);
  }

  /** The instructions with indexes in the program's lists instead of the file's. Indexes beyond those stay: the verifier refuses them. */
  compactIndexes(): Instruction[] {
    const { usedMaps, usedKernelFunctions } = this;
    const maps = new Map(usedMaps.map((index, position) => [index, position]));
    const kernelFunctions = new Map(usedKernelFunctions.map((index, position) => [index, position]));
    return this.instructions.map((slot) => {
      const table = isMapIndex(slot) ? maps : isKernelCall(slot) ? kernelFunctions : undefined;
      return { ...slot, immediate: table?.get(slot.immediate) ?? slot.immediate };
    });
  }

  #place(current: SourceFunction, { slots, reference, line, column, text }: Statement): void {
    const slot = this.instructions.length;
    this.lines.push({ slot, file: this.#source.file, line, column, text });
    const [first, ...rest] = slots;
    this.instructions.push(reference === undefined ? first! : this.#resolve(current, first!, reference, line), ...rest);
  }

  #resolve(current: SourceFunction, slot: Instruction, reference: Reference, line: number): Instruction {
    switch (reference.kind) {
      case 'jump':
        return this.#resolveJump(current, slot, reference, line);
      case 'call':
        return this.#resolveCall(current, slot, reference, line);
      case 'subprogram':
        return {
          ...slot,
          immediate:
            this.#distanceTo(current, reference.name) ??
            this.#unknown('function', this.#functionNames(current), reference, line),
        };
      case 'map': {
        const { mapIndexes } = this.#source;
        const index = mapIndexes.get(reference.name) ?? this.#unknown('map', [...mapIndexes.keys()], reference, line);
        return { ...slot, immediate: index };
      }
    }
  }

  #resolveJump(current: SourceFunction, slot: Instruction, reference: Reference, line: number): Instruction {
    const label =
      current.labels.get(reference.name) ?? this.#unknown('label', [...current.labels.keys()], reference, line);
    const distance = this.#starts.get(current)! + label - this.instructions.length - 1;
    const long = (slot.opcode & (BPF_CLASS_MASK | BPF_OPERATION_MASK)) === (BPF_JMP32 | BPF_JA);
    if (long) return { ...slot, immediate: distance };
    if (distance < -0x8000 || distance > 0x7fff) {
      throw textError(
        `label ${reference.name} is ${Math.abs(distance)} slots away, more than a jump reaches`,
        `jump there by way of: gotol ${reference.name}`,
        {
          file: this.#source.file,
          line,
          column: reference.column,
        },
      );
    }
    return { ...slot, offset: distance };
  }

  #resolveCall(current: SourceFunction, slot: Instruction, reference: Reference, line: number): Instruction {
    const distance = this.#distanceTo(current, reference.name);
    if (distance !== undefined) return { ...slot, source: BPF_PSEUDO_CALL, immediate: distance };
    const { kernelFunctions, kernelFunctionIndexes } = this.#source;
    const index = kernelFunctionIndexes.get(reference.name);
    if (index !== undefined) return { ...slot, source: BPF_PSEUDO_KFUNC_CALL, immediate: index };
    const number = helperNumber(reference.name);
    if (number !== undefined) return { ...slot, immediate: number };
    const names = [
      ...this.#functionNames(current),
      ...kernelFunctions,
      ...HELPER_NAMES,
      ...HELPER_NAMES.map((name) => `bpf_${name}`),
    ];
    return this.#unknown('function or helper', names, reference, line);
  }

  /** Distance from the next slot to a function of the file, or else to a label of the current one. */
  #distanceTo(current: SourceFunction, name: string): number | undefined {
    const called = this.#source.functions.get(name);
    const label = current.labels.get(name);
    if (called === undefined && label === undefined) return undefined;
    const target = called === undefined ? this.#starts.get(current)! + label! : this.#starts.get(called)!;
    if (!this.#names.has(target)) this.#names.set(target, name);
    return target - this.instructions.length - 1;
  }

  #functionNames(current: SourceFunction): string[] {
    return [...this.#source.functions.keys(), ...current.labels.keys()];
  }

  #unknown(what: string, known: readonly string[], { name, column }: Reference, line: number): never {
    const remedy = {
      label: `write ${name}: in front of an instruction of the same function`,
      map: `declare it: .map ${name} array key 4 value 8 entries 1`,
      function: `begin it with: .function ${name}`,
      'function or helper': `begin it with .function ${name}; kernel functions are declared with .extern ${name}`,
    }[what]!;
    throw textError(`there is no ${what} ${name}${didYouMean(name, known)}`, remedy, {
      file: this.#source.file,
      line,
      column,
    });
  }
}

/** Functions of the file that a function calls or takes the address of, and those that they do, in the order of the file. */
function reachable({ functions }: SourceFile, main: SourceFunction): SourceFunction[] {
  const found = new Set([main]);
  for (const current of found) {
    for (const { reference } of current.statements) {
      if (reference?.kind !== 'call' && reference?.kind !== 'subprogram') continue;
      const called = functions.get(reference.name);
      if (called !== undefined) found.add(called);
    }
  }
  found.delete(main);
  return [...found].sort((a, b) => a.line - b.line);
}

function used(instructions: readonly Instruction[], uses: (slot: Instruction) => boolean, length: number): number[] {
  const found = new Set(instructions.filter(uses).map(({ immediate }) => immediate));
  return [...found].filter((index) => index >= 0 && index < length).sort((a, b) => a - b);
}

function isMapIndex(slot: Instruction): boolean {
  return isWide(slot) && (slot.source === BPF_PSEUDO_MAP_IDX || slot.source === BPF_PSEUDO_MAP_IDX_VALUE);
}

function isKernelCall({ opcode, source }: Instruction): boolean {
  return opcode === (BPF_JMP | BPF_CALL) && source === BPF_PSEUDO_KFUNC_CALL;
}
