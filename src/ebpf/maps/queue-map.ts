import { PacketError } from '../../errors.js';
import { E2BIG, EINVAL, ENOENT } from '../errno.js';
import type { Machine } from '../machine.js';
import { BPF_ANY, BPF_EXIST, BPF_NOEXIST, type MapDefinition } from './contract.js';
import { checkBytes, entryError, refuseFlags, refuseReading, refuseWriting } from './map-errors.js';
import { SpecialMap } from './special-map.js';

/**
 * Types queue and stack: values without keys, of which programs and control code see one end. Keys have no bytes: `update` puts a value in,
 * `lookup` shows the next, `delete` takes it out.
 */
export class QueueMap extends SpecialMap {
  /** Values in a ring. */
  readonly #values: Uint8Array;
  readonly #isStack: boolean;
  #oldest = 0;
  #count = 0;

  constructor(machine: Machine, handle: number, definition: MapDefinition) {
    const values = new Uint8Array(definition.maxEntries * definition.valueSize);
    super(machine, handle, definition);
    this.#values = values;
    this.#isStack = definition.type === 'stack';
  }

  /** Puts a value in. Flag BPF_EXIST lets the oldest value of a full one go. Returns 0 or a negative errno. */
  push(bytes: Uint8Array, at: number, flags: number): number {
    const { maxEntries, valueSize } = this.definition;
    if (flags !== BPF_ANY && flags !== BPF_EXIST) return -EINVAL;
    if (this.#count === maxEntries) {
      if (flags !== BPF_EXIST) return -E2BIG;
      this.#dropOldest();
    }
    const first = ((this.#oldest + this.#count) % maxEntries) * valueSize;
    for (let i = 0; i < valueSize; i++) this.#values[first + i] = bytes[at + i]!;
    this.#count++;
    return 0;
  }

  /** Copies the next value, or zeros. Returns 0 or -ENOENT. */
  peek(bytes: Uint8Array, at: number): number {
    const { valueSize } = this.definition;
    if (this.#count === 0) {
      bytes.fill(0, at, at + valueSize);
      return -ENOENT;
    }
    const first = this.#next() * valueSize;
    for (let i = 0; i < valueSize; i++) bytes[at + i] = this.#values[first + i]!;
    return 0;
  }

  /** Copies the next value, or zeros, and takes it out. Returns 0 or -ENOENT. */
  pop(bytes: Uint8Array, at: number): number {
    const result = this.peek(bytes, at);
    if (result === 0) this.#takeNext();
    return result;
  }

  override lookup(key: Uint8Array): Uint8Array | undefined {
    checkBytes(this.definition, 'key', key, 0);
    refuseReading(this.definition);
    const value = new Uint8Array(this.definition.valueSize);
    return this.peek(value, 0) === 0 ? value : undefined;
  }

  override update(key: Uint8Array, value: Uint8Array, flags: number = BPF_ANY): void {
    checkBytes(this.definition, 'key', key, 0);
    checkBytes(this.definition, 'value', value, this.definition.valueSize);
    refuseFlags(flags);
    refuseWriting(this.definition);
    if (flags === BPF_NOEXIST) {
      throw new PacketError('MAP_UNSUPPORTED', `map ${this.definition.name}: values without keys are always new`, {
        remedy: 'update with BPF_ANY, or with BPF_EXIST to let the oldest value of a full one go',
      });
    }
    const result = this.push(value, 0, flags);
    if (result < 0) throw entryError(this.definition, -result);
  }

  override delete(key: Uint8Array): boolean {
    checkBytes(this.definition, 'key', key, 0);
    refuseWriting(this.definition);
    if (this.#count === 0) return false;
    this.#takeNext();
    return true;
  }

  /** Index of the next value. */
  #next(): number {
    return this.#isStack ? (this.#oldest + this.#count - 1) % this.definition.maxEntries : this.#oldest;
  }

  #takeNext(): void {
    if (this.#isStack) this.#count--;
    else this.#dropOldest();
  }

  #dropOldest(): void {
    this.#oldest = (this.#oldest + 1) % this.definition.maxEntries;
    this.#count--;
  }
}
