import type { Arena, Region } from '../arena/arena.js';
import { HARDWARE_DESCRIPTOR_BYTES } from './descriptors.js';

/**
 * One hardware queue pair: a receive and a transmit descriptor ring in the NIC's memory, with the device's head and the
 * driver's tail (registers). All four run freely, modulo 2^32. Descriptors head..tail-1 are the device's.
 */
export class QueuePair {
  readonly mask: number;
  /** Arena byte offsets of the rings. */
  readonly receiveRing: number;
  readonly transmitRing: number;
  receiveHead = 0;
  receiveTail = 0;
  /** Bytes of each receive frame. */
  room = 0;
  transmitHead = 0;
  transmitTail = 0;
  /** The driver is polling and wants no interrupt. */
  masked = false;
  /** An interrupt is pending at the device. */
  pending = false;
  /** Descriptors written back since the driver was last told, and since when (interrupt moderation). */
  unseen = 0;
  unseenSince = 0;
  /** Queued for transmit DMA. */
  sending = false;
  /** Fault injection: the device ignores the queue. */
  stuck = false;
  packetsReceived = 0;
  packetsSent = 0;
  dropped = 0;
  readonly #region: Region;

  constructor(
    readonly index: number,
    entries: number,
    private readonly arena: Arena,
  ) {
    this.mask = entries - 1;
    const bytes = entries * HARDWARE_DESCRIPTOR_BYTES;
    this.#region = arena.allocate(2 * bytes);
    arena.clear(this.#region);
    this.receiveRing = this.#region.offset;
    this.transmitRing = this.#region.offset + bytes;
  }

  /** Stops the queue: the device forgets its descriptors. */
  reset(): void {
    this.receiveHead = this.receiveTail = this.transmitHead = this.transmitTail = 0;
    this.unseen = 0;
    this.pending = false;
    this.arena.u8.fill(0, this.#region.offset, this.#region.offset + this.#region.bytes);
  }

  /** No descriptor has hints any more. */
  forgetHints(): void {
    const { i32 } = this.arena;
    for (let i = 0; i <= this.mask; i++) i32[((this.receiveRing + i * HARDWARE_DESCRIPTOR_BYTES) >> 2) + 1] = 0;
  }

  close(): void {
    this.arena.free(this.#region);
  }
}
