import { PacketError } from '../../errors.js';
import { E2BIG, EINVAL } from '../errno.js';
import type { Machine } from '../machine.js';
import { readIndex } from './array-map.js';
import { unsupported } from './check-definition.js';
import { BPF_ANY, BPF_F_INNER_MAP, type EbpfMap, type MapDefinition, type MapType } from './contract.js';
import { HashMap } from './hash-map.js';
import { checkBytes } from './map-errors.js';

/** What Linux has in no map of maps. */
const NEVER_INSIDE: readonly MapType[] = ['prog_array', 'array_of_maps', 'hash_of_maps'];

/**
 * Types array_of_maps and hash_of_maps: maps of the machine, all like the one that the definition describes. A value is the handle of a map,
 * and that is what programs find. A map that was closed is no longer found.
 */
export class MapOfMaps extends HashMap {
  readonly #inner: MapDefinition;
  /** By entry. */
  readonly #maps: (EbpfMap | undefined)[] = [];

  /** @throws PacketError MAP_UNSUPPORTED unless the definition says what the maps are like, and such maps can be inside */
  constructor(machine: Machine, handle: number, definition: MapDefinition) {
    const { inner, type } = definition;
    if (inner === undefined)
      throw unsupported(definition, `maps of type ${type} need \`inner\`, what their maps are like`);
    if (NEVER_INSIDE.includes(inner.type))
      throw unsupported(definition, `maps of type ${inner.type} cannot be in others`);
    super(machine, handle, definition);
    this.#inner = inner;
  }

  override lookupAt(key: number): number {
    const entry = this.find(this.alignedKey(key));
    return entry < 0 ? 0 : this.valueOf(entry);
  }

  /** What programs find for an entry: the handle of its map, or 0. */
  override valueOf(entry: number): number {
    const map = this.#maps[entry];
    return map !== undefined && this.machine.map(map.handle) === map ? map.handle : 0;
  }

  /** As the contract has it; also INVALID_OPTION for what is no map of the machine, or another one than `inner` describes. */
  override update(key: Uint8Array, value: Uint8Array, flags: number = BPF_ANY): void {
    checkBytes(this.definition, 'value', value, 4);
    const handle = readIndex(value, 0);
    const map = this.machine.map(handle);
    if (map === undefined) throw this.#refusal(`the machine has no map ${handle}`);
    if (!this.#isLike(map.definition)) throw this.#refusal(`map ${map.definition.name} is not like those described`);
    if (this.definition.type === 'array_of_maps' && flags !== BPF_ANY) throw this.#refusal('all indices have an entry');
    super.update(key, value, flags);
    this.#maps[this.find(this.placeKey(key))] = map;
  }

  override updateAt(): number {
    return -EINVAL;
  }

  override deleteAt(): number {
    return -EINVAL;
  }

  protected override take(key: number, flags: number): number {
    const isIndex = this.definition.type === 'array_of_maps';
    if (isIndex && this.machine.arena.i32[key >> 2]! >>> 0 >= this.definition.maxEntries) return -E2BIG;
    return super.take(key, flags);
  }

  #isLike({ type, keySize, valueSize, maxEntries, flags }: MapDefinition): boolean {
    const inner = this.#inner;
    if (type !== inner.type || keySize !== inner.keySize || valueSize !== inner.valueSize || flags !== inner.flags) {
      return false;
    }
    return type !== 'array' || maxEntries === inner.maxEntries || (flags & BPF_F_INNER_MAP) !== 0;
  }

  #refusal(why: string): PacketError {
    return new PacketError('INVALID_OPTION', `map ${this.definition.name}: ${why}`, {
      remedy: 'give the handle of a map of this machine, of the type, sizes and flags that `inner` has',
    });
  }
}
