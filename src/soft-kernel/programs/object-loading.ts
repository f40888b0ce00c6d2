import type { Engine } from '../../ebpf/execution.js';
import type { Machine } from '../../ebpf/machine.js';
import { createMap } from '../../ebpf/maps/create-map.js';
import type { ProgramObject } from '../../ebpf/program.js';
import { verify } from '../../ebpf/verifier/verify.js';
import { chooseMaps, choosePrograms, enterNamed, mapsOf } from '../../kernel/object-choice.js';
import { bindingOf } from '../../kernel/program-binding.js';
import type { LoadOptions } from '../../kernel/programs.js';
import { checkOptionNames } from '../../options.js';
import { expectSoftMap, SoftMap } from './soft-map.js';
import { SoftObject } from './soft-object.js';
import { SoftProgram } from './soft-program.js';
import type { TestBench } from './test-bench.js';

/** Where objects are loaded. */
export interface LoadPlace {
  readonly machine: Machine;
  readonly engine: Engine;
  readonly bench: TestBench;
  /** @throws PacketError NO_INTERFACE */
  readonly device: (name: string) => unknown;
}

/**
 * Makes the maps of an object, verifies its programs as Linux would, and prepares them: all or none.
 *
 * @throws PacketError PROGRAM_REFUSED, MAP_UNSUPPORTED, NO_INTERFACE, INVALID_OPTION, ARENA_EXHAUSTED
 */
export function loadObject(place: LoadPlace, object: ProgramObject, options: LoadOptions = {}): SoftObject {
  checkOptionNames('loadObject', options, ['maps', 'programs', 'boundTo']);
  const { machine, engine, bench } = place;
  const wanted = choosePrograms(object, options.programs);
  for (const program of wanted) {
    const bound = bindingOf(program, options);
    if (bound !== undefined) place.device(bound);
    verify(program, { helpers: machine.helpers });
  }
  const given = chooseMaps(object, options.maps, (map, what) => expectSoftMap(map, what, machine));
  const maps = new Map<string, SoftMap>();
  const programs: SoftProgram[] = [];
  try {
    for (const definition of object.maps) {
      const { name } = definition;
      if (maps.has(name)) continue;
      const map = given.get(name) ?? new SoftMap(createMap(machine, definition), machine);
      if (given.has(name)) map.hold();
      maps.set(name, map);
    }
    for (const program of wanted) {
      const used = mapsOf(program, maps).map(({ map }) => map);
      programs.push(
        new SoftProgram(machine, engine.prepare({ program, maps: used }, machine), bench, bindingOf(program, options)),
      );
    }
    for (const definition of object.maps) {
      if (!given.has(definition.name)) enterNamed(definition, maps, programs);
    }
    return new SoftObject(programs, maps);
  } catch (error) {
    for (const one of [...programs, ...maps.values()]) one.close();
    throw error;
  }
}
