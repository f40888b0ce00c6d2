import type { ArenaMemory } from '../../arena/arena.js';
import { KERNEL_OWNED } from '../../ring/v4/layout.js';
import { CONSUMER_OFFSET, PRODUCER_OFFSET } from '../../ring/xdp/layout.js';
import type { RingFormat } from './case.js';
import { type DescriptorRuns, descriptorRuns, type LoopLanguage } from './descriptor-runs.js';
import { work } from './work.js';

// One ring between two threads and nothing else: what the formats cost without frames, validation and batches as columns.
// bench/peers/two-rings.c has the same loops in C. A descriptor has four words:
//
//   owner ring:  index | length | flags and offset, with the owner in the sign | descriptors of the batch, in its first
//   index ring:  index | length | offset                                       | not used
//
// The producer plays the kernel, the consumer the application, which reads every word. A batch is written and read in runs up to
// the ring's end, so that no index is masked in the loop (1.2 times the rate). Whoever finds nothing looks away for a microsecond:
// asking again at once takes the line from the side that is about to write it, and keeps both on each other's heels (1.4 to 1.7
// times the rate, in both formats). The runs themselves are in ./descriptor-runs.ts, in two languages.

// Private copies: V8 folds them into the code, imported constants it loads from their module wherever they are used.
const OWNED = KERNEL_OWNED;
const LENGTH = 60;
const OFFSET = 256;

/** Steps of {@link work} before the other side is asked again: about a microsecond. */
const LOOK_AWAY_STEPS = 700;

/** Arena bytes in front of the descriptors: the index rings' words. */
export const MINIMAL_HEADER_BYTES = 4096;

/** One end of a ring. */
export interface MinimalEnd {
  /** Tries to move `turns` batches. Returns descriptors moved. */
  move(turns: number): number;
}

/** Where a minimal ring lies. Plain data. */
export interface MinimalRing {
  /** Arena byte offset of {@link MINIMAL_HEADER_BYTES} and the descriptors behind them. */
  readonly offset: number;
  /** A power of two. */
  readonly entries: number;
  readonly batch: number;
  readonly language: LoopLanguage;
}

/** Makes a ring whose descriptors are all the producer's. */
export function clearMinimalRing(i32: Int32Array, { offset, entries }: MinimalRing): void {
  const ring = (offset + MINIMAL_HEADER_BYTES) >> 2;
  i32.fill(0, offset >> 2, ring + entries * 4);
  for (let i = 0; i < entries; i++) i32[ring + 4 * i + 2] = OWNED;
  i32[ring + 3] = entries;
}

export function minimalProducer(format: RingFormat, memory: ArenaMemory, ring: MinimalRing): MinimalEnd {
  return format === 'owner' ? new OwnerProducer(memory, ring) : new IndexProducer(memory, ring);
}

export function minimalConsumer(format: RingFormat, memory: ArenaMemory, ring: MinimalRing): MinimalEnd {
  return format === 'owner' ? new OwnerConsumer(memory, ring) : new IndexConsumer(memory, ring);
}

abstract class End implements MinimalEnd {
  protected readonly i32: Int32Array;
  protected readonly runs: DescriptorRuns;
  protected readonly ring: number;
  protected readonly mask: number;
  protected readonly entries: number;
  protected readonly batch: number;
  protected readonly producer: number;
  protected readonly consumer: number;
  /** Free-running, modulo 2^32. */
  protected position = 0;
  /** What was read and what looking away came to: keeps the compiler from leaving either out. */
  sum = 1;

  constructor(memory: ArenaMemory, { offset, entries, batch, language }: MinimalRing) {
    this.i32 = new Int32Array(memory.buffer);
    this.runs = descriptorRuns(language, memory);
    this.ring = (offset + MINIMAL_HEADER_BYTES) >> 2;
    this.mask = entries - 1;
    this.entries = entries;
    this.batch = batch;
    this.producer = (offset + PRODUCER_OFFSET) >> 2;
    this.consumer = (offset + CONSUMER_OFFSET) >> 2;
  }

  abstract move(turns: number): number;

  protected lookAway(): void {
    this.sum = work(LOOK_AWAY_STEPS, this.sum);
  }
}

class OwnerProducer extends End {
  /** Descriptors from `position` on that are known to be ours. */
  #owned = 0;

  move(turns: number): number {
    const { i32, runs, ring, mask, entries, batch } = this;
    let { position } = this;
    let owned = this.#owned;
    let moved = 0;
    for (let turn = 0; turn < turns; turn++) {
      const at = position & mask;
      const gate = ring + (at << 2);
      if (owned === 0) {
        if (Atomics.load(i32, gate + 2) >= 0) {
          this.lookAway();
          continue;
        }
        owned = i32[gate + 3]!;
      }
      const count = Math.min(owned, batch);
      const run = Math.min(count, entries - at);
      runs.writeRun((gate + 4) << 2, run - 1, position + 1);
      if (count > run) runs.writeRun(ring << 2, count - run, position + run);
      i32[gate] = position;
      i32[gate + 1] = LENGTH;
      i32[gate + 3] = count;
      Atomics.store(i32, gate + 2, OFFSET);
      position = (position + count) | 0;
      owned -= count;
      moved += count;
    }
    this.position = position;
    this.#owned = owned;
    return moved;
  }
}

class OwnerConsumer extends End {
  #owned = 0;

  move(turns: number): number {
    const { i32, runs, ring, mask, entries, batch } = this;
    let { position } = this;
    let owned = this.#owned;
    let sum = 0;
    let moved = 0;
    for (let turn = 0; turn < turns; turn++) {
      const at = position & mask;
      const gate = ring + (at << 2);
      if (owned === 0) {
        if (Atomics.load(i32, gate + 2) < 0) {
          this.lookAway();
          continue;
        }
        owned = i32[gate + 3]!;
      }
      const count = Math.min(owned, batch);
      const run = Math.min(count, entries - at);
      sum = (sum + runs.takeRun((gate + 4) << 2, run - 1)) | 0;
      if (count > run) sum = (sum + runs.takeRun(ring << 2, count - run)) | 0;
      sum = (sum + i32[gate]! + i32[gate + 1]! + i32[gate + 2]!) | 0;
      i32[gate + 3] = count;
      Atomics.store(i32, gate + 2, OWNED);
      position = (position + count) | 0;
      owned -= count;
      moved += count;
    }
    this.position = position;
    this.#owned = owned;
    this.sum ^= sum;
    return moved;
  }
}

class IndexProducer extends End {
  /** The consumer's index as last read. */
  #consumed = 0;

  move(turns: number): number {
    const { i32, runs, ring, mask, batch, entries, consumer, producer } = this;
    let { position } = this;
    let consumed = this.#consumed;
    let moved = 0;
    for (let turn = 0; turn < turns; turn++) {
      if (entries - ((position - consumed) | 0) < batch) {
        consumed = Atomics.load(i32, consumer);
        if (entries - ((position - consumed) | 0) < batch) {
          this.lookAway();
          continue;
        }
      }
      const at = position & mask;
      const run = Math.min(batch, entries - at);
      runs.writeRun((ring + (at << 2)) << 2, run, position);
      if (batch > run) runs.writeRun(ring << 2, batch - run, position + run);
      position = (position + batch) | 0;
      Atomics.store(i32, producer, position);
      moved += batch;
    }
    this.position = position;
    this.#consumed = consumed;
    return moved;
  }
}

class IndexConsumer extends End {
  /** The producer's index as last read. */
  #produced = 0;

  move(turns: number): number {
    const { i32, runs, ring, mask, entries, batch, consumer, producer } = this;
    let { position } = this;
    let produced = this.#produced;
    let sum = 0;
    let moved = 0;
    for (let turn = 0; turn < turns; turn++) {
      if (produced === position) {
        produced = Atomics.load(i32, producer);
        if (produced === position) {
          this.lookAway();
          continue;
        }
      }
      const at = position & mask;
      const count = Math.min((produced - position) | 0, batch);
      const run = Math.min(count, entries - at);
      sum = (sum + runs.readRun((ring + (at << 2)) << 2, run)) | 0;
      if (count > run) sum = (sum + runs.readRun(ring << 2, count - run)) | 0;
      position = (position + count) | 0;
      Atomics.store(i32, consumer, position);
      moved += count;
    }
    this.position = position;
    this.#produced = produced;
    this.sum ^= sum;
    return moved;
  }
}
