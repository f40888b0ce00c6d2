import { PacketError } from '../errors.js';
import type { WantedEntry } from './flow-director/directed-rules.js';
import type { SocketEntries } from './flow-director/flow-directors.js';
import type { LinuxInterface } from './interfaces.js';
import { readLink } from './netlink/link.js';
import { LinuxMap } from './programs/linux-map.js';
import { enterSocket, removeSocket } from './programs/socket-entries.js';
import { PromiscuousMember } from './promiscuous.js';
import type { ParsedReceive } from './receive-rules.js';
import type { SystemCalls } from './system-calls.js';
import type { BoundMode } from './xdp-binding.js';
import type { XdpProgram, XdpPrograms } from './xdp-program.js';

/** What a socket is to receive, checked; a map of sockets is that of the user's program. */
export type WantedPackets = ParsedReceive | LinuxMap;

/** A bound socket that is to be fed. */
export interface FedSocket {
  readonly calls: SystemCalls;
  readonly programs: XdpPrograms;
  readonly descriptor: number;
  readonly device: LinuxInterface;
  readonly queue: number;
  readonly mode: BoundMode;
  readonly segments: boolean;
  /** Whether the interface is to be promiscuous while packets are received. */
  readonly promiscuous: boolean;
  /** Its entries in the device's flow director, where it uses that. */
  readonly entries?: SocketEntries;
}

/** How packets come to a bound AF_XDP socket: by the program that this kernel attaches for sockets, by a map of the user's, or not at all. */
export class XdpFeed {
  readonly #socket: FedSocket;
  #program: XdpProgram | undefined;
  #map: LinuxMap | undefined;
  #member: PromiscuousMember | undefined;

  constructor(socket: FedSocket) {
    this.#socket = socket;
  }

  /**
   * Changes what the socket receives. What is new comes first, and what was before goes only when that works: entries of the device, then
   * the program, then entries that are not wanted any more.
   *
   * @param entries for the device's flow director
   * @throws PacketError MAP_FULL, INTERFACE_BUSY, MODE_UNSUPPORTED, RULES_UNSUPPORTED, FLOW_TABLE_FULL, NO_QUEUE, NO_INTERFACE, NO_PRIVILEGE,
   *   SYSTEM_CALL
   */
  steer(wanted: WantedPackets, entries: readonly WantedEntry[] = []): void {
    const change = this.#socket.entries?.prepare(entries);
    try {
      this.#feed(wanted);
    } catch (error) {
      change?.cancel();
      throw error;
    }
    change?.finish();
  }

  #feed(wanted: WantedPackets): void {
    if (wanted instanceof LinuxMap) this.#enterMap(wanted);
    else if (this.#needsProgram(wanted)) this.#useProgram(wanted);
    else {
      this.#leaveMap();
      this.#leaveProgram(true);
    }
    if (wanted === 'none') this.#leavePromiscuous();
    else if (this.#socket.promiscuous) {
      this.#member ??= new PromiscuousMember(this.#socket.calls, this.#socket.device.index);
    }
  }

  /** Packets that the socket's rules have dropped. */
  ruleDrops(): number {
    return this.#program?.ruleDrops(this.#socket.queue) ?? 0;
  }

  /** The socket is about to be closed, and the kernel will take it out of all maps. Idempotent. */
  close(): void {
    this.#map = undefined;
    this.#socket.entries?.close(); // first: what still comes by them goes through the program
    this.#leaveProgram(false);
    this.#leavePromiscuous();
  }

  /** Drivers send in zero-copy only while a program is attached (ENXIO otherwise), be it one that receives nothing. */
  #needsProgram(wanted: ParsedReceive): boolean {
    return wanted !== 'none' || this.#socket.mode === 'xdp-zc';
  }

  #enterMap(map: LinuxMap): void {
    const { queue, descriptor } = this.#socket;
    enterSocket(map, queue, descriptor);
    if (this.#map !== map) this.#leaveMap();
    this.#map = map;
    this.#leaveProgram(true);
  }

  #leaveMap(): void {
    const map = this.#map;
    this.#map = undefined;
    if (map !== undefined) removeSocket(map, this.#socket.queue);
  }

  #useProgram(wanted: ParsedReceive): void {
    const { programs, device, queue, descriptor } = this.#socket;
    const program = this.#program ?? this.#acquire(wanted);
    try {
      if (wanted !== 'none') program?.connect(queue, descriptor, wanted);
      else if (this.#program !== undefined) program?.disconnect(queue);
    } catch (error) {
      if (this.#program === undefined && program !== undefined) programs.release(device, program, queue);
      throw error;
    }
    this.#program = program;
    this.#leaveMap();
  }

  /** @returns the program for sockets; undefined where another one is attached, and is all that sending needs */
  #acquire(wanted: ParsedReceive): XdpProgram | undefined {
    const { calls, programs, device, mode, segments } = this.#socket;
    try {
      return programs.acquire(device, mode === 'xdp-generic' ? 'generic' : 'native', segments);
    } catch (error) {
      const isBusy = error instanceof PacketError && error.code === 'INTERFACE_BUSY';
      if (wanted === 'none' && isBusy && runsNatively(calls, device.index)) return undefined;
      throw error;
    }
  }

  /** @param disconnect whether the socket lives on, and is to be taken out of the program's map */
  #leaveProgram(disconnect: boolean): void {
    const program = this.#program;
    if (program === undefined) return;
    this.#program = undefined;
    const { programs, device, queue } = this.#socket;
    try {
      if (disconnect) program.disconnect(queue);
    } finally {
      programs.release(device, program, queue);
    }
  }

  #leavePromiscuous(): void {
    this.#member?.leave();
    this.#member = undefined;
  }
}

function runsNatively(calls: SystemCalls, index: number): boolean {
  const link = readLink(calls, index);
  return link.known && link.value.programs.some(({ mode }) => mode === 'native');
}
