import type { Arena } from '../../arena/arena.js';
import type { RingRequest, SocketMaps } from '../../kernel/contract.js';
import * as packetArray from '../../packet-array/packet-array.js';
import type { PacketList } from '../../packet-array/packet-list.js';
import type { CopyMeans } from '../frame-kernel-rings.js';
import { KernelRingCounters, type KernelRings } from '../kernel-rings.js';
import * as v2 from '../v2/layout.js';
import {
  hasVlanTag,
  readTypeWord,
  readVlanTag,
  removeVlanTag,
  VLAN_TAG_BYTES,
  writeLinkAddress,
} from '../v2/link-address.js';
import { TransmitEnd } from '../v2/transmit-end.js';
import * as layout from './layout.js';
import {
  BLOCK_FIRST,
  BLOCK_FIRST_TIME,
  BLOCK_LAST_TIME,
  BLOCK_LENGTH,
  BLOCK_PACKETS,
  BLOCK_PRIVATE,
  BLOCK_SEQUENCE,
  BLOCK_STATUS,
  BLOCK_VERSION,
  BLOCK_VERSION_WORD,
  TP_STATUS_BLK_TMO,
  V3_TRANSMIT,
} from './layout.js';

// Constants of this module's own, which the optimising compiler folds: see ../v2/kernel.ts.
const {
  BLOCK_HEADER_BYTES,
  HASH,
  LENGTH,
  LINK_ADDRESS_OFFSET,
  MAC_NET,
  MAC_OFFSET,
  NANOSECONDS,
  NET_OFFSET,
  NEXT_OFFSET,
  PACKET_ALIGNMENT,
  PADDING,
  SECONDS,
  SNAPLEN,
  STATUS,
  VLAN_TCI,
  VLAN_TPID,
} = layout;
const { CONTINUES } = packetArray;
const { TP_STATUS_LOSING, TP_STATUS_USER, TP_STATUS_VLAN_TPID_VALID, TP_STATUS_VLAN_VALID } = v2;

/** Packets whose copies are made together; they fit the kernel's copy list. */
const ROUND = 256;
/** Linux's own, where a socket names none. */
const DEFAULT_RETIRE_MILLISECONDS = 8;
/** A deadline that counts from the next tick on. */
const FROM_NEXT_TICK = 0;

/**
 * The kernel side of TPACKET_V3. Packets are packed into the open block, which is handed over when the next packet does not fit,
 * or when it has been open for the retire time. Then the next block must be free; until it is, packets are lost (Linux: the
 * queue is frozen). All it knows of blocks it keeps outside the arena; only a block's status is read from there.
 *
 *     | block: the user's | block: open, being filled        | block: free | ...
 *     |                   | desc | packet | packet | <- used |             |
 */
export class V3KernelRings implements KernelRings {
  readonly receive = undefined;
  readonly transmit: TransmitEnd | undefined;
  readonly counters = new KernelRingCounters();
  /** sll_ifindex of delivered packets. */
  interfaceIndex = 1;
  readonly #u8: Uint8Array;
  readonly #u16: Uint16Array;
  readonly #means: CopyMeans;
  readonly #base: number;
  readonly #blocks: number;
  readonly #blockBytes: number;
  /** Where a packet starts behind its header, after the headroom. */
  readonly #macOffset: number;
  /** tp_mac and tp_net of every packet without a VLAN tag. */
  readonly #macAndNet: number;
  /** Bytes of a packet that has a block to itself. */
  readonly #most: number;
  readonly #retireNanoseconds: number;
  /** The block that is open, or will be next. */
  #block = 0;
  #open = false;
  /** Bytes of the open block in use, with its descriptor. */
  #used = 0;
  #packets = 0;
  /** Header of the last packet, as a word index. */
  #last = 0;
  /** When the last packet was received. */
  #seconds = 0;
  #nanoseconds = 0;
  /** Sequence number of the next block: two words. */
  #sequenceLow = 1;
  #sequenceHigh = 0;
  #losing = false;
  #deadline = Number.POSITIVE_INFINITY;
  /** Packets of this round that are not copied yet: header (byte offset) and length. */
  readonly #header = new Int32Array(ROUND);
  readonly #length = new Int32Array(ROUND);
  #pending = 0;
  /** End of the copy list, as a word index. */
  #list = 0;

  constructor(arena: Arena, maps: SocketMaps, request: RingRequest, means: CopyMeans) {
    const ring = maps.receive;
    this.#u8 = arena.u8;
    this.#u16 = arena.u16;
    this.#means = means;
    this.#base = ring?.base ?? 0;
    this.#blocks = ring?.entries ?? 0;
    this.#blockBytes = ring?.entryBytes ?? 0;
    const reserved = v2.tpacketAlign(request.headroom ?? 0);
    this.#macOffset = MAC_OFFSET + reserved;
    this.#macAndNet = this.#macOffset | ((NET_OFFSET + reserved) << 16);
    this.#most = this.#blockBytes - BLOCK_HEADER_BYTES - this.#macOffset;
    this.#retireNanoseconds = (request.retireMilliseconds || DEFAULT_RETIRE_MILLISECONDS) * 1e6;
    if (maps.transmit) this.transmit = new TransmitEnd(means.i32, maps.transmit, V3_TRANSMIT, this.counters);
  }

  setLargestPacket(bytes: number): void {
    if (this.transmit !== undefined) this.transmit.largestPacket = bytes;
  }

  transmitPosted(): boolean {
    return this.transmit?.posted() ?? false;
  }

  receivePosted(): boolean {
    return false;
  }

  nextTick(): number {
    return this.#deadline;
  }

  tick(now: number): void {
    if (!this.#open) return;
    if (this.#deadline === FROM_NEXT_TICK) this.#deadline = now + this.#retireNanoseconds;
    else if (now >= this.#deadline) this.#close(TP_STATUS_BLK_TMO);
  }

  deliver(packets: PacketList): void {
    if (this.#blocks === 0) return;
    const { flags, count } = packets;
    this.#list = this.#means.copyList >> 2;
    let next = 0;
    while (next < count && (this.#open || this.#openBlock(packets))) {
      next = this.#fillBlock(packets, next);
      if (next === count) break;
      if (this.#pending === ROUND) this.#settle();
      else this.#close(0);
    }
    this.#settle();
    if (next === count) return;
    this.#losing = true;
    for (; next < count; next++) if ((flags[next]! & CONTINUES) === 0) this.counters.receiveRingFull++;
  }

  /** Puts packets from entry `from` on into the open block, until it is full or too many wait to be copied; returns where it is. */
  #fillBlock(packets: PacketList, from: number): number {
    const { address, length, flags } = packets;
    const { i32, copyList } = this.#means;
    const count = packets.count | 0;
    const seconds = packets.seconds | 0;
    const nanoseconds = packets.nanoseconds | 0;
    const headers = this.#header;
    const lengths = this.#length;
    const blockBytes = this.#blockBytes | 0;
    const macOffset = this.#macOffset | 0;
    const most = this.#most | 0;
    const block = (this.#base + this.#block * blockBytes) | 0;
    const listEnd = ((copyList >> 2) + ROUND * 3) | 0;
    const before = this.#pending | 0;
    let list = this.#list | 0;
    let used = this.#used | 0;
    let pending = before;
    let next = from | 0;
    while (next < count && pending < ROUND) {
      let total = length[next]!;
      let last = next;
      while ((flags[last]! & CONTINUES) !== 0 && last + 1 < count) total += length[++last]!;
      const bytes = Math.min(total, most);
      // Of a packet shorter than an Ethernet header the header is read all the same: from its own place.
      const size = (macOffset + Math.max(bytes, 14) + PACKET_ALIGNMENT - 1) & ~(PACKET_ALIGNMENT - 1);
      // A packet that would fill the block to its last byte goes into the next one, as on Linux, unless it is the only one.
      if (used + size >= blockBytes && used > BLOCK_HEADER_BYTES) break;
      const start = block + used;
      const header = start >> 2;
      i32[header + NEXT_OFFSET] = size;
      i32[header + SECONDS] = seconds;
      i32[header + NANOSECONDS] = nanoseconds;
      if (list === listEnd) list = this.#copy(list);
      let filled = Math.min(length[next]!, bytes);
      i32[list] = address[next]!;
      i32[list + 1] = start + macOffset;
      i32[list + 2] = filled;
      list += 3;
      for (next++; next <= last; next++) {
        const piece = Math.min(length[next]!, bytes - filled);
        if (piece <= 0) continue;
        if (list === listEnd) list = this.#copy(list);
        i32[list] = address[next]!;
        i32[list + 1] = start + macOffset + filled;
        i32[list + 2] = piece;
        list += 3;
        filled += piece;
      }
      headers[pending] = start;
      lengths[pending++] = total;
      used += size;
    }
    this.#list = list;
    this.#pending = pending;
    this.#used = used;
    if (pending === before) return next;
    this.#last = headers[pending - 1]! >> 2;
    this.#seconds = seconds;
    this.#nanoseconds = nanoseconds;
    this.#packets += pending - before;
    this.counters.received += pending - before;
    return next;
  }

  /** Opens the next block; false when the application still has it. */
  #openBlock({ seconds, nanoseconds }: PacketList): boolean {
    const { i32 } = this.#means;
    const start = this.#base + this.#block * this.#blockBytes;
    const header = start >> 2;
    if ((Atomics.load(i32, header + BLOCK_STATUS) & TP_STATUS_USER) !== 0) return false;
    i32[header + BLOCK_VERSION_WORD] = BLOCK_VERSION;
    i32[header + BLOCK_PRIVATE] = BLOCK_HEADER_BYTES;
    i32[header + BLOCK_FIRST] = BLOCK_HEADER_BYTES;
    i32[header + BLOCK_SEQUENCE] = this.#sequenceLow;
    i32[header + BLOCK_SEQUENCE + 1] = this.#sequenceHigh;
    i32[header + BLOCK_FIRST_TIME] = seconds;
    i32[header + BLOCK_FIRST_TIME + 1] = nanoseconds;
    this.#sequenceLow = (this.#sequenceLow + 1) | 0;
    if (this.#sequenceLow === 0) this.#sequenceHigh = (this.#sequenceHigh + 1) | 0;
    this.#open = true;
    this.#used = BLOCK_HEADER_BYTES;
    this.#packets = 0;
    this.#deadline = FROM_NEXT_TICK;
    return true;
  }

  /** Hands the open block over. It holds at least one packet. */
  #close(reason: number): void {
    this.#settle();
    const { i32 } = this.#means;
    const header = (this.#base + this.#block * this.#blockBytes) >> 2;
    i32[this.#last + NEXT_OFFSET] = 0;
    i32[header + BLOCK_PACKETS] = this.#packets;
    i32[header + BLOCK_LENGTH] = this.#used;
    i32[header + BLOCK_LAST_TIME] = this.#seconds;
    i32[header + BLOCK_LAST_TIME + 1] = this.#nanoseconds;
    Atomics.store(i32, header + BLOCK_STATUS, TP_STATUS_USER | reason | (this.#losing ? TP_STATUS_LOSING : 0));
    this.counters.handedOver++; // whoever waits looks when this number grows
    this.#losing = false;
    this.#open = false;
    this.#deadline = Number.POSITIVE_INFINITY;
    this.#block = this.#block + 1 === this.#blocks ? 0 : this.#block + 1;
  }

  /** Makes the listed copies; returns where the list starts again. */
  #copy(list: number): number {
    const { copyList, routines } = this.#means;
    const start = copyList >> 2;
    if (list > start) routines.copyPackets(copyList, (list - start) / 3);
    return start;
  }

  /** Makes the listed copies, then writes the headers of the packets that are now there. */
  #settle(): void {
    const count = this.#pending | 0;
    if (count === 0) return;
    const { i32 } = this.#means;
    const u16 = this.#u16;
    const headers = this.#header;
    const lengths = this.#length;
    const macOffset = this.#macOffset | 0;
    const macAndNetUntagged = this.#macAndNet | 0;
    const most = this.#most | 0;
    const interfaceIndex = this.interfaceIndex | 0;
    this.#list = this.#copy(this.#list);
    this.#pending = 0;
    for (let i = 0; i < count; i++) {
      const start = headers[i]!;
      const header = start >> 2;
      let total = lengths[i]!;
      let bytes = Math.min(total, most);
      let mac = start + macOffset;
      let status = TP_STATUS_USER;
      let macAndNet = macAndNetUntagged;
      let tag = 0;
      let typeWord = readTypeWord(i32, mac);
      if (hasVlanTag(typeWord, bytes)) {
        tag = readVlanTag(u16, mac);
        removeVlanTag(this.#u8, mac);
        mac += VLAN_TAG_BYTES;
        typeWord = readTypeWord(i32, mac);
        total -= VLAN_TAG_BYTES;
        bytes -= VLAN_TAG_BYTES;
        macAndNet += VLAN_TAG_BYTES | (VLAN_TAG_BYTES << 16);
        status |= TP_STATUS_VLAN_VALID | TP_STATUS_VLAN_TPID_VALID;
      }
      i32[header + SNAPLEN] = bytes;
      i32[header + LENGTH] = total;
      i32[header + STATUS] = status;
      i32[header + MAC_NET] = macAndNet;
      i32[header + HASH] = 0;
      i32[header + VLAN_TCI] = tag & 0xffff;
      i32[header + VLAN_TPID] = tag >>> 16;
      i32[header + PADDING] = 0;
      i32[header + PADDING + 1] = 0;
      writeLinkAddress(u16, i32, start + LINK_ADDRESS_OFFSET, mac, typeWord, interfaceIndex);
    }
  }
}
