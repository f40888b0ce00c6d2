import type { Machine } from '../../ebpf/machine.js';
import type { EbpfMap, MapContents, MapDefinition } from '../../ebpf/maps/contract.js';
import { PacketError } from '../../errors.js';

/** A map of the soft kernel, as control code sees it. Objects that use it hold it; it goes with the last of them. */
export class SoftMap implements MapContents {
  readonly definition: MapDefinition;
  /** The engine's map. */
  readonly map: EbpfMap;
  readonly machine: Machine;
  #holders = 1;

  constructor(map: EbpfMap, machine: Machine) {
    this.map = map;
    this.machine = machine;
    this.definition = map.definition;
  }

  /** @throws PacketError WRONG_STATE */
  get handle(): number {
    return this.#open().handle;
  }

  lookup(key: Uint8Array): Uint8Array | undefined {
    const map = this.#open();
    if (this.definition.type !== 'xskmap') return map.lookup(key);
    throw new PacketError('MAP_UNSUPPORTED', `map ${this.definition.name}: which sockets are in it is not shown`, {
      remedy: "a socket is in it while it is open with receive: { xskmap }, under its queue's number",
    });
  }

  update(key: Uint8Array, value: Uint8Array, flags?: number): void {
    this.#open().update(key, value, flags);
  }

  updateAll(entries: Iterable<readonly [key: Uint8Array, value: Uint8Array]>): void {
    this.#open().updateAll(entries);
  }

  delete(key: Uint8Array): boolean {
    return this.#open().delete(key);
  }

  entries(): IterableIterator<[key: Uint8Array, value: Uint8Array]> {
    return this.#open().entries();
  }

  /** One more object uses it. */
  hold(): void {
    this.#holders++;
  }

  /** One object less. Of the object that has made it, too. */
  close(): void {
    if (this.#holders === 0) return;
    this.#holders--;
    if (this.#holders === 0) this.map.close();
  }

  #open(): EbpfMap {
    if (this.#holders > 0) return this.map;
    throw new PacketError('WRONG_STATE', `map ${this.definition.name} is closed`, {
      remedy: 'use it before the object that it belongs to is closed',
    });
  }
}

/** @param what names it in messages. @throws PacketError INVALID_OPTION */
export function expectSoftMap(map: MapContents, what: string, machine: Machine): SoftMap {
  if (map instanceof SoftMap && map.machine === machine) return map;
  throw new PacketError('INVALID_OPTION', `${what}: it is no map in this soft kernel`, {
    remedy: 'give one of an object that this kernel has loaded',
  });
}
