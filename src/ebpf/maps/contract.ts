/** Types of maps under the names that bpftool prints, with their numbers (enum bpf_map_type in linux/bpf.h). */
export const MAP_TYPES = {
  hash: 1,
  array: 2,
  prog_array: 3,
  perf_event_array: 4,
  percpu_hash: 5,
  percpu_array: 6,
  lru_hash: 9,
  lru_percpu_hash: 10,
  lpm_trie: 11,
  array_of_maps: 12,
  hash_of_maps: 13,
  devmap: 14,
  cpumap: 16,
  xskmap: 17,
  queue: 22,
  stack: 23,
  devmap_hash: 25,
  ringbuf: 27,
} as const;

export type MapType = keyof typeof MAP_TYPES;

// Flags of maps (linux/bpf.h).
/** Entries are allocated as they come; LPM tries demand it. */
export const BPF_F_NO_PREALLOC = 1 << 0;
/** Programs may only read it: `.rodata`. */
export const BPF_F_RDONLY_PROG = 1 << 7;
/** Programs may only write it. */
export const BPF_F_WRONLY_PROG = 1 << 8;
export const BPF_F_MMAPABLE = 1 << 10;

// Flags of updates (linux/bpf.h).
export const BPF_ANY = 0;
export const BPF_NOEXIST = 1;
export const BPF_EXIST = 2;

/** A map as a program asks for it. Programs of one object that share a map have the same definition object. */
export interface MapDefinition {
  readonly name: string;
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
  readonly initialEntries?: readonly { readonly index: number; readonly name: string }[];
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
  readonly definition: MapDefinition;
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
 * A map of this engine. Its values lie in the machine's program memory, where programs read and write them in place; its bookkeeping lies
 * where they cannot reach. Keys and values are named by arena offset; the caller has checked that they can be read in their whole length.
 * Nothing here throws or allocates.
 */
export interface EbpfMap extends MapContents {
  /** What programs hold for the map: its number in the machine (1 and up), which is no address. */
  readonly handle: number;
  /** Where the values of an array lie; undefined where each must be looked up. */
  readonly row: ValueRow | undefined;
  /** Arena offset of the value of the machine's current CPU, or 0. It stays the entry's place until the entry is deleted. */
  lookupAt(key: number): number;
  /** Sets the value of the machine's current CPU. Returns 0 or a negative errno: -E2BIG, -EEXIST, -ENOENT, -EINVAL. */
  updateAt(key: number, value: number, flags: number): number;
  /** Returns 0 or a negative errno: -ENOENT, -EINVAL. */
  deleteAt(key: number): number;
}
