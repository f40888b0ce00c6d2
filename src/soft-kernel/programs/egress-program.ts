import type { ArrayEnd, TransmitHook } from '../../driver/contract.js';
import {
  type Executable,
  FAULT_NONE,
  PACKET_DATA,
  PACKET_DATA_END,
  PACKET_FAULT,
  PACKET_VERDICT,
  XDP_ABORTED,
  XDP_DROP,
  XDP_PASS,
} from '../../ebpf/execution.js';
import { LINK_OVERHEAD_BYTES } from '../../nic/soft-nic.js';
import { ASKS_TIME, CONTINUES, ERROR_MASK, PacketArray } from '../../packet-array/packet-array.js';
import type { Device } from '../device.js';
import { packetBytes } from './departures.js';
import { PacketRecords } from './packet-records.js';
import type { ProgramCounters } from './program-counters.js';
import type { Network } from './redirections.js';

/** Entries that one call takes at most when all their packets are dropped: who goes on posting waits for the next call. */
const MOST_DROPPED = 65536;

/** Packets of one transmit queue between its end and the driver. */
class EgressQueue {
  /**
   * Everything that the end has given, in its order:
   *
   *     start             current                           end
   *     | done: goes back | with the driver; or dropped      |
   *       at once           behind one that is (COMPLETED)
   */
  readonly taken: PacketArray;
  /** Entries in the driver's array that came past the hook, before it was there or while it had no program. They are flushed first. */
  direct: number;

  constructor(array: PacketArray) {
    this.taken = new PacketArray(array.size);
    this.direct = (array.end - array.start) | 0;
  }

  get isEmpty(): boolean {
    return this.taken.end === this.taken.start;
  }
}

/**
 * A program that meets packets on their way out (D1), whoever sends them: sockets in place and by copies, and programs of other devices. It stands
 * between a driver's array and its end:
 *
 *     end --populate--> taken --> records --> program --+-- PASS --> the driver's array, as the program has left the packet
 *      ^                  |                             +-- all else: dropped
 *      +----flush---------+<--- what was sent, and what was dropped, in the order in which it came
 *
 * Whoever sends gets each frame back as if it had been sent, with the address and length that it gave.
 */
export class EgressProgram implements TransmitHook {
  #executable: Executable | undefined;
  readonly #device: Device;
  readonly #counters: ProgramCounters;
  readonly #records: PacketRecords;
  readonly #i32: Int32Array;
  readonly #longest: number;
  /** By queue; the last one sends ordinary traffic. */
  readonly #queues: (EgressQueue | undefined)[];

  /** @throws PacketError ARENA_EXHAUSTED */
  constructor(network: Network, device: Device, counters: ProgramCounters, executable: Executable) {
    this.#executable = executable;
    this.#device = device;
    this.#counters = counters;
    this.#records = new PacketRecords(network.machine.arena);
    this.#i32 = network.machine.arena.i32;
    this.#longest = device.driver.mtu + LINK_OVERHEAD_BYTES;
    this.#queues = new Array(device.driver.queues + 1).fill(undefined);
    device.egress = this;
    device.driver.setTransmitHook(this);
  }

  /** Puts another program in its place, or in that of one that was stopped, from the next packets on. */
  replace(executable: Executable): void {
    this.#executable = executable;
  }

  populate(queue: number, array: PacketArray, limit: number, end: ArrayEnd): number {
    const state = this.#queueOf(queue, array);
    if (this.#executable === undefined && state.isEmpty) {
      const count = end.populate(array, limit);
      state.direct += count;
      return count;
    }
    const { taken } = state;
    const before = array.end;
    for (let count = 0; count < MOST_DROPPED; ) {
      const pulled = end.populate(taken, Math.min(limit, array.room, taken.room));
      if (pulled === 0) break;
      count += pulled;
      this.#meet(state, pulled, array, queue, end);
      if (taken.done > 0) end.flush(taken, taken.done);
      if (array.end !== before) break;
    }
    return (array.end - before) | 0;
  }

  /** Lets the newest `count` entries meet the program, and adds to the driver's array what is to be sent. */
  #meet(state: EgressQueue, count: number, array: PacketArray, queue: number, end: ArrayEnd): void {
    const { taken } = state;
    const executable = this.#executable;
    if (executable === undefined) {
      for (let i = (taken.end - count) | 0; i !== taken.end; i = (i + 1) | 0) copyEntry(taken, i, array);
      return;
    }
    const records = this.#records;
    const { segments } = executable.bound.program;
    for (let left = count; left > 0; left -= records.entries) {
      const packets = records.describe(taken, (taken.end - left) | 0, left, end.frameBytes ?? 0, segments);
      records.setOrigin(0, queue, this.#device.index);
      executable.run(records.first, records.shown);
      for (let packet = 0; packet < packets; packet++) this.#sort(packet, state, array);
    }
  }

  #sort(packet: number, state: EgressQueue, array: PacketArray): void {
    const records = this.#records;
    const { taken } = state;
    const first = records.firstEntry[packet]!;
    const last = records.lastEntry[packet]!;
    if (this.#passes(records.record[packet]!, taken, first, last)) {
      const added = array.end & array.mask;
      for (let i = first; i !== ((last + 1) | 0); i = (i + 1) | 0) copyEntry(taken, i, array);
      const record = records.record[packet]!;
      array.address[added] = this.#i32[record + PACKET_DATA]!;
      array.length[added] = this.#i32[record + PACKET_DATA_END]! - this.#i32[record + PACKET_DATA]!;
      return;
    }
    for (let i = first; i !== ((last + 1) | 0); i = (i + 1) | 0) {
      taken.flags[i & taken.mask]! &= ~ASKS_TIME; // it never leaves
      taken.complete(i, 0);
    }
  }

  /** Whether a packet is to be sent; counts what becomes of it. @param record word index, or -1 */
  #passes(record: number, taken: PacketArray, first: number, last: number): boolean {
    const counters = this.#counters;
    const i32 = this.#i32;
    if (record < 0) {
      counters.segments++;
      return false;
    }
    switch (i32[record + PACKET_VERDICT]! >>> 0) {
      case XDP_PASS: {
        const at = first & taken.mask;
        const change = i32[record + PACKET_DATA_END]! - i32[record + PACKET_DATA]! - taken.length[at]!;
        if (
          (taken.flags[at]! & CONTINUES) !== 0 &&
          i32[record + PACKET_DATA_END] !== taken.address[at]! + taken.length[at]!
        ) {
          counters.segments++; // the rest of the packet is not where the program has moved the end of the first frame
          return false;
        }
        counters.pass++;
        if (change <= 0 || packetBytes(taken, first, last) + change <= this.#longest) return true;
        counters.tooLong++;
        return false;
      }
      case XDP_DROP:
        counters.drop++;
        return false;
      case XDP_ABORTED:
        counters.aborted++;
        if (i32[record + PACKET_FAULT] !== FAULT_NONE) counters.fault++;
        return false;
      default:
        counters.unknown++; // TX and REDIRECT, too: the packet is on its way to a place already
        return false;
    }
  }

  flush(queue: number, array: PacketArray, count: number, end: ArrayEnd): void {
    const state = this.#queueOf(queue, array);
    const direct = Math.min(count, state.direct);
    if (direct > 0) {
      state.direct -= direct;
      end.flush(array, direct);
    }
    if (count > direct) {
      this.#complete(state, array, count - direct, end);
      const { taken } = state;
      if (taken.done > 0) end.flush(taken, taken.done);
    }
    if (this.#executable === undefined) this.#leaveWhenIdle();
  }

  /** The oldest `count` entries that were passed are done. */
  #complete(state: EgressQueue, array: PacketArray, count: number, end: ArrayEnd): void {
    const { taken } = state;
    for (let i = 0; i < count; i++) {
      const at = array.start & array.mask;
      // Two ends of one pool exchange frames; of other ends the frame is the one that was taken.
      if (end.framePool !== undefined) taken.address[taken.current & taken.mask] = array.address[at]!;
      taken.complete(taken.current, array.flags[at]! & ERROR_MASK); // goes on to the next that is with the driver
      array.start = (array.start + 1) | 0;
    }
  }

  reclaim(queue: number, array: PacketArray, end: ArrayEnd): void {
    const state = this.#queues[queue];
    if (state === undefined) {
      end.reclaim?.(array);
      return;
    }
    this.#queues[queue] = undefined;
    array.end = (array.start + state.direct) | 0;
    array.current = array.end;
    end.reclaim?.(array);
    if (!state.isEmpty) end.reclaim?.(state.taken);
    if (this.#executable === undefined) this.#leaveWhenIdle();
  }

  /** The program ends. What it has seen comes back in order first. */
  stop(): void {
    this.#executable = undefined;
    this.#leaveWhenIdle();
  }

  #leaveWhenIdle(): void {
    for (let i = 0; i < this.#queues.length; i++) if (this.#queues[i]?.isEmpty === false) return;
    const device = this.#device;
    if (device.egress !== this) return;
    device.egress = undefined;
    device.driver.setTransmitHook(undefined);
    this.#records.close();
  }

  #queueOf(queue: number, array: PacketArray): EgressQueue {
    let state = this.#queues[queue];
    if (state === undefined) {
      state = new EgressQueue(array);
      this.#queues[queue] = state;
    }
    return state;
  }
}

function copyEntry(from: PacketArray, index: number, to: PacketArray): void {
  const at = index & from.mask;
  to.add(from.address[at]!, from.length[at]!, from.flags[at]!, from.cookie[at]!);
}
