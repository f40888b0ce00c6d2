import type { ByteView } from '../byte-view.js';

/** A section of an object file. */
export interface Section {
  /** Number, from 0, which symbols name it by. */
  readonly index: number;
  readonly name: string;
  /** SHT_… */
  readonly type: number;
  /** Bytes that it will have in memory. */
  readonly size: number;
  /** Its bytes in the file: `size`, or none where it is all 0 (SHT_NOBITS). */
  readonly contents: ByteView;
  /** Whether it holds instructions. */
  readonly isCode: boolean;
}

/** A name for a place in a section, or for something outside. */
export interface ElfSymbol {
  readonly name: string;
  /** Where it is; undefined for what is in none: externals, absolute values, file names. */
  readonly section: Section | undefined;
  /** Whether the object declares it only. */
  readonly isExternal: boolean;
  /** Byte offset in its section. */
  readonly value: number;
  /** Bytes; 0 where unknown. */
  readonly size: number;
  readonly kind: 'function' | 'section' | 'other';
  readonly binding: 'local' | 'global' | 'weak';
  /** Whether other objects cannot use it (STV_HIDDEN, STV_INTERNAL). */
  readonly isHidden: boolean;
}

/** A place in a section that depends on where a symbol comes to be. */
export interface Relocation {
  /** Byte offset in the section. */
  readonly offset: number;
  /** R_BPF_… */
  readonly type: number;
  readonly symbol: ElfSymbol;
}

/** An ELF object file taken apart. */
export interface ElfObject {
  readonly sections: readonly Section[];
  readonly symbols: readonly ElfSymbol[];
  /** Relocations of a section, in the order of the file. */
  relocationsOf(section: Section): readonly Relocation[];
}
