import type { ClassicInstruction } from '../../filter/classic/instruction.js';

/**
 * Match code: how a packet is decided, in steps that both instruction sets of the Linux kernel have. The generator writes it once
 * (rule-code.ts); a small back end each turns it into classic BPF (classic-program.ts) and eBPF (ebpf-program.ts).
 *
 * The machine: an accumulator and a position in the packet (bytes from its Ethernet header, 0 at first), {@link SCRATCH_WORDS} words of
 * scratch memory, all unsigned 32-bit. Jumps go forward only. Loads are in network byte order, and come after a `need` that holds
 * for the same position; a word is stored before it is recalled. The position never lies beyond the end of the packet, but for
 * where `advance` jumps to.
 */
export type MatchStep =
  | { readonly step: 'label'; readonly label: Label }
  /** Jumps unless so many bytes (at least 1) follow the position. The accumulator is lost. */
  | { readonly step: 'need'; readonly bytes: number; readonly otherwise: Label }
  /** Moves the position by so many bytes, which a `need` has found there. The accumulator is lost. */
  | { readonly step: 'skip'; readonly bytes: number }
  /** Moves the position by the accumulator's bytes; jumps when it then lies beyond the end. The accumulator is lost. */
  | { readonly step: 'advance'; readonly otherwise: Label }
  /** Loads 1, 2 or 4 bytes of the packet, so many bytes behind the position. */
  | { readonly step: 'load'; readonly bytes: 1 | 2 | 4; readonly at: number }
  /** Loads what the kernel knows beside the packet's bytes. */
  | { readonly step: 'metadata'; readonly field: MetadataField }
  | { readonly step: 'set'; readonly value: number }
  | { readonly step: 'store' | 'recall'; readonly word: number }
  | { readonly step: 'calculate'; readonly operation: Operation; readonly value: number }
  /** The same with a word of scratch memory for the value. The position is lost. */
  | { readonly step: 'combine'; readonly operation: 'add' | 'xor'; readonly word: number }
  /** Takes what a table has for some words under their masks, if that is less than the word `least`, into that word (eBPF). */
  | { readonly step: 'lookup'; readonly map: number; readonly table: LookupTable; readonly least: number }
  | { readonly step: 'jump'; readonly to: Label }
  /** Compares the accumulator with a value, and jumps either way. */
  | {
      readonly step: 'branch';
      readonly test: Comparison;
      readonly value: number;
      readonly yes: Label;
      readonly no: Label;
    }
  /** Jumps by the verdict of a classic program on the packet from its first byte (eBPF). The accumulator is lost. */
  | {
      readonly step: 'filter';
      readonly program: readonly ClassicInstruction[];
      readonly yes: Label;
      readonly no: Label;
    }
  /** Ends: the packet is the socket's, it is not, or it is nobody's (eBPF). */
  | { readonly step: 'accept' | 'refuse' | 'drop' };

/** A table (cuckoo-table.ts) that lies in the one value of a map, and the words of scratch memory that are its key. */
export interface LookupTable {
  /** Bytes of the value in front of it. */
  readonly offset: number;
  /** log2 of its slots. */
  readonly bits: number;
  readonly words: readonly { readonly word: number; readonly mask: number; readonly factor: number }[];
}

/** A place in the code; a number of its own. */
export type Label = number;

/**
 * `queue`: the receive queue (eBPF). `vlan-present`: not 0 when the kernel has taken the outermost VLAN tag out of the packet, and
 * `vlan-tag`: that tag's 16 bits (classic BPF).
 */
export type MetadataField = 'queue' | 'vlan-present' | 'vlan-tag';

export type Operation = 'and' | 'or' | 'xor' | 'add' | 'multiply' | 'shift-left' | 'shift-right';

/** Unsigned. */
export type Comparison = 'equal' | 'at-least';

/** Words of scratch memory: as many as classic BPF has (BPF_MEMWORDS in linux/filter.h). */
export const SCRATCH_WORDS = 16;

/** Match code under construction: one method for each step. */
export class MatchCode {
  readonly steps: MatchStep[] = [];
  #labels = 0;

  /** A new label, to be placed once. */
  label(): Label {
    return this.#labels++;
  }

  place(label: Label): void {
    this.steps.push({ step: 'label', label });
  }

  need(bytes: number, otherwise: Label): void {
    this.steps.push({ step: 'need', bytes, otherwise });
  }

  skip(bytes: number): void {
    this.steps.push({ step: 'skip', bytes });
  }

  advance(otherwise: Label): void {
    this.steps.push({ step: 'advance', otherwise });
  }

  load(bytes: 1 | 2 | 4, at: number): void {
    this.steps.push({ step: 'load', bytes, at });
  }

  metadata(field: MetadataField): void {
    this.steps.push({ step: 'metadata', field });
  }

  set(value: number): void {
    this.steps.push({ step: 'set', value });
  }

  store(word: number): void {
    this.steps.push({ step: 'store', word });
  }

  recall(word: number): void {
    this.steps.push({ step: 'recall', word });
  }

  calculate(operation: Operation, value: number): void {
    this.steps.push({ step: 'calculate', operation, value });
  }

  combine(operation: 'add' | 'xor', word: number): void {
    this.steps.push({ step: 'combine', operation, word });
  }

  lookup(map: number, table: LookupTable, least: number): void {
    this.steps.push({ step: 'lookup', map, table, least });
  }

  jump(to: Label): void {
    this.steps.push({ step: 'jump', to });
  }

  branch(test: Comparison, value: number, yes: Label, no: Label): void {
    this.steps.push({ step: 'branch', test, value, yes, no });
  }

  /** Jumps to `yes` when the accumulator is one of the values, and to `no` otherwise. */
  branchOneOf(values: readonly number[], yes: Label, no: Label): void {
    for (let i = 0; i < values.length; i++) {
      const other = i === values.length - 1 ? no : this.label();
      this.branch('equal', values[i]!, yes, other);
      if (other !== no) this.place(other);
    }
  }

  filter(program: readonly ClassicInstruction[], yes: Label, no: Label): void {
    this.steps.push({ step: 'filter', program, yes, no });
  }

  accept(): void {
    this.steps.push({ step: 'accept' });
  }

  refuse(): void {
    this.steps.push({ step: 'refuse' });
  }

  drop(): void {
    this.steps.push({ step: 'drop' });
  }
}

/** Whether nothing but labels stands between a step and the place of a label: a jump there is none. */
export function comesNext(steps: readonly MatchStep[], index: number, label: Label): boolean {
  for (let i = index + 1; i < steps.length; i++) {
    const step = steps[i]!;
    if (step.step !== 'label') return false;
    if (step.label === label) return true;
  }
  return false;
}
