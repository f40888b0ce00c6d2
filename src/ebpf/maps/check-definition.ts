import { PAGE_BYTES } from '../../arena/arena.js';
import { PacketError } from '../../errors.js';
import { ENOMEM } from '../errno.js';
import { type Machine, SCRATCH_BYTES } from '../machine.js';
import {
  BPF_F_INNER_MAP,
  BPF_F_MMAPABLE,
  BPF_F_NO_COMMON_LRU,
  BPF_F_NO_PREALLOC,
  BPF_F_NUMA_NODE,
  BPF_F_PRESERVE_ELEMS,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
  BPF_F_ZERO_SEED,
  type MapDefinition,
  type MapType,
} from './contract.js';

/** Lengths in bytes, from the least to the most. */
type Range = readonly [least: number, most: number];

/** What a type takes. */
interface Limits {
  readonly key: Range;
  readonly value: Range;
  /** Flags that it knows; any other is refused, as in Linux. */
  readonly flags: number;
}

/** Keys of hashes are looked at in the machine's scratch bytes; in Linux they may be longer. */
const ANY_KEY: Range = [1, SCRATCH_BYTES];
const ANY_VALUE: Range = [1, 2 ** 30];
const NONE: Range = [0, 0];
const WORD: Range = [4, 4];
/** A target, and perhaps a program (struct bpf_devmap_val, bpf_cpumap_val). */
const TARGET: Range = [4, 8];
/** Of an LPM trie: the prefix length, and 1 to 256 bytes to match. */
const TRIE_KEY: Range = [5, 260];

const CONTROL_ACCESS = BPF_F_RDONLY | BPF_F_WRONLY;
const ACCESS = CONTROL_ACCESS | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
const PER_CPU_HASH = BPF_F_NO_PREALLOC | BPF_F_ZERO_SEED | ACCESS;
const HASH = PER_CPU_HASH | BPF_F_NUMA_NODE;
const LISTED = BPF_F_NUMA_NODE | CONTROL_ACCESS;

const LIMITS: Readonly<Record<MapType, Limits>> = {
  hash: { key: ANY_KEY, value: ANY_VALUE, flags: HASH },
  array: { key: WORD, value: ANY_VALUE, flags: BPF_F_NUMA_NODE | ACCESS | BPF_F_MMAPABLE | BPF_F_INNER_MAP },
  prog_array: { key: WORD, value: WORD, flags: LISTED },
  perf_event_array: { key: WORD, value: WORD, flags: LISTED | BPF_F_PRESERVE_ELEMS },
  percpu_hash: { key: ANY_KEY, value: ANY_VALUE, flags: PER_CPU_HASH },
  percpu_array: { key: WORD, value: ANY_VALUE, flags: ACCESS },
  lru_hash: { key: ANY_KEY, value: ANY_VALUE, flags: (HASH & ~BPF_F_NO_PREALLOC) | BPF_F_NO_COMMON_LRU },
  lru_percpu_hash: { key: ANY_KEY, value: ANY_VALUE, flags: (PER_CPU_HASH & ~BPF_F_NO_PREALLOC) | BPF_F_NO_COMMON_LRU },
  lpm_trie: { key: TRIE_KEY, value: ANY_VALUE, flags: BPF_F_NO_PREALLOC | BPF_F_NUMA_NODE | ACCESS },
  array_of_maps: { key: WORD, value: WORD, flags: LISTED },
  hash_of_maps: { key: ANY_KEY, value: WORD, flags: HASH },
  devmap: { key: WORD, value: TARGET, flags: LISTED },
  cpumap: { key: WORD, value: TARGET, flags: BPF_F_NUMA_NODE },
  xskmap: { key: WORD, value: WORD, flags: LISTED },
  queue: { key: NONE, value: ANY_VALUE, flags: BPF_F_NUMA_NODE | ACCESS },
  stack: { key: NONE, value: ANY_VALUE, flags: BPF_F_NUMA_NODE | ACCESS },
  devmap_hash: { key: WORD, value: TARGET, flags: LISTED },
  ringbuf: { key: NONE, value: NONE, flags: BPF_F_NUMA_NODE },
};

/**
 * Whether a map can be made on a machine. What is checked here is known before anything is allocated.
 *
 * @throws PacketError MAP_UNSUPPORTED for sizes and flags that the type does not take, ARENA_EXHAUSTED for more than the machine has
 */
export function checkDefinition(machine: Machine, definition: MapDefinition): void {
  const { type, keySize, valueSize, maxEntries, flags, initialValue } = definition;
  const { key, value, flags: known } = LIMITS[type];
  checkSize(definition, 'entries', maxEntries, [type === 'perf_event_array' ? 0 : 1, 2 ** 31 - 1]);
  checkSize(definition, 'bytes of a value', valueSize, value);
  checkSize(definition, 'bytes of a key', keySize, key);
  if (value === TARGET && valueSize % 4 !== 0) throw unsupported(definition, 'its values have 4 or 8 bytes');
  if (type === 'ringbuf' && (maxEntries % PAGE_BYTES !== 0 || Math.log2(maxEntries) % 1 !== 0)) {
    throw unsupported(definition, `${maxEntries} bytes of records; they are a power of two, from ${PAGE_BYTES}`);
  }
  checkFlags(definition, flags, known);
  checkRoom(machine, definition);
  if (initialValue === undefined) return;
  if (type !== 'array' || initialValue.length > valueSize) {
    throw unsupported(definition, 'only an array can have an initial value, within its first entry');
  }
}

/** A map that the engine cannot make. */
export function unsupported({ name }: MapDefinition, why: string): PacketError {
  return new PacketError('MAP_UNSUPPORTED', `map ${name}: ${why}`, { remedy: 'change the definition of the map' });
}

/** A map that there is no memory for. */
export function noRoom({ name }: MapDefinition, why: string): PacketError {
  return new PacketError('ARENA_EXHAUSTED', `map ${name}: ${why}`, {
    errno: ENOMEM,
    remedy: 'use fewer or smaller entries, or give the machine more bytes',
  });
}

function checkSize(definition: MapDefinition, what: string, size: number, [least, most]: Range): void {
  if (Number.isInteger(size) && size >= least && size <= most) return;
  const range = least === most ? `${least}` : `${least} to ${most}`;
  throw unsupported(definition, `${size} ${what}; maps of type ${definition.type} take ${range}`);
}

function checkFlags(definition: MapDefinition, flags: number, known: number): void {
  const { type } = definition;
  if ((flags & known) !== flags) {
    throw unsupported(
      definition,
      `maps of type ${type} do not take the flags 0x${(flags - (flags & known)).toString(16)}`,
    );
  }
  if (type === 'lpm_trie' && (flags & BPF_F_NO_PREALLOC) === 0) {
    throw unsupported(definition, 'tries of prefixes want the flag BPF_F_NO_PREALLOC');
  }
  for (const both of [BPF_F_RDONLY | BPF_F_WRONLY, BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG]) {
    if ((flags & both) === both) throw unsupported(definition, 'it can be read only or written only, not both');
  }
}

/** Values lie in the machine's memory, and all bookkeeping takes no more than a few times as much. */
function checkRoom(machine: Machine, definition: MapDefinition): void {
  const { type, keySize, valueSize, maxEntries } = definition;
  const room = machine.high - machine.low;
  const bytes = type === 'ringbuf' ? 2 * maxEntries : maxEntries * (keySize + valueSize);
  if (bytes > room) throw noRoom(definition, `it takes ${bytes} bytes, and the machine has ${room}`);
}
