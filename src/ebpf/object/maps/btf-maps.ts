import type { MapDefinition } from '../../maps/contract.js';
import type { Btf } from '../btf/btf.js';
import type { CompositeType } from '../btf/types.js';
import { corrupt, unsupported } from '../damage.js';
import type { Section } from '../elf/elf-object.js';
import { mapTypeOf } from './map-type.js';
import type { ObjectMap } from './object-map.js';

/** Values of `pinning` (enum libbpf_pin_type). */
const PIN_NONE = 0;
const PIN_BY_NAME = 1;
/** Bytes of a key and value that name programs and maps. */
const NAME_BYTES = 4;
/** Most members of a definition; there are eleven names. */
const MOST_MEMBERS = 32;

/** A map of `.maps` with where its entries at the start lie. */
export interface DefinedMap extends ObjectMap {
  /** Byte offset of the first entry in the section; undefined for maps without `values`. */
  readonly values: number | undefined;
}

/**
 * Maps as variables in the section `.maps`, whose type says all (libbpf's "BTF-defined maps"): numbers are lengths of arrays that a member
 * points to (`__uint`), types are what a member points to (`__type`), entries at the start are the last member (`__array(values, …)`).
 *
 * @throws PacketError PROGRAM_CORRUPT, PROGRAM_UNSUPPORTED
 */
export function readBtfMaps(section: Section, btf: Btf): DefinedMap[] {
  const variables = btf.dataSection(section.name)?.variables ?? [];
  return variables.map(({ type, offset, size }) => {
    const variable = btf.type(type);
    if (variable.kind !== 'var') throw corrupt(`section ${section.name}`, `type ${type} is no variable`);
    const where = `map ${variable.name}`;
    if (variable.linkage === 'extern') {
      throw unsupported(where, 'it is in another object', 'link the objects first (bpftool gen object)');
    }
    if (offset + size > section.size) throw corrupt(where, `it would end behind section ${section.name}`);
    const { definition, values } = readDefinition(btf, variable.name, structureOf(btf, where, variable.type), true);
    const valuesAt = values === undefined ? undefined : offset + values;
    return { definition, section, offset, size, isData: false, values: valuesAt };
  });
}

interface ReadDefinition {
  readonly definition: MapDefinition;
  /** Byte offset of `values` in the definition. */
  readonly values: number | undefined;
}

function readDefinition(btf: Btf, name: string, structure: CompositeType, isOuter: boolean): ReadDefinition {
  const where = `map ${name}`;
  let keySize: number | undefined;
  let valueSize: number | undefined;
  let inner: MapDefinition | undefined;
  let values: number | undefined;
  const numbers = { type: 0, max_entries: 0, map_flags: 0, pinning: PIN_NONE };
  for (const member of structure.members) {
    switch (member.name) {
      case 'type':
      case 'max_entries':
      case 'map_flags':
      case 'pinning':
        numbers[member.name] = numberOf(btf, where, member.name, member.type);
        break;
      case 'key_size':
        keySize = sameSize(where, 'key', keySize, numberOf(btf, where, member.name, member.type));
        break;
      case 'value_size':
        valueSize = sameSize(where, 'value', valueSize, numberOf(btf, where, member.name, member.type));
        break;
      case 'key':
        keySize = sameSize(where, 'key', keySize, btf.sizeOf(pointedTo(btf, where, member.name, member.type)));
        break;
      case 'value':
        valueSize = sameSize(where, 'value', valueSize, btf.sizeOf(pointedTo(btf, where, member.name, member.type)));
        break;
      case 'values': {
        if (!isOuter) throw corrupt(where, 'maps in maps have no entries at the start');
        values = member.bitOffset / 8;
        valueSize = sameSize(where, 'value', valueSize, NAME_BYTES);
        inner = innerMap(btf, name, member.type);
        break;
      }
      case 'numa_node':
        break;
      default:
        throw unsupported(where, `there is nothing named ${member.name} in definitions of maps`, 'leave it out');
    }
  }
  const type = mapTypeOf(where, numbers.type);
  if (numbers.pinning !== PIN_NONE && numbers.pinning !== PIN_BY_NAME) {
    throw corrupt(where, `there is no way of pinning ${numbers.pinning}`);
  }
  const holdsMaps = type === 'array_of_maps' || type === 'hash_of_maps';
  if (holdsMaps && inner === undefined) {
    throw unsupported(where, 'it does not say what the maps in it are like', 'add __array(values, struct { … })');
  }
  if (values !== undefined && !holdsMaps && type !== 'prog_array') {
    throw corrupt(where, `maps of type ${type} have no entries at the start`);
  }
  const holdsNames = holdsMaps || type === 'prog_array' || type === 'perf_event_array';
  return {
    definition: {
      name,
      type,
      keySize: keySize ?? (holdsNames && type !== 'hash_of_maps' ? NAME_BYTES : 0),
      valueSize: valueSize ?? (holdsNames ? NAME_BYTES : 0),
      maxEntries: numbers.max_entries,
      flags: numbers.map_flags,
      ...(inner !== undefined && { inner }),
      ...(numbers.pinning === PIN_BY_NAME && { pinnedByName: true }),
    },
    values,
  };
}

/** What maps in a map are like; undefined where `values` are programs. */
function innerMap(btf: Btf, name: string, id: number): MapDefinition | undefined {
  const where = `map ${name}`;
  const array = btf.resolve(id);
  if (array.kind !== 'array') throw corrupt(where, 'its values are no array');
  const value = btf.resolve(pointedTo(btf, where, 'values', array.element));
  if (value.kind === 'func_proto') return undefined;
  return readDefinition(btf, `${name}.inner`, structureOf(btf, where, value.id), false).definition;
}

function structureOf(btf: Btf, where: string, id: number): CompositeType {
  const type = btf.resolve(id);
  if (type.kind !== 'struct') throw corrupt(where, `its type ${id} is no structure but ${type.kind}`);
  if (type.members.length > MOST_MEMBERS) throw corrupt(where, `its definition has ${type.members.length} members`);
  return type;
}

/** `__uint(name, number)`: a pointer to an array of so many elements. */
function numberOf(btf: Btf, where: string, name: string, id: number): number {
  const array = btf.resolve(pointedTo(btf, where, name, id));
  if (array.kind !== 'array') throw corrupt(where, `its ${name} is no number`);
  return array.length;
}

/** `__type(name, type)`: a pointer to the type. */
function pointedTo(btf: Btf, where: string, name: string, id: number): number {
  const pointer = btf.resolve(id);
  if (pointer.kind !== 'ptr') throw corrupt(where, `its ${name} is no pointer but ${pointer.kind}`);
  return pointer.type;
}

function sameSize(where: string, what: string, before: number | undefined, size: number): number {
  if (before === undefined || before === size) return size;
  throw corrupt(where, `its ${what} would have ${before} and ${size} bytes`);
}
