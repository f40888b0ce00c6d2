import type { Arena, Region } from '../arena/arena.js';
import { PacketError } from '../errors.js';
import { createFlowKey, type FlowKey, parseFlowKey } from '../packet/flow-key.js';
import { FlowTable } from '../steering/flow-table.js';
import type { SteerAction } from '../steering/rule-targets.js';
import type { FlowRule } from '../steering/rules.js';
import { FlowHash } from './flow-hash.js';
import { Rss, type RssOptions } from './rss.js';

/** RSS spreads over so many queues at most, as on i40e; queues beyond are reached by flow-director rules only. */
export const MOST_SPREAD_QUEUES = 64;
/** Packets of one `look` or `run` at most. */
const MOST_RUN = 1024;

/** What rules do, in the lowest part of their targets in the flow director. */
const ACTIONS: readonly SteerAction[] = ['receive', 'drop', 'spread'];
const ACTION_BITS = 2;

// The classifier's own memory: RSS hashes | marks, one word a packet each.
const MARKS = MOST_RUN * 4;
const MEMORY_BYTES = 2 * MOST_RUN * 4;

export interface ClassifierOptions {
  readonly queues: number;
  /** Rules that the flow director holds at most; 0: the device has none. */
  readonly rules: number;
  readonly rss?: Omit<RssOptions, 'queues'>;
}

/**
 * Which queue a packet is for: the flow director's rules first, then RSS over the spread queues. It works in runs, because
 * packets that follow each other often are for one queue, and one queue's packets are one DMA pass.
 */
export class Classifier {
  /** Whether everything goes to `queue`, without a look at the packet. */
  simple: boolean;
  /** Queue of the last run; -1 less the queue whose rule drops it. */
  queue = 0;
  /** Packets that rules of each queue's sockets have dropped; the device counts. */
  readonly ruleDrops: Float64Array;
  /** Arena offset of the RSS hashes of the last run's packets, for the descriptors; 0 when there are none. */
  hashes = 0;
  /** The hash of single packets, as the device tells it to programs. */
  readonly flowHash: FlowHash;
  readonly #u8: Uint8Array;
  readonly #i32: Int32Array;
  readonly #key: FlowKey = createFlowKey();
  readonly #director: FlowTable;
  readonly #hasDirector: boolean;
  readonly #rss: Rss;
  #spread: number[];
  readonly #arena: Arena;
  readonly #memory: Region | undefined;
  readonly #hasHashes: boolean;
  /** The list entries that `look` has marked. */
  #lookedFrom = 0;
  #lookedTo = 0;

  constructor(arena: Arena, options: ClassifierOptions) {
    const { queues, rules, rss } = options;
    this.#arena = arena;
    this.#u8 = arena.u8;
    this.#i32 = arena.i32;
    this.#hasDirector = rules > 0;
    this.ruleDrops = new Float64Array(rules > 0 ? queues : 0);
    this.#director = new FlowTable({ limit: Math.max(1, rules) });
    const spread = Math.min(queues, MOST_SPREAD_QUEUES);
    this.#rss = new Rss({ queues: spread, ...rss });
    this.flowHash = new FlowHash(arena.u8, this.#rss);
    this.#spread = Array.from({ length: spread }, (_, queue) => queue);
    this.#hasHashes = queues > 1;
    this.#memory = queues > 1 || rules > 0 ? arena.allocate(MEMORY_BYTES) : undefined;
    this.simple = queues === 1;
  }

  /** Queues that RSS spreads to. */
  spread(): readonly number[] {
    return this.#spread;
  }

  /** Takes a queue out of RSS or puts it back. Returns false when it is the only one left. */
  setSpread(queue: number, on: boolean): boolean {
    const others = this.#spread.filter((one) => one !== queue);
    if (!on && others.length === 0) return false;
    this.#spread = on ? [...others, queue].sort((a, b) => a - b) : others;
    this.#rss.spreadOver(this.#spread);
    return true;
  }

  /** Adds a flow-director rule. @throws PacketError INVALID_OPTION, FLOW_TABLE_FULL, RULES_UNSUPPORTED */
  add(rule: FlowRule, queue: number, action: SteerAction = 'receive'): number {
    if (!this.#hasDirector) {
      throw new PacketError('RULES_UNSUPPORTED', 'the device has no flow director', {
        remedy: "receive: 'all', a copy mode, or a device with `rules` above 0",
      });
    }
    const handle = this.#director.add(rule, (queue << ACTION_BITS) | ACTIONS.indexOf(action));
    this.simple = false;
    return handle;
  }

  remove(handle: number): void {
    this.#director.remove(handle);
    this.simple = !this.#hasHashes && this.#director.size === 0;
  }

  /**
   * Looks over packets that are about to be classified: where flows change is all that `run` must look at then. 2 ns a packet,
   * against some 50 for reading its headers, hashing and finding its rule.
   *
   * @returns packets that `run` may be called for, at most `count`
   */
  look(list: number, count: number): number {
    const most = Math.min(count, MOST_RUN);
    this.#mark(list, most);
    this.#lookedFrom = list;
    this.#lookedTo = list + most * 8;
    return most;
  }

  #mark(list: number, count: number): void {
    if (this.#memory !== undefined) this.#arena.routines.markFlows(list, count, this.#memory.offset + MARKS);
  }

  /**
   * Classifies the packets at `list` up to the first that is for another queue; `queue` and `hashes` say the rest.
   * @returns packets of the run, at least 1
   */
  run(list: number, count: number): number {
    if (this.#memory === undefined) return count;
    const i32 = this.#i32;
    const most = Math.min(count, MOST_RUN);
    let looked = list - this.#lookedFrom;
    if (looked < 0 || list + most * 8 > this.#lookedTo) {
      this.#lookedTo = 0;
      this.#mark(list, most);
      looked = 0;
    }
    const marks = (this.#memory.offset + MARKS + (looked >> 1)) >> 2;
    const hashes = this.#hasHashes ? this.#memory.offset >> 2 : 0;
    this.hashes = hashes << 2;
    const first = this.#classify(list, hashes);
    this.queue = first;
    for (let run = 1; run < most; run++) {
      if (i32[marks + run] !== 0) {
        if (hashes !== 0) i32[hashes + run] = i32[hashes + run - 1]!;
      } else if (this.#classify(list + run * 8, hashes === 0 ? 0 : hashes + run) !== first) {
        // It is looked at again at the start of the next run.
        return run;
      }
    }
    return most;
  }

  #classify(entry: number, hashAt: number): number {
    const i32 = this.#i32;
    const key = this.#key;
    parseFlowKey(this.#u8, i32[entry >> 2]!, i32[(entry >> 2) + 1]!, key);
    const hash = hashAt === 0 ? 0 : this.#rss.hash(key);
    if (hashAt !== 0) i32[hashAt] = hash;
    if (this.#director.size > 0) {
      const target = this.#director.lookup(key);
      if (target >= 0) {
        const queue = target >> ACTION_BITS;
        const action = target & ((1 << ACTION_BITS) - 1);
        if (action === 0) return queue;
        if (action === 1) return -1 - queue;
      }
    }
    return hashAt === 0 ? 0 : this.#rss.queueOf(hash);
  }

  close(): void {
    if (this.#memory !== undefined) this.#arena.free(this.#memory);
  }
}
