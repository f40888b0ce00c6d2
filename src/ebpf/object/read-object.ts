import { PacketError } from '../../errors.js';
import { checkOptionNames } from '../../options.js';
import type { MapDefinition } from '../maps/contract.js';
import type { Program } from '../program.js';
import { btfForLinux } from './btf/btf-for-linux.js';
import { readBtf } from './btf/read-btf.js';
import { relocateBtf } from './btf/relocate-btf.js';
import { CodeNotes } from './code-notes.js';
import { readCode } from './code-section.js';
import type { ObjectFile, OtherProgram, ReadObjectOptions } from './contract.js';
import { corrupt, missing, unsupported } from './damage.js';
import type { ElfObject } from './elf/elf-object.js';
import { readElf } from './elf/read-elf.js';
import { Externals } from './externals.js';
import { Linker } from './link-program.js';
import { type ObjectMaps, readMaps } from './maps/object-maps.js';
import { programSection } from './program-sections.js';

const OPTIONS = ['name', 'sections', 'variables'];
/** Where functions are that are no programs, but parts of them. */
const SUBPROGRAMS_SECTION = '.text';

/** A program with the section that it is from. */
interface ReadProgram {
  readonly program: Program;
  readonly section: string;
}

/**
 * Reads an object file for eBPF as compilers make them (`clang -target bpf -O2 -g -c`, little-endian): its XDP programs, each with the
 * functions that it calls, and its maps. Each global function in a section named `xdp…` is a program. What depends on the layout of types where
 * the program runs (CO-RE) stays as the object's own types have it. The file may be damaged or hostile: it is refused with where and why, in
 * time and memory that its length bounds. Nothing of `bytes` is kept.
 *
 * @throws PacketError PROGRAM_CORRUPT for what is no object or a damaged one; PROGRAM_UNSUPPORTED for big-endian objects, settings and
 *   variables of the kernel, and types of maps that are not XDP's; INVALID_OPTION
 */
export function readObject(bytes: Uint8Array, options: ReadObjectOptions = {}): ObjectFile {
  checkOptionNames('readObject', options, OPTIONS);
  const { name = 'object', sections = {}, variables = {} } = options;
  const object = readElf(bytes);
  const btfSection = object.sections.find((section) => section.name === '.BTF');
  const typeBytes = btfSection === undefined ? undefined : relocateBtf(object, btfSection);
  const types = typeBytes === undefined ? undefined : readBtf(typeBytes);
  const maps = readMaps(object, types, name, variables);
  const code = readCode(object);
  const linker = new Linker({ code, maps, externals: new Externals(types), notes: new CodeNotes(object, types) });
  const license = readLicense(object);
  const btf = types === undefined ? undefined : btfForLinux(object, typeBytes!, types);
  const read: ReadProgram[] = [];
  const otherPrograms: OtherProgram[] = [];
  for (const { name: section, functions } of code.values()) {
    if (section === SUBPROGRAMS_SECTION) continue;
    const { place, segments } = programSection(section, sections);
    for (const entry of functions) {
      if (!entry.isGlobal) continue;
      if (place === undefined) otherPrograms.push({ name: entry.name, section });
      else {
        const linked = linker.link(entry);
        const program = { name: entry.name, place, license, segments, ...linked, ...(btf !== undefined && { btf }) };
        read.push({ program, section });
      }
    }
  }
  const programs = read.map(({ program }) => program);
  return {
    programs,
    maps: maps.definitions,
    license,
    otherPrograms,
    program: (wanted) => findProgram(read, otherPrograms, wanted),
    map: (wanted) => findMap(maps, wanted),
  };
}

function readLicense(object: ElfObject): string {
  const section = object.sections.find(({ name }) => name === 'license');
  if (section === undefined) return '';
  const { bytes } = section.contents;
  const end = bytes.indexOf(0);
  if (end < 0) throw corrupt('section license', 'it does not end in 0');
  return new TextDecoder().decode(bytes.subarray(0, end));
}

function findProgram(
  read: readonly ReadProgram[],
  others: readonly OtherProgram[],
  wanted: string | undefined,
): Program {
  const names = read.map(({ program }) => program.name);
  const candidates = wanted === undefined ? read : read.filter(({ section }) => section === wanted);
  const found = read.find(({ program }) => program.name === wanted) ?? candidates[0];
  if (found !== undefined && (found.program.name === wanted || candidates.length === 1)) return found.program;
  if (candidates.length > 1) {
    const where = wanted === undefined ? 'the object' : `section ${wanted}`;
    throw new PacketError('INVALID_OPTION', `${where} has ${candidates.length} programs`, {
      remedy: `say which: ${names.slice(0, 20).join(', ')}`,
    });
  }
  const other = others.find(({ name, section }) => wanted === undefined || name === wanted || section === wanted);
  if (other === undefined) throw missing('program', wanted ?? '', names);
  throw unsupported(
    `program ${other.name}`,
    `section ${other.section} is not for XDP`,
    'name the section xdp, or say with the option sections what it is for',
  );
}

function findMap(maps: ObjectMaps, wanted: string): MapDefinition {
  const found = maps.named(wanted);
  if (found !== undefined) return found;
  throw missing(
    'map',
    wanted,
    maps.definitions.map(({ name }) => name),
  );
}
