/*
 * What of ELF eBPF objects use (elf.h, "Tool Interface Standard: Executable and Linking Format"; relocations: Documentation/bpf/llvm_reloc.rst).
 * All offsets are in bytes.
 */

/** 0x7f, E, L, F as a word. */
export const ELF_MAGIC = 0x464c457f;
export const ELF_HEADER_BYTES = 64;
export const SECTION_HEADER_BYTES = 64;
export const SYMBOL_BYTES = 24;
export const RELOCATION_BYTES = 16;

// Values of the header.
export const ELFCLASS64 = 2;
export const ELFDATA2LSB = 1;
export const ELFDATA2MSB = 2;
export const ET_REL = 1;
export const EM_NONE = 0;
export const EM_BPF = 247;

// Types and flags of sections.
export const SHT_PROGBITS = 1;
export const SHT_SYMTAB = 2;
export const SHT_STRTAB = 3;
export const SHT_RELA = 4;
/** Without bytes in the file: all 0. */
export const SHT_NOBITS = 8;
export const SHT_REL = 9;
export const SHF_EXECINSTR = 0x4;

// Places of symbols that are no section. From SHN_LORESERVE on none is.
export const SHN_UNDEF = 0;
export const SHN_LORESERVE = 0xff00;

// Types, bindings and visibilities of symbols.
export const STT_FUNC = 2;
export const STT_SECTION = 3;
export const STB_LOCAL = 0;
export const STB_WEAK = 2;
export const STV_DEFAULT = 0;
export const STV_PROTECTED = 3;

// Relocations of eBPF.
/** The wide instruction: address of the symbol plus its lower immediate. */
export const R_BPF_64_64 = 1;
/** 64 bits of data. */
export const R_BPF_64_ABS64 = 2;
/** 32 bits of data. */
export const R_BPF_64_ABS32 = 3;
/** 32 bits of data that loaders leave alone: `.BTF` and `.BTF.ext`. */
export const R_BPF_64_NODYLD32 = 4;
/** The distance of a call. */
export const R_BPF_64_32 = 10;
