import type { SourceLine } from '../program.js';
import type { Btf } from './btf/btf.js';
import { type BtfExtension, readBtfExtension } from './btf/extension.js';
import { corrupt } from './damage.js';
import type { ElfObject } from './elf/elf-object.js';

const NONE: BtfExtension = { functions: new Map(), lines: new Map(), fields: new Map() };

/** What the compiler has noted about code (`.BTF.ext`), by section and slot. */
export class CodeNotes {
  readonly #lines: ReadonlyMap<string, ReadonlyMap<number, SourceLine>>;
  readonly #types: ReadonlyMap<string, ReadonlyMap<number, number>>;

  constructor(object: ElfObject, btf: Btf | undefined) {
    const section = object.sections.find(({ name }) => name === '.BTF.ext');
    const notes =
      btf === undefined || section === undefined ? NONE : readBtfExtension(section.contents.bytes, btf.strings);
    this.#lines = bySlot(notes.lines, (line) => line);
    this.#types = bySlot(notes.functions, ({ slot, type }) => {
      if (btf!.type(type).kind !== 'func') throw corrupt('BTF.ext', `type ${type} of slot ${slot} is no function`);
      return type;
    });
  }

  /** The line that begins at a slot of a section. */
  lineAt(section: string, slot: number): SourceLine | undefined {
    return this.#lines.get(section)?.get(slot);
  }

  /** Number of the type of the function that begins at a slot of a section. */
  typeAt(section: string, slot: number): number | undefined {
    return this.#types.get(section)?.get(slot);
  }
}

function bySlot<Item extends { readonly slot: number }, Value>(
  records: ReadonlyMap<string, readonly Item[]>,
  value: (item: Item) => Value,
): Map<string, Map<number, Value>> {
  return new Map(
    [...records].map(([name, items]) => [name, new Map(items.map((item) => [item.slot, value(item)] as const))]),
  );
}
