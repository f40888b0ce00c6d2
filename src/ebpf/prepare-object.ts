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
 * Makes the maps that an object's programs use, and prepares all its programs. Programs that entries of maps name are entered.
 *
 * @throws PacketError PROGRAM_REFUSED, MAP_UNSUPPORTED, ARENA_EXHAUSTED; PROGRAM_CORRUPT where an entry names no program of the object
 */
export function prepareObject(object: ProgramObject, machine: Machine, engine: Engine): PreparedObject {
  const used = new Set(object.programs.flatMap(({ maps }) => maps));
  const made = new Map<MapDefinition, EbpfMap>();
  for (const definition of used) made.set(definition, createMap(machine, definition));
  const executables = object.programs.map((program) =>
    engine.prepare({ program, maps: program.maps.map((definition) => made.get(definition)!) }, machine),
  );
  for (const map of made.values()) enterPrograms(object, map, executables, machine);
  return { executables, maps: object.maps.flatMap((definition) => made.get(definition) ?? []) };
}

function enterPrograms(
  { programs }: ProgramObject,
  map: EbpfMap,
  executables: readonly Executable[],
  machine: Machine,
): void {
  const { name: mapName, initialEntries = [] } = map.definition;
  for (const { index, name } of initialEntries) {
    const executable = executables[programs.findIndex((program) => program.name === name)];
    if (executable === undefined) {
      throw new PacketError(
        'PROGRAM_CORRUPT',
        `entry ${index} of map ${mapName} names ${name}, which is no program of the object`,
        {
          remedy: 'put the program into the same object, or leave the entry to control code',
        },
      );
    }
    map.update(indexKey(index), indexKey(machine.addProgram(executable)));
  }
}
