import type { RingMap } from '../../kernel/contract.js';
import type { FramePurpose } from '../../packet-buffer/frame-pool.js';
import type { PacketBuffer } from '../../packet-buffer/packet-buffer.js';
import type { PacketBatch } from '../packet-batch.js';
import type { SocketRings } from '../socket-rings.js';
import { COPIES_AT_ONCE, type CopyList } from './copy-list.js';

/**
 * Moves packets that a program wants to hold out of the kernel's ring, where they would stop it, into frames of the packet buffer
 * (I10). The place in the ring goes back at once; the entry of the batch names the frame from then on.
 */
export class RingEvacuation {
  readonly #buffer: PacketBuffer;
  readonly #copies: CopyList;
  readonly #owner: SocketRings;
  /** Entries of the batch that are moved together, and the frames they move to. */
  readonly #entries = new Int32Array(COPIES_AT_ONCE);
  readonly #frames = new Int32Array(COPIES_AT_ONCE);

  /**
   * @param copies empty between calls; stays the caller's
   * @param owner the rings: they take the places back, and their counters count
   */
  constructor(buffer: PacketBuffer, copies: CopyList, owner: SocketRings) {
    this.#buffer = buffer;
    this.#copies = copies;
    this.#owner = owner;
  }

  /**
   * Moves those entries of a batch that lie in a ring, as long as there are frames.
   *
   * @param purpose whose frames are taken
   * @returns entries that stay in the ring
   */
  move(batch: PacketBatch, ring: RingMap | undefined, purpose: FramePurpose): number {
    if (ring === undefined) return 0;
    const { offset, size, length } = batch;
    const { room } = this.#buffer;
    const base = ring.base;
    const bytes = ring.entries * ring.entryBytes;
    const entries = this.#entries;
    let staying = 0;
    for (let i = 0; i < length; ) {
      let count = 0;
      for (; i < length && count < COPIES_AT_ONCE; i++) {
        const within = (offset[i]! - base) >>> 0;
        if (within >= bytes) continue;
        const packet = size[i]!;
        // What a frame has no room for can only stay. (As unsigned numbers negative sizes are too large, too.)
        if (packet >>> 0 > room || packet > bytes - within) staying++;
        else entries[count++] = i;
      }
      if (count > 0) staying += count - this.#moveListed(batch, count, purpose);
    }
    return staying;
  }

  /** Moves the first listed entries, as many as there are frames; returns how many. */
  #moveListed({ offset, size }: PacketBatch, wanted: number, purpose: FramePurpose): number {
    const { pool, dataOffset } = this.#buffer;
    const entries = this.#entries;
    const frames = this.#frames;
    const copies = this.#copies;
    let count = pool.take(frames, 0, wanted, purpose);
    if (count < wanted && this.#buffer.reclaim() > 0) count += pool.take(frames, count, wanted - count, purpose);
    for (let n = 0; n < count; n++) {
      const entry = entries[n]!;
      const to = frames[n]! + dataOffset;
      copies.add(offset[entry]!, to, size[entry]!);
      offset[entry] = to;
    }
    copies.make();
    copies.giveBack(this.#owner);
    this.#owner.counters.copiedOut += count;
    return count;
  }
}
