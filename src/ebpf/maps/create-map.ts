import { PacketError } from '../../errors.js';
import type { Machine } from '../machine.js';
import { ArrayMap } from './array-map.js';
import { BPF_F_NO_PREALLOC, type EbpfMap, type MapDefinition, type MapType } from './contract.js';
import { HashMap } from './hash-map.js';
import { LpmTrieMap } from './lpm-trie-map.js';
import { LruHashMap } from './lru-hash-map.js';
import { ProgramArrayMap } from './program-array-map.js';

type MapClass = new (machine: Machine, handle: number, definition: MapDefinition) => EbpfMap;

const CLASSES: Partial<Record<MapType, MapClass>> = {
  array: ArrayMap,
  percpu_array: ArrayMap,
  hash: HashMap,
  percpu_hash: HashMap,
  lru_hash: LruHashMap,
  lru_percpu_hash: LruHashMap,
  lpm_trie: LpmTrieMap,
  prog_array: ProgramArrayMap,
};

/** Most bytes of all keys of a map together. */
const MOST_KEY_BYTES = 2 ** 30;
/** Most bytes of a key (MAX_BPF_STACK), and of a value. */
const MOST_KEY_SIZE = 512;
const MOST_VALUE_SIZE = 2 ** 29;
/** Of an LPM trie: the prefix length, and 1 to 256 bytes to match. */
const TRIE_KEY_SIZES = { least: 5, most: 260 };

/**
 * Makes a map on a machine, empty but for its initial value. `close` gives its memory back.
 *
 * @throws PacketError MAP_UNSUPPORTED for a type that the engine does not have, or sizes and flags that the type does not take;
 *   ARENA_EXHAUSTED
 */
export function createMap(machine: Machine, definition: MapDefinition): EbpfMap {
  const Class = CLASSES[definition.type];
  if (Class === undefined) throw unsupported(definition, `the engine has no maps of type ${definition.type}`);
  checkSizes(definition);
  return machine.addMap((handle) => new Class(machine, handle, definition));
}

function checkSizes(definition: MapDefinition): void {
  const { type, keySize, valueSize, maxEntries, flags, initialValue } = definition;
  const isArray = type === 'array' || type === 'percpu_array' || type === 'prog_array';
  checkSize(definition, 'entries', maxEntries, 1, 2 ** 30);
  checkSize(
    definition,
    'bytes of a value',
    valueSize,
    type === 'prog_array' ? 4 : 1,
    type === 'prog_array' ? 4 : MOST_VALUE_SIZE,
  );
  if (isArray) checkSize(definition, 'bytes of a key', keySize, 4, 4);
  else if (type === 'lpm_trie')
    checkSize(definition, 'bytes of a key', keySize, TRIE_KEY_SIZES.least, TRIE_KEY_SIZES.most);
  else checkSize(definition, 'bytes of a key', keySize, 1, MOST_KEY_SIZE);
  if (keySize * maxEntries > MOST_KEY_BYTES) {
    throw unsupported(definition, `its keys come to ${keySize * maxEntries} bytes, and ${MOST_KEY_BYTES} is the most`);
  }
  if (type === 'lpm_trie' && (flags & BPF_F_NO_PREALLOC) === 0) {
    throw unsupported(definition, 'tries of prefixes want the flag BPF_F_NO_PREALLOC');
  }
  if (initialValue === undefined) return;
  if (type !== 'array' || initialValue.length > valueSize) {
    throw unsupported(definition, 'only an array can have an initial value, within its first entry');
  }
}

function checkSize(definition: MapDefinition, what: string, size: number, least: number, most: number): void {
  if (Number.isInteger(size) && size >= least && size <= most) return;
  const range = least === most ? `${least}` : `${least} to ${most}`;
  throw unsupported(definition, `${size} ${what}; maps of type ${definition.type} take ${range}`);
}

function unsupported({ name }: MapDefinition, why: string): PacketError {
  return new PacketError('MAP_UNSUPPORTED', `map ${name}: ${why}`, { remedy: 'change the definition of the map' });
}
