import type { PacketBatch } from '../packet-batch.js';
import * as packetBatch from '../packet-batch.js';
import * as layout from './layout.js';
import { V2_TRANSMIT } from './layout.js';
import { canInsertVlanTag, DEFAULT_TPID, insertVlanTag, VLAN_TAG_BYTES } from './link-address.js';
import { entryShift, SlotRings, type SlotRingsOptions } from './slot-rings.js';

// Constants of this module's own, which the optimising compiler folds: see kernel.ts.
const {
  HANDED_OVER,
  LENGTH,
  MAC_NET,
  NANOSECONDS,
  SECONDS,
  SNAPLEN,
  STATUS,
  TP_STATUS_CSUMNOTREADY,
  TP_STATUS_KERNEL,
  TP_STATUS_USER,
  TP_STATUS_VLAN_TPID_VALID,
  TP_STATUS_VLAN_VALID,
  TPACKET2_HDRLEN,
  VLAN,
} = layout;
const { PACKET_TRUNCATED } = packetBatch;

/**
 * The user side of TPACKET_V2: a ring of slots for receiving, taken in order, given back in any order, one by one.
 *
 *       oldest                          next                       oldest
 *     --+-------------------------------+--------------------------+--
 *       | held, or given back           | the kernel's, or filled  |
 *     --+---------- span ---------------+--------------------------+--
 */
export class V2Rings extends SlotRings {
  readonly #base: number;
  readonly #bytes: number;
  readonly #entries: number;
  readonly #shift: number;
  readonly #half: number;
  /** 1 for slots that the application has. */
  readonly #held: Uint8Array;
  #next = 0;
  #oldest = 0;
  #span = 0;
  /** Slots from `next` on that an atomic load has ordered already. */
  #ordered = 0;

  constructor(options: SlotRingsOptions) {
    super(options, V2_TRANSMIT);
    const ring = options.maps.receive;
    this.#base = ring?.base ?? 0;
    this.#entries = ring?.entries ?? 0;
    this.#bytes = this.#entries * (ring?.entryBytes ?? 0);
    this.#shift = entryShift(ring);
    this.#half = Math.max(1, this.#entries >> 1);
    this.#held = new Uint8Array(this.#entries);
  }

  protected ready(): boolean {
    if (this.#span >= this.#entries) return false;
    if (this.#ordered > 0) return true;
    const header = (this.#base + (this.#next << this.#shift)) >> 2;
    if ((Atomics.load(this.i32, header + STATUS) & TP_STATUS_USER) === 0) return false;
    const handedOver = this.i32[header + HANDED_OVER]!;
    this.#ordered = handedOver > 0 ? handedOver : 1;
    return true;
  }

  protected roomInPlace(): number {
    return this.#half - this.#span;
  }

  protected take(batch: PacketBatch, from: number, limit: number): number {
    const { offset, size, flags, originalSize, seconds, nanoseconds } = batch;
    const { i32 } = this;
    const base = this.#base | 0;
    const shift = this.#shift | 0;
    const entries = this.#entries | 0;
    const held = this.#held;
    const slotBytes = 1 << shift;
    const free = entries - this.#span;
    const end = from + Math.min(limit, free);
    let slot = this.#next | 0;
    let ordered = this.#ordered | 0;
    let at = from;
    while (at < end) {
      const start = base + (slot << shift);
      const header = start >> 2;
      if (ordered === 0) {
        if ((Atomics.load(i32, header + STATUS) & TP_STATUS_USER) === 0) break;
        const handedOver = i32[header + HANDED_OVER]!;
        ordered = handedOver > 0 ? handedOver : 1;
      }
      const status = i32[header + STATUS]!;
      if ((status & TP_STATUS_USER) === 0) {
        ordered = 0; // the count promised too much
        break;
      }
      let mac = i32[header + MAC_NET]! & 0xffff;
      let bytes = i32[header + SNAPLEN]!;
      if (mac < TPACKET2_HDRLEN || mac >= slotBytes || bytes < 0 || bytes > slotBytes - mac) {
        // Only a slot that somebody spoilt looks so. It goes back when it is the next one.
        if (at === from) {
          this.counters.invalid++;
          i32[header + HANDED_OVER] = -1;
          Atomics.store(i32, header + STATUS, TP_STATUS_KERNEL);
          slot = slot + 1 === entries ? 0 : slot + 1;
          ordered--;
          this.#next = slot;
          this.#span++;
          this.#forgetReleased();
        }
        break;
      }
      const cut = i32[header + LENGTH]! - bytes;
      if ((status & TP_STATUS_VLAN_VALID) !== 0 && canInsertVlanTag(mac - TPACKET2_HDRLEN, bytes)) {
        const tag = i32[header + VLAN]!;
        const tpid = (status & TP_STATUS_VLAN_TPID_VALID) !== 0 ? tag >>> 16 : DEFAULT_TPID;
        insertVlanTag(this.u8, start + mac, tpid, tag & 0xffff);
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
      held[slot] = 1;
      ordered--;
      at++;
      slot = slot + 1 === entries ? 0 : slot + 1;
    }
    this.#ordered = ordered;
    const taken = at - from;
    if (taken > 0) {
      this.#next = slot;
      this.#span += taken;
    }
    return taken;
  }

  protected giveBack({ offset, length }: PacketBatch): number {
    const { i32 } = this;
    const base = this.#base | 0;
    const bytes = this.#bytes | 0;
    const shift = this.#shift | 0;
    const entries = this.#entries | 0;
    const held = this.#held;
    const next = this.#next | 0;
    let others = 0;
    /** A run of neighbours, in ring order: its first slot is handed over last. */
    let first = -1;
    let after = -1;
    let count = 0;
    for (let i = 0; i < length; i++) {
      const at = offset[i]!;
      const within = (at - base) >>> 0;
      if (within >= bytes) {
        offset[others++] = at;
        continue;
      }
      const slot = within >>> shift;
      if (held[slot] !== 1) {
        this.counters.invalid++; // released twice
        continue;
      }
      held[slot] = 0;
      // The kernel may wait at `next`: there a run must start.
      if (slot === after && slot !== next) {
        i32[((base + (slot << shift)) >> 2) + STATUS] = TP_STATUS_KERNEL;
        count++;
      } else {
        if (count > 0) this.#handOver(first, count);
        first = slot;
        count = 1;
      }
      after = slot + 1 === entries ? 0 : slot + 1;
    }
    if (count > 0) this.#handOver(first, count);
    this.#forgetReleased();
    return others;
  }

  #handOver(slot: number, count: number): void {
    const header = (this.#base + (slot << this.#shift)) >> 2;
    this.i32[header + HANDED_OVER] = -count;
    Atomics.store(this.i32, header + STATUS, TP_STATUS_KERNEL);
  }

  #forgetReleased(): void {
    const held = this.#held;
    const entries = this.#entries | 0;
    let oldest = this.#oldest | 0;
    let span = this.#span | 0;
    while (span > 0 && held[oldest] === 0) {
      oldest = oldest + 1 === entries ? 0 : oldest + 1;
      span--;
    }
    this.#oldest = oldest;
    this.#span = span;
  }
}
