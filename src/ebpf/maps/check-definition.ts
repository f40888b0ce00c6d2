import { PacketError } from '../../errors.js';
import { BPF_F_NO_PREALLOC, type MapDefinition, type MapType } from './contract.js';

/** Lengths in bytes, from the least to the most. */
type Range = readonly [least: number, most: number];

/** Most bytes of all keys of a map together. */
const MOST_KEY_BYTES = 2 ** 30;
/** Most bytes of a key (MAX_BPF_STACK), and of a value. */
const ANY_KEY: Range = [1, 512];
const ANY_VALUE: Range = [1, 2 ** 29];
const NONE: Range = [0, 0];
const WORD: Range = [4, 4];
/** A target, and perhaps a program (struct bpf_devmap_val, bpf_cpumap_val). */
const TARGET: Range = [4, 8];
/** Of an LPM trie: the prefix length, and 1 to 256 bytes to match. */
const TRIE_KEY: Range = [5, 260];

/** Lengths of keys and of values, by type. */
const SIZES: Record<MapType, readonly [key: Range, value: Range]> = {
  hash: [ANY_KEY, ANY_VALUE],
  array: [WORD, ANY_VALUE],
  prog_array: [WORD, WORD],
  perf_event_array: [WORD, WORD],
  percpu_hash: [ANY_KEY, ANY_VALUE],
  percpu_array: [WORD, ANY_VALUE],
  lru_hash: [ANY_KEY, ANY_VALUE],
  lru_percpu_hash: [ANY_KEY, ANY_VALUE],
  lpm_trie: [TRIE_KEY, ANY_VALUE],
  array_of_maps: [WORD, WORD],
  hash_of_maps: [ANY_KEY, WORD],
  devmap: [WORD, TARGET],
  cpumap: [WORD, TARGET],
  xskmap: [WORD, WORD],
  queue: [NONE, ANY_VALUE],
  stack: [NONE, ANY_VALUE],
  devmap_hash: [WORD, TARGET],
  ringbuf: [NONE, NONE],
};

/** @throws PacketError MAP_UNSUPPORTED for sizes and flags that the type does not take */
export function checkDefinition(definition: MapDefinition): void {
  const { type, keySize, valueSize, maxEntries, flags, initialValue } = definition;
  const [keys, values] = SIZES[type];
  checkSize(definition, 'entries', maxEntries, [1, 2 ** 30]);
  checkSize(definition, 'bytes of a value', valueSize, values);
  checkSize(definition, 'bytes of a key', keySize, keys);
  if (keySize * maxEntries > MOST_KEY_BYTES) {
    throw unsupported(definition, `its keys come to ${keySize * maxEntries} bytes, and ${MOST_KEY_BYTES} is the most`);
  }
  if (type === 'lpm_trie' && (flags & BPF_F_NO_PREALLOC) === 0) {
    throw unsupported(definition, 'tries of prefixes want the flag BPF_F_NO_PREALLOC');
  }
  if (values === TARGET && valueSize % 4 !== 0) throw unsupported(definition, 'its values have 4 or 8 bytes');
  if (initialValue === undefined) return;
  if (type !== 'array' || initialValue.length > valueSize) {
    throw unsupported(definition, 'only an array can have an initial value, within its first entry');
  }
}

/** A map that the engine cannot make. */
export function unsupported({ name }: MapDefinition, why: string): PacketError {
  return new PacketError('MAP_UNSUPPORTED', `map ${name}: ${why}`, { remedy: 'change the definition of the map' });
}

function checkSize(definition: MapDefinition, what: string, size: number, [least, most]: Range): void {
  if (Number.isInteger(size) && size >= least && size <= most) return;
  const range = least === most ? `${least}` : `${least} to ${most}`;
  throw unsupported(definition, `${size} ${what}; maps of type ${definition.type} take ${range}`);
}
