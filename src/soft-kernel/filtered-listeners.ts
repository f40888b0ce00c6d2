import { ClassicInterpreter } from '../filter/classic/interpreter.js';
import { compileExpression } from '../filter/compile-expression.js';
import type { FilteredPackets } from '../steering/rules.js';
import type { Listener } from './packet-core.js';

/** Sockets in copy mode that receive what a filter expression accepts. */
export class FilteredListeners {
  readonly #listeners: Listener[] = [];
  /** Of the listener with the same index. */
  readonly #filters: ClassicInterpreter[] = [];

  get size(): number {
    return this.#listeners.length;
  }

  /** @throws PacketError FILTER_SYNTAX, FILTER_UNSUPPORTED */
  static compile({ filter }: FilteredPackets): ClassicInterpreter {
    return new ClassicInterpreter(compileExpression(filter, { link: 'ethernet', tagMayBeBeside: false }));
  }

  add(listener: Listener, filter: ClassicInterpreter): void {
    this.#listeners.push(listener);
    this.#filters.push(filter);
  }

  /** Idempotent. */
  remove(listener: Listener): void {
    const index = this.#listeners.indexOf(listener);
    if (index < 0) return;
    this.#listeners.splice(index, 1);
    this.#filters.splice(index, 1);
  }

  has(listener: Listener): boolean {
    return this.#listeners.includes(listener);
  }

  /**
   * Index of the first listener, from `from` on, that listens to the queue and whose filter accepts the packet; -1 for none.
   *
   * @param length bytes of the packet at `offset`
   * @param wireLength bytes of the whole packet, which may go on elsewhere
   */
  find(from: number, queue: number, u8: Uint8Array, offset: number, length: number, wireLength: number): number {
    const listeners = this.#listeners;
    for (let i = from; i < listeners.length; i++) {
      const listensTo = listeners[i]!.queue;
      if (listensTo >= 0 && listensTo !== queue) continue;
      if (this.#filters[i]!.run(u8, offset, length, wireLength) !== 0) return i;
    }
    return -1;
  }

  at(index: number): Listener {
    return this.#listeners[index]!;
  }
}
