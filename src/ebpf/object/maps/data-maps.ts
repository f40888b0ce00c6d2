import { BPF_F_MMAPABLE, BPF_F_RDONLY_PROG, type MapDefinition } from '../../maps/contract.js';
import type { VariableValue } from '../contract.js';
import { corrupt, unsupported } from '../damage.js';
import type { ElfObject, Section } from '../elf/elf-object.js';
import type { ObjectMap } from './object-map.js';
import { setVariables } from './set-variables.js';

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
 * all 0 and so has no initial value. Processes may map them into their memory, as with libbpf.
 *
 * @param variables values of variables by name, in place of those of the object
 * @throws PacketError INVALID_OPTION as `setVariables`; PROGRAM_UNSUPPORTED for addresses in them
 */
export function readDataMaps(
  object: ElfObject,
  prefix: string,
  variables: Readonly<Record<string, VariableValue>>,
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
      flags: isConstant ? BPF_F_RDONLY_PROG | BPF_F_MMAPABLE : BPF_F_MMAPABLE,
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
