import type { Arena } from '../arena/arena.js';
import { PacketError } from '../errors.js';
import { FlowHash, HASHED_PORTS } from '../nic/flow-hash.js';
import { Rss } from '../nic/rss.js';
import { LINK_OVERHEAD_BYTES, noQueue } from '../nic/soft-nic.js';
import { CONTINUES, PacketArray } from '../packet-array/packet-array.js';
import type { ArrayEnd, Driver, QueueEnds, ReceiveHints, ReceiveHook, TransmitHook } from './contract.js';
import { VethTransfer } from './veth-transfer.js';

const ENETDOWN = 100;
/** Frames that a queue has under way each way at most. Few on purpose: what is under way should stay in the cache. */
const ARRAY_ENTRIES = 256;

/** One end of a pair. */
export interface VethEndOptions {
  readonly name: string;
  /** Bytes without Ethernet header. */
  readonly mtu: number;
  readonly mac: string;
  /** Makes the ordinary ends of a queue: page pool and packet core. */
  readonly ordinary: (queue: number) => QueueEnds;
}

/** One queue pair of one end. */
class VethQueue {
  readonly received = new PacketArray(ARRAY_ENTRIES);
  readonly sent = new PacketArray(ARRAY_ENTRIES);
  receiveEnd: QueueEnds['receive'];
  transmitEnd: ArrayEnd;
  /** On the list of queues with packets to send; on the list of queues to poll. */
  sending = false;
  polled = false;
  packetsReceived = 0;
  packetsSent = 0;
  dropped = 0;

  constructor(
    readonly index: number,
    readonly ordinary: QueueEnds,
  ) {
    this.receiveEnd = ordinary.receive;
    this.transmitEnd = ordinary.transmit;
  }
}

/** Queues that wait for their turn, first come, first served; each is listed once at most, so that it cannot overflow. */
class QueueList {
  readonly #queues: (VethQueue | undefined)[];
  readonly #mask: number;
  #first = 0;
  count = 0;

  constructor(queues: number) {
    const capacity = 2 ** Math.ceil(Math.log2(queues));
    this.#queues = new Array(capacity).fill(undefined);
    this.#mask = capacity - 1;
  }

  push(queue: VethQueue): void {
    this.#queues[(this.#first + this.count++) & this.#mask] = queue;
  }

  shift(): VethQueue {
    const queue = this.#queues[this.#first]!;
    this.#first = (this.#first + 1) & this.#mask;
    this.count--;
    return queue;
  }
}

/**
 * The driver of one end of a veth pair (K5): each end is the other's wire. What is populated from transmit queue N of one end is
 * moved into frames of receive queue N of the other:
 *
 *     this end   populate -> sent array --+                              +-> flush: sent back
 *                                         | advance: move, see VethTransfer
 *     the other              populate -> received array --> poll: flush -+-> delivered
 *
 * There is one code path, whether both ends work on users' frames, one does (F5) or none: the ends of the arrays decide it
 * (F8). Ordinary traffic has a transmit queue of its own and arrives on the lowest queue that nothing is kept away from: queue
 * 0, as a rule. Empty frames are taken when packets are there to fill them, not before; without one the packet is dropped
 * and counted, since a veth pair cannot make the sender wait.
 */
export class VethDriver implements Driver {
  readonly driver = 'veth';
  readonly zeroCopy = true;
  readonly name: string;
  readonly mtu: number;
  readonly mac: string;
  readonly queues: number;
  readonly ordinaryQueue: number;
  readonly #transfer: VethTransfer;
  readonly #flowHash: FlowHash;
  readonly #ordinary: (queue: number) => QueueEnds;
  readonly #queues: (VethQueue | undefined)[];
  readonly #sending: QueueList;
  readonly #polling: QueueList;
  /** Queues that unsteered packets are kept away from. */
  readonly #keptClear = new Set<number>();
  /** The lowest queue that is not kept clear. */
  #common = 0;
  #receiveHook: ReceiveHook | undefined;
  #transmitHook: TransmitHook | undefined;
  #peer: VethDriver | undefined;
  #up = true;
  #closed = false;
  readonly #counters = {
    received: 0,
    receivedBytes: 0,
    sent: 0,
    sentBytes: 0,
    noDescriptor: 0,
    oversize: 0,
    exchanged: 0,
    transmitErrors: 0,
    transmitDropped: 0,
  };

  private constructor(transfer: VethTransfer, flowHash: FlowHash, queues: number, options: VethEndOptions) {
    this.#flowHash = flowHash;
    this.name = options.name;
    this.mtu = options.mtu;
    this.mac = options.mac;
    this.queues = queues;
    this.ordinaryQueue = queues;
    this.#transfer = transfer;
    this.#ordinary = options.ordinary;
    this.#queues = new Array(queues + 1).fill(undefined); // the last one sends ordinary traffic, see the driver contract
    this.#sending = new QueueList(queues + 1);
    this.#polling = new QueueList(queues + 1);
  }

  /**
   * Makes both ends of a pair.
   *
   * @param queues queue pairs of each end; opened on first use
   * @throws PacketError ARENA_EXHAUSTED
   */
  static pair(arena: Arena, queues: number, first: VethEndOptions, second: VethEndOptions): [VethDriver, VethDriver] {
    const transfer = new VethTransfer(arena);
    const flowHash = new FlowHash(arena.u8, new Rss({ queues: 1 }));
    const ends: [VethDriver, VethDriver] = [
      new VethDriver(transfer, flowHash, queues, first),
      new VethDriver(transfer, flowHash, queues, second),
    ];
    ends[0].#peer = ends[1];
    ends[1].#peer = ends[0];
    return ends;
  }

  /** A pair has a carrier while both its ends are up. */
  get up(): boolean {
    const peer = this.#peer!;
    return this.#up && peer.#up && !this.#closed && !peer.#closed;
  }

  #open(queue: number): VethQueue {
    let state = this.#queues[queue];
    if (state === undefined) {
      if (!(queue >= 0 && queue <= this.queues)) throw noQueue(queue, this.queues);
      state = new VethQueue(queue, this.#ordinary(queue));
      this.#queues[queue] = state;
    }
    return state;
  }

  setEnds(queue: number, ends: QueueEnds | undefined): void {
    const state = this.#open(queue);
    const { received, sent } = state;
    // What has arrived is delivered; the rest goes back to where it came from.
    if (received.done > 0) this.#flush(state, received.done);
    this.#counters.transmitDropped += countPackets(sent, sent.outstanding);
    this.#reclaim(state);
    const { receive, transmit } = ends ?? state.ordinary;
    state.receiveEnd = receive;
    state.transmitEnd = transmit;
  }

  setReceiveHook(hook: ReceiveHook | undefined): void {
    this.#receiveHook = hook;
  }

  setTransmitHook(hook: TransmitHook | undefined): void {
    this.#transmitHook = hook;
  }

  /** A pair has no hardware: the hash is worked out here, as Linux does with the kind `L4` or none, and the time is 0, as there. */
  readHints({ address, length, mask }: PacketArray, _queue: number, entry: number, hints: ReceiveHints): void {
    const flowHash = this.#flowHash;
    flowHash.look(address[entry & mask]!, length[entry & mask]!);
    hints.hash = flowHash.hash;
    hints.hashType = flowHash.type & HASHED_PORTS;
    hints.vlan = 0;
    hints.time = 0;
  }

  service(queue: number): number {
    const state = this.#open(queue);
    const { received, receiveEnd } = state;
    // Frames of the page pool stay there until packets need them.
    const empty = receiveEnd === state.ordinary.receive ? 0 : receiveEnd.populate(received, received.room);
    return empty + this.#populate(state);
  }

  /** Takes what is posted for sending, and sees to it that it is sent. */
  #populate(state: VethQueue): number {
    const { sent, transmitEnd } = state;
    // A queue whose socket only receives has the ordinary end here: that traffic has its own queue, and its order.
    if (transmitEnd === state.ordinary.transmit && state.index !== this.ordinaryQueue) return 0;
    const count = sent.room > 0 ? this.#pull(state.index, sent, transmitEnd) : 0;
    if (count > 0 && !state.sending) {
      state.sending = true;
      this.#sending.push(state);
    }
    return count;
  }

  #pull(queue: number, sent: PacketArray, end: ArrayEnd): number {
    const hook = this.#transmitHook;
    return hook === undefined ? end.populate(sent, sent.room) : hook.populate(queue, sent, sent.room, end);
  }

  advance(_now: number, budget: number): number {
    const sending = this.#sending;
    const { up } = this;
    let moved = 0;
    for (let turns = sending.count; turns > 0 && moved < budget; turns--) {
      const state = sending.shift();
      const packets = up ? this.#send(state, budget - moved) : refuse(state.sent, budget - moved);
      if (!up) this.#counters.transmitErrors += packets;
      moved += packets;
      if (state.sent.done > 0) this.#giveBack(state);
      // A packet without its end, which no well-behaved source posts, waits for the next service.
      state.sending = packets > 0 && state.sent.outstanding > 0;
      if (state.sending) sending.push(state);
      if (packets > 0) this.#populate(state);
    }
    return moved;
  }

  /** Flushes what was sent. */
  #giveBack({ index, sent, transmitEnd }: VethQueue): void {
    if (this.#transmitHook === undefined) transmitEnd.flush(sent, sent.done);
    else this.#transmitHook.flush(index, sent, sent.done, transmitEnd);
  }

  /** Moves packets of one queue to the peer; returns how many. */
  #send(state: VethQueue, budget: number): number {
    const peer = this.#peer!;
    const target = peer.#open(peer.#arrival(state.index));
    const { receiveEnd } = target;
    const pool = state.transmitEnd.framePool;
    const exchange = pool !== undefined && pool === receiveEnd.framePool;
    const transfer = this.#transfer;
    const longest = peer.mtu + LINK_OVERHEAD_BYTES;
    const packets = transfer.move(state.sent, target.received, receiveEnd, longest, budget, exchange);
    const { delivered, noDescriptor } = transfer;
    const here = this.#counters;
    here.sent += packets;
    here.sentBytes += transfer.bytes;
    state.packetsSent += packets;
    const there = peer.#counters;
    there.received += delivered;
    there.receivedBytes += transfer.deliveredBytes;
    there.noDescriptor += noDescriptor;
    there.oversize += transfer.oversize;
    if (exchange) there.exchanged += delivered;
    target.packetsReceived += delivered;
    target.dropped += noDescriptor;
    if (delivered > 0 && !target.polled) {
      target.polled = true;
      peer.#polling.push(target);
    }
    return packets;
  }

  /** The queue on which packets of the peer's transmit queue arrive. */
  #arrival(queue: number): number {
    return queue < this.queues && !this.#keptClear.has(queue) ? queue : this.#common;
  }

  poll(budget: number): number {
    const polling = this.#polling;
    let handled = 0;
    for (let turns = polling.count; turns > 0; turns--) {
      const state = polling.shift();
      const { received } = state;
      const entries = wholePackets(received, budget);
      if (entries > 0) this.#flush(state, entries);
      handled += entries;
      state.polled = received.done > 0;
      if (state.polled) polling.push(state);
    }
    return handled;
  }

  /** Flushes the first entries that have arrived on a queue. */
  #flush(state: VethQueue, entries: number): void {
    const { received, receiveEnd } = state;
    if (this.#receiveHook === undefined) receiveEnd.flush(received, entries);
    else this.#receiveHook.flush(state.index, received, entries, receiveEnd);
  }

  nextEvent(now: number): number {
    return this.#sending.count > 0 || this.#polling.count > 0 ? now : Number.POSITIVE_INFINITY;
  }

  /** @throws PacketError RULES_UNSUPPORTED always: a veth pair has no flow director */
  steer(): number {
    throw new PacketError('RULES_UNSUPPORTED', `${this.name} (driver veth) cannot steer packets by rules to a queue`, {
      remedy: "use receive: 'all', or a copy mode, which applies rules in software",
    });
  }

  unsteer(): void {}

  spreadsTo(queue: number): boolean {
    return !this.#keptClear.has(queue);
  }

  setSpread(queue: number, on: boolean): boolean {
    const clear = this.#keptClear;
    if (on) {
      clear.delete(queue);
    } else if (!clear.has(queue)) {
      if (clear.size + 1 >= this.queues) return false;
      clear.add(queue);
    }
    this.#common = 0;
    while (clear.has(this.#common)) this.#common++;
    return true;
  }

  setLink(up: boolean): void {
    this.#up = up;
  }

  statistics(): Record<string, number> {
    const counters = this.#counters;
    const result: Record<string, number> = {
      rx_packets: counters.received,
      rx_bytes: counters.receivedBytes,
      tx_packets: counters.sent,
      tx_bytes: counters.sentBytes,
      rx_no_descriptor: counters.noDescriptor,
      rx_oversize: counters.oversize,
      // Received by exchanging frames, without a copy.
      rx_exchanged: counters.exchanged,
      // Not sent because the link was down; lost because the queue was taken down first.
      tx_errors: counters.transmitErrors,
      tx_dropped: counters.transmitDropped,
    };
    for (const state of this.#queues) {
      if (state === undefined) continue;
      result[`rx_queue_${state.index}_packets`] = state.packetsReceived;
      result[`rx_queue_${state.index}_drops`] = state.dropped;
      result[`tx_queue_${state.index}_packets`] = state.packetsSent;
    }
    return result;
  }

  /** Takes this end down; the other one has lost its carrier. What they share goes with the second. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const state of this.#queues) if (state !== undefined) this.#reclaim(state);
    if (this.#peer!.#closed) this.#transfer.close();
  }

  /** Gives what the arrays hold back to where it came from. */
  #reclaim({ index, received, sent, receiveEnd, transmitEnd }: VethQueue): void {
    receiveEnd.reclaim?.(received);
    if (this.#transmitHook === undefined) transmitEnd.reclaim?.(sent);
    else this.#transmitHook.reclaim(index, sent, transmitEnd);
    received.reset();
    sent.reset();
  }
}

/** With the link down packets are done at once, with an error (I9). Returns packets. */
function refuse(sent: PacketArray, budget: number): number {
  const { flags, mask, end } = sent;
  let packets = 0;
  for (; sent.current !== end && packets < budget; sent.current = (sent.current + 1) | 0) {
    const at = sent.current & mask;
    const state = flags[at]!;
    if ((state & CONTINUES) === 0) packets++;
    flags[at] = state | ENETDOWN;
  }
  return packets;
}

/** Entries of the first `budget` done packets. */
function wholePackets(received: PacketArray, budget: number): number {
  const { done } = received;
  if (done <= budget) return done;
  const { flags, mask, start } = received;
  let packets = 0;
  let entries = 0;
  while (entries < done && packets < budget) {
    if ((flags[(start + entries) & mask]! & CONTINUES) === 0) packets++;
    entries++;
  }
  return entries;
}

/** Packets that end within the first `count` outstanding entries. */
function countPackets(array: PacketArray, count: number): number {
  let packets = 0;
  for (let i = 0; i < count; i++) if ((array.flags[(array.current + i) & array.mask]! & CONTINUES) === 0) packets++;
  return packets;
}
