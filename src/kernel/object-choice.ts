import type { MapContents, MapDefinition } from '../ebpf/maps/contract.js';
import type { Program, ProgramObject } from '../ebpf/program.js';
import { PacketError } from '../errors.js';
import { didYouMean } from '../suggestion.js';
import type { LoadOptions } from './programs.js';

// What both kernels make of the options that an object is loaded with.

/** The programs to load. @throws PacketError INVALID_OPTION for a name that the object does not have */
export function choosePrograms({ programs }: ProgramObject, names: LoadOptions['programs']): readonly Program[] {
  if (names === undefined) return programs;
  const known = programs.map(({ name }) => name);
  return names.map((name) => {
    const program = programs.find((one) => one.name === name);
    if (program !== undefined) return program;
    throw new PacketError('INVALID_OPTION', `programs: the object has no program ${name}${didYouMean(name, known)}`, {
      remedy: known.length === 0 ? 'it has none' : `it has ${known.join(', ')}`,
    });
  });
}

/**
 * The maps that are given in the place of the object's, by name.
 *
 * @param expect checks that a map is of the kernel; `what` names it in messages
 * @throws PacketError INVALID_OPTION for a name that the object does not have, or a map that is unlike its own
 */
export function chooseMaps<Kind extends MapContents>(
  { maps }: ProgramObject,
  given: LoadOptions['maps'],
  expect: (map: MapContents, what: string) => Kind,
): Map<string, Kind> {
  const chosen = new Map<string, Kind>();
  for (const [name, contents] of Object.entries(given ?? {})) {
    const definition = maps.find((one) => one.name === name);
    const known = maps.map((one) => one.name);
    if (definition === undefined) {
      throw new PacketError('INVALID_OPTION', `maps: the object has no map ${name}${didYouMean(name, known)}`, {
        remedy: known.length === 0 ? 'it has none' : `it has ${known.join(', ')}`,
      });
    }
    const map = expect(contents, `maps.${name}`);
    const difference = mapDifference(map.definition, definition);
    if (difference !== undefined) {
      throw new PacketError('INVALID_OPTION', `maps.${name}: it cannot stand in for the object's: ${difference}`, {
        remedy: 'give a map with the same type and sizes',
      });
    }
    chosen.set(name, map);
  }
  return chosen;
}

/** Why one map cannot stand in for another; undefined where it can. */
export function mapDifference(given: MapDefinition, wanted: MapDefinition): string | undefined {
  for (const field of ['type', 'keySize', 'valueSize'] as const) {
    if (given[field] !== wanted[field]) return `its ${field} is ${given[field]}, and ${wanted[field]} is wanted`;
  }
  return undefined;
}

/** The maps of a program, in its order. @throws PacketError INVALID_OPTION for one that the object does not have */
export function mapsOf<Kind>({ name, maps }: Program, byName: ReadonlyMap<string, Kind>): Kind[] {
  return maps.map((definition) => {
    const map = byName.get(definition.name);
    if (map !== undefined) return map;
    throw new PacketError(
      'INVALID_OPTION',
      `program ${name} uses the map ${definition.name}, which the object has not`,
      { remedy: "list it among the object's maps" },
    );
  });
}

/** Enters the programs or maps that a map holds from the start. @throws PacketError INVALID_OPTION for one that is not there */
export function enterNamed(
  definition: MapDefinition,
  maps: ReadonlyMap<string, MapContents>,
  programs: readonly { readonly program: Program; readonly handle: number }[],
): void {
  const { name, type, initialEntries = [] } = definition;
  for (const entry of initialEntries) {
    const isProgram = type === 'prog_array';
    const target = isProgram ? programs.find(({ program }) => program.name === entry.name) : maps.get(entry.name);
    if (target === undefined) {
      const what = isProgram ? 'program' : 'map';
      throw new PacketError('INVALID_OPTION', `map ${name}: its entry ${entry.index} names the ${what} ${entry.name}`, {
        remedy: `the object has no such ${what}, or it is not to be loaded`,
      });
    }
    maps.get(name)!.update(word(entry.index), word(target.handle));
  }
}

/** 32 bits, little-endian. */
function word(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}
