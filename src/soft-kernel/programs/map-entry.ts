import type { RedirectMap } from '../../ebpf/maps/redirect-map.js';
import { PacketError } from '../../errors.js';
import type { SoftMap } from './soft-map.js';

/** A socket's entry in a map of sockets, under its queue. */
export class MapEntry {
  readonly #socket: number;
  readonly #queue: number;
  #map: SoftMap | undefined;

  /** @param socket its number in the kernel */
  constructor(socket: number, queue: number) {
    this.#socket = socket;
    this.#queue = queue;
  }

  /** Whether it is in a map. */
  get entered(): boolean {
    return this.#map !== undefined;
  }

  /** Enters the socket into a map, and then takes it out of the one before. @throws PacketError MAP_FULL, WRONG_STATE */
  enter(map: SoftMap): void {
    const { name, maxEntries } = map.definition;
    if (this.#queue >= maxEntries) {
      throw new PacketError('MAP_FULL', `map ${name}: it has no entry for queue ${this.#queue}`, {
        remedy: `its queues are 0 to ${maxEntries - 1}: make it with an entry for each queue of the interface`,
      });
    }
    map.update(word(this.#queue), word(this.#socket));
    if (this.#map === map) return;
    map.hold();
    this.leave();
    this.#map = map;
  }

  /** Takes it out, unless another has taken its place. Idempotent. */
  leave(): void {
    const map = this.#map;
    if (map === undefined) return;
    this.#map = undefined;
    const targets = map.map as RedirectMap;
    const entry = targets.entryOf(this.#queue);
    if (entry >= 0 && targets.targetOf(entry) === this.#socket) map.delete(word(this.#queue));
    map.close();
  }
}

/** 32 bits, little-endian. */
function word(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}
