import { ByteView } from '../byte-view.js';
import { corrupt, unsupported } from '../damage.js';
import { StringTable } from '../string-table.js';
import {
  ELF_HEADER_BYTES,
  ELF_MAGIC,
  ELFCLASS64,
  ELFDATA2LSB,
  ELFDATA2MSB,
  EM_BPF,
  EM_NONE,
  ET_REL,
  RELOCATION_BYTES,
  SECTION_HEADER_BYTES,
  SHF_EXECINSTR,
  SHN_LORESERVE,
  SHN_UNDEF,
  SHT_NOBITS,
  SHT_PROGBITS,
  SHT_REL,
  SHT_RELA,
  SHT_STRTAB,
  SHT_SYMTAB,
  STB_LOCAL,
  STB_WEAK,
  STT_FUNC,
  STT_SECTION,
  STV_DEFAULT,
  STV_PROTECTED,
  SYMBOL_BYTES,
} from './constants.js';
import type { ElfObject, ElfSymbol, Relocation, Section } from './elf-object.js';

/** A section with what its header says beside. */
interface ReadSection extends Section {
  /** Another section: the strings of symbols, the symbols of relocations. */
  readonly link: number;
  /** Of relocations: the section that they change. */
  readonly info: number;
}

/**
 * Takes an ELF object for eBPF apart: 64 bits, little-endian, relocatable.
 *
 * @throws PacketError PROGRAM_CORRUPT for bytes that are none; PROGRAM_UNSUPPORTED for one of another processor or byte order
 */
export function readElf(bytes: Uint8Array): ElfObject {
  // A copy: nobody can change it meanwhile, and what it is cut into are no Buffers, whose `slice` is no copy.
  const file = new ByteView(new Uint8Array(bytes), 'ELF object');
  checkHeader(file);
  const sections = readSections(file);
  const table = sections.find(({ type }) => type === SHT_SYMTAB);
  const symbols = table === undefined ? [] : readSymbols(table, sections);
  const relocations = relocationTables(sections);
  return {
    sections,
    symbols,
    relocationsOf: (section) => {
      const table = relocations.get(section.index);
      return table === undefined ? [] : readRelocations(table, symbols);
    },
  };
}

function checkHeader(file: ByteView): void {
  if (file.length < ELF_HEADER_BYTES || file.u32(0) !== ELF_MAGIC) {
    throw corrupt(file.name, 'it does not begin as an ELF file does');
  }
  const byteOrder = file.u8(5);
  if (byteOrder === ELFDATA2MSB) {
    throw unsupported(file.name, 'it is big-endian', 'compile it with clang -target bpfel');
  }
  if (byteOrder !== ELFDATA2LSB) throw corrupt(file.name, `there is no byte order ${byteOrder}`);
  if (file.u8(4) !== ELFCLASS64) {
    throw unsupported(file.name, 'it is not of 64 bits', 'compile it with clang -target bpf');
  }
  const machine = file.u16(18);
  if (machine !== EM_BPF && machine !== EM_NONE) {
    throw unsupported(file.name, `it is for processor ${machine}, not for eBPF`, 'compile it with clang -target bpf');
  }
  if (file.u16(16) !== ET_REL) {
    throw unsupported(file.name, 'it is no relocatable object', 'compile it with clang -target bpf -c');
  }
}

function readSections(file: ByteView): ReadSection[] {
  const start = file.u64(40);
  const headerBytes = file.u16(58);
  const count = file.u16(60);
  if (count > 0 && headerBytes !== SECTION_HEADER_BYTES) {
    throw corrupt(file.name, `section headers of ${headerBytes} bytes`);
  }
  const headers = file.part(start, count * SECTION_HEADER_BYTES, 'section headers');
  const namesAt = file.u16(62);
  if (namesAt >= count) throw corrupt(file.name, `there is no section ${namesAt}, which should have the section names`);
  const nameHeader = namesAt * SECTION_HEADER_BYTES;
  const namesPart = file.part(headers.u64(nameHeader + 24), headers.u64(nameHeader + 32), 'section names');
  const names = new StringTable(namesPart);
  let left = file.length;
  return Array.from({ length: count }, (_, index) => {
    const at = index * SECTION_HEADER_BYTES;
    const name = names.at(headers.u32(at));
    const type = headers.u32(at + 4);
    const size = headers.u64(at + 32);
    const stored = type === SHT_NOBITS || index === 0 ? 0 : size;
    // What is read is therefore never more than a small multiple of the file.
    left -= stored;
    if (left < 0) throw corrupt(`section ${name}`, 'the sections overlap or are larger than the file');
    return {
      index,
      name,
      type,
      size,
      contents: stored === 0 ? file.part(0, 0, name) : file.part(headers.u64(at + 24), stored, name),
      isCode: type === SHT_PROGBITS && (headers.u32(at + 8) & SHF_EXECINSTR) !== 0,
      link: headers.u32(at + 40),
      info: headers.u32(at + 44),
    };
  });
}

function readSymbols(table: ReadSection, sections: readonly ReadSection[]): ElfSymbol[] {
  const { contents, name: tableName } = table;
  const strings = sections[table.link];
  if (strings?.type !== SHT_STRTAB) throw corrupt(tableName, `section ${table.link}, its strings, holds none`);
  if (contents.length % SYMBOL_BYTES !== 0) throw corrupt(tableName, `${contents.length} bytes are no whole symbols`);
  const names = new StringTable(strings.contents);
  return Array.from({ length: contents.length / SYMBOL_BYTES }, (_, index) => {
    const at = index * SYMBOL_BYTES;
    const info = contents.u8(at + 4);
    const type = info & 0x0f;
    const visibility = contents.u8(at + 5) & 0x03;
    const sectionIndex = contents.u16(at + 6);
    const section = sectionIndex === SHN_UNDEF ? undefined : sections[sectionIndex];
    const name = type === STT_SECTION && section !== undefined ? section.name : names.at(contents.u32(at));
    if (section === undefined && sectionIndex !== SHN_UNDEF && sectionIndex < SHN_LORESERVE) {
      throw corrupt(`symbol ${name}`, `there is no section ${sectionIndex}`);
    }
    const value = contents.u64(at + 8);
    if (section !== undefined && value > section.size) {
      throw corrupt(`symbol ${name}`, `it is at ${value} in section ${section.name}, which has ${section.size} bytes`);
    }
    return {
      name,
      section,
      isExternal: sectionIndex === SHN_UNDEF,
      value,
      size: contents.u64(at + 16),
      kind: type === STT_FUNC ? 'function' : type === STT_SECTION ? 'section' : 'other',
      binding: info >> 4 === STB_LOCAL ? 'local' : info >> 4 === STB_WEAK ? 'weak' : 'global',
      isHidden: visibility !== STV_DEFAULT && visibility !== STV_PROTECTED,
    };
  });
}

/** Tables of relocations by the index of the section that they change. */
function relocationTables(sections: readonly ReadSection[]): Map<number, ReadSection> {
  const tables = new Map<number, ReadSection>();
  for (const table of sections) {
    if (table.type !== SHT_REL && table.type !== SHT_RELA) continue;
    if (tables.has(table.info)) throw corrupt(table.name, `section ${table.info} has relocations already`);
    tables.set(table.info, table);
  }
  return tables;
}

function readRelocations({ name, type, contents }: ReadSection, symbols: readonly ElfSymbol[]): Relocation[] {
  if (type === SHT_RELA) throw corrupt(name, 'relocations of eBPF have no addends (SHT_RELA)');
  if (contents.length % RELOCATION_BYTES !== 0)
    throw corrupt(name, `${contents.length} bytes are no whole relocations`);
  return Array.from({ length: contents.length / RELOCATION_BYTES }, (_, index) => {
    const at = index * RELOCATION_BYTES;
    const symbol = symbols[contents.u32(at + 12)];
    if (symbol === undefined) throw corrupt(name, `there is no symbol ${contents.u32(at + 12)}`);
    return { offset: contents.u64(at), type: contents.u32(at + 8), symbol };
  });
}
