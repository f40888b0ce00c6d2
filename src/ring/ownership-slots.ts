import type { PacketVersion, RingMap, SocketMaps } from '../kernel/contract.js';
import { checksum, type OwnershipCallSite } from './ownership-ledger.js';

/** A packet in a ring of V2 or V3 that the program holds, or a slot of the TX ring that it sent. */
export interface OwnedSlot {
  /** Number of the slot or block in its ring. */
  readonly slot: number;
  readonly offset: number;
  readonly bytes: number;
  site: OwnershipCallSite;
  sent: boolean;
  sum: number;
}

/**
 * What a program holds of the rings of a V2 or V3 socket. A slot, unlike a block, holds one packet: it is known by any offset in it; a
 * packet in a block by any offset in the packet.
 */
export class OwnershipSlots {
  readonly #receive: RingMap | undefined;
  readonly #transmit: RingMap | undefined;
  readonly #blocks: boolean;
  /** By the slot's first byte, or (V3, received) the packet's. */
  readonly #owned = new Map<number, OwnedSlot>();
  /** The call that gave a slot back last. For packets in blocks nobody knows: others lie there by now. */
  readonly #last = new Map<number, OwnershipCallSite>();

  constructor(
    version: PacketVersion,
    maps: SocketMaps,
    private readonly u8: Uint8Array,
  ) {
    const slots = version === 'v2' || version === 'v3';
    this.#receive = slots ? maps.receive : undefined;
    this.#transmit = slots ? maps.transmit : undefined;
    this.#blocks = version === 'v3';
  }

  /** Whether an offset lies in one of the rings. */
  contains(offset: number): boolean {
    return lies(this.#receive, offset) || lies(this.#transmit, offset);
  }

  /** Whether it lies in the TX ring. */
  toSend(offset: number): boolean {
    return lies(this.#transmit, offset);
  }

  /** Number of the slot or block at an offset. */
  slotAt(offset: number): number {
    const ring = lies(this.#receive, offset) ? this.#receive! : this.#transmit!;
    return Math.floor((offset - ring.base) / ring.entryBytes);
  }

  find(offset: number): OwnedSlot | undefined {
    const exact = this.#owned.get(this.#key(offset));
    if (exact !== undefined || !this.#blocks || this.toSend(offset)) return exact;
    // The program moved the start of the packet: forwards, or into the room before it.
    let next: OwnedSlot | undefined;
    for (const owned of this.#owned.values()) {
      if (owned.slot !== this.slotAt(offset) || this.toSend(owned.offset)) continue;
      if (offset >= owned.offset && offset < owned.offset + owned.bytes) return owned;
      if (owned.offset > offset && (next === undefined || owned.offset < next.offset)) next = owned;
    }
    return next !== undefined && next.offset - offset < MOST_ROOM_BEFORE ? next : undefined;
  }

  last(offset: number): OwnershipCallSite | undefined {
    return this.#last.get(this.#key(offset));
  }

  /** The program took a packet or slot. Returns what it had taken there before, if anything. */
  take(offset: number, bytes: number, site: OwnershipCallSite): OwnedSlot | undefined {
    const key = this.#key(offset);
    const before = this.#owned.get(key);
    this.#owned.set(key, { slot: this.slotAt(offset), offset, bytes, site, sent: false, sum: 0 });
    return before;
  }

  giveBack(owned: OwnedSlot, site: OwnershipCallSite): void {
    const key = this.#key(owned.offset);
    this.#owned.delete(key);
    if (!this.#blocks || this.toSend(owned.offset)) this.#last.set(key, site);
  }

  /** The program sent a slot of the TX ring where it is. */
  send(owned: OwnedSlot, bytes: number, site: OwnershipCallSite): void {
    const { slot, offset } = owned;
    const sum = checksum(this.u8, offset, bytes);
    this.#owned.set(this.#key(offset), { slot, offset, bytes, site, sent: true, sum });
  }

  /** Whether a sent slot that came back is as it was sent. */
  unchanged({ offset, bytes, sum }: OwnedSlot): boolean {
    return checksum(this.u8, offset, bytes) === sum;
  }

  /** Forgets what was sent: slots may have been used again, or moved, without a call of the program. */
  forgetSent(): void {
    for (const [key, owned] of this.#owned) if (owned.sent) this.#owned.delete(key);
  }

  /** What the program holds. */
  *held(): Generator<OwnedSlot> {
    for (const owned of this.#owned.values()) if (!owned.sent) yield owned;
  }

  #key(offset: number): number {
    if (this.#blocks && !this.toSend(offset)) return offset;
    const ring = lies(this.#receive, offset) ? this.#receive! : this.#transmit!;
    return offset - ((offset - ring.base) % ring.entryBytes);
  }
}

/** Bytes in front of a packet in a block that belong to it: headers and what a program may prepend. */
const MOST_ROOM_BEFORE = 128;

function lies(ring: RingMap | undefined, offset: number): boolean {
  return ring !== undefined && offset >= ring.base && offset < ring.base + ring.entries * ring.entryBytes;
}
