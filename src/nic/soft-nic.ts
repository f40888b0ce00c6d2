import type { Arena, Region } from '../arena/arena.js';
import { type ErrorCode, PacketError } from '../errors.js';
import type { WireSink, WireSource } from '../wire/contract.js';
import type { Classifier } from './classifier.js';
import { END_OF_PACKET, HARDWARE_DESCRIPTOR_BYTES, HAS_HINTS, STATUS_DONE, STATUS_LINK_DOWN } from './descriptors.js';
import { QueuePair } from './queue-pair.js';

/** Bytes of Ethernet header and up to two VLAN tags: what a device takes above its MTU. */
export const LINK_OVERHEAD_BYTES = 22;
/** With more open queues than this their frames fit no cache, and reading ahead of the DMA pays. */
const CACHED_QUEUES = 512;
/** Most packets of one transmit DMA pass. */
const TRANSMIT_PASS = 64;

/** How the device gathers interrupts (as `ethtool -C`): it raises one after so many packets, or so long after the first. */
export interface InterruptModeration {
  /** Packets written back since the last interrupt that raise the next one at once, 1 to 4096. */
  readonly packets: number;
  /** Nanoseconds after the first of them that raise it in any case, 0 to 1e9. */
  readonly nanoseconds: number;
}

/** What a soft NIC is built with; {@link NicOptions} is what users give. */
export interface SoftNicParts {
  readonly arena: Arena;
  readonly queues: number;
  /** Descriptors of each hardware ring, a power of two. */
  readonly ringEntries: number;
  readonly mtu: number;
  readonly moderation: InterruptModeration;
  /** Whether the device makes a patient sender wait for descriptors (pause frames); else it drops. */
  readonly pause: boolean;
  readonly source: WireSource;
  readonly sink: WireSink;
  readonly classifier: Classifier;
}

/**
 * The device itself, without its driver: hardware rings, DMA, steering, interrupts. What it does is real work of the thread it
 * runs on: receive DMA writes every byte of a packet into a frame, send DMA reads every byte; no delay is made up.
 *
 *     wire source --offer--> classifier --runs of one queue--> receive DMA --> write-back, interrupt
 *     wire sink <--list-- transmit FIFO <-- transmit DMA <-- transmit ring
 *
 * Its own memory (arena): result words | transmit list | transmit FIFO, and a pair of rings per open queue.
 */
export class SoftNic {
  readonly queues: number;
  readonly ringEntries: number;
  readonly classifier: Classifier;
  readonly counters = {
    received: 0,
    receivedBytes: 0,
    sent: 0,
    sentBytes: 0,
    noDescriptor: 0,
    oversize: 0,
    /** Dropped by a rule. */
    ruled: 0,
    interrupts: 0,
  };
  /** Queues with a pending interrupt, for the driver; a queue is listed once. */
  readonly interrupts: number[] = [];
  #up = true;
  #hints = false;
  /** A patient sender holds its packets back until there are new descriptors. */
  #blocked = false;
  readonly #arena: Arena;
  readonly #source: WireSource;
  readonly #sink: WireSink;
  readonly #moderation: InterruptModeration;
  readonly #pause: boolean;
  readonly #longest: number;
  readonly #memory: Region;
  readonly #result: number;
  readonly #list: number;
  readonly #fifo: number;
  readonly #fifoBytes: number;
  readonly #pairs: (QueuePair | undefined)[];
  /** Queue pairs that were ever opened. */
  #open = 0;
  // Lists are shortened by `pop`: a length that is set to 0 gives the memory back, and the next `push` allocates.
  /** Queues with descriptors to send. */
  readonly #sending: QueuePair[] = [];
  /** Queues whose moderated interrupt is not raised yet. */
  readonly #moderated: QueuePair[] = [];

  constructor(parts: SoftNicParts) {
    this.#arena = parts.arena;
    this.queues = parts.queues;
    this.ringEntries = parts.ringEntries;
    this.classifier = parts.classifier;
    this.#source = parts.source;
    this.#sink = parts.sink;
    this.#moderation = parts.moderation;
    this.#pause = parts.pause;
    this.#longest = parts.mtu + LINK_OVERHEAD_BYTES;
    this.#pairs = new Array(parts.queues + 1).fill(undefined); // the last one sends ordinary traffic, see the driver contract
    this.#fifoBytes = TRANSMIT_PASS * Math.max(2048, (this.#longest + 63) & ~63);
    this.#memory = parts.arena.allocate(4096 + this.#fifoBytes);
    this.#result = this.#memory.offset;
    this.#list = this.#result + 64;
    this.#fifo = this.#memory.offset + 4096;
  }

  get up(): boolean {
    return this.#up && this.#source.up;
  }

  set up(up: boolean) {
    this.#up = up;
    this.unblock();
  }

  /** Packets that a patient sender holds back may find their way now: descriptors were posted, or they are steered otherwise. */
  unblock(): void {
    this.#blocked = false;
  }

  /** Register write: whether hints are worked out for received packets. Costs some 50 ns a packet. */
  setHints(on: boolean): void {
    if (on && !this.#hints) for (const pair of this.#pairs) pair?.forgetHints();
    this.#hints = on;
  }

  /** The queue's rings; opened on first use, so that idle queues cost nothing. */
  open(queue: number): QueuePair {
    let pair = this.#pairs[queue];
    if (pair === undefined) {
      if (!(queue >= 0 && queue <= this.queues)) throw noQueue(queue, this.queues);
      pair = new QueuePair(queue, this.ringEntries, this.#arena);
      this.#pairs[queue] = pair;
      this.#open++;
    }
    return pair;
  }

  /** Register write: receive descriptors up to `tail` are the device's. */
  postReceive(pair: QueuePair, tail: number): void {
    this.#blocked = false;
    pair.receiveTail = tail;
  }

  /** Register write: transmit descriptors up to `tail` are the device's. */
  postTransmit(pair: QueuePair, tail: number): void {
    pair.transmitTail = tail;
    if (pair.sending) return;
    pair.sending = true;
    this.#sending.push(pair);
  }

  /** Register write: the driver wants interrupts of this queue again (or no more). */
  setMasked(pair: QueuePair, masked: boolean): void {
    pair.masked = masked;
    if (!masked && pair.unseen > 0) this.#raise(pair);
  }

  /** Works for up to `budget` packets received and `budget` sent; returns packets moved. */
  advance(now: number, budget: number): number {
    return this.#transmit(now, budget) + this.#receive(now, budget) + this.#moderate(now);
  }

  nextEvent(now: number): number {
    if (this.#sending.some((pair) => !pair.stuck)) return now;
    const waits = this.#blocked || (!this.up && this.#pause && this.#source.patient);
    let next = waits ? Number.POSITIVE_INFINITY : this.#source.nextArrival(now);
    for (const pair of this.#moderated) next = Math.min(next, pair.unseenSince + this.#moderation.nanoseconds);
    return next;
  }

  #receive(now: number, budget: number): number {
    const source = this.#source;
    if (!this.up) {
      // Nothing arrives over a link that is down: a patient sender waits, what others send is lost.
      if (!(this.#pause && source.patient)) {
        const lost = source.offer(budget, now);
        source.take(lost);
        source.counters.lost += lost;
      }
      return 0;
    }
    // The first packet has no descriptors yet: looking at it again would cost every idle step half a microsecond.
    if (this.#blocked) return 0;
    let offered = source.offer(budget, now);
    if (offered === 0) return 0;
    const { classifier } = this;
    const list = source.list;
    if (!classifier.simple) offered = classifier.look(list, offered);
    let taken = 0;
    while (taken < offered) {
      const at = list + taken * 8;
      // A run of packets for one queue is one DMA pass.
      const run = classifier.simple ? offered - taken : classifier.run(at, offered - taken);
      const accepted =
        classifier.queue < 0
          ? this.#drop(-1 - classifier.queue, run)
          : this.#deliver(classifier.queue, at, run, classifier.hashes, now, this.#pause && source.patient);
      taken += accepted;
      if (accepted < run) break;
    }
    source.take(taken);
    this.#blocked = taken === 0;
    return taken;
  }

  /** Packets that a rule has the device drop, for a queue's socket. */
  #drop(queue: number, count: number): number {
    this.counters.ruled += count;
    this.classifier.ruleDrops[queue]! += count;
    return count;
  }

  /** One DMA pass: packets at `list` into the queue's frames. Returns how many were dealt with, delivered or dropped. */
  #deliver(queue: number, list: number, count: number, hashes: number, now: number, patient: boolean): number {
    const pair = this.#pairs[queue];
    const { i32, routines } = this.#arena;
    const result = this.#result >> 2;
    let done = 0;
    while (done < count) {
      let used = 0;
      if (pair !== undefined && !pair.stuck) {
        const at = list + done * 8;
        if (this.#open > CACHED_QUEUES)
          routines.readAhead(pair.receiveRing, pair.mask, pair.receiveHead, pair.receiveTail, count - done);
        routines.receiveDma(
          pair.receiveRing,
          pair.mask,
          pair.receiveHead,
          pair.receiveTail,
          pair.room,
          at,
          count - done,
          hashes === 0 ? 0 : hashes + done * 4,
          this.#longest,
          this.#result,
        );
        used = i32[result]!;
        const packets = i32[result + 1]!;
        if (this.#hints) this.#writeHints(pair, used, at, now);
        pair.receiveHead = (pair.receiveHead + used) | 0;
        pair.packetsReceived += packets;
        done += packets;
        this.counters.received += packets;
        this.counters.receivedBytes += i32[result + 2]!;
        if (used > 0) this.#written(pair, used, now);
      }
      if (done === count) break;
      // The next packet was not taken: too long, or no descriptors for it.
      if (i32[((list + done * 8) >> 2) + 1]! > this.#longest) {
        this.counters.oversize++;
      } else if (patient) {
        break;
      } else {
        this.counters.noDescriptor++;
        if (pair !== undefined) pair.dropped++;
      }
      done++;
    }
    return done;
  }

  /** Adds hints to the descriptors that were just written back. @param list their packets on the wire */
  #writeHints(pair: QueuePair, used: number, list: number, now: number): void {
    const { i32 } = this.#arena;
    const { flowHash } = this.classifier;
    let packet = list >> 2;
    let first = true;
    for (let i = 0; i < used; i++) {
      const descriptor = (pair.receiveRing + ((pair.receiveHead + i) & pair.mask) * HARDWARE_DESCRIPTOR_BYTES) >> 2;
      if (first) {
        flowHash.look(i32[packet]!, i32[packet + 1]!);
        packet += 2;
      }
      i32[descriptor] = flowHash.hash;
      i32[descriptor + 1] = flowHash.type | flowHash.tag | HAS_HINTS;
      i32[descriptor + 2] = (now % 2 ** 32) | 0;
      first = (i32[descriptor + 3]! & END_OF_PACKET) !== 0;
    }
  }

  /** Descriptors of a queue were written back: raise its interrupt, at once or later. */
  #written(pair: QueuePair, count: number, now: number): void {
    const first = pair.unseen === 0;
    pair.unseen += count;
    if (pair.masked || pair.pending) return;
    if (pair.unseen >= this.#moderation.packets) {
      this.#raise(pair);
    } else if (first) {
      pair.unseenSince = now;
      this.#moderated.push(pair);
    }
  }

  #raise(pair: QueuePair): void {
    pair.unseen = 0;
    if (pair.pending) return;
    pair.pending = true;
    this.counters.interrupts++;
    this.interrupts.push(pair.index);
  }

  #moderate(now: number): number {
    const waiting = this.#moderated;
    let kept = 0;
    for (let i = 0; i < waiting.length; i++) {
      const pair = waiting[i]!;
      if (pair.unseen === 0 || pair.pending) continue;
      if (now - pair.unseenSince >= this.#moderation.nanoseconds) this.#raise(pair);
      else waiting[kept++] = pair;
    }
    const raised = waiting.length - kept;
    while (waiting.length > kept) waiting.pop();
    return raised;
  }

  #transmit(now: number, budget: number): number {
    const waiting = this.#sending;
    if (waiting.length === 0) return 0;
    let moved = 0;
    let kept = 0;
    for (let i = 0; i < waiting.length; i++) {
      const pair = waiting[i]!;
      moved += pair.stuck ? 0 : this.#transmitQueue(pair, now, budget);
      if (pair.transmitHead === pair.transmitTail) pair.sending = false;
      else waiting[kept++] = pair;
    }
    while (waiting.length > kept) waiting.pop();
    return moved;
  }

  #transmitQueue(pair: QueuePair, now: number, budget: number): number {
    const { i32, routines } = this.#arena;
    const result = this.#result >> 2;
    if (!this.up) return this.#refuse(pair);
    let moved = 0;
    while (moved < budget && pair.transmitHead !== pair.transmitTail) {
      const { transmitRing, mask, transmitHead, transmitTail } = pair;
      routines.transmitDma(
        transmitRing,
        mask,
        transmitHead,
        transmitTail,
        this.#fifo,
        this.#fifoBytes,
        this.#list,
        TRANSMIT_PASS,
        this.#result,
      );
      const used = i32[result]!;
      const packets = i32[result + 1]!;
      if (used === 0) break; // the rest of a packet is not posted yet
      this.counters.sent += packets;
      this.counters.sentBytes += i32[result + 2]!;
      pair.packetsSent += packets;
      pair.transmitHead = (transmitHead + used) | 0;
      moved += packets;
      this.#sink.transmit(this.#list, packets, now);
      this.#written(pair, used, now);
    }
    return moved;
  }

  /** With the link down every descriptor is finished with an error (I9). */
  #refuse(pair: QueuePair): number {
    const { i32 } = this.#arena;
    const count = (pair.transmitTail - pair.transmitHead) | 0;
    for (; pair.transmitHead !== pair.transmitTail; pair.transmitHead = (pair.transmitHead + 1) | 0) {
      const descriptor = pair.transmitRing + (pair.transmitHead & pair.mask) * HARDWARE_DESCRIPTOR_BYTES;
      i32[(descriptor >> 2) + 3] = STATUS_DONE | STATUS_LINK_DOWN;
    }
    this.#written(pair, count, 0);
    return count;
  }

  /** Fault injection: the device ignores a queue until told otherwise. */
  setStuck(queue: number, stuck: boolean): void {
    this.open(queue).stuck = stuck;
    this.unblock();
  }

  /** Per-queue counts for `ethtool -S`; only queues that were ever open. */
  queueStatistics(): Record<string, number> {
    const result: Record<string, number> = {};
    for (const pair of this.#pairs) {
      if (pair === undefined) continue;
      result[`rx_queue_${pair.index}_packets`] = pair.packetsReceived;
      result[`rx_queue_${pair.index}_drops`] = pair.dropped;
      result[`tx_queue_${pair.index}_packets`] = pair.packetsSent;
    }
    this.classifier.ruleDrops.forEach((count, queue) => {
      if (count > 0) result[`rx_queue_${queue}_rule_drops`] = count;
    });
    return result;
  }

  close(): void {
    for (const pair of this.#pairs) pair?.close();
    this.#arena.free(this.#memory);
    this.classifier.close();
    this.#source.close();
    this.#sink.close();
  }
}

/** The error for a queue that is not there. */
export function noQueue(queue: number, queues: number, code: ErrorCode = 'NO_QUEUE'): PacketError {
  return new PacketError(
    code,
    `queue ${String(queue)} does not exist: the interface has ${queues} (0 to ${queues - 1})`,
    {
      remedy: 'bind to one of its queues',
    },
  );
}
