import { PacketError } from '../../errors.js';
import { E2BIG, EEXIST, EINVAL } from '../errno.js';
import type { Executable } from '../execution.js';
import type { Machine } from '../machine.js';
import type { ProgramPlace } from '../program.js';
import { readIndex } from './array-map.js';
import { BPF_ANY, BPF_EXIST, BPF_NOEXIST, type MapDefinition, type RedirectTargets } from './contract.js';
import { HashMap } from './hash-map.js';
import { checkBytes } from './map-errors.js';

/** Longest queue of a CPU, in packets (kernel/bpf/cpumap.c). */
const LONGEST_QUEUE = 16384;

/**
 * Types devmap, devmap_hash, cpumap and xskmap: what XDP_REDIRECT leads to. A value is a word that names the target, and in devmap and
 * cpumap, where values have 8 bytes, the number of a program on the machine that packets go through on their way, or 0 (struct
 * bpf_devmap_val, bpf_cpumap_val in linux/bpf.h).
 *
 * Programs find copies of the values in their memory; where packets go is kept apart from those, so that no program can change it.
 */
export class RedirectMap extends HashMap implements RedirectTargets {
  /** By entry: the first and the second word of its value. */
  readonly #targets: Uint32Array;
  readonly #programs: Uint32Array;

  constructor(machine: Machine, handle: number, definition: MapDefinition) {
    const targets = new Uint32Array(definition.maxEntries);
    const programs = new Uint32Array(definition.maxEntries);
    super(machine, handle, definition);
    this.#targets = targets;
    this.#programs = programs;
  }

  entryOf(key: number): number {
    const { arena, scratch } = this.machine;
    arena.i32[scratch >> 2] = key;
    return this.find(scratch);
  }

  targetOf(entry: number): number {
    return this.#targets[entry]!;
  }

  programOf(entry: number): Executable | undefined {
    return this.machine.program(this.#programs[entry]!);
  }

  /**
   * As the contract has it; also INVALID_OPTION for a target that cannot be, or a program that is not there or for another place. In
   * devmap and cpumap a target of 0 removes the entry.
   */
  override update(key: Uint8Array, value: Uint8Array, flags: number = BPF_ANY): void {
    checkBytes(this.definition, 'value', value, this.definition.valueSize);
    const target = readIndex(value, 0);
    const program = value.length < 8 ? 0 : readIndex(value, 4);
    this.#checkTarget(target, program);
    super.update(key, value, flags);
    const entry = this.find(this.placeKey(key));
    this.#targets[entry] = target;
    this.#programs[entry] = program;
    if (target === 0 && this.definition.type !== 'xskmap') this.delete(key);
  }

  override updateAt(): number {
    return -EINVAL;
  }

  override deleteAt(): number {
    return -EINVAL;
  }

  protected override take(key: number, flags: number): number {
    if (this.definition.type === 'devmap_hash') return super.take(key, flags);
    if (flags > BPF_EXIST) return -EINVAL;
    if (this.machine.arena.i32[key >> 2]! >>> 0 >= this.definition.maxEntries) return -E2BIG;
    if (this.definition.type === 'xskmap') return super.take(key, flags);
    // In the others all entries are there, even where they lead nowhere.
    return flags === BPF_NOEXIST ? -EEXIST : super.take(key, BPF_ANY);
  }

  #checkTarget(target: number, program: number): void {
    const { type } = this.definition;
    if (target === 0 && (type === 'devmap_hash' || program !== 0)) throw this.#refusal('there is no target 0');
    if (type === 'cpumap' && target > LONGEST_QUEUE) {
      throw this.#refusal(`a queue of ${target} packets; ${LONGEST_QUEUE} is the most`);
    }
    if (program !== 0) this.#checkProgram(program);
  }

  #checkProgram(number: number): void {
    const place: ProgramPlace = this.definition.type === 'cpumap' ? 'xdp/cpumap' : 'xdp/devmap';
    const program = this.machine.program(number);
    if (program === undefined) throw this.#refusal(`the machine has no program ${number}`);
    const own = program.bound.program.place;
    if (own !== place) throw this.#refusal(`program ${number} is for ${own}, not for ${place}`);
  }

  #refusal(why: string): PacketError {
    return new PacketError('INVALID_OPTION', `map ${this.definition.name}: ${why}`, {
      remedy: 'give a target, and 0 or the number of a program that was made for entries of such maps',
    });
  }
}
