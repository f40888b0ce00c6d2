import { PacketError } from '../../../errors.js';
import { BPF_F_MMAPABLE, BPF_F_RDONLY_PROG, type MapDefinition } from '../../maps/contract.js';
import type { Btf } from '../btf/btf.js';
import { corrupt, missing, unsupported } from '../damage.js';
import type { ElfObject, ElfSymbol, Section } from '../elf/elf-object.js';
import type { ObjectMap } from './object-map.js';

/** Characters of a name in Linux (BPF_OBJ_NAME_LEN without the 0 at the end). */
const MOST_NAME = 15;
/** Of these the section's name gets that many at least. */
const LEAST_SECTION_NAME = 7;
/** Most bytes of variables in a section. */
const MOST_BYTES = 2 ** 29;
const PLAIN_SECTIONS = ['.data', '.rodata', '.bss'];

/** Whether a section has global variables. */
export function isDataSection({ name }: Section): boolean {
  return PLAIN_SECTIONS.some((plain) => name === plain || name.startsWith(`${plain}.`));
}

/**
 * Global variables: each section of them is an array with one value, which is the section. `.rodata` is read-only and frozen; `.bss` is
 * all 0 and so has no initial value.
 *
 * @param variables bytes for variables by name, in place of those of the object
 * @throws PacketError INVALID_OPTION for variables that are not there or have another length; PROGRAM_UNSUPPORTED for addresses in them
 */
export function readDataMaps(
  object: ElfObject,
  btf: Btf | undefined,
  prefix: string,
  variables: Readonly<Record<string, Uint8Array>>,
): ObjectMap[] {
  const sections = object.sections.filter((section) => isDataSection(section) && section.size > 0);
  for (const { name, size } of sections) {
    if (size > MOST_BYTES)
      throw corrupt(`section ${name}`, `${size} bytes of variables, and ${MOST_BYTES} is the most`);
  }
  const values = new Map(sections.map((section) => [section, section.contents.bytes.slice()]));
  setVariables(object, values, variables);
  return sections.map((section) => {
    const { name, size } = section;
    const address = object.relocationsOf(section)[0];
    if (address !== undefined) {
      const where = `section ${name}`;
      throw unsupported(
        where,
        `the address of ${address.symbol.name} is in it at byte ${address.offset}`,
        'set it in code',
      );
    }
    const isConstant = name.startsWith('.rodata');
    const value = values.get(section)!;
    const definition: MapDefinition = {
      name: dataMapName(prefix, name),
      type: 'array',
      keySize: 4,
      valueSize: size,
      maxEntries: 1,
      flags: (isConstant ? BPF_F_RDONLY_PROG : 0) | (hasGlobals(name, btf) ? BPF_F_MMAPABLE : 0),
      ...(value.length > 0 && { initialValue: value }),
      ...(isConstant && { frozen: true }),
    };
    return { definition, section, offset: 0, size, isData: true };
  });
}

/** The name that libbpf gives: the object's before the plain sections', as far as 15 characters allow, other sections' alone. */
export function dataMapName(prefix: string, section: string): string {
  const kept = section.slice(0, MOST_NAME);
  const room = PLAIN_SECTIONS.includes(section) ? MOST_NAME - Math.max(LEAST_SECTION_NAME, section.length) : 0;
  return (prefix.slice(0, room) + kept).replace(/[^A-Za-z0-9_.]/g, '_');
}

/** Whether others than this object's programs can see a variable of it: then libbpf lets processes map it into their memory. */
function hasGlobals(section: string, btf: Btf | undefined): boolean {
  const variables = btf?.dataSection(section)?.variables ?? [];
  return variables.some(({ type }) => {
    const variable = btf!.type(type);
    return variable.kind === 'var' && variable.linkage !== 'static';
  });
}

function setVariables(
  object: ElfObject,
  values: Map<Section, Uint8Array>,
  variables: Readonly<Record<string, Uint8Array>>,
): void {
  const names = Object.keys(variables);
  if (names.length === 0) return;
  const known = new Map<string, ElfSymbol>();
  for (const symbol of object.symbols) {
    if (symbol.kind === 'other' && symbol.section !== undefined && values.has(symbol.section))
      known.set(symbol.name, symbol);
  }
  for (const name of names) {
    const symbol = known.get(name);
    const bytes = variables[name]!;
    if (symbol === undefined) throw missing('variable', name, [...known.keys()]);
    const section = symbol.section!;
    const end = symbol.value + symbol.size;
    if (bytes.length !== symbol.size || end > section.size) {
      throw new PacketError('INVALID_OPTION', `variables: ${name} has ${symbol.size} bytes, not ${bytes.length}`, {
        remedy: `give ${symbol.size} bytes`,
      });
    }
    // Variables that are 0 have no bytes in the file.
    const value = values.get(section)!;
    const whole = value.length === section.size ? value : new Uint8Array(section.size);
    whole.set(bytes, symbol.value);
    values.set(section, whole);
  }
}
