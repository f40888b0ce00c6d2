import type { Arena } from '../arena/arena.js';
import {
  END_OF_PACKET,
  HAS_HINTS,
  HAS_SERVICE_TAG,
  HAS_TAG,
  HASH_TYPE_MASK,
  LENGTH_SHIFT,
  STATUS_DONE,
  STATUS_LINK_DOWN,
  TAG_SHIFT,
} from '../nic/descriptors.js';
import { CUSTOMER_TAG, SERVICE_TAG } from '../nic/flow-hash.js';
import type { QueuePair } from '../nic/queue-pair.js';
import { noQueue, type SoftNic } from '../nic/soft-nic.js';
import { CONTINUES, MOST_PARTS, PacketArray } from '../packet-array/packet-array.js';
import type { SteerAction } from '../steering/rule-targets.js';
import type { FlowRule } from '../steering/rules.js';
import type { ArrayEnd, Driver, QueueEnds, ReceiveHints, ReceiveHook, TransmitHook } from './contract.js';

const ENETDOWN = 100;

// Private copies: V8 folds them into the code, imported constants it loads from their module wherever they are used.
const CONTINUES_NEXT = CONTINUES;
const DONE = STATUS_DONE;
const END = END_OF_PACKET;
const LENGTH_AT = LENGTH_SHIFT;
const LINK_DOWN = STATUS_LINK_DOWN;
const MOST = MOST_PARTS;

/** Makes the ordinary ends of a queue: page pool and packet core. */
export type OrdinaryEnds = (queue: number) => QueueEnds;

/** One queue as the driver works it. The arrays have as many entries as the hardware rings: entry i is descriptor i. */
class DriverQueue {
  readonly received: PacketArray;
  readonly sent: PacketArray;
  receiveEnd: QueueEnds['receive'];
  transmitEnd: ArrayEnd;
  /** On the driver's poll list. */
  polled = false;

  constructor(
    readonly pair: QueuePair,
    entries: number,
    readonly ordinary: QueueEnds,
  ) {
    this.received = new PacketArray(entries);
    this.sent = new PacketArray(entries);
    this.receiveEnd = ordinary.receive;
    this.transmitEnd = ordinary.transmit;
  }
}

export interface NicDriverOptions {
  readonly name: string;
  readonly mtu: number;
  readonly mac: string;
}

/**
 * The driver of the soft NIC (K1, K3, K4): a driver to be read in a quarter of an hour. For each queue it keeps two packet
 * arrays and moves entries between them and the hardware rings:
 *
 *     receive:  populate -> descriptors -> [DMA] -> write-back -> advance -> flush
 *     send:     populate -> descriptors -> [DMA] -> write-back -> advance -> flush
 *
 * There is one code path: the ends of the arrays make a queue zero-copy or ordinary (F8). It reads and writes descriptors, never the
 * bytes of a packet, which the application's core reads (I7).
 */
export class NicDriver implements Driver {
  readonly driver = 'softnic';
  readonly zeroCopy = true;
  readonly name: string;
  readonly mtu: number;
  readonly mac: string;
  readonly #nic: SoftNic;
  readonly #i32: Int32Array;
  readonly #ordinary: OrdinaryEnds;
  readonly #queues: (DriverQueue | undefined)[];
  #receiveHook: ReceiveHook | undefined;
  #transmitHook: TransmitHook | undefined;
  /** The kernel's time as the device last heard it. */
  #now = 0;
  #polling: DriverQueue[] = [];
  #spare: DriverQueue[] = [];

  constructor(arena: Arena, nic: SoftNic, ordinary: OrdinaryEnds, options: NicDriverOptions) {
    this.name = options.name;
    this.mtu = options.mtu;
    this.mac = options.mac;
    this.#nic = nic;
    this.#i32 = arena.i32;
    this.#ordinary = ordinary;
    this.#queues = new Array(nic.queues + 1).fill(undefined);
    // Queues that packets are spread to must work from the start; others are opened when something is bound or steered there.
    try {
      for (const queue of nic.classifier.spread()) this.#open(queue);
      this.#open(nic.queues);
    } catch (error) {
      this.#reclaim(); // the arena is full; the device is its maker's to close
      throw error;
    }
  }

  get queues(): number {
    return this.#nic.queues;
  }

  get ordinaryQueue(): number {
    return this.#nic.queues;
  }

  get up(): boolean {
    return this.#nic.up;
  }

  #open(queue: number): DriverQueue {
    let state = this.#queues[queue];
    if (state === undefined) {
      const pair = this.#nic.open(queue);
      state = new DriverQueue(pair, this.#nic.ringEntries, this.#ordinary(queue));
      this.#queues[queue] = state;
      pair.room = state.ordinary.receive.room;
      this.#refill(state);
    }
    return state;
  }

  setEnds(queue: number, ends: QueueEnds | undefined): void {
    const state = this.#open(queue);
    const { received, sent, pair } = state;
    // What the device has finished is delivered; the rest goes back to where it came from.
    this.#cleanSent(state);
    this.#cleanReceived(state, received.size);
    state.receiveEnd.reclaim?.(received);
    this.#reclaimSent(state);
    received.reset();
    sent.reset();
    pair.reset();
    const { receive, transmit } = ends ?? state.ordinary;
    state.receiveEnd = receive;
    state.transmitEnd = transmit;
    pair.room = receive.room;
    this.#refill(state);
    this.#nic.setMasked(pair, false);
  }

  setReceiveHook(hook: ReceiveHook | undefined): void {
    this.#receiveHook = hook;
    this.#nic.setHints(hook?.wantsHints === true);
  }

  setTransmitHook(hook: TransmitHook | undefined): void {
    this.#transmitHook = hook;
  }

  /** Entry i of the array is descriptor i. The device's time has 32 bits there: packets are seen long before it has gone round (4.3 s). */
  readHints(array: PacketArray, queue: number, entry: number, hints: ReceiveHints): void {
    const i32 = this.#i32;
    const descriptor = (this.#queues[queue]!.pair.receiveRing >> 2) + ((entry & array.mask) << 2);
    const type = i32[descriptor + 1]!;
    const has = (type & HAS_HINTS) !== 0;
    hints.hash = has ? i32[descriptor]! : 0;
    hints.hashType = has ? type & HASH_TYPE_MASK : 0;
    hints.vlan = has && (type & HAS_TAG) !== 0 ? tagOf(type) : 0;
    const age = (((this.#now % 2 ** 32) | 0) - i32[descriptor + 2]!) >>> 0;
    hints.time = has ? Math.floor(this.#now) - age : -1;
  }

  service(queue: number, direction?: 'receive' | 'transmit'): number {
    const state = this.#queues[queue] ?? this.#open(queue);
    const sent = direction === 'receive' ? 0 : this.#transmit(state);
    return direction === 'transmit' ? sent : sent + this.#refill(state);
  }

  advance(now: number, budget: number): number {
    this.#now = now;
    return this.#nic.advance(now, budget);
  }

  nextEvent(now: number): number {
    if (this.#polling.length > 0 || this.#nic.interrupts.length > 0) return now;
    return this.#nic.nextEvent(now);
  }

  poll(budget: number): number {
    const { interrupts } = this.#nic;
    for (let i = 0; i < interrupts.length; i++) {
      const state = this.#queues[interrupts[i]!]!;
      state.pair.pending = false;
      this.#nic.setMasked(state.pair, true);
      if (state.polled) continue;
      state.polled = true;
      this.#polling.push(state);
    }
    // Not by setting the length: that gives the memory back, and the next `push` allocates.
    while (interrupts.length > 0) interrupts.pop();
    if (this.#polling.length === 0) return 0;
    const polling = this.#polling;
    const again = this.#spare;
    while (again.length > 0) again.pop();
    let handled = 0;
    for (let i = 0; i < polling.length; i++) {
      const state = polling[i]!;
      const done = this.#pollQueue(state, budget);
      handled += done;
      if (done >= budget) {
        again.push(state);
        continue;
      }
      state.polled = false;
      state.pair.unseen = 0;
      this.#nic.setMasked(state.pair, false);
    }
    this.#polling = again;
    this.#spare = polling;
    return handled;
  }

  /** NAPI: clean what was sent, clean what was received, refill (K3, K4). Several short passes over the batch (F12). */
  #pollQueue(state: DriverQueue, budget: number): number {
    const sent = this.#cleanSent(state);
    if (sent > 0) this.#transmit(state);
    const received = this.#cleanReceived(state, budget);
    if (received > 0) this.#refill(state);
    return Math.max(sent, received);
  }

  #cleanReceived(state: DriverQueue, budget: number): number {
    const { received, pair } = state;
    const { length, flags, mask, current, end } = received;
    const i32 = this.#i32;
    const ring = pair.receiveRing >> 2;
    let limit = (end - current) | 0;
    // A packet that the budget would cut in two may overdraw it.
    if (limit > budget + MOST) limit = budget + MOST;
    let whole = 0;
    for (let i = 0; i < limit; i++) {
      const at = (current + i) & mask;
      const descriptor = (ring + (at << 2)) | 0;
      const status = i32[descriptor | 3]!;
      if ((status & DONE) === 0) break;
      length[at] = status >>> LENGTH_AT;
      if ((status & END) !== 0) {
        flags[at] = 0;
        whole = i + 1;
        if (whole >= budget) break;
      } else {
        flags[at] = CONTINUES_NEXT;
      }
    }
    if (whole === 0) return 0;
    received.current = (current + whole) | 0;
    if (this.#receiveHook === undefined) state.receiveEnd.flush(received, whole);
    else this.#receiveHook.flush(pair.index, received, whole, state.receiveEnd);
    return whole;
  }

  #refill(state: DriverQueue): number {
    const { received, pair } = state;
    const first = received.end;
    const count = state.receiveEnd.populate(received, received.size);
    if (count === 0) return 0;
    const { address, mask } = received;
    const i32 = this.#i32;
    const ring = pair.receiveRing >> 2;
    for (let i = 0; i < count; i++) {
      const at = (first + i) & mask;
      const descriptor = (ring + (at << 2)) | 0;
      i32[descriptor] = address[at]!;
      i32[descriptor | 3] = 0;
    }
    this.#nic.postReceive(pair, received.end);
    return count;
  }

  #transmit(state: DriverQueue): number {
    const { sent, pair } = state;
    const first = sent.end;
    const hook = this.#transmitHook;
    const count =
      hook === undefined
        ? state.transmitEnd.populate(sent, sent.size)
        : hook.populate(pair.index, sent, sent.size, state.transmitEnd);
    if (count === 0) return 0;
    const { address, length, flags, mask } = sent;
    const i32 = this.#i32;
    const ring = pair.transmitRing >> 2;
    for (let i = 0; i < count; i++) {
      const at = (first + i) & mask;
      const descriptor = (ring + (at << 2)) | 0;
      i32[descriptor] = address[at]!;
      i32[descriptor | 1] = length[at]!;
      i32[descriptor | 2] = (flags[at]! & CONTINUES_NEXT) === 0 ? END : 0;
      i32[descriptor | 3] = 0;
    }
    this.#nic.postTransmit(pair, sent.end);
    return count;
  }

  #cleanSent(state: DriverQueue): number {
    const { sent, pair } = state;
    const { current, end, mask, flags } = sent;
    if (current === end) return 0;
    const i32 = this.#i32;
    const ring = pair.transmitRing >> 2;
    let at = current;
    for (; at !== end; at = (at + 1) | 0) {
      const status = i32[(ring + ((at & mask) << 2)) | 3]!;
      if ((status & DONE) === 0) break;
      if ((status & LINK_DOWN) !== 0) flags[at & mask] = flags[at & mask]! | ENETDOWN;
    }
    const count = (at - current) | 0;
    if (count === 0) return 0;
    sent.current = at;
    if (this.#transmitHook === undefined) state.transmitEnd.flush(sent, count);
    else this.#transmitHook.flush(pair.index, sent, count, state.transmitEnd);
    return count;
  }

  steer(rule: FlowRule, queue: number, action: SteerAction = 'receive'): number {
    if (!Number.isInteger(queue) || queue < 0 || queue >= this.queues) throw noQueue(queue, this.queues);
    if (action === 'receive') this.#open(queue);
    const handle = this.#nic.classifier.add(rule, queue, action);
    this.#nic.unblock();
    return handle;
  }

  unsteer(handle: number): void {
    this.#nic.classifier.remove(handle);
    this.#nic.unblock();
  }

  spreadsTo(queue: number): boolean {
    return this.#nic.classifier.spread().includes(queue);
  }

  setSpread(queue: number, on: boolean): boolean {
    const done = this.#nic.classifier.setSpread(queue, on);
    this.#nic.unblock();
    return done;
  }

  setLink(up: boolean): void {
    this.#nic.up = up;
  }

  /** @throws PacketError NO_QUEUE */
  setStuck(queue: number, stuck: boolean): void {
    if (!Number.isInteger(queue) || queue < 0 || queue >= this.queues) throw noQueue(queue, this.queues);
    this.#open(queue);
    this.#nic.setStuck(queue, stuck);
  }

  statistics(): Record<string, number> {
    const { received, receivedBytes, sent, sentBytes, noDescriptor, oversize, ruled, interrupts } = this.#nic.counters;
    return {
      rx_packets: received,
      rx_bytes: receivedBytes,
      tx_packets: sent,
      tx_bytes: sentBytes,
      rx_no_descriptor: noDescriptor,
      rx_oversize: oversize,
      rx_rule_drops: ruled,
      interrupts,
      ...this.#nic.queueStatistics(),
    };
  }

  close(): void {
    this.#reclaim();
    this.#nic.close();
  }

  #reclaim(): void {
    for (const state of this.#queues) {
      if (state === undefined) continue;
      state.receiveEnd.reclaim?.(state.received);
      this.#reclaimSent(state);
    }
  }

  #reclaimSent({ pair, sent, transmitEnd }: DriverQueue): void {
    if (this.#transmitHook === undefined) transmitEnd.reclaim?.(sent);
    else this.#transmitHook.reclaim(pair.index, sent, transmitEnd);
  }
}

/** The VLAN tag in a descriptor's word, as hints have it. */
function tagOf(word: number): number {
  const protocol = (word & HAS_SERVICE_TAG) !== 0 ? SERVICE_TAG : CUSTOMER_TAG;
  return (protocol << 16) | ((word >> TAG_SHIFT) & 0xffff);
}
