import type { MapDefinition } from '../../maps/contract.js';
import { corrupt } from '../damage.js';
import type { ElfObject, Section } from '../elf/elf-object.js';
import type { DefinedMap } from './btf-maps.js';
import type { ObjectMap } from './object-map.js';

/** Bytes of a place in `values`: a pointer. */
const PLACE_BYTES = 8;

/**
 * Fills in the entries at the start: in `.maps` a place in a map's `values` has a relocation to the program or map that is to be there.
 *
 * @throws PacketError PROGRAM_CORRUPT
 */
export function withInitialEntries(object: ElfObject, section: Section, maps: readonly DefinedMap[]): ObjectMap[] {
  const entries = new Map<DefinedMap, { index: number; name: string }[]>();
  const sorted = maps.toSorted((a, b) => a.offset - b.offset);
  for (const { offset, symbol } of object.relocationsOf(section)) {
    const where = `section ${section.name}, byte ${offset}`;
    const map = mapAt(sorted, offset);
    if (map?.values === undefined || offset < map.values || (offset - map.values) % PLACE_BYTES !== 0) {
      throw corrupt(where, 'there is no entry of a map');
    }
    const holdsPrograms = map.definition.type === 'prog_array';
    if (holdsPrograms ? symbol.kind !== 'function' : symbol.section !== section) {
      throw corrupt(where, `${symbol.name} is no ${holdsPrograms ? 'program' : 'map'}`);
    }
    const index = (offset - map.values) / PLACE_BYTES;
    if (index >= map.definition.maxEntries) {
      throw corrupt(where, `map ${map.definition.name} has no entry ${index}`);
    }
    const own = entries.get(map) ?? [];
    own.push({ index, name: symbol.name });
    entries.set(map, own);
  }
  return maps.map((map) => {
    const initialEntries = entries.get(map);
    if (initialEntries === undefined) return map;
    const definition: MapDefinition = { ...map.definition, initialEntries };
    return { ...map, definition };
  });
}

/** The map whose definition a byte of the section is in, by bisection. */
function mapAt(sorted: readonly DefinedMap[], offset: number): DefinedMap | undefined {
  let first = 0;
  let end = sorted.length;
  while (first < end) {
    const middle = (first + end) >> 1;
    if (sorted[middle]!.offset <= offset) first = middle + 1;
    else end = middle;
  }
  const map = sorted[first - 1];
  return map !== undefined && offset < map.offset + map.size ? map : undefined;
}
