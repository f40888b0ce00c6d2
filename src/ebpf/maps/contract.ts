import type { Executable } from '../execution.js';

/** Types of maps under the names that bpftool prints, with their numbers (enum bpf_map_type in linux/bpf.h). */
export const MAP_TYPES = {
  /** Values by key. */
  hash: 1,
  /** Values by index, all there from the start. */
  array: 2,
  /** Programs to call by tail call, by index. */
  prog_array: 3,
  /** Records for control code, apart for each CPU. */
  perf_event_array: 4,
  /** Values by key, one for each CPU. */
  percpu_hash: 5,
  /** Values by index, one for each CPU. */
  percpu_array: 6,
  /** Values by key; the least recently used entry gives way to a new one. */
  lru_hash: 9,
  /** The same, with a value for each CPU. */
  lru_percpu_hash: 10,
  /** Values by prefix; a key finds the longest that it begins with. */
  lpm_trie: 11,
  /** Maps by index. */
  array_of_maps: 12,
  /** Maps by key. */
  hash_of_maps: 13,
  /** Interfaces to redirect to, by index. */
  devmap: 14,
  /** CPUs to redirect to, by number. */
  cpumap: 16,
  /** AF_XDP sockets to redirect to, by queue. */
  xskmap: 17,
  /** Values in order, the oldest first. */
  queue: 22,
  /** Values in order, the newest first. */
  stack: 23,
  /** Interfaces to redirect to, by key. */
  devmap_hash: 25,
  /** Records for control code, of all CPUs in one order. */
  ringbuf: 27,
} as const;

/** Name of a type of map. */
export type MapType = keyof typeof MAP_TYPES;

// Flags of maps (linux/bpf.h).
/** Entries are allocated as they come; LPM tries demand it. */
export const BPF_F_NO_PREALLOC = 1 << 0;
/** LRU hashes keep an order for each CPU; it changes nothing here. */
export const BPF_F_NO_COMMON_LRU = 1 << 1;
/** The definition names a NUMA node; it changes nothing here. */
export const BPF_F_NUMA_NODE = 1 << 2;
/** Control code may only read it. */
export const BPF_F_RDONLY = 1 << 3;
/** Control code may only write it. */
export const BPF_F_WRONLY = 1 << 4;
/** Hashes are the same in each run; it changes nothing here. */
export const BPF_F_ZERO_SEED = 1 << 6;
/** Programs may only read it: `.rodata`. */
export const BPF_F_RDONLY_PROG = 1 << 7;
/** Programs may only write it. */
export const BPF_F_WRONLY_PROG = 1 << 8;
/** Processes may map its values into their memory (arrays); it changes nothing here. */
export const BPF_F_MMAPABLE = 1 << 10;
/** Entries stay when the process that made them ends (perf_event_array); it changes nothing here. */
export const BPF_F_PRESERVE_ELEMS = 1 << 11;
/** Maps of maps may hold it whatever its number of entries is; here they may anyway. */
export const BPF_F_INNER_MAP = 1 << 12;

// Flags of updates (linux/bpf.h).
/** Set the value, whether or not the key has one. */
export const BPF_ANY = 0;
/** Only a new key. */
export const BPF_NOEXIST = 1;
/** Only a key that has a value. */
export const BPF_EXIST = 2;

/** An entry that names something of the same object. */
export interface InitialEntry {
  /** Which entry: its key, 32 bits. */
  readonly index: number;
  /** Name of the program or map. */
  readonly name: string;
}

/** A map as a program asks for it. Programs of one object that share a map have the same definition object. */
export interface MapDefinition {
  /** Name, of at most 15 characters in Linux. */
  readonly name: string;
  /** What kind of map it is. */
  readonly type: MapType;
  /** Bytes of a key. 0 for maps without keys (queue, stack, ringbuf). */
  readonly keySize: number;
  /** Bytes of a value, for one CPU. 0 for ringbuf. */
  readonly valueSize: number;
  /** Entries; bytes of data for ringbuf, a power of two and whole pages. */
  readonly maxEntries: number;
  /** BPF_F_… of map creation. */
  readonly flags: number;
  /** Bytes of the first entry at the start: global variables (`.data`, `.rodata`, `.bss`). */
  readonly initialValue?: Uint8Array;
  /** Nothing but its initial value may ever be in it: `.rodata`. Verifiers may then rely on its contents. */
  readonly frozen?: boolean;
  /** Entries at the start that are programs (prog_array) or maps (maps of maps) of the same object, by name. */
  readonly initialEntries?: readonly InitialEntry[];
  /** Of maps of maps: what each map in it is like. */
  readonly inner?: MapDefinition;
  /** Other loaders share it by its name in a BPF file system (LIBBPF_PIN_BY_NAME). */
  readonly pinnedByName?: boolean;
}

/**
 * Contents of a map as control code reads and writes them, in bytes; the same whichever kernel has the map. Keys and values have the
 * lengths of the definition, and numbers in them are little-endian. What is returned belongs to the caller, what is given is copied. In
 * maps with a value for each CPU a value is the values of all CPUs in a row, each rounded up to 8 bytes, as bpf(2) has it.
 *
 * Errors: INVALID_OPTION for a wrong length, MAP_UNSUPPORTED where the type lacks the operation.
 */
export interface MapContents {
  /** What was asked for. */
  readonly definition: MapDefinition;
  /** What an entry of a map of maps holds for it: 32 bits, little-endian. */
  readonly handle: number;
  /** The value, or undefined where the key has none. @throws PacketError */
  lookup(key: Uint8Array): Uint8Array | undefined;
  /**
   * Sets a value, in one step for each CPU where the value is of 8 bytes or less.
   *
   * @param flags BPF_ANY, or BPF_NOEXIST (only a new key), or BPF_EXIST (only a known one)
   * @throws PacketError MAP_FULL, MAP_ENTRY (it exists, or does not)
   */
  update(key: Uint8Array, value: Uint8Array, flags?: number): void;
  /** Sets many values, as `update` would; of those before a refused one each is set. @throws PacketError as `update` */
  updateAll(entries: Iterable<readonly [key: Uint8Array, value: Uint8Array]>): void;
  /** Removes an entry. Returns false where the key has none. @throws PacketError */
  delete(key: Uint8Array): boolean;
  /** Each entry that is there throughout, once; what comes or goes meanwhile may be among them or not. @throws PacketError */
  entries(): IterableIterator<[key: Uint8Array, value: Uint8Array]>;
  /** Gives back what holds the map. Programs must not use it any more. */
  close(): void;
}

/** Values in a row, so that engines find them without a call: value i is at `first` + i · `stride`, for keys of 4 bytes below maxEntries. */
export interface ValueRow {
  /** Arena offset of value 0 (of the first CPU). */
  readonly first: number;
  /** Bytes from one value to the next, a multiple of 8. */
  readonly stride: number;
}

/**
 * Where XDP_REDIRECT leads by a map: devmap, devmap_hash, cpumap and xskmap. The caller of programs asks for it, for each packet that was
 * redirected by the map; nothing here throws or allocates.
 */
export interface RedirectTargets {
  /** Entry of a key, such as a packet record's, or -1; any 32 bits may be given. Entries are numbers below maxEntries. */
  entryOf(key: number): number;
  /** The entry after another one, or -1; -1 begins. For packets that go to all of them. */
  nextEntry(entry: number): number;
  /** Of an entry that there is: index of the interface, length of the CPU's queue in packets, or number of the socket. */
  targetOf(entry: number): number;
  /** Of an entry that there is: the program that the packet goes through on its way, or undefined. */
  programOf(entry: number): Executable | undefined;
}

/**
 * Records that programs put out for control code: ringbuf and perf_event_array. It is read on the machine's thread, between runs.
 */
export interface RecordSource {
  /** The oldest record, which is the caller's from then on; undefined where there is none. */
  read(): Uint8Array | undefined;
  /** How many records found no room, since the map was made. */
  readonly lost: number;
}

/**
 * A map of this engine. Its values lie in the machine's program memory, where programs read and write them in place; its bookkeeping lies
 * where they cannot reach. Keys and values are named by arena offset; the caller has checked that they can be read in their whole length.
 * Nothing here throws or allocates.
 */
export interface EbpfMap extends MapContents {
  /** What programs hold for the map: its number in the machine (1 and up), which is no address. */
  readonly handle: number;
  /** Where the values of an array lie; undefined where each must be looked up. */
  readonly row: ValueRow | undefined;
  /**
   * Arena offset of the value of the machine's current CPU, or 0. It stays the entry's place until the entry is deleted. Of maps of maps
   * it is the handle of the map.
   */
  lookupAt(key: number): number;
  /** The same for any CPU of the machine; 0 where there is no such CPU, or the type has no values of their own for each. */
  lookupOfCpuAt(key: number, cpu: number): number;
  /** Sets the value of the machine's current CPU. Returns 0 or a negative errno: -E2BIG (tries: -ENOSPC), -EEXIST, -ENOENT, -EINVAL. */
  updateAt(key: number, value: number, flags: number): number;
  /** Returns 0 or a negative errno: -ENOENT, -EINVAL. */
  deleteAt(key: number): number;
  /** The entry after another one that there is, or -1; -1 begins. Entries stay where they are until they are deleted. */
  nextEntry(entry: number): number;
  /** Copies the key of an entry that there is to an arena offset. */
  copyKey(entry: number, to: number): void;
  /** What `lookupAt` finds for the key of an entry that there is. */
  valueOf(entry: number): number;
}
