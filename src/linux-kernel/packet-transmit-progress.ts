import type { RingMap } from '../kernel/contract.js';
import { TP_STATUS_SEND_REQUEST, TP_STATUS_SENDING, type TransmitLayout } from '../ring/v2/layout.js';

/** Status bits of a frame that the kernel still has to send, or is sending. */
const WITH_KERNEL = TP_STATUS_SEND_REQUEST | TP_STATUS_SENDING;

/**
 * How far the kernel is with a V2 or V3 TX ring, from the frames' states: the kernel itself keeps no count of packets sent.
 *
 *       back                     posted
 *     --+------------------------+--------------------
 *       | SEND_REQUEST, SENDING  | AVAILABLE, or posted since the last look
 *     --+------ on their way ----+--------------------
 */
export class TransmitProgress {
  readonly #i32: Int32Array;
  readonly #base: number;
  readonly #entries: number;
  readonly #entryWords: number;
  readonly #statusWord: number;
  readonly #handedOverWord: number;
  #back = 0;
  #posted = 0;
  #onTheirWay = 0;
  #sent = 0;

  constructor(i32: Int32Array, ring: RingMap, layout: TransmitLayout) {
    this.#i32 = i32;
    this.#base = ring.base >> 2;
    this.#entries = ring.entries;
    this.#entryWords = ring.entryBytes >> 2;
    this.#statusWord = this.#base + layout.statusWord;
    this.#handedOverWord = this.#base + layout.handedOverWord;
  }

  /** Packets that the kernel has handed back since the beginning, as of the last look. */
  get sent(): number {
    return this.#sent;
  }

  /** Whether every frame is on its way: there is no room to post in, and the kernel will tell when there is (POLLOUT). */
  get full(): boolean {
    return this.#onTheirWay === this.#entries;
  }

  /** Takes notice of what came back, and of what was posted. A batch says in its first frame how many frames it has. */
  look(): void {
    this.#lookBack();
    const i32 = this.#i32;
    while (this.#onTheirWay < this.#entries) {
      const frame = this.#posted * this.#entryWords;
      if ((Atomics.load(i32, this.#statusWord + frame) & TP_STATUS_SEND_REQUEST) === 0) return;
      const handedOver = -i32[this.#handedOverWord + frame]!;
      const count = Math.min(Math.max(1, handedOver), this.#entries - this.#onTheirWay);
      this.#onTheirWay += count;
      this.#posted = (this.#posted + count) % this.#entries;
    }
  }

  /** Whether the kernel has frames that it did not begin to send, because the device or the send buffer had no room for them. */
  unsent(): boolean {
    if (this.#onTheirWay === 0) return false;
    const last = (this.#posted === 0 ? this.#entries : this.#posted) - 1; // it takes them in order
    return (Atomics.load(this.#i32, this.#statusWord + last * this.#entryWords) & TP_STATUS_SEND_REQUEST) !== 0;
  }

  /** Whether frames are on their way. */
  sending(): boolean {
    this.#lookBack();
    return this.#onTheirWay > 0;
  }

  #lookBack(): void {
    const i32 = this.#i32;
    const entries = this.#entries;
    let back = this.#back;
    let left = this.#onTheirWay;
    if (left === 0 || (Atomics.load(i32, this.#statusWord + back * this.#entryWords) & WITH_KERNEL) !== 0) return;
    // One atomic load is enough: what the plain ones after it see too late is counted by the next look.
    do {
      back = back + 1 === entries ? 0 : back + 1;
      left--;
    } while (left > 0 && (i32[this.#statusWord + back * this.#entryWords]! & WITH_KERNEL) === 0);
    this.#sent += this.#onTheirWay - left;
    this.#back = back;
    this.#onTheirWay = left;
  }
}
