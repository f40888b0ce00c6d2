import type { PacketBatch } from '../packet-batch.js';
import * as packetBatch from '../packet-batch.js';
import * as v2 from '../v2/layout.js';
import { canInsertVlanTag, DEFAULT_TPID, insertVlanTag, VLAN_TAG_BYTES } from '../v2/link-address.js';
import { entryShift, SlotRings, type SlotRingsOptions } from '../v2/slot-rings.js';
import * as layout from './layout.js';
import {
  BLOCK_FIRST,
  BLOCK_HEADER_BYTES,
  BLOCK_LENGTH,
  BLOCK_PACKETS,
  BLOCK_STATUS,
  TP_STATUS_BLK_TMO,
  V3_TRANSMIT,
} from './layout.js';

// Constants of this module's own, which the optimising compiler folds: see ../v2/kernel.ts.
const {
  HEADER_BYTES,
  LENGTH,
  MAC_NET,
  NANOSECONDS,
  NEXT_OFFSET,
  PACKET_ALIGNMENT,
  SECONDS,
  SNAPLEN,
  STATUS,
  TPACKET3_HDRLEN,
  VLAN_TCI,
  VLAN_TPID,
} = layout;
const { PACKET_TRUNCATED } = packetBatch;
const { TP_STATUS_CSUMNOTREADY, TP_STATUS_KERNEL, TP_STATUS_USER, TP_STATUS_VLAN_TPID_VALID, TP_STATUS_VLAN_VALID } =
  v2;

/** Whose a block is. */
const KERNEL = 0;
const WALKED_NOW = 1;
const WALKED = 2;

/**
 * The user side of TPACKET_V3: blocks are taken in order and walked packet by packet, over as many batches as it takes. A block
 * goes back when it was walked to its end and every packet of it was released, in whatever order. Where packets are few, a block goes
 * with each retire time-out: whoever held one packet of each would soon hold the whole ring. So the packets of a block that came
 * half empty are copied out at once, which at such a rate costs next to nothing.
 *
 *       oldest                             cursor            oldest
 *     --+----------------------------------+-----------------+--
 *       | WALKED, with packets held, or    | KERNEL: filled, |
 *       | KERNEL: given back | WALKED_NOW  | or being filled |
 *     --+----------------------- span -----+-----------------+--
 */
export class V3Rings extends SlotRings {
  readonly #base: number;
  readonly #bytes: number;
  readonly #blocks: number;
  readonly #blockBytes: number;
  readonly #shift: number;
  readonly #half: number;
  readonly #state: Uint8Array;
  /** Packets of each block that the application has. */
  readonly #held: Int32Array;
  /** The block under the cursor: walked now, or the next to look at. */
  #block = 0;
  /** Packets of it still to be handed out. */
  #left = 0;
  /** Header of the next of them, as an arena byte offset. */
  #at = 0;
  #oldest = 0;
  #span = 0;
  /** The block that is walked now was handed over by the time-out, at most half full. */
  #sparse = false;

  constructor(options: SlotRingsOptions) {
    super(options, V3_TRANSMIT);
    const ring = options.maps.receive;
    this.#base = ring?.base ?? 0;
    this.#blocks = ring?.entries ?? 0;
    this.#blockBytes = ring?.entryBytes ?? 0;
    this.#bytes = this.#blocks * this.#blockBytes;
    this.#shift = entryShift(ring);
    this.#half = Math.max(1, this.#blocks >> 1);
    this.#state = new Uint8Array(this.#blocks);
    this.#held = new Int32Array(this.#blocks);
  }

  protected ready(): boolean {
    // A block may be empty (older Linux hands over such when the time is over): not more than once around.
    for (let looks = this.#blocks; this.#left === 0; looks--) {
      if (looks === 0 || this.#span >= this.#blocks || !this.#openBlock()) return false;
    }
    return true;
  }

  /** Takes the block under the cursor from the kernel, if it was handed over. */
  #openBlock(): boolean {
    const { i32 } = this;
    const start = this.#base + (this.#block << this.#shift);
    const header = start >> 2;
    const status = Atomics.load(i32, header + BLOCK_STATUS);
    if ((status & TP_STATUS_USER) === 0) return false;
    this.#sparse = (status & TP_STATUS_BLK_TMO) !== 0 && i32[header + BLOCK_LENGTH]! <= this.#blockBytes >> 1;
    const packets = i32[header + BLOCK_PACKETS]!;
    const first = i32[header + BLOCK_FIRST]!;
    this.#state[this.#block] = WALKED_NOW;
    this.#span++;
    const aligned = (first & (PACKET_ALIGNMENT - 1)) === 0;
    if (packets > 0 && aligned && first >= BLOCK_HEADER_BYTES && first <= this.#blockBytes - HEADER_BYTES) {
      this.#left = packets;
      this.#at = start + first;
    } else {
      if (packets !== 0) this.counters.invalid++; // only a block that somebody spoilt looks so
      this.#leaveBlock();
    }
    return true;
  }

  /** The cursor moves on to the next block. */
  #leaveBlock(): void {
    const block = this.#block | 0;
    this.#left = 0;
    this.#state[block] = WALKED;
    this.#block = block + 1 === this.#blocks ? 0 : block + 1;
    if (this.#held[block] === 0) this.#handOver(block);
  }

  #handOver(block: number): void {
    this.#state[block] = KERNEL;
    Atomics.store(this.i32, ((this.#base + (block << this.#shift)) >> 2) + BLOCK_STATUS, TP_STATUS_KERNEL);
    const state = this.#state;
    const blocks = this.#blocks | 0;
    while (this.#span > 0 && state[this.#oldest] === KERNEL) {
      this.#oldest = this.#oldest + 1 === blocks ? 0 : this.#oldest + 1;
      this.#span--;
    }
  }

  protected roomInPlace(): number {
    return this.#span <= this.#half ? this.#left : 0;
  }

  protected override betterCopied(): boolean {
    return this.#sparse;
  }

  protected take(batch: PacketBatch, from: number, limit: number): number {
    const { offset, size, flags, originalSize, seconds, nanoseconds } = batch;
    const { i32 } = this;
    const blockEnd = this.#base + (this.#block << this.#shift) + this.#blockBytes;
    let left = this.#left | 0;
    let start = this.#at | 0;
    const end = from + Math.min(limit, left);
    let at = from;
    while (at < end) {
      const header = start >> 2;
      const room = blockEnd - start;
      const next = i32[header + NEXT_OFFSET]!;
      const status = i32[header + STATUS]!;
      let bytes = i32[header + SNAPLEN]!;
      let mac = i32[header + MAC_NET]! & 0xffff;
      if (mac < TPACKET3_HDRLEN || mac >= room || bytes < 0 || bytes > room - mac) {
        this.counters.invalid++; // only a block that somebody spoilt looks so: what follows cannot be found
        left = 0;
        break;
      }
      const cut = i32[header + LENGTH]! - bytes;
      if ((status & TP_STATUS_VLAN_VALID) !== 0 && canInsertVlanTag(mac - TPACKET3_HDRLEN, bytes)) {
        const tpid = (status & TP_STATUS_VLAN_TPID_VALID) !== 0 ? i32[header + VLAN_TPID]! & 0xffff : DEFAULT_TPID;
        insertVlanTag(this.u8, start + mac, tpid, i32[header + VLAN_TCI]! & 0xffff);
        mac -= VLAN_TAG_BYTES;
        bytes += VLAN_TAG_BYTES;
      }
      offset[at] = start + mac;
      size[at] = bytes;
      flags[at] = status & TP_STATUS_CSUMNOTREADY; // PACKET_CHECKSUM_NOT_READY is the same bit
      if (cut > 0) {
        flags[at] = flags[at]! | PACKET_TRUNCATED;
        originalSize[at] = bytes + cut;
        this.counters.truncated++;
      }
      seconds[at] = i32[header + SECONDS]!;
      nanoseconds[at] = i32[header + NANOSECONDS]!;
      at++;
      left--;
      if (left === 0) break;
      if (next < HEADER_BYTES || next > room - HEADER_BYTES || (next & (PACKET_ALIGNMENT - 1)) !== 0) {
        this.counters.invalid++;
        left = 0;
        break;
      }
      start += next;
    }
    const taken = at - from;
    this.#held[this.#block] = this.#held[this.#block]! + taken;
    this.#at = start;
    this.#left = left;
    if (left === 0) this.#leaveBlock();
    return taken;
  }

  protected giveBack({ offset, length }: PacketBatch): number {
    const base = this.#base | 0;
    const bytes = this.#bytes | 0;
    const shift = this.#shift | 0;
    const held = this.#held;
    let others = 0;
    for (let i = 0; i < length; i++) {
      const at = offset[i]!;
      const within = (at - base) >>> 0;
      if (within >= bytes) {
        offset[others++] = at;
        continue;
      }
      const block = within >>> shift;
      const rest = held[block]! - 1;
      if (rest < 0) {
        this.counters.invalid++; // released twice
        continue;
      }
      held[block] = rest;
      if (rest === 0 && this.#state[block] === WALKED) this.#handOver(block);
    }
    return others;
  }
}
