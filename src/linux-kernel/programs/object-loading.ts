import type { MapContents, MapDefinition } from '../../ebpf/maps/contract.js';
import type { ProgramObject } from '../../ebpf/program.js';
import { chooseMaps, choosePrograms, enterNamed, mapsOf } from '../../kernel/object-choice.js';
import { bindingOf } from '../../kernel/program-binding.js';
import type { LoadOptions } from '../../kernel/programs.js';
import { checkOptionNames } from '../../options.js';
import type { SystemCalls } from '../system-calls.js';
import { expectLinuxMap, LinuxMap } from './linux-map.js';
import { type Closable, LinuxObject } from './loaded-object.js';
import { LinuxProgram } from './loaded-program.js';
import { shareByName } from './pinned-maps.js';

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
  checkOptionNames('loadObject', options, ['maps', 'programs', 'boundTo']);
  const wanted = choosePrograms(object, options.programs);
  const given = chooseMaps(object, options.maps, expectLinuxMap);
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
      const loaded = new LinuxProgram(place.calls, program, mapsOf(program, byName), bindingOf(program, options));
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
