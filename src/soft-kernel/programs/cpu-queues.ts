import type { RedirectTargets } from '../../ebpf/maps/contract.js';
import type { PagePool } from '../page-pool.js';
import { CpuQueue } from './cpu-queue.js';

/** The queues of all entries of all cpumaps. They are made when packets come, and stay until the kernel is closed. */
export class CpuQueues {
  readonly #all: CpuQueue[] = [];
  readonly #byMap = new Map<RedirectTargets, (CpuQueue | undefined)[]>();

  /** The queue of an entry that there is; a new one where the entry's length has changed. */
  queueOf(map: RedirectTargets, entry: number): CpuQueue {
    let queues = this.#byMap.get(map);
    if (queues === undefined) {
      queues = [];
      this.#byMap.set(map, queues);
    }
    const limit = map.targetOf(entry);
    let queue = queues[entry];
    if (queue?.limit !== limit) {
      queue = new CpuQueue(limit);
      queues[entry] = queue;
      this.#all.push(queue);
    }
    return queue;
  }

  /** Whether packets wait. */
  get busy(): boolean {
    for (let i = 0; i < this.#all.length; i++) if (this.#all[i]!.waiting > 0) return true;
    return false;
  }

  /** Each queue hands on what it may in a step. Returns frames handed on. */
  work(): number {
    let handled = 0;
    for (let i = 0; i < this.#all.length; i++) handled += this.#all[i]!.work();
    return handled;
  }

  close(pool: PagePool): void {
    for (const queue of this.#all) queue.close(pool);
    this.#all.length = 0;
    this.#byMap.clear();
  }
}
