import { PacketError } from '../errors.js';
import type { Engine, Executable } from './execution.js';
import type { Machine } from './machine.js';
import { indexKey } from './maps/array-map.js';
import type { EbpfMap, MapDefinition } from './maps/contract.js';
import { createMap } from './maps/create-map.js';
import type { ProgramObject } from './program.js';

/** Programs of an object that are ready to run on a machine. */
export interface PreparedObject {
  /** In the order of the object's programs. */
  readonly executables: readonly Executable[];
  /** The maps that its programs use, in the order of the object. */
  readonly maps: readonly EbpfMap[];
}

/**
 * Makes the maps that an object's programs use, and those that they find in maps of maps, and prepares all its programs. What entries of
 * maps name is entered.
 *
 * @throws PacketError PROGRAM_REFUSED, MAP_UNSUPPORTED, ARENA_EXHAUSTED; PROGRAM_CORRUPT where an entry names nothing of the object
 */
export function prepareObject(object: ProgramObject, machine: Machine, engine: Engine): PreparedObject {
  const made = new Map<MapDefinition, EbpfMap>();
  for (const definition of usedMaps(object)) made.set(definition, createMap(machine, definition));
  const executables = object.programs.map((program) =>
    engine.prepare({ program, maps: program.maps.map((definition) => made.get(definition)!) }, machine),
  );
  const maps = object.maps.flatMap((definition) => made.get(definition) ?? []);
  for (const map of made.values()) {
    for (const { index, name } of map.definition.initialEntries ?? []) {
      const named = isMapOfMaps(map.definition)
        ? maps.find(({ definition }) => definition.name === name)?.handle
        : enterProgram(object, name, executables, machine);
      if (named === undefined) throw namesNothing(map.definition, index, name);
      map.update(indexKey(index), indexKey(named));
    }
  }
  return { executables, maps };
}

/** Maps that programs name, and maps that entries of those name. */
function usedMaps({ programs, maps }: ProgramObject): Set<MapDefinition> {
  const used = new Set(programs.flatMap((program) => program.maps));
  for (const definition of used) {
    if (!isMapOfMaps(definition)) continue;
    const names = new Set(definition.initialEntries?.map(({ name }) => name));
    for (const map of maps) if (names.has(map.name)) used.add(map);
  }
  return used;
}

function isMapOfMaps({ type }: MapDefinition): boolean {
  return type === 'array_of_maps' || type === 'hash_of_maps';
}

function enterProgram(
  { programs }: ProgramObject,
  name: string,
  executables: readonly Executable[],
  machine: Machine,
): number | undefined {
  const executable = executables[programs.findIndex((program) => program.name === name)];
  return executable === undefined ? undefined : machine.addProgram(executable);
}

function namesNothing(map: MapDefinition, index: number, name: string): PacketError {
  const what = isMapOfMaps(map) ? 'map' : 'program';
  return new PacketError(
    'PROGRAM_CORRUPT',
    `entry ${index} of map ${map.name} names ${name}, which is no ${what} of the object`,
    { remedy: `put the ${what} into the same object, or leave the entry to control code` },
  );
}
