import type { Arena } from '../../arena/arena.js';
import type { RingMap } from '../../kernel/contract.js';
import type { PacketBatch } from '../packet-batch.js';
import * as packetBatch from '../packet-batch.js';
import { EINVAL, EMSGSIZE, RefusedPackets } from '../refused-packets.js';
import type { PacketOrigin, SocketRings } from '../socket-rings.js';
import type { CopyList } from './copy-list.js';
import type { TransmitLayout } from './layout.js';
import * as layout from './layout.js';
import * as slotState from './slot-state.js';
import { TransmitRing } from './transmit-ring.js';

// Constants of this module's own, which the optimising compiler folds: see kernel.ts.
const { ETHERNET_HEADER_BYTES } = layout;
const { PACKET_CONTINUES } = packetBatch;
const { FREE, HELD, READY } = slotState;

/**
 * Sending through the TX ring of V2 or V3: slots of the ring are posted where they are, if the order allows; packets that lie
 * elsewhere are copied into the next slots and given back to where they came from.
 */
export class TransmitSlots extends TransmitRing {
  readonly #copies: CopyList;
  /** With outcomes: packets that can never be sent, until `completions`. */
  readonly #refused: RefusedPackets | undefined;

  /** Entries of the batch being sent that belong to a packet begun before. */
  #continued = 0;

  /**
   * @param owner the rings that this ring is part of: their counters count, and they take packets without origin back
   * @param copies empty between calls; stays the caller's
   */
  constructor(
    arena: Arena,
    ring: RingMap,
    layout: TransmitLayout,
    outcomes: boolean,
    owner: SocketRings,
    copies: CopyList,
  ) {
    super(arena, ring, layout, outcomes, owner);
    this.#copies = copies;
    this.#refused = outcomes ? new RefusedPackets() : undefined;
  }

  /** See SocketRings, except for the kick. */
  send(batch: PacketBatch): number {
    if (!this.outcomes) this.reap(undefined, this.entries);
    const origin = batch.origin ?? this.owner;
    const { counters } = this.owner;
    const refusedBefore = counters.unsendable;
    this.#continued = 0;
    const inPlace = this.postInPlace(batch);
    const taken = inPlace < batch.length ? this.#takeOthers(batch, inPlace, origin) : inPlace;
    if (this.window > 0) this.settle();
    const sent = taken - this.#continued - (counters.unsendable - refusedBefore);
    counters.sent += sent;
    counters.sentFrames += sent; // one slot each
    batch.dropFirst(taken);
    this.#copies.giveBack(origin);
    return taken;
  }

  override completions(batch: PacketBatch): number {
    const refused = this.#refused?.take(batch) ?? 0;
    return refused > 0 ? refused : super.completions(batch);
  }

  /** At the close: gives back what `completions` was not asked for. */
  releaseRefused(): void {
    this.#refused?.releaseAll(this.owner);
  }

  /** Makes the entries from `from` on ready, packet by packet; returns the entry after the last one taken. */
  #takeOthers(batch: PacketBatch, from: number, origin: PacketOrigin): number {
    const { offset, size, flags, length } = batch;
    const copies = this.#copies;
    let next = from;
    for (;;) {
      next = this.#takeForeign(batch, next);
      if (next === length) break;
      if (copies.full) {
        copies.make();
        copies.giveBack(origin);
      } else if ((flags[next]! & PACKET_CONTINUES) === 0 && this.contains(offset[next]!)) {
        // The copies listed so far may read this slot, or write the one it goes to: they come first.
        copies.make();
        if (!this.#takeOwn(offset[next]!, size[next]!, origin)) break;
        next++;
      } else {
        const after = this.#takeParts(batch, next, origin);
        if (after === next) break;
        next = after;
      }
    }
    copies.make();
    return next;
  }

  /** Takes packets that lie elsewhere in one part, up to the first that is otherwise; returns its entry. */
  #takeForeign(batch: PacketBatch, from: number): number {
    const { offset, size, flags } = batch;
    const copies = this.#copies;
    const state = this.state;
    const lengths = this.length;
    const length = batch.length | 0;
    const base = this.base | 0;
    const bytes = this.bytes | 0;
    const shift = this.shift | 0;
    const entries = this.entries | 0;
    const dataOffset = this.layout.dataOffset | 0;
    const largest = this.largest() | 0;
    const arenaBytes = this.u8.length;
    const free = (entries - this.inKernel - this.window) | 0;
    let tail = this.tail() | 0;
    let next = from | 0;
    let taken = 0;
    for (; next < length && taken < free && state[tail] === FREE && !copies.full; next++) {
      const at = offset[next]!;
      const packet = size[next]!;
      if ((flags[next]! & PACKET_CONTINUES) !== 0 || (at - base) >>> 0 < bytes) break;
      if (packet < ETHERNET_HEADER_BYTES || packet > largest || at < 0 || at > arenaBytes - packet) break;
      copies.add(at, base + (tail << shift) + dataOffset, packet);
      state[tail] = READY;
      lengths[tail] = packet;
      tail = tail + 1 === entries ? 0 : tail + 1;
      taken++;
    }
    this.window += taken;
    this.owner.counters.copied += taken;
    return next;
  }

  /** Takes one packet that lies elsewhere, in any number of parts; returns the entry after it, or `first` when it must wait. */
  #takeParts({ offset, size, flags, length }: PacketBatch, first: number, origin: PacketOrigin): number {
    const { counters } = this.owner;
    const copies = this.#copies;
    const arenaBytes = this.u8.length;
    let after = first;
    let total = 0;
    let good = true;
    for (let more = true; more && after < length; after++) {
      const bytes = size[after]!;
      if (bytes < 0 || offset[after]! < 0 || offset[after]! > arenaBytes - bytes) good = false;
      total += bytes;
      more = (flags[after]! & PACKET_CONTINUES) !== 0;
    }
    good = good && total >= ETHERNET_HEADER_BYTES && total <= this.largest();
    if (good && !this.tailFree()) return first;
    const refused = good ? undefined : this.#refused;
    if (refused !== undefined && refused.room < after - first) return first;
    const outcome = total > this.largest() ? EMSGSIZE : EINVAL;
    let to = good ? this.takeTail(total) : 0;
    this.#continued += after - first - 1;
    if (good) counters.copied++;
    else counters.unsendable++;
    for (let i = first; i < after; i++) {
      if (copies.full) {
        copies.make();
        copies.giveBack(origin);
      }
      if (good) copies.add(offset[i]!, to, size[i]!);
      else if (refused !== undefined) refused.add(offset[i]!, size[i]!, flags[i]!, outcome, origin);
      else copies.addOriginal(offset[i]!);
      to += size[i]!;
    }
    return after;
  }

  /** Takes a packet that lies in a slot of this ring; false when it must wait for a slot. */
  #takeOwn(at: number, bytes: number, origin: PacketOrigin): boolean {
    const { counters } = this.owner;
    const slot = (at - this.base) >> this.shift;
    const data = this.base + (slot << this.shift) + this.layout.dataOffset;
    const refused = this.#refused;
    if (this.state[slot] !== HELD) {
      // It is not the application's, or was sent already.
      if (refused?.room === 0) return false;
      counters.unsendable++;
      refused?.add(at, bytes, 0, EINVAL, origin);
      return true;
    }
    if (at < data || bytes < ETHERNET_HEADER_BYTES || bytes > this.largest() || at + bytes > data + this.room) {
      if (refused?.room === 0) return false;
      counters.unsendable++;
      // As the application's own it holds up the slots behind it, until it is released or sent again.
      if (refused === undefined) this.giveBack(at);
      else refused.add(at, bytes, 0, bytes > this.largest() ? EMSGSIZE : EINVAL, origin);
      return true;
    }
    if (slot === this.tail() && this.inKernel + this.window < this.entries) this.window++;
    if (this.inWindow(slot)) {
      if (at !== data) this.u8.copyWithin(data, at, at + bytes);
      this.state[slot] = READY;
      this.length[slot] = bytes;
      return true;
    }
    if (!this.tailFree()) return false;
    const to = this.takeTail(bytes);
    this.u8.copyWithin(to, at, at + bytes);
    this.state[slot] = FREE;
    counters.copied++;
    return true;
  }
}
