import type { QueueEnds, ReceiveHook } from '../../driver/contract.js';
import {
  type Executable,
  FAULT_NONE,
  PACKET_DATA,
  PACKET_DATA_META,
  PACKET_FAULT,
  PACKET_VERDICT,
  XDP_ABORTED,
  XDP_DROP,
  XDP_PASS,
  XDP_REDIRECT,
  XDP_TX,
} from '../../ebpf/execution.js';
import { readsHints } from '../../ebpf/program.js';
import { PacketArray } from '../../packet-array/packet-array.js';
import { PacketList } from '../../packet-array/packet-list.js';
import type { Device } from '../device.js';
import { PacketRecords, takeBack } from './packet-records.js';
import type { ProgramCounters } from './program-counters.js';
import { RedirectedEnd } from './redirected-end.js';
import { type Network, Redirections, type RedirectSocket } from './redirections.js';

/** Entries of the packets of one run, with room to spare. */
const ENTRIES = 2048;

/**
 * A program that meets the packets which a device has received, where they are flushed (K6, D1): it runs on a batch of them in place, and each
 * goes where the verdict says.
 *
 *     array --> records --> program --+-- PASS --> what the packets were flushed to, in one batch
 *                                     +-- REDIRECT to a socket --> its ring; in place where the frame is its own
 *                                     +-- TX, REDIRECT elsewhere --> queue of a device or a CPU
 *                                     +-- DROP, ABORTED --> frame back to where it came from
 */
export class ReceiveProgram implements ReceiveHook {
  #executable: Executable;
  #wantsHints: boolean;
  readonly #device: Device;
  readonly #counters: ProgramCounters;
  readonly #records: PacketRecords;
  readonly #redirections: Redirections;
  readonly #i32: Int32Array;
  /** Packets that are passed on, and frames that go back. */
  readonly #passed = new PacketArray(ENTRIES);
  readonly #back = new Int32Array(ENTRIES);
  #backCount = 0;
  /** Packets for one socket: in frames of its own, or to be copied. */
  #socket: RedirectSocket | undefined;
  readonly #owned = new PacketArray(ENTRIES);
  readonly #copied = new PacketList(ENTRIES, true);

  /** @throws PacketError ARENA_EXHAUSTED */
  constructor(network: Network, device: Device, counters: ProgramCounters, executable: Executable) {
    this.#executable = executable;
    this.#wantsHints = readsHints(executable.bound.program);
    this.#device = device;
    this.#counters = counters;
    this.#records = new PacketRecords(network.machine.arena);
    this.#redirections = new Redirections(network, device, counters);
    this.#i32 = network.machine.arena.i32;
  }

  get wantsHints(): boolean {
    return this.#wantsHints;
  }

  /** Puts another program in its place, from the next packets on. */
  replace(executable: Executable): void {
    this.#executable = executable;
    this.#wantsHints = readsHints(executable.bound.program);
  }

  flush(queue: number, array: PacketArray, count: number, end: QueueEnds['receive']): void {
    for (let left = count; left > 0; left -= this.#records.entries) this.#run(queue, array, left, end);
    this.#redirections.finish();
  }

  /** Sees to the first packets of `limit` entries. */
  #run(queue: number, array: PacketArray, limit: number, end: QueueEnds['receive']): void {
    const records = this.#records;
    const { segments } = this.#executable.bound.program;
    const packets = records.describe(array, array.start, limit, end.frameBytes, segments);
    records.setOrigin(this.#device.index, queue, 0);
    if (this.#wantsHints) records.describeHints(array, queue, packets, this.#device.driver);
    this.#executable.run(records.first, records.shown);
    if (this.#allPass(array, packets)) {
      this.#counters.pass += packets;
      end.flush(array, records.entries);
      return;
    }
    for (let packet = 0; packet < packets; packet++) {
      if (!this.#dropsPlainly(packet, array)) this.#sort(packet, queue, array, end);
    }
    array.start = (array.start + records.entries) | 0;
    this.#handOver(end);
  }

  /** Whether all packets are to be passed on; then their entries are as the program has left them. */
  #allPass(array: PacketArray, packets: number): boolean {
    const { record, firstEntry, shown } = this.#records;
    const i32 = this.#i32;
    if (shown < packets) return false;
    for (let i = 0; i < packets; i++) if (i32[record[i]! + PACKET_VERDICT] !== XDP_PASS) return false;
    for (let i = 0; i < packets; i++) {
      // Once taken back, what is left of the batch is taken back again, to the same end.
      if (!takeBack(i32, record[i]!, array, firstEntry[i]!)) return false;
    }
    return true;
  }

  /** Sees to a packet of one frame that is to be dropped: most often all of a batch are, and nothing else is so cheap. */
  #dropsPlainly(packet: number, { address, mask }: PacketArray): boolean {
    const { record, firstEntry, lastEntry } = this.#records;
    const first = firstEntry[packet]!;
    // What is not shown has several entries.
    if (first !== lastEntry[packet] || this.#i32[record[packet]! + PACKET_VERDICT] !== XDP_DROP) return false;
    this.#counters.drop++;
    this.#back[this.#backCount++] = address[first & mask]!;
    return true;
  }

  /** Sends one packet to where its verdict says, or notes it for a batch. */
  #sort(packet: number, queue: number, array: PacketArray, end: QueueEnds['receive']): void {
    const records = this.#records;
    const counters = this.#counters;
    const first = records.firstEntry[packet]!;
    const last = records.lastEntry[packet]!;
    const record = records.record[packet]!;
    let keepsFrames = true;
    if (record < 0 || !takeBack(this.#i32, record, array, first)) {
      counters.segments++;
    } else {
      const isPools = end.framePool === this.#device.pool;
      switch (this.#i32[record + PACKET_VERDICT]! >>> 0) {
        case XDP_PASS:
          counters.pass++;
          addAll(this.#passed, array, first, last);
          keepsFrames = false;
          break;
        case XDP_DROP:
          counters.drop++;
          break;
        case XDP_TX:
          counters.tx++;
          keepsFrames = !this.#redirections.transmit(this.#device, array, first, last, isPools);
          break;
        case XDP_REDIRECT: {
          counters.redirect++;
          const socket = this.#redirections.socketOf(record, queue);
          keepsFrames =
            socket === undefined
              ? !this.#redirections.redirect(record, queue, array, first, last, isPools)
              : !this.#give(socket, record, array, first, last, end);
          break;
        }
        case XDP_ABORTED:
          counters.aborted++;
          if (this.#i32[record + PACKET_FAULT] !== FAULT_NONE) counters.fault++;
          break;
        default:
          counters.unknown++;
      }
    }
    if (!keepsFrames) return;
    for (let i = first; i !== ((last + 1) | 0); i = (i + 1) | 0) {
      this.#back[this.#backCount++] = array.address[i & array.mask]!;
    }
  }

  /** Notes a packet for a socket. Returns whether its frames are the socket's own and go along. */
  #give(
    socket: RedirectSocket,
    record: number,
    array: PacketArray,
    first: number,
    last: number,
    end: QueueEnds['receive'],
  ): boolean {
    if (socket !== this.#socket) {
      this.#deliver();
      this.#socket = socket;
    }
    if (end instanceof RedirectedEnd && end.rings === socket.inPlace) {
      addAll(this.#owned, array, first, last);
      return true;
    }
    const { address, length, flags, mask } = array;
    const list = this.#copied;
    const metadata = this.#i32[record + PACKET_DATA]! - this.#i32[record + PACKET_DATA_META]!;
    for (let i = first; i !== ((last + 1) | 0); i = (i + 1) | 0) {
      const at = i & mask;
      list.metadata[list.count] = i === first ? metadata : 0;
      list.add(address[at]!, length[at]!, flags[at]!);
    }
    return false;
  }

  /** Hands the packets noted for a socket to it. */
  #deliver(): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#redirections.finishCopies(); // the list of copies is wanted
    const owned = this.#owned;
    owned.current = owned.end;
    if (owned.done > 0) socket.inPlace!.flush(owned, owned.done);
    const list = this.#copied;
    if (list.count > 0) socket.rings.deliver(this.#device.core.stamp(list));
    list.count = 0;
    this.#socket = undefined;
  }

  /** Hands over what was noted for batches. Frames go back last: until then they are copied from. */
  #handOver(end: QueueEnds['receive']): void {
    const passed = this.#passed;
    this.#deliver();
    this.#redirections.finishCopies();
    passed.current = passed.end;
    if (passed.done > 0) end.flush(passed, passed.done);
    if (this.#backCount > 0) end.recycle(this.#back, this.#backCount);
    this.#backCount = 0;
  }

  close(): void {
    this.#records.close();
  }
}

function addAll(to: PacketArray, { address, length, flags, mask }: PacketArray, first: number, last: number): void {
  for (let i = first; i !== ((last + 1) | 0); i = (i + 1) | 0) {
    const at = i & mask;
    to.add(address[at]!, length[at]!, flags[at]!, 0);
  }
}
