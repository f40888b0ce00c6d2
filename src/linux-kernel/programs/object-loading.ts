import type { MapContents, MapDefinition } from '../../ebpf/maps/contract.js';
import type { Program, ProgramObject } from '../../ebpf/program.js';
import { PacketError } from '../../errors.js';
import type { LoadOptions } from '../../kernel/programs.js';
import { checkOptionNames } from '../../options.js';
import { didYouMean } from '../../suggestion.js';
import { Struct } from '../struct.js';
import type { SystemCalls } from '../system-calls.js';
import { expectLinuxMap, LinuxMap } from './linux-map.js';
import { type Closable, LinuxObject } from './loaded-object.js';
import { LinuxProgram } from './loaded-program.js';
import { mapDifference, shareByName } from './pinned-maps.js';

/** Where objects are loaded. */
export interface LoadPlace {
  readonly calls: SystemCalls;
  /** Folder of a BPF file system, in which maps lie that are shared by name. */
  readonly pinFolder: string;
  /** Told when the owner of an object has closed it. */
  readonly onClose: (object: LinuxObject) => void;
}

/**
 * Makes the maps of an object and loads its programs, all or none.
 *
 * @throws PacketError PROGRAM_REFUSED, MAP_UNSUPPORTED, INVALID_OPTION, NO_PRIVILEGE, SYSTEM_CALL
 */
export function loadObject(place: LoadPlace, object: ProgramObject, options: LoadOptions = {}): LinuxObject {
  checkOptionNames('loadObject', options, ['maps', 'programs']);
  const wanted = choosePrograms(object, options.programs);
  const given = chooseMaps(object, options.maps ?? {});
  const owned: Closable[] = [];
  try {
    const byName = new Map<string, LinuxMap>(given);
    for (const definition of object.maps) {
      if (byName.has(definition.name)) continue;
      const map = makeMap(place, definition);
      owned.push(map);
      byName.set(definition.name, map);
    }
    const programs: LinuxProgram[] = [];
    for (const program of wanted) {
      const loaded = new LinuxProgram(place.calls, program, mapsOf(program, byName));
      owned.push(loaded);
      programs.push(loaded);
    }
    for (const definition of object.maps) {
      if (!given.has(definition.name)) enterNamed(definition, byName, programs);
    }
    const maps: ReadonlyMap<string, MapContents> = byName;
    return new LinuxObject(programs, maps, owned, place.onClose);
  } catch (error) {
    for (const one of owned) one.close();
    throw error;
  }
}

function makeMap({ calls, pinFolder }: LoadPlace, definition: MapDefinition): LinuxMap {
  const isShared = definition.pinnedByName === true;
  return isShared ? shareByName(calls, pinFolder, definition) : LinuxMap.create(calls, definition);
}

function mapsOf({ name, maps }: Program, byName: ReadonlyMap<string, LinuxMap>): LinuxMap[] {
  return maps.map((definition) => {
    const map = byName.get(definition.name);
    if (map !== undefined) return map;
    throw new PacketError(
      'INVALID_OPTION',
      `program ${name} uses the map ${definition.name}, which the object has not`,
      {
        remedy: "list it among the object's maps",
      },
    );
  });
}

function choosePrograms({ programs }: ProgramObject, names: readonly string[] | undefined): readonly Program[] {
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

function chooseMaps({ maps }: ProgramObject, given: Readonly<Record<string, MapContents>>): Map<string, LinuxMap> {
  const chosen = new Map<string, LinuxMap>();
  for (const [name, contents] of Object.entries(given)) {
    const definition = maps.find((one) => one.name === name);
    const known = maps.map((one) => one.name);
    if (definition === undefined) {
      throw new PacketError('INVALID_OPTION', `maps: the object has no map ${name}${didYouMean(name, known)}`, {
        remedy: known.length === 0 ? 'it has none' : `it has ${known.join(', ')}`,
      });
    }
    const map = expectLinuxMap(contents, `maps.${name}`);
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

/** Entries at the start that are programs or maps. */
function enterNamed(
  definition: MapDefinition,
  maps: ReadonlyMap<string, LinuxMap>,
  programs: readonly LinuxProgram[],
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

function word(value: number): Uint8Array {
  return new Struct(4).u32(0, value).bytes;
}
