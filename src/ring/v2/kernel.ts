import type { Arena } from '../../arena/arena.js';
import type { RingRequest, SocketMaps } from '../../kernel/contract.js';
import * as packetArray from '../../packet-array/packet-array.js';
import type { PacketList } from '../../packet-array/packet-list.js';
import type { CopyMeans } from '../frame-kernel-rings.js';
import { KernelRingCounters, type KernelRings } from '../kernel-rings.js';
import * as layout from './layout.js';
import { tpacketAlign, V2_TRANSMIT } from './layout.js';
import {
  hasVlanTag,
  readTypeWord,
  readVlanTag,
  removeVlanTag,
  VLAN_TAG_BYTES,
  writeLinkAddress,
} from './link-address.js';
import { TransmitEnd } from './transmit-end.js';

// Constants of this module's own: the optimising compiler folds them, while an imported one is loaded, checked and added with an
// overflow check at every use (Node 20: a delivery without its copies 27 ns a packet, 20 so). For the same reason numbers that a loop
// works with are made 32-bit integers (| 0) in front of it.
const {
  HANDED_OVER,
  LENGTH,
  LINK_ADDRESS_OFFSET,
  MAC_NET,
  MAC_OFFSET,
  NANOSECONDS,
  NET_OFFSET,
  SECONDS,
  SNAPLEN,
  STATUS,
  TP_STATUS_KERNEL,
  TP_STATUS_LOSING,
  TP_STATUS_USER,
  TP_STATUS_VLAN_TPID_VALID,
  TP_STATUS_VLAN_VALID,
  VLAN,
} = layout;
const { CONTINUES } = packetArray;

/** Packets that are handed over together; their copies fit the kernel's copy list. */
const ROUND = 256;

/**
 * The kernel side of TPACKET_V2. A delivery claims slots, copies all packets with one routine, writes the headers as Linux does
 * and hands the slots over. Packets longer than a slot are cut, as Linux does (snaplen below length tells).
 */
export class V2KernelRings implements KernelRings {
  readonly receive = undefined;
  readonly transmit: TransmitEnd | undefined;
  readonly counters = new KernelRingCounters();
  /** sll_ifindex of delivered packets. */
  interfaceIndex = 1;
  readonly #u8: Uint8Array;
  readonly #u16: Uint16Array;
  readonly #means: CopyMeans;
  readonly #base: number;
  readonly #entries: number;
  readonly #shift: number;
  /** Where a packet starts in its slot, behind the headroom. */
  readonly #macOffset: number;
  /** tp_mac and tp_net of every packet without a VLAN tag. */
  readonly #macAndNet: number;
  readonly #room: number;
  /** The slot to fill next. */
  #head = 0;
  /** Slots from `head` on that an atomic load has ordered already. */
  #ordered = 0;
  #losing = false;
  /** Lengths of the packets of a round: what stands in the slots may be written by the application. */
  readonly #length = new Int32Array(ROUND);

  constructor(arena: Arena, maps: SocketMaps, request: RingRequest, means: CopyMeans) {
    const ring = maps.receive;
    this.#u8 = arena.u8;
    this.#u16 = arena.u16;
    this.#means = means;
    this.#base = ring?.base ?? 0;
    this.#entries = ring?.entries ?? 0;
    this.#shift = ring === undefined ? 0 : 31 - Math.clz32(ring.entryBytes);
    const reserved = tpacketAlign(request.headroom ?? 0);
    this.#macOffset = MAC_OFFSET + reserved;
    this.#macAndNet = this.#macOffset | ((NET_OFFSET + reserved) << 16);
    this.#room = ring === undefined ? 0 : ring.entryBytes - this.#macOffset;
    if (maps.transmit) this.transmit = new TransmitEnd(means.i32, maps.transmit, V2_TRANSMIT, this.counters);
  }

  setLargestPacket(bytes: number): void {
    if (this.transmit !== undefined) this.transmit.largestPacket = bytes;
  }

  tick(): void {}

  nextTick(): number {
    return Number.POSITIVE_INFINITY;
  }

  transmitPosted(): boolean {
    return this.transmit?.posted() ?? false;
  }

  receivePosted(): boolean {
    return false;
  }

  deliver(packets: PacketList): void {
    if (this.#entries === 0) return;
    const { flags, count } = packets;
    let next = 0;
    while (next < count) {
      const before = next;
      next = this.#deliverRound(packets, next);
      if (next === before) break;
    }
    if (next === count) return;
    this.#losing = true;
    for (; next < count; next++) if ((flags[next]! & CONTINUES) === 0) this.counters.receiveRingFull++;
  }

  /** Delivers packets from entry `from` on, as many as slots and round allow; returns the entry after the last one. */
  #deliverRound(packets: PacketList, from: number): number {
    const { address, length, flags } = packets;
    const { i32, copyList } = this.#means;
    const count = packets.count | 0;
    const lengths = this.#length;
    const base = this.#base | 0;
    const shift = this.#shift | 0;
    const entries = this.#entries | 0;
    const macOffset = this.#macOffset | 0;
    const room = this.#room | 0;
    // Slots claimed in this round still look free: never go around onto them.
    const most = Math.min(entries, ROUND);
    const first = this.#head | 0;
    let slot = first;
    let ordered = this.#ordered | 0;
    let claimed = 0;
    let next = from | 0;
    let list = copyList >> 2;
    const listEnd = (list + ROUND * 3) | 0;
    while (next < count && claimed < most) {
      const start = base + (slot << shift);
      const header = start >> 2;
      if (ordered <= 0) {
        if (Atomics.load(i32, header + STATUS) !== TP_STATUS_KERNEL) break;
        const handedOver = i32[header + HANDED_OVER]!;
        ordered = handedOver < 0 ? -handedOver | 0 : 1;
      } else if (i32[header + STATUS] !== TP_STATUS_KERNEL) {
        ordered = 0; // the count promised too much
        break;
      }
      ordered--;
      if (list === listEnd) list = this.#copy(list);
      let total = length[next]!;
      i32[list] = address[next]!;
      i32[list + 1] = start + macOffset;
      i32[list + 2] = Math.min(total, room);
      list += 3;
      while ((flags[next++]! & CONTINUES) !== 0 && next < count) {
        const bytes = length[next]!;
        const piece = Math.min(bytes, room - total);
        if (piece > 0) {
          if (list === listEnd) list = this.#copy(list);
          i32[list] = address[next]!;
          i32[list + 1] = start + macOffset + total;
          i32[list + 2] = piece;
          list += 3;
        }
        total += bytes;
      }
      lengths[claimed++] = total;
      slot = slot + 1 === entries ? 0 : slot + 1;
    }
    this.#ordered = ordered;
    if (claimed === 0) return from;
    this.#copy(list);
    this.#handOver(first, claimed, packets);
    this.#head = slot;
    return next;
  }

  /** Makes the listed copies; returns where the list starts again. */
  #copy(list: number): number {
    const { copyList, routines } = this.#means;
    const start = copyList >> 2;
    if (list > start) routines.copyPackets(copyList, (list - start) / 3);
    return start;
  }

  /** Writes the headers of `count` filled slots and gives the slots to the application. */
  #handOver(first: number, claimed: number, packets: PacketList): void {
    const { i32 } = this.#means;
    const u16 = this.#u16;
    const lengths = this.#length;
    const base = this.#base | 0;
    const shift = this.#shift | 0;
    const entries = this.#entries | 0;
    const macOffset = this.#macOffset | 0;
    const macAndNet = this.#macAndNet | 0;
    const room = this.#room | 0;
    const interfaceIndex = this.interfaceIndex | 0;
    const count = claimed | 0;
    const seconds = packets.seconds | 0;
    const nanoseconds = packets.nanoseconds | 0;
    let slot = first | 0;
    const gate = ((base + (slot << shift)) >> 2) + STATUS;
    let gateStatus = TP_STATUS_USER;
    for (let i = 0; i < count; i++) {
      const start = base + (slot << shift);
      const header = start >> 2;
      let total = lengths[i]!;
      let bytes = Math.min(total, room);
      let mac = start + macOffset;
      let status = TP_STATUS_USER;
      i32[header + MAC_NET] = macAndNet;
      i32[header + VLAN] = 0;
      let typeWord = readTypeWord(i32, mac);
      if (hasVlanTag(typeWord, bytes)) {
        i32[header + VLAN] = readVlanTag(u16, mac);
        removeVlanTag(this.#u8, mac);
        mac += VLAN_TAG_BYTES;
        typeWord = readTypeWord(i32, mac);
        total -= VLAN_TAG_BYTES;
        bytes -= VLAN_TAG_BYTES;
        i32[header + MAC_NET] = macAndNet + (VLAN_TAG_BYTES | (VLAN_TAG_BYTES << 16));
        status |= TP_STATUS_VLAN_VALID | TP_STATUS_VLAN_TPID_VALID;
      }
      i32[header + LENGTH] = total;
      i32[header + SNAPLEN] = bytes;
      i32[header + SECONDS] = seconds;
      i32[header + NANOSECONDS] = nanoseconds;
      writeLinkAddress(u16, i32, start + LINK_ADDRESS_OFFSET, mac, typeWord, interfaceIndex);
      if (i > 0) {
        i32[header + HANDED_OVER] = 0;
        i32[header + STATUS] = status;
      } else {
        i32[header + HANDED_OVER] = count;
        gateStatus = status;
      }
      slot = slot + 1 === entries ? 0 : slot + 1;
    }
    if (this.#losing) gateStatus |= TP_STATUS_LOSING;
    this.#losing = false;
    Atomics.store(i32, gate, gateStatus);
    this.counters.received += count;
  }
}
