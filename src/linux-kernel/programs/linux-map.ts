import { BPF_ANY, type MapContents, type MapDefinition, type MapType } from '../../ebpf/maps/contract.js';
import { checkBytes, refuseFlags, refuseFrozen } from '../../ebpf/maps/map-errors.js';
import { PacketError } from '../../errors.js';
import { BPF_MAP_FREEZE, EINVAL, ENOENT, ENOSPC, ENOTSUPP, EOPNOTSUPP } from '../constants.js';
import { Struct } from '../struct.js';
import type { SystemCalls } from '../system-calls.js';
import { bpfError } from './bpf-error.js';
import { MapAccess } from './map-access.js';
import { createMap } from './map-creation.js';
import { lookupError, updateError } from './map-entry-errors.js';
import { countPossibleCpus } from './possible-cpus.js';

const PER_CPU: ReadonlySet<MapType> = new Set(['percpu_hash', 'percpu_array', 'lru_percpu_hash']);
/** Maps that tell nothing about an entry that they did not have when it is deleted. */
const SILENT: ReadonlySet<MapType> = new Set(['devmap', 'devmap_hash', 'cpumap', 'array_of_maps', 'prog_array']);
/** What a kernel says that has no batches, or none for the type of map. */
const NO_BATCHES: ReadonlySet<number> = new Set([-EINVAL, -ENOTSUPP, -EOPNOTSUPP]);
/** Entries of a batch at first, and bytes that one takes at most. */
const BATCH_ENTRIES = 1024;
const BATCH_BYTES = 2 ** 24;

/**
 * A map in the Linux kernel. It lives as long as programs, pins and descriptors name it; this is one descriptor.
 *
 * Where the kernel's maps differ from each other: a map of programs or maps takes descriptors and gives identifiers; one of sockets gives
 * nothing back (MAP_UNSUPPORTED) and does not tell whether it had what was deleted; in queues and stacks, which have keys of no bytes,
 * `update` puts a value in, `lookup` shows the next one, and `delete` takes it out.
 */
export class LinuxMap implements MapContents {
  readonly definition: MapDefinition;
  readonly #calls: SystemCalls;
  readonly #descriptor: number;
  readonly #access: MapAccess;
  readonly #valueBytes: number;
  #batches = true;
  #closed = false;

  /** @param descriptor of a map that is like the definition; it is this object's from now on */
  constructor(calls: SystemCalls, definition: MapDefinition, descriptor: number) {
    this.#calls = calls;
    this.definition = definition;
    this.#descriptor = descriptor;
    const { type, keySize, valueSize } = definition;
    this.#valueBytes = PER_CPU.has(type) ? Math.ceil(valueSize / 8) * 8 * countPossibleCpus() : valueSize;
    this.#access = new MapAccess(calls, descriptor, keySize, this.#valueBytes);
  }

  /** Makes a map with its initial value. @throws PacketError MAP_UNSUPPORTED, NO_PRIVILEGE, SYSTEM_CALL */
  static create(calls: SystemCalls, definition: MapDefinition): LinuxMap {
    const map = new LinuxMap(calls, definition, createMap(calls, definition));
    try {
      map.#initialize();
      return map;
    } catch (error) {
      map.close();
      throw error;
    }
  }

  /** Its descriptor. @throws PacketError WRONG_STATE */
  get handle(): number {
    this.#open();
    return this.#descriptor;
  }

  lookup(key: Uint8Array): Uint8Array | undefined {
    this.#check(key);
    const value = new Struct(this.#valueBytes);
    const result = this.#access.lookup(key, value);
    if (result === -ENOENT) return undefined;
    if (result < 0) throw lookupError(this.definition, -result);
    return value.bytes;
  }

  update(key: Uint8Array, value: Uint8Array, flags: number = BPF_ANY): void {
    this.#check(key, value);
    refuseFlags(flags);
    refuseFrozen(this.definition);
    const result = this.#access.update(key, value, flags);
    if (result < 0) throw updateError(this.definition, -result);
  }

  updateAll(entries: Iterable<readonly [key: Uint8Array, value: Uint8Array]>): void {
    const most = this.#batchEntries(BATCH_ENTRIES);
    let batch: (readonly [key: Uint8Array, value: Uint8Array])[] = [];
    for (const entry of entries) {
      batch.push(entry);
      if (batch.length < most) continue;
      this.#updateBatch(batch);
      batch = [];
    }
    this.#updateBatch(batch);
  }

  delete(key: Uint8Array): boolean {
    this.#check(key);
    refuseFrozen(this.definition);
    const { type } = this.definition;
    if (SILENT.has(type) && this.lookup(key) === undefined) return false;
    const isOrder = type === 'queue' || type === 'stack';
    const result = isOrder ? this.#access.take(new Struct(this.#valueBytes)) : this.#access.delete(key);
    if (result === -ENOENT) return false;
    if (result >= 0) return true;
    if (result !== -EINVAL) throw lookupError(this.definition, -result);
    throw new PacketError(
      'MAP_UNSUPPORTED',
      `map ${this.definition.name}: entries of type ${type} cannot be removed, or not by such a key`,
      { syscall: 'bpf BPF_MAP_DELETE_ELEM', errno: EINVAL, remedy: 'set the value to zeros instead' },
    );
  }

  *entries(): IterableIterator<[key: Uint8Array, value: Uint8Array]> {
    const { keySize } = this.definition;
    let room = this.#batchEntries(BATCH_ENTRIES);
    let from: Struct | undefined;
    for (let isLast = false; !isLast; ) {
      this.#open();
      const batch = this.#access.lookupBatch(from, room);
      if (batch === -ENOSPC) {
        room *= 2; // the entries of one bucket come together
        continue;
      }
      if (typeof batch === 'number') {
        if (from !== undefined || !NO_BATCHES.has(batch)) throw lookupError(this.definition, -batch);
        yield* this.#entriesOneByOne();
        return;
      }
      const { keys, values, count, next } = batch;
      for (let i = 0; i < count; i++) {
        const value = values.bytes.slice(i * this.#valueBytes, (i + 1) * this.#valueBytes);
        yield [keys.bytes.slice(i * keySize, (i + 1) * keySize), value];
      }
      from = next;
      isLast = next === undefined;
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#calls.close(this.#descriptor);
  }

  #open(): void {
    if (!this.#closed) return;
    throw new PacketError('WRONG_STATE', `map ${this.definition.name} is closed`, {
      remedy: 'use it before the object that it belongs to is closed',
    });
  }

  #check(key: Uint8Array, value?: Uint8Array): void {
    this.#open();
    checkBytes(this.definition, 'key', key, this.definition.keySize);
    if (value !== undefined) checkBytes(this.definition, 'value', value, this.#valueBytes);
  }

  #batchEntries(wanted: number): number {
    return Math.max(1, Math.min(wanted, Math.floor(BATCH_BYTES / (this.definition.keySize + this.#valueBytes || 1))));
  }

  #updateBatch(batch: readonly (readonly [key: Uint8Array, value: Uint8Array])[]): void {
    if (batch.length === 0) return;
    for (const [key, value] of batch) this.#check(key, value);
    refuseFrozen(this.definition);
    if (this.#batches && batch.length > 1) {
      const result = this.#access.updateBatch(batch);
      if (result >= 0) return;
      this.#batches = !NO_BATCHES.has(result);
    }
    // One by one also after an error, which then tells the entry; those that are set already are set once more.
    for (const [key, value] of batch) this.update(key, value);
  }

  /** For maps without batches. A deleted key sends the kernel's walk back to the start. */
  *#entriesOneByOne(): IterableIterator<[key: Uint8Array, value: Uint8Array]> {
    const seen = new Set<string>();
    const { keySize, maxEntries } = this.definition;
    let key: Struct | undefined;
    // Bounded, in case that programs delete and add without end.
    for (let steps = 0; steps < 4 * (maxEntries + 1); steps++) {
      this.#open();
      const next = new Struct(keySize);
      const result = this.#access.nextKey(key, next);
      if (result === -ENOENT) return;
      if (result < 0) throw lookupError(this.definition, -result);
      key = next;
      const name = next.bytes.toString();
      if (seen.has(name)) continue;
      seen.add(name);
      const value = this.lookup(next.bytes);
      if (value !== undefined) yield [next.bytes.slice(), value];
    }
  }

  /** Global variables; of constants the verifier wants that nobody can change them. */
  #initialize(): void {
    const { name, initialValue, frozen, valueSize } = this.definition;
    if (initialValue !== undefined) {
      if (initialValue.length > valueSize) {
        throw new PacketError('MAP_UNSUPPORTED', `map ${name}: an initial value of ${initialValue.length} bytes`, {
          remedy: `it has room for ${valueSize}`,
        });
      }
      const value = new Uint8Array(valueSize);
      value.set(initialValue);
      const result = this.#access.update(new Uint8Array(this.definition.keySize), value, BPF_ANY);
      if (result < 0) throw updateError(this.definition, -result);
    }
    if (frozen !== true) return;
    const result = this.#calls.bpf(BPF_MAP_FREEZE, new Struct(4).u32(0, this.#descriptor));
    if (result < 0) throw bpfError('BPF_MAP_FREEZE', -result, `make the map ${name} constant`);
  }
}

/** The map as this kernel's own. @param what how messages call it @throws PacketError INVALID_OPTION where it is another kernel's */
export function expectLinuxMap(map: MapContents, what: string): LinuxMap {
  if (map instanceof LinuxMap) return map;
  throw new PacketError('INVALID_OPTION', `${what}: it is no map in the Linux kernel`, {
    remedy: 'give one of an object that the Linux kernel has loaded, or one that openPinnedMap has opened',
  });
}
