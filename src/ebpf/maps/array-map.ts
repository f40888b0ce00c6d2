import { E2BIG, EEXIST, EINVAL } from '../errno.js';
import type { Machine } from '../machine.js';
import { BPF_EXIST, BPF_NOEXIST, type MapDefinition } from './contract.js';
import { StoredMap } from './stored-map.js';

/** Types array and percpu_array: all entries are there from the start, keys are their indices, 32 bits. */
export class ArrayMap extends StoredMap {
  override readonly row;

  constructor(machine: Machine, handle: number, definition: MapDefinition) {
    super(machine, handle, definition, definition.type === 'percpu_array');
    this.row = this.valueRow();
    if (definition.initialValue !== undefined) machine.arena.u8.set(definition.initialValue, this.entryValues(0));
  }

  protected find(key: number): number {
    const index = this.machine.arena.i32[key >> 2]! >>> 0;
    return index < this.definition.maxEntries ? index : -1;
  }

  protected take(key: number, flags: number): number {
    if (flags > BPF_EXIST) return -EINVAL;
    const entry = this.find(key);
    if (entry < 0) return -E2BIG;
    return flags === BPF_NOEXIST ? -EEXIST : entry;
  }

  protected remove(): number {
    return -EINVAL;
  }

  nextEntry(entry: number): number {
    return entry + 1 < this.definition.maxEntries ? entry + 1 : -1;
  }

  copyKey(entry: number, to: number): void {
    this.machine.arena.i32[to >> 2] = entry;
  }

  protected keyOf(entry: number): Uint8Array {
    return indexKey(entry);
  }
}

/** The index that a key of 4 bytes is, little-endian. */
export function readIndex(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

/** The key of an index: 4 bytes, little-endian. */
export function indexKey(index: number): Uint8Array {
  return Uint8Array.of(index, index >>> 8, index >>> 16, index >>> 24);
}
