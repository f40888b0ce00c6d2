import type { MapDefinition } from '../../maps/contract.js';
import type { Btf } from '../btf/btf.js';
import type { VariableValue } from '../contract.js';
import { corrupt } from '../damage.js';
import type { ElfObject, Section } from '../elf/elf-object.js';
import { readBtfMaps } from './btf-maps.js';
import { readDataMaps } from './data-maps.js';
import { withInitialEntries } from './initial-entries.js';
import { readLegacyMaps } from './legacy-maps.js';
import type { ObjectMap } from './object-map.js';

/** All maps of an object: those of `maps` and `.maps`, then its global variables, as libbpf orders them. */
export class ObjectMaps {
  readonly #maps: readonly ObjectMap[];
  /** Sections of global variables. */
  readonly #data = new Map<Section, ObjectMap>();
  /** Definitions by section and byte offset. */
  readonly #defined = new Map<Section, Map<number, ObjectMap>>();

  constructor(maps: readonly ObjectMap[]) {
    this.#maps = maps;
    const names = new Set<string>();
    for (const map of maps) {
      const { name } = map.definition;
      if (!map.isData && names.has(name)) throw corrupt(`map ${name}`, 'there are two of this name');
      names.add(name);
      if (map.isData) this.#data.set(map.section, map);
      else {
        const own = this.#defined.get(map.section) ?? new Map<number, ObjectMap>();
        this.#defined.set(map.section, own.set(map.offset, map));
      }
    }
  }

  get definitions(): readonly MapDefinition[] {
    return this.#maps.map(({ definition }) => definition);
  }

  /** The map whose definition is at a byte of a section, or whose variables are. */
  at(section: Section, offset: number): ObjectMap | undefined {
    return this.#data.get(section) ?? this.#defined.get(section)?.get(offset);
  }

  /** The map of a name, or of the variables of a section of this name. */
  named(name: string): MapDefinition | undefined {
    const found =
      this.#maps.find(({ definition }) => definition.name === name) ??
      this.#maps.find(({ isData, section }) => isData && section.name === name);
    return found?.definition;
  }
}

/** Reads them. @throws PacketError PROGRAM_CORRUPT, PROGRAM_UNSUPPORTED, INVALID_OPTION for variables that are not there */
export function readMaps(
  object: ElfObject,
  btf: Btf | undefined,
  prefix: string,
  variables: Readonly<Record<string, VariableValue>>,
): ObjectMaps {
  const maps: ObjectMap[] = [];
  for (const section of object.sections) {
    if (section.name === 'maps') maps.push(...readLegacyMaps(section, object.symbols));
  }
  for (const section of object.sections) {
    if (section.name !== '.maps') continue;
    if (btf === undefined) throw corrupt('section .maps', 'there is no BTF to say what its maps are');
    maps.push(...withInitialEntries(object, section, readBtfMaps(section, btf)));
  }
  maps.push(...readDataMaps(object, prefix, variables));
  return new ObjectMaps(maps);
}
