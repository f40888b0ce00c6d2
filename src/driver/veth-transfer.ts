import { type Arena, PAGE_BYTES, type Region } from '../arena/arena.js';
import { CONTINUES, type EmptyFrameSource, MOST_PARTS, type PacketArray } from '../packet-array/packet-array.js';

/** Words of one copy: source, destination, bytes. */
const COPY_WORDS = 3;
/** Copies listed at a time: what a page holds. More than one packet of a full array can need. */
const COPIES = Math.floor(PAGE_BYTES / (COPY_WORDS * 4));

/**
 * Moves packets from one packet array into another (K5): outstanding packets of the sending array go into empty frames of the
 * receiving one. Two ways, chosen once per batch:
 *
 * - copy: the bytes are copied, in one call for the batch; packets are joined or split as the receiving frames' room demands
 *   (F9). This is zero-copy's only copy, and also the conversion when one end is ordinary (F5).
 * - exchange: the entries swap their frames, no byte moves. For ends whose frames come from one and the same pool.
 *
 * It works on arrays and addresses only: whose frames they are makes no difference (F8).
 */
export class VethTransfer {
  /** What the last `move` did: bytes of the packets that it took from the sending array, whatever became of them. */
  bytes = 0;
  /** Packets that reached the receiving array, and their bytes. */
  delivered = 0;
  deliveredBytes = 0;
  /** Packets dropped: no empty frame was posted for them; longer than the receiving end takes. */
  noDescriptor = 0;
  oversize = 0;
  readonly #arena: Arena;
  readonly #memory: Region;
  /** Word index of the copy list. */
  readonly #list: number;

  /** @throws PacketError ARENA_EXHAUSTED */
  constructor(arena: Arena) {
    this.#arena = arena;
    this.#memory = arena.allocate(PAGE_BYTES);
    this.#list = this.#memory.offset >> 2;
  }

  /**
   * Moves up to `budget` whole packets. Advances `from` past what was taken and `to` past what was filled; flushing both is the
   * caller's. A packet whose end is not in the array yet stays.
   *
   * @param empty where further empty frames for `to` come from; asked only for as many as the batch needs
   * @param longest bytes of the longest packet that the receiving end takes
   * @param exchange whether frames of the two arrays may be swapped instead of copied
   * @returns packets taken
   */
  move(
    from: PacketArray,
    to: PacketArray,
    empty: EmptyFrameSource,
    longest: number,
    budget: number,
    exchange: boolean,
  ): number {
    const { address: source, length: sourceLength, flags: sourceFlags, mask: sourceMask, end } = from;
    const { address, length, flags, mask } = to;
    const { room } = empty;
    const { i32 } = this.#arena;
    const listStart = this.#list;
    const listEnd = listStart + COPIES * COPY_WORDS;
    let list = listStart;
    let next = from.current;
    let into = to.current;
    let starved = false;
    let packets = 0;
    let bytes = 0;
    let delivered = 0;
    let deliveredBytes = 0;
    let noDescriptor = 0;
    let oversize = 0;
    while (packets < budget && next !== end) {
      let parts = 1;
      let total = sourceLength[next & sourceMask]!;
      while ((sourceFlags[(next + parts - 1) & sourceMask]! & CONTINUES) !== 0 && ((next + parts) | 0) !== end) {
        total += sourceLength[(next + parts) & sourceMask]!;
        parts++;
      }
      if ((sourceFlags[(next + parts - 1) & sourceMask]! & CONTINUES) !== 0) break; // the rest is not posted yet
      const frames = exchange ? parts : total <= room ? 1 : Math.ceil(total / room);
      if (total > longest || frames > MOST_PARTS) {
        oversize++;
      } else {
        const free = (to.end - into) | 0;
        if (free < frames && !starved) {
          // As many as the rest of the batch may want, so that its packets find theirs; frames not asked for stay with their owner.
          const entries = (end - next) | 0;
          const wanted = Math.max(frames, Math.min(entries, budget - packets));
          empty.populate(to, wanted - free);
          starved = ((to.end - into) | 0) < frames;
        }
        if (((to.end - into) | 0) < frames) {
          noDescriptor++;
        } else {
          if (exchange) {
            for (let i = 0; i < parts; i++) {
              const mine = (next + i) & sourceMask;
              const theirs = (into + i) & mask;
              const frame = address[theirs]!;
              address[theirs] = source[mine]!;
              length[theirs] = sourceLength[mine]!;
              flags[theirs] = sourceFlags[mine]! & CONTINUES;
              source[mine] = frame;
            }
          } else {
            if (list + (parts + frames) * COPY_WORDS > listEnd) list = this.#copy(list);
            if (parts === 1 && frames === 1) {
              const at = into & mask;
              i32[list] = source[next & sourceMask]!;
              i32[list + 1] = address[at]!;
              i32[list + 2] = total;
              list += COPY_WORDS;
              length[at] = total;
              flags[at] = 0;
            } else {
              list = this.#spread(from, next, to, into, frames, room, total, list);
            }
          }
          into = (into + frames) | 0;
          delivered++;
          deliveredBytes += total;
        }
      }
      packets++;
      bytes += total;
      next = (next + parts) | 0;
    }
    if (list !== listStart) this.#copy(list);
    from.current = next;
    to.current = into;
    this.bytes = bytes;
    this.delivered = delivered;
    this.deliveredBytes = deliveredBytes;
    this.noDescriptor = noDescriptor;
    this.oversize = oversize;
    return packets;
  }

  /** Lists the copies of one packet of several parts, or into several frames; returns the list's new end. */
  #spread(
    from: PacketArray,
    next: number,
    to: PacketArray,
    into: number,
    frames: number,
    room: number,
    total: number,
    list: number,
  ): number {
    const { i32 } = this.#arena;
    let part = next & from.mask;
    let used = 0;
    let rest = total;
    for (let i = 0; i < frames; i++) {
      const at = (into + i) & to.mask;
      const fill = Math.min(rest, room);
      for (let filled = 0; filled < fill; ) {
        const left = from.length[part]! - used;
        const piece = Math.min(left, fill - filled);
        i32[list] = from.address[part]! + used;
        i32[list + 1] = to.address[at]! + filled;
        i32[list + 2] = piece;
        list += COPY_WORDS;
        filled += piece;
        used += piece;
        if (used === from.length[part]!) {
          part = (part + 1) & from.mask;
          used = 0;
        }
      }
      to.length[at] = fill;
      to.flags[at] = i < frames - 1 ? CONTINUES : 0;
      rest -= fill;
    }
    return list;
  }

  /** Makes the listed copies; returns where the list starts again. */
  #copy(list: number): number {
    this.#arena.routines.copyPackets(this.#list << 2, (list - this.#list) / COPY_WORDS);
    return this.#list;
  }

  close(): void {
    this.#arena.free(this.#memory);
  }
}
