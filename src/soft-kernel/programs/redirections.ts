import {
  type Executable,
  PACKET_EGRESS_IFINDEX,
  PACKET_REDIRECT_FLAGS,
  PACKET_REDIRECT_MAP,
  PACKET_REDIRECT_TARGET,
  PACKET_VERDICT,
  XDP_PASS,
} from '../../ebpf/execution.js';
import type { Machine } from '../../ebpf/machine.js';
import { RedirectMap } from '../../ebpf/maps/redirect-map.js';
import { LINK_OVERHEAD_BYTES } from '../../nic/soft-nic.js';
import type { PacketArray, ReceiveEnd } from '../../packet-array/packet-array.js';
import type { KernelRings } from '../../ring/kernel-rings.js';
import type { Device } from '../device.js';
import type { CpuQueues } from './cpu-queues.js';
import { Departures, packetBytes } from './departures.js';
import { takeBack } from './packet-records.js';
import type { ProgramCounters } from './program-counters.js';

/** Flags of bpf_redirect_map (linux/bpf.h): to all devices of the map; but to the one that the packet came from. */
const BROADCAST = 1 << 3;
const EXCLUDE_INGRESS = 1 << 4;

/** A bound socket as redirections see it. */
export interface RedirectSocket {
  readonly device: Device;
  readonly queue: number;
  readonly rings: KernelRings;
  /** Where its frames are when the device works in them; undefined in copy mode. */
  readonly inPlace: ReceiveEnd | undefined;
}

/** What redirections lead to, in one kernel. */
export interface Network {
  readonly machine: Machine;
  readonly cpus: CpuQueues;
  deviceByIndex(index: number): Device | undefined;
  /** The socket with a number, where it can be redirected to. */
  redirectSocket(number: number): RedirectSocket | undefined;
}

/** Where packets of one receive queue go that XDP_TX and XDP_REDIRECT send elsewhere. */
export class Redirections {
  readonly #network: Network;
  readonly #device: Device;
  readonly #counters: ProgramCounters;
  readonly #departures: Departures;
  /** Devices that have been given packets and not been told. */
  readonly #touched: Device[] = [];

  constructor(network: Network, device: Device, counters: ProgramCounters) {
    this.#network = network;
    this.#device = device;
    this.#counters = counters;
    this.#departures = new Departures(device.means, device.pool);
  }

  /** The socket that a redirection leads to, or undefined where it leads elsewhere or is lost. @param record word index */
  socketOf(record: number, queue: number): RedirectSocket | undefined {
    const map = this.#mapOf(record);
    if (map?.definition.type !== 'xskmap') return undefined;
    const entry = map.entryOf(this.#network.machine.arena.i32[record + PACKET_REDIRECT_TARGET]!);
    const socket = entry < 0 ? undefined : this.#network.redirectSocket(map.targetOf(entry));
    return socket?.device === this.#device && socket.queue === queue ? socket : undefined;
  }

  /**
   * Sends a packet out of a device.
   *
   * @param handsOver whether its frames are the page pool's, and go along
   * @returns whether the frames have gone
   */
  transmit(device: Device, array: PacketArray, first: number, last: number, handsOver: boolean): boolean {
    if (packetBytes(array, first, last) > device.driver.mtu + LINK_OVERHEAD_BYTES) {
      this.#counters.tooLong++;
      return false;
    }
    const exit = device.transmitQueue;
    const departures = this.#departures;
    const done = handsOver ? departures.move(exit, array, first, last) : departures.copy(exit, array, first, last);
    if (!done) this.#counters.queueFull++;
    else if (!this.#touched.includes(device)) this.#touched.push(device);
    return done && handsOver;
  }

  /** Sends a packet to where its record says, unless that is a socket. As `transmit`. @param record word index */
  redirect(
    record: number,
    queue: number,
    array: PacketArray,
    first: number,
    last: number,
    handsOver: boolean,
  ): boolean {
    const { i32 } = this.#network.machine.arena;
    const target = i32[record + PACKET_REDIRECT_TARGET]!;
    if (i32[record + PACKET_REDIRECT_MAP] === 0) {
      const device = this.#network.deviceByIndex(target);
      if (device !== undefined) return this.transmit(device, array, first, last, handsOver);
      this.#counters.redirectNoTarget++;
      return false;
    }
    const map = this.#mapOf(record);
    const flags = i32[record + PACKET_REDIRECT_FLAGS]!;
    if (map !== undefined && (flags & BROADCAST) !== 0) return this.#broadcast(map, flags, array, first, last);
    const entry = map === undefined || map.definition.type === 'xskmap' ? -1 : map.entryOf(target);
    if (entry < 0) {
      this.#counters.redirectNoTarget++;
      return false;
    }
    if (map!.definition.type === 'cpumap')
      return this.#toCpu(map!, entry, record, queue, array, first, last, handsOver);
    return this.#toDevice(map!, entry, record, array, first, last, handsOver);
  }

  #mapOf(record: number): RedirectMap | undefined {
    const { machine } = this.#network;
    const map = machine.map(machine.arena.i32[record + PACKET_REDIRECT_MAP]!);
    return map instanceof RedirectMap ? map : undefined;
  }

  #toDevice(
    map: RedirectMap,
    entry: number,
    record: number,
    array: PacketArray,
    first: number,
    last: number,
    handsOver: boolean,
  ): boolean {
    const index = map.targetOf(entry);
    const device = this.#network.deviceByIndex(index);
    if (device === undefined) {
      this.#counters.redirectNoTarget++;
      return false;
    }
    if (!this.#passes(map.programOf(entry), record, index, array, first)) return false;
    return this.transmit(device, array, first, last, handsOver);
  }

  #toCpu(
    map: RedirectMap,
    entry: number,
    record: number,
    queue: number,
    array: PacketArray,
    first: number,
    last: number,
    handsOver: boolean,
  ): boolean {
    if (!this.#passes(map.programOf(entry), record, 0, array, first)) return false;
    const cpu = this.#network.cpus.queueOf(map, entry);
    cpu.from(this.#device, queue);
    const departures = this.#departures;
    const done = handsOver ? departures.move(cpu, array, first, last) : departures.copy(cpu, array, first, last);
    if (!done) this.#counters.queueFull++;
    return done && handsOver;
  }

  /** Sends a copy to each device of a map. Programs of its entries would change it for those that come after: they are not run. */
  #broadcast(map: RedirectMap, flags: number, array: PacketArray, first: number, last: number): boolean {
    const ingress = (flags & EXCLUDE_INGRESS) === 0 ? undefined : this.#device;
    for (let entry = map.nextEntry(-1); entry >= 0; entry = map.nextEntry(entry)) {
      const device = this.#network.deviceByIndex(map.targetOf(entry));
      if (device === undefined) this.#counters.redirectNoTarget++;
      else if (device !== ingress) this.transmit(device, array, first, last, false);
    }
    return false;
  }

  /** Runs the program of a map's entry, if it has one, on a packet that is on its way; whether the packet may go on. */
  #passes(program: Executable | undefined, record: number, egress: number, array: PacketArray, first: number): boolean {
    if (program === undefined) return true;
    const { i32 } = this.#network.machine.arena;
    i32[record + PACKET_EGRESS_IFINDEX] = egress;
    program.run(record << 2, 1);
    i32[record + PACKET_EGRESS_IFINDEX] = 0; // as records of received packets have it
    const passes = i32[record + PACKET_VERDICT] === XDP_PASS && takeBack(i32, record, array, first);
    if (!passes) this.#counters.entryDrop++;
    return passes;
  }

  /** Completes copies. Comes before the frames that were copied are filled again. */
  finishCopies(): void {
    this.#departures.finish();
  }

  /** Lets the devices send what they were given. */
  finish(): void {
    const touched = this.#touched;
    for (let i = 0; i < touched.length; i++) touched[i]!.driver.service(touched[i]!.driver.ordinaryQueue, 'transmit');
    // Not by setting the length: that gives the memory back, and the next `push` allocates.
    while (touched.length > 0) touched.pop();
  }
}
