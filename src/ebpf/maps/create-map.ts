import type { Machine } from '../machine.js';
import { ArrayMap } from './array-map.js';
import { checkDefinition, noRoom } from './check-definition.js';
import type { EbpfMap, MapDefinition, MapType, RecordSource, RedirectTargets } from './contract.js';
import { HashMap } from './hash-map.js';
import { LpmTrieMap } from './lpm-trie-map.js';
import { LruHashMap } from './lru-hash-map.js';
import { MapOfMaps } from './map-of-maps.js';
import { PerfEventMap } from './perf-event-map.js';
import { ProgramArrayMap } from './program-array-map.js';
import { QueueMap } from './queue-map.js';
import { RedirectMap } from './redirect-map.js';
import { RingBufferMap } from './ring-buffer-map.js';

/** What `createMap` makes of a type. */
export type MapOfType<Type extends MapType> = Type extends 'devmap' | 'devmap_hash' | 'cpumap' | 'xskmap'
  ? EbpfMap & RedirectTargets
  : Type extends 'ringbuf' | 'perf_event_array'
    ? EbpfMap & RecordSource
    : EbpfMap;

type MapClass = new (machine: Machine, handle: number, definition: MapDefinition) => EbpfMap;

const CLASSES: Readonly<Record<MapType, MapClass>> = {
  array: ArrayMap,
  percpu_array: ArrayMap,
  hash: HashMap,
  percpu_hash: HashMap,
  lru_hash: LruHashMap,
  lru_percpu_hash: LruHashMap,
  lpm_trie: LpmTrieMap,
  prog_array: ProgramArrayMap,
  devmap: RedirectMap,
  devmap_hash: RedirectMap,
  cpumap: RedirectMap,
  xskmap: RedirectMap,
  array_of_maps: MapOfMaps,
  hash_of_maps: MapOfMaps,
  queue: QueueMap,
  stack: QueueMap,
  ringbuf: RingBufferMap,
  perf_event_array: PerfEventMap,
};

/**
 * Makes a map on a machine, empty but for its initial value. `close` gives its memory back.
 *
 * @throws PacketError MAP_UNSUPPORTED for sizes and flags that the type does not take;
 *   ARENA_EXHAUSTED where there is no memory for it
 */
export function createMap<Type extends MapType>(
  machine: Machine,
  definition: MapDefinition & { readonly type: Type },
): MapOfType<Type> {
  const Class = CLASSES[definition.type];
  checkDefinition(machine, definition);
  try {
    return machine.addMap((handle) => new Class(machine, handle, definition)) as MapOfType<Type>;
  } catch (error) {
    if (error instanceof RangeError) throw noRoom(definition, 'no memory left for its keys');
    throw error;
  }
}
