import { ClassicInterpreter } from '../filter/classic/interpreter.js';
import { compileExpression } from '../filter/compile-expression.js';
import { isFiltered } from '../steering/filtered.js';
import type { FilteredPackets, FlowRule } from '../steering/rules.js';
import type { Listener } from './packet-core.js';
import { RuleFilter } from './rule-filter.js';

/** What a filter says of a packet that is nobody's; 0 of one that is not its listener's, anything else of one that is. */
export const DROPPED = -1;

/** Decides packets one by one, from all their bytes that lie together. */
interface Filter {
  run(u8: Uint8Array, offset: number, length: number, wireLength: number): number;
}

/** Sockets in copy mode that receive what a filter expression accepts, or what rules say that have exceptions. */
export class FilteredListeners {
  /** What the filter that `find` has stopped at says. */
  verdict = 0;
  readonly #listeners: Listener[] = [];
  /** Of the listener with the same index. */
  readonly #filters: Filter[] = [];

  get size(): number {
    return this.#listeners.length;
  }

  /** @throws PacketError FILTER_SYNTAX, FILTER_UNSUPPORTED, FLOW_TABLE_FULL */
  static compile(receive: FilteredPackets | readonly FlowRule[]): Filter {
    if (!isFiltered(receive)) return new RuleFilter(receive);
    return new ClassicInterpreter(compileExpression(receive.filter, { link: 'ethernet', tagMayBeBeside: false }));
  }

  add(listener: Listener, filter: Filter): void {
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
   * Index of the first listener, from `from` on, that listens to the queue and whose filter does not leave the packet to others; -1 for none.
   *
   * @param length bytes of the packet at `offset`
   * @param wireLength bytes of the whole packet, which may go on elsewhere
   */
  find(from: number, queue: number, u8: Uint8Array, offset: number, length: number, wireLength: number): number {
    const listeners = this.#listeners;
    for (let i = from; i < listeners.length; i++) {
      const listensTo = listeners[i]!.queue;
      if (listensTo >= 0 && listensTo !== queue) continue;
      this.verdict = this.#filters[i]!.run(u8, offset, length, wireLength);
      if (this.verdict !== 0) return i;
    }
    return -1;
  }

  at(index: number): Listener {
    return this.#listeners[index]!;
  }
}
