import type { Part } from '../../arena/free-parts.js';
import { PacketError } from '../../errors.js';
import { EINVAL } from '../errno.js';
import { CONTROL_CPU } from '../execution.js';
import type { Machine } from '../machine.js';
import { clearBytes, copyBytes } from '../small-copies.js';
import { BPF_ANY, BPF_F_RDONLY_PROG, type EbpfMap, type MapDefinition, type ValueRow } from './contract.js';
import { checkBytes, entryError, refuseFlags, refuseReading, refuseWriting } from './map-errors.js';

/**
 * A map whose values lie in program memory, entry after entry, with a value for each CPU where its type says so:
 *
 *     | entry 0: value of CPU 0, value of CPU 1, ... | entry 1: ... |
 *
 * What keys belong to which entry is for the types to know. They get keys at multiples of 4 in the arena; others, and those of control code,
 * are copied to the machine's scratch bytes before.
 */
export abstract class StoredMap implements EbpfMap {
  readonly definition: MapDefinition;
  readonly handle: number;
  readonly row: ValueRow | undefined = undefined;
  protected readonly machine: Machine;
  readonly #isPerCpu: boolean;
  /** Values of an entry: 1, or one for each CPU. */
  readonly #cpus: number;
  /** Bytes of a value, rounded up to 8. */
  readonly #stride: number;
  readonly #values: Part;
  /** Bytes of an entry's values as control code reads and writes them. */
  readonly #contentBytes: number;

  /**
   * @param perCpu whether an entry has a value for each CPU
   * @throws PacketError ARENA_EXHAUSTED
   */
  constructor(machine: Machine, handle: number, definition: MapDefinition, perCpu: boolean) {
    this.machine = machine;
    this.handle = handle;
    this.definition = definition;
    this.#isPerCpu = perCpu;
    this.#cpus = perCpu ? machine.cpus : 1;
    this.#stride = Math.ceil(definition.valueSize / 8) * 8;
    this.#values = machine.allocate(definition.maxEntries * this.#cpus * this.#stride);
    this.#contentBytes = perCpu ? this.#cpus * this.#stride : definition.valueSize;
  }

  /** The entry of a key, or -1. */
  protected abstract find(key: number): number;
  /** The entry of a key to write the value of, made where there was none; or a negative errno. */
  protected abstract take(key: number, flags: number): number;
  /** Removes the entry of a key. Returns 0 or a negative errno. */
  protected abstract remove(key: number): number;
  abstract nextEntry(entry: number): number;
  abstract copyKey(entry: number, to: number): void;
  /** The key of an entry that there is. */
  protected abstract keyOf(entry: number): Uint8Array;

  lookupAt(key: number): number {
    const entry = this.find(this.alignedKey(key));
    return entry < 0 ? 0 : this.valueOf(entry);
  }

  lookupOfCpuAt(key: number, cpu: number): number {
    if (!this.#isPerCpu || cpu >= this.#cpus) return 0;
    const entry = this.find(this.alignedKey(key));
    return entry < 0 ? 0 : this.entryValues(entry) + cpu * this.#stride;
  }

  updateAt(key: number, value: number, flags: number): number {
    if (this.#isReadOnly()) return -EINVAL;
    const entry = this.take(this.alignedKey(key), flags);
    if (entry < 0) return entry;
    copyBytes(this.machine.arena.u8, this.valueOf(entry), value, this.definition.valueSize);
    return 0;
  }

  deleteAt(key: number): number {
    return this.#isReadOnly() ? -EINVAL : this.remove(this.alignedKey(key));
  }

  valueOf(entry: number): number {
    if (this.#cpus === 1) return this.entryValues(entry);
    const cpu = this.machine.arena.i32[(this.machine.control >> 2) + CONTROL_CPU]!;
    return this.entryValues(entry) + cpu * this.#stride;
  }

  lookup(key: Uint8Array): Uint8Array | undefined {
    checkBytes(this.definition, 'key', key, this.definition.keySize);
    refuseReading(this.definition);
    const entry = this.find(this.placeKey(key));
    return entry < 0 ? undefined : this.#contents(entry);
  }

  update(key: Uint8Array, value: Uint8Array, flags: number = BPF_ANY): void {
    checkBytes(this.definition, 'key', key, this.definition.keySize);
    checkBytes(this.definition, 'value', value, this.#contentBytes);
    refuseFlags(flags);
    refuseWriting(this.definition);
    const entry = this.take(this.placeKey(key), flags);
    if (entry < 0) throw entryError(this.definition, -entry);
    this.machine.arena.u8.set(value, this.entryValues(entry));
  }

  updateAll(entries: Iterable<readonly [key: Uint8Array, value: Uint8Array]>): void {
    for (const [key, value] of entries) this.update(key, value);
  }

  delete(key: Uint8Array): boolean {
    checkBytes(this.definition, 'key', key, this.definition.keySize);
    refuseWriting(this.definition);
    const result = this.remove(this.placeKey(key));
    if (result === -EINVAL) {
      throw new PacketError(
        'MAP_UNSUPPORTED',
        `map ${this.definition.name}: entries of type ${this.definition.type} cannot be removed, or not by such a key`,
        { remedy: 'set the value to zeros instead' },
      );
    }
    return result === 0;
  }

  *entries(): IterableIterator<[key: Uint8Array, value: Uint8Array]> {
    refuseReading(this.definition);
    for (let entry = this.nextEntry(-1); entry >= 0; entry = this.nextEntry(entry)) {
      yield [this.keyOf(entry), this.#contents(entry)];
    }
  }

  close(): void {
    this.machine.removeMap(this.handle);
    this.machine.free(this.#values);
  }

  /** Arena offset of a key, a multiple of 4. */
  protected alignedKey(key: number): number {
    if ((key & 3) === 0) return key;
    const { arena, scratch } = this.machine;
    copyBytes(arena.u8, scratch, key, this.definition.keySize);
    return scratch;
  }

  /** Copies a key of control code to the arena. Returns where it is. */
  protected placeKey(key: Uint8Array): number {
    const { arena, scratch } = this.machine;
    arena.u8.set(key, scratch);
    return scratch;
  }

  /** Arena offset of the first value of an entry. */
  protected entryValues(entry: number): number {
    return this.#values.offset + entry * this.#cpus * this.#stride;
  }

  /** Makes all values of an entry zero: those of other CPUs, too, when a program adds it. */
  protected clear(entry: number): void {
    clearBytes(this.machine.arena.u8, this.entryValues(entry), this.#cpus * this.#stride);
  }

  /** Where the values are a row. */
  protected valueRow(): ValueRow | undefined {
    return this.#cpus === 1 ? { first: this.#values.offset, stride: this.#stride } : undefined;
  }

  #contents(entry: number): Uint8Array {
    const first = this.entryValues(entry);
    return this.machine.arena.u8.slice(first, first + this.#contentBytes);
  }

  /** Whether programs may change it by helpers. */
  #isReadOnly(): boolean {
    return this.definition.frozen === true || (this.definition.flags & BPF_F_RDONLY_PROG) !== 0;
  }
}
