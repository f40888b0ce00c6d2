import type { Arena } from '../arena/arena.js';
import { Patch, type PatchEnd, type PatchOptions } from './patch.js';

/**
 * The cables of a kernel by name, so that two devices that are made one after the other from plain data can be joined. A cable is
 * there from its first end's plugging in to its last one's pulling out.
 */
export class Cables {
  readonly #patches = new Map<string, Patch>();

  /**
   * Plugs in one end of a cable, a new one or the free end of one that is there. Closing source or sink pulls it out.
   * @throws PacketError INVALID_OPTION, ARENA_EXHAUSTED
   */
  plug(arena: Arena, options: PatchOptions): PatchEnd {
    const { cable } = options;
    const there = this.#patches.get(cable);
    if (there !== undefined) return there.plug(options);
    const patch = new Patch(arena, options, () => this.#patches.delete(cable));
    this.#patches.set(cable, patch);
    return patch.plug(options);
  }
}
