import { checkInteger, PacketError } from '../errors.js';
import { FLOW_BUCKET, type FlowKey } from '../packet/flow-key.js';
import { compileRule, type FlowTuple } from './compile-rules.js';
import { flowBucket } from './flow-bucket.js';
import { ruleBits } from './rule-order.js';
import { type FlowRule, parseRule } from './rules.js';
import { TupleTable } from './tuple-table.js';

/** Plain data, so that device options can be posted to a worker. */
export interface FlowTableOptions {
  /** Tuples at most, as the entries of a device are counted: 1 to 4194304, default 131072. A rule takes one or more. */
  readonly limit?: number;
  /** Different masks at most: 1 to 4096, default 256. A lookup visits each, so this bounds its cost. */
  readonly shapes?: number;
  /** Makes the hashes, and so the cost of lookups, repeatable; random by default. */
  readonly seed?: number;
}

/** One rule of a table, as {@link FlowTable.list} tells it. */
export interface FlowTableRule {
  /** What {@link FlowTable.add} returned. */
  readonly id: number;
  readonly rule: FlowRule;
  readonly target: number;
  /** Tuples that it takes. */
  readonly tuples: number;
  /** Header bits that it fixes ({@link ruleBits}): which rule wins. */
  readonly bits: number;
}

/** Largest target. */
export const MOST_FLOW_TARGET = 0xfffff;

interface Shape {
  readonly table: TupleTable;
  /** Most bits that a rule with tuples here has had. Parts of different ranges may have one mask. */
  bits: number;
}

interface RuleRecord extends FlowTableRule {
  /** The entry of each tuple, in the order of {@link compileRule}. */
  readonly entries: Int32Array;
}

/**
 * Rules and their targets (queues, sockets), for lookup by flow key: tuple-space search, one hash table per distinct mask. A lookup
 * costs one probe per mask ("shape"), however many rules there are of each; rules come and go while packets are looked up.
 *
 * When several rules match, the one that fixes most header bits wins ({@link ruleBits}), and between equals the oldest. Thus what a
 * rule means does not depend on when broader rules were added; `ethtool` leaves that to the location the user gives (lower wins),
 * and age is the location here.
 */
export class FlowTable {
  readonly limit: number;
  readonly #shapeLimit: number;
  /** Most bits first. */
  readonly #shapes: Shape[] = [];
  readonly #shapesByMask = new Map<string, Shape>();
  readonly #rules = new Map<number, RuleRecord>();
  #seed: number;
  #nextId = 1;

  // Entries: one per tuple of a rule. Equal tuples of several rules form a chain, the rule that wins first, whose head a slot names.
  #target = new Int32Array(64);
  #next = new Int32Array(64);
  #previous = new Int32Array(64);
  /** Of the first of those in a chain with as many bits: the last of them. */
  #tail = new Int32Array(64);
  /** Bits of the entry's rule. */
  #bits = new Int32Array(64);
  /** Age. Ids outlast 32 bits when flows come and go for days. */
  #id = new Float64Array(64);
  #entriesUsed = 0;
  /** Entries given back, a list through {@link #next}. */
  #free = -1;
  #tuples = 0;
  /** Shapes that look at the bucket of a flow. */
  #bucketShapes = 0;

  // Which targets lookupAll has reported in this call.
  #stamps = new Int32Array(64);
  #stamp = 0;

  /** @throws PacketError INVALID_OPTION */
  constructor(options: FlowTableOptions = {}) {
    const { limit = 131072, shapes = 256, seed = Math.floor(Math.random() * 0x100000000) } = options;
    this.limit = checkInteger('flow table limit', limit, 1, 1 << 22);
    this.#shapeLimit = checkInteger('flow table shapes', shapes, 1, 4096);
    this.#seed = seed | 0;
  }

  /** Rules in the table. */
  get size(): number {
    return this.#rules.size;
  }

  /** Tuples in use, of {@link limit}. */
  get tuples(): number {
    return this.#tuples;
  }

  /** Different masks in use: table probes per lookup at most. */
  get shapes(): number {
    return this.#shapes.length;
  }

  /**
   * Adds a rule for a target; the same again is another rule. Either the whole rule is added or nothing.
   *
   * @param target a queue or socket number, 0 to {@link MOST_FLOW_TARGET}; small ones are best, memory is kept for all below
   * @param where what messages call the rule
   * @returns its id, for {@link remove}; never used again
   * @throws PacketError INVALID_OPTION, FLOW_TABLE_FULL
   */
  add(rule: FlowRule, target: number, where = 'rule'): number {
    checkInteger('flow target', target, 0, MOST_FLOW_TARGET);
    const tuples = compileRule(rule, where);
    this.#checkRoom(tuples);
    if (target >= this.#stamps.length) this.#stamps = grown(this.#stamps, target + 1);
    const id = this.#nextId++;
    const entries = new Int32Array(tuples.length);
    const bits = ruleBits(parseRule(rule, where));
    for (let i = 0; i < tuples.length; i++) {
      const { mask, value } = tuples[i]!;
      entries[i] = this.#addTuple(this.#shapeOf(mask, bits).table, value, target, id, bits);
    }
    this.#rules.set(id, { id, rule: structuredClone(rule), target, tuples: tuples.length, bits, entries });
    return id;
  }

  /** Removes a rule. @returns false when there is none with this id (any more) */
  remove(id: number): boolean {
    const record = this.#rules.get(id);
    if (record === undefined) return false;
    this.#rules.delete(id);
    const tuples = compileRule(record.rule);
    for (let i = 0; i < tuples.length; i++) {
      const { mask, value } = tuples[i]!;
      const name = String(mask);
      const shape = this.#shapesByMask.get(name)!;
      this.#removeTuple(shape.table, value, record.entries[i]!);
      if (shape.table.count > 0) continue;
      this.#shapesByMask.delete(name);
      this.#shapes.splice(this.#shapes.indexOf(shape), 1);
      if (mask[FLOW_BUCKET] !== 0) this.#bucketShapes--;
    }
    return true;
  }

  /**
   * The target of the rule that wins, or -1 when none matches. Data path: no allocation.
   *
   * @param key its bucket is written where rules ask for it
   */
  lookup(key: FlowKey): number {
    const shapes = this.#shapes;
    let entry = -1;
    let target = -1;
    let bits = -1;
    if (this.#bucketShapes > 0) key[FLOW_BUCKET] = flowBucket(key);
    for (let i = 0; i < shapes.length; i++) {
      const shape = shapes[i]!;
      if (shape.bits < bits) break;
      const table = shape.table;
      const at = table.find(key);
      if (at < 0) continue;
      const found = table.slots[at]! - 1;
      if (entry >= 0 && !this.#wins(found, entry)) continue;
      entry = found;
      target = table.slots[at + 1]!;
      bits = this.#bits[entry]!;
    }
    return target;
  }

  /** Whether an entry's rule wins over another's. */
  #wins(entry: number, other: number): boolean {
    const more = this.#bits[entry]! - this.#bits[other]!;
    return more > 0 || (more === 0 && this.#id[entry]! < this.#id[other]!);
  }

  /**
   * The targets of all rules that match, each once, roughly those with most bits first: {@link lookup} is exact. Data path: no allocation.
   *
   * @param key its bucket is written where rules ask for it
   * @param into with room for as many as there are targets; what goes beyond is left out
   * @returns how many
   */
  lookupAll(key: FlowKey, into: Int32Array): number {
    const shapes = this.#shapes;
    const stamps = this.#stamps;
    let count = 0;
    this.#stamp = (this.#stamp + 1) | 0;
    if (this.#stamp === 0) {
      // After 2^32 calls: old stamps would look like new ones.
      stamps.fill(0);
      this.#stamp = 1;
    }
    if (this.#bucketShapes > 0) key[FLOW_BUCKET] = flowBucket(key);
    for (let i = 0; i < shapes.length; i++) {
      const table = shapes[i]!.table;
      const at = table.find(key);
      if (at < 0) continue;
      for (let entry = table.slots[at]! - 1; entry >= 0; entry = this.#next[entry]!) {
        const target = this.#target[entry]!;
        if (stamps[target] === this.#stamp) continue;
        if (count === into.length) return count;
        stamps[target] = this.#stamp;
        into[count++] = target;
      }
    }
    return count;
  }

  /** All rules, oldest first, for people and tools that explain. */
  list(): FlowTableRule[] {
    return [...this.#rules.values()].map(({ id, rule, target, tuples, bits }) => ({ id, rule, target, tuples, bits }));
  }

  #checkRoom(tuples: readonly FlowTuple[]): void {
    if (this.#tuples + tuples.length > this.limit) {
      throw new PacketError(
        'FLOW_TABLE_FULL',
        `flow table: ${this.#tuples} of ${this.limit} tuples are in use, and the rule needs ${tuples.length}`,
        {
          remedy:
            'remove rules, or use port ranges that start and end at powers of two: each part of a range takes a tuple',
        },
      );
    }
    const masks = new Set<string>();
    for (const { mask } of tuples) {
      const name = String(mask);
      if (!this.#shapesByMask.has(name)) masks.add(name);
    }
    if (this.#shapes.length + masks.size > this.#shapeLimit) {
      throw new PacketError(
        'FLOW_TABLE_FULL',
        `flow table: ${this.#shapes.length} of ${this.#shapeLimit} masks are in use, and the rule needs ${masks.size} more`,
        {
          remedy: 'use rules with the same fields and the same prefix lengths: each different combination takes a mask',
        },
      );
    }
  }

  /** The shape of a mask, in its place among the others for a rule of so many bits. */
  #shapeOf(mask: FlowKey, bits: number): Shape {
    const name = String(mask);
    let shape = this.#shapesByMask.get(name);
    if (shape !== undefined) {
      if (bits <= shape.bits) return shape;
      this.#shapes.splice(this.#shapes.indexOf(shape), 1);
      shape.bits = bits;
    } else {
      this.#seed = (this.#seed + 0x632be5ab) | 0;
      shape = { table: new TupleTable(mask, this.#seed), bits };
      this.#shapesByMask.set(name, shape);
      if (mask[FLOW_BUCKET] !== 0) this.#bucketShapes++;
    }
    const behind = this.#shapes.findIndex((other) => other.bits < bits);
    this.#shapes.splice(behind < 0 ? this.#shapes.length : behind, 0, shape);
    return shape;
  }

  #addTuple(table: TupleTable, value: FlowKey, target: number, id: number, bits: number): number {
    const entry = this.#takeEntry();
    this.#target[entry] = target;
    this.#id[entry] = id;
    this.#bits[entry] = bits;
    this.#next[entry] = -1;
    this.#previous[entry] = -1;
    this.#tail[entry] = entry;
    const at = table.find(value);
    if (at < 0) {
      table.add(value, entry, target);
      return entry;
    }
    // The youngest, it comes behind all those with as many bits.
    const head = table.slots[at]! - 1;
    const group = this.#groupOf(head, bits);
    if (group >= 0 && this.#bits[group] === bits) {
      const last = this.#tail[group]!;
      const next = this.#next[last]!;
      this.#link(last, entry);
      this.#link(entry, next);
      this.#tail[group] = entry;
      return entry;
    }
    const before = group === head ? -1 : group < 0 ? this.#lastOf(head) : this.#previous[group]!;
    this.#link(before, entry);
    this.#link(entry, group);
    if (before < 0) {
      table.slots[at] = entry + 1;
      table.slots[at + 1] = target;
    }
    return entry;
  }

  /** The first entry of a chain with so many bits or fewer; -1 for none. One step for each number of bits that there is. */
  #groupOf(head: number, bits: number): number {
    let first = head;
    while (first >= 0 && this.#bits[first]! > bits) first = this.#next[this.#tail[first]!]!;
    return first;
  }

  #lastOf(head: number): number {
    let last = this.#tail[head]!;
    while (this.#next[last]! >= 0) last = this.#tail[this.#next[last]!]!;
    return last;
  }

  /** Makes two entries neighbours in their chain; -1 stands for its end. */
  #link(entry: number, next: number): void {
    if (entry >= 0) this.#next[entry] = next;
    if (next >= 0) this.#previous[next] = entry;
  }

  #removeTuple(table: TupleTable, value: FlowKey, entry: number): void {
    const at = table.find(value);
    const next = this.#next[entry]!;
    const previous = this.#previous[entry]!;
    const bits = this.#bits[entry]!;
    const isFirst = previous < 0 || this.#bits[previous] !== bits;
    const isLast = next < 0 || this.#bits[next] !== bits;
    if (isFirst && !isLast) this.#tail[next] = this.#tail[entry]!;
    if (isLast && !isFirst) this.#tail[this.#groupOf(table.slots[at]! - 1, bits)] = previous;
    this.#link(previous, next);
    if (previous < 0) {
      if (next < 0) table.delete(at);
      else {
        table.slots[at] = next + 1;
        table.slots[at + 1] = this.#target[next]!;
      }
    }
    this.#next[entry] = this.#free;
    this.#free = entry;
    this.#tuples--;
  }

  #takeEntry(): number {
    this.#tuples++;
    if (this.#free >= 0) {
      const entry = this.#free;
      this.#free = this.#next[entry]!;
      return entry;
    }
    const entry = this.#entriesUsed++;
    if (entry === this.#target.length) {
      this.#target = grown(this.#target, entry + 1);
      this.#next = grown(this.#next, entry + 1);
      this.#previous = grown(this.#previous, entry + 1);
      this.#tail = grown(this.#tail, entry + 1);
      this.#bits = grown(this.#bits, entry + 1);
      const ids = new Float64Array(this.#target.length);
      ids.set(this.#id);
      this.#id = ids;
    }
    return entry;
  }
}

/** A copy with room for `length` elements at least. */
function grown(array: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  let size = array.length;
  while (size < length) size *= 2;
  const copy = new Int32Array(size);
  copy.set(array);
  return copy;
}
