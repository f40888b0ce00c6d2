import { PacketError } from '../../errors.js';
import { E2BIG } from '../errno.js';
import type { Executable } from '../execution.js';
import type { Machine } from '../machine.js';
import { indexKey, readIndex } from './array-map.js';
import { BPF_ANY, type MapDefinition } from './contract.js';
import { checkBytes, entryError, refuseFlags } from './map-errors.js';
import { SpecialMap } from './special-map.js';

/**
 * Type prog_array: programs to call by tail call. A value is the number of a program on the machine, 32 bits; programs cannot read or write
 * it.
 */
export class ProgramArrayMap extends SpecialMap {
  /** By index; 0 where there is none. */
  readonly #programs: Uint32Array;

  constructor(machine: Machine, handle: number, definition: MapDefinition) {
    super(machine, handle, definition);
    this.#programs = new Uint32Array(definition.maxEntries);
  }

  /** The program of an index, or undefined; any index may be given. */
  programAt(index: number): Executable | undefined {
    return this.machine.program(this.#programs[index] ?? 0);
  }

  override lookup(key: Uint8Array): Uint8Array | undefined {
    checkBytes(this.definition, 'key', key, 4);
    const number = this.#programs[readIndex(key, 0)] ?? 0;
    return number === 0 ? undefined : indexKey(number);
  }

  /** As the contract has it; also INVALID_OPTION where the machine has no program of that number. */
  override update(key: Uint8Array, value: Uint8Array, flags: number = BPF_ANY): void {
    checkBytes(this.definition, 'key', key, 4);
    checkBytes(this.definition, 'value', value, 4);
    refuseFlags(flags);
    const index = readIndex(key, 0);
    const number = readIndex(value, 0);
    if (index >= this.#programs.length) throw entryError(this.definition, E2BIG);
    if (flags !== BPF_ANY) throw this.#refusal('all indices have an entry, whatever is in it');
    if (this.machine.program(number) === undefined) throw this.#refusal(`the machine has no program ${number}`);
    this.#programs[index] = number;
  }

  override delete(key: Uint8Array): boolean {
    if (this.lookup(key) === undefined) return false;
    this.#programs[readIndex(key, 0)] = 0;
    return true;
  }

  override *entries(): IterableIterator<[key: Uint8Array, value: Uint8Array]> {
    for (const [index, number] of this.#programs.entries()) if (number !== 0) yield [indexKey(index), indexKey(number)];
  }

  #refusal(why: string): PacketError {
    return new PacketError('INVALID_OPTION', `map ${this.definition.name}: ${why}`, {
      remedy: 'enter the program with machine.addProgram, and give the number that it returns, with the flag BPF_ANY',
    });
  }
}
