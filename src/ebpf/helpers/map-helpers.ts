import { EFAULT, EINVAL } from '../errno.js';
import type { Machine } from '../machine.js';
import type { EbpfMap, MapType } from '../maps/contract.js';
import type { Helper } from './contract.js';
import { argument, giveBack, pointerArgument, smallArgument } from './registers.js';

/** Types whose entries programs change, too. */
const KEYED: readonly MapType[] = [
  'hash',
  'array',
  'percpu_hash',
  'percpu_array',
  'lru_hash',
  'lru_percpu_hash',
  'lpm_trie',
];

/** Types whose entries programs look up. Of devmap, devmap_hash and xskmap they may only read the values. */
const LOOKED_UP: readonly MapType[] = [...KEYED, 'devmap', 'devmap_hash', 'xskmap', 'array_of_maps', 'hash_of_maps'];

const mapLookupElem: Helper = {
  name: 'map_lookup_elem',
  number: 1,
  arguments: ['map', 'map-key'],
  returns: 'map-value-or-null',
  mapTypes: LOOKED_UP,
  call(machine) {
    const map = mapArgument(machine);
    const key = map === undefined ? -1 : pointerArgument(machine, 2, map.definition.keySize);
    giveBack(machine, key < 0 ? 0 : map!.lookupAt(key));
  },
};

const mapUpdateElem: Helper = {
  name: 'map_update_elem',
  number: 2,
  arguments: ['map', 'map-key', 'map-value', 'anything'],
  returns: 'number',
  mapTypes: KEYED,
  call(machine) {
    giveBack(machine, update(machine));
  },
};

const mapDeleteElem: Helper = {
  name: 'map_delete_elem',
  number: 3,
  arguments: ['map', 'map-key'],
  returns: 'number',
  mapTypes: KEYED,
  call(machine) {
    giveBack(machine, remove(machine));
  },
};

const mapLookupPercpuElem: Helper = {
  name: 'map_lookup_percpu_elem',
  number: 195,
  arguments: ['map', 'map-key', 'anything'],
  returns: 'map-value-or-null',
  mapTypes: ['percpu_array', 'percpu_hash', 'lru_percpu_hash'],
  call(machine) {
    const map = mapArgument(machine);
    const key = map === undefined ? -1 : pointerArgument(machine, 2, map.definition.keySize);
    // Linux looks at the lower half of the CPU's number only.
    giveBack(machine, key < 0 ? 0 : map!.lookupOfCpuAt(key, argument(machine, 3) >>> 0));
  },
};

/** Helpers for the entries of maps. */
export const MAP_HELPERS: readonly Helper[] = [mapLookupElem, mapUpdateElem, mapDeleteElem, mapLookupPercpuElem];

function update(machine: Machine): number {
  const map = mapArgument(machine);
  const flags = smallArgument(machine, 4);
  if (map === undefined || flags < 0) return -EINVAL;
  const key = pointerArgument(machine, 2, map.definition.keySize);
  const value = pointerArgument(machine, 3, map.definition.valueSize);
  return key < 0 || value < 0 ? -EFAULT : map.updateAt(key, value, flags);
}

function remove(machine: Machine): number {
  const map = mapArgument(machine);
  if (map === undefined) return -EINVAL;
  const key = pointerArgument(machine, 2, map.definition.keySize);
  return key < 0 ? -EFAULT : map.deleteAt(key);
}

/** The map whose handle is the first argument, or undefined. */
export function mapArgument(machine: Machine): EbpfMap | undefined {
  return machine.map(smallArgument(machine, 1));
}
