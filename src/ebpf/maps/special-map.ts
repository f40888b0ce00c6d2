import { PacketError } from '../../errors.js';
import { EINVAL } from '../errno.js';
import type { Machine } from '../machine.js';
import type { EbpfMap, MapDefinition } from './contract.js';

/**
 * A map whose contents programs neither look up by key nor change as keyed values: they have helpers of its own for it. What a type has of
 * the operations of control code it says itself; the others are refused.
 */
export abstract class SpecialMap implements EbpfMap {
  readonly definition: MapDefinition;
  readonly handle: number;
  readonly row = undefined;
  protected readonly machine: Machine;

  constructor(machine: Machine, handle: number, definition: MapDefinition) {
    this.machine = machine;
    this.handle = handle;
    this.definition = definition;
  }

  lookup(_key: Uint8Array): Uint8Array | undefined {
    throw this.#unsupported('are not looked up');
  }

  update(_key: Uint8Array, _value: Uint8Array, _flags?: number): void {
    throw this.#unsupported('are not set');
  }

  updateAll(entries: Iterable<readonly [key: Uint8Array, value: Uint8Array]>): void {
    for (const [key, value] of entries) this.update(key, value);
  }

  delete(_key: Uint8Array): boolean {
    throw this.#unsupported('are not removed by key');
  }

  entries(): IterableIterator<[key: Uint8Array, value: Uint8Array]> {
    throw this.#unsupported('have no keys to list');
  }

  close(): void {
    this.machine.removeMap(this.handle);
  }

  lookupAt(_key: number): number {
    return 0;
  }

  lookupOfCpuAt(_key: number, _cpu: number): number {
    return 0;
  }

  updateAt(_key: number, _value: number, _flags: number): number {
    return -EINVAL;
  }

  deleteAt(_key: number): number {
    return -EINVAL;
  }

  nextEntry(_entry: number): number {
    return -1;
  }

  copyKey(_entry: number, _to: number): void {}

  valueOf(_entry: number): number {
    return 0;
  }

  #unsupported(what: string): PacketError {
    const { name, type } = this.definition;
    return new PacketError('MAP_UNSUPPORTED', `map ${name}: entries of type ${type} ${what}`, {
      remedy: 'use what the documentation of its type has instead',
    });
  }
}
