import type { InterfaceInfo, Kernel } from '../kernel/contract.js';
import type { NicOptions } from './nic-options.js';
import type { VethOptions } from './veth-options.js';

/**
 * The soft kernel as a program sees it, inline or on a thread of its own: a kernel whose devices one makes oneself. All arguments
 * and results are plain data.
 */
export interface SoftSystem extends Kernel {
  /** Tells it from the Linux kernel. */
  readonly name: 'soft';
  /** Adds a soft NIC. @throws PacketError INTERFACE_EXISTS, INVALID_OPTION, ARENA_EXHAUSTED */
  addNic(options: NicOptions): Promise<InterfaceInfo>;
  /** Adds two soft devices, each the other's wire (K5). @throws PacketError INTERFACE_EXISTS, INVALID_OPTION, ARENA_EXHAUSTED */
  addVeth(options: VethOptions): Promise<[InterfaceInfo, InterfaceInfo]>;
  /**
   * Counters of a device, in the manner of `ethtool -S`, in packets and bytes. What it has lost: `rx_no_descriptor` (and by queue
   * `rx_queue_N_drops`), `rx_oversize`, `tx_errors`, `tx_dropped`; its wire: `wire_rx_lost`, and `wire_tx_lost` where a full cable loses what the
   * device sends. They count from the device's beginning, for all sockets together; see DROP_PLACES for what sockets count.
   * @throws PacketError NO_INTERFACE
   */
  deviceStatistics(device: string): Promise<Record<string, number>>;
  /** What the ordinary stack has seen of a device. @throws PacketError NO_INTERFACE */
  stackStatistics(device: string): Promise<StackStatistics>;
  /**
   * What a device has sent since the last call, as a pcap file; its wire must be of kind `record`. The bytes are the caller's.
   * @throws PacketError NO_INTERFACE, WRONG_STATE
   */
  recording(device: string): Promise<Uint8Array>;
  /** Takes the link up or down. @throws PacketError NO_INTERFACE */
  setLink(device: string, up: boolean): Promise<void>;
  /** Fault injection: makes a device ignore one of its queues. @throws PacketError NO_INTERFACE, NO_QUEUE, MODE_UNSUPPORTED */
  setStuck(device: string, queue: number, stuck: boolean): Promise<void>;
}

/** Packets and bytes that reached the ordinary stack. */
export interface StackStatistics {
  /** Those that no exclusive socket took, among them those that V2, V3 and V4 sockets saw, too; one of several frames counts once. */
  readonly packets: number;
  /** Their bytes, with Ethernet headers and without FCS. */
  readonly bytes: number;
}
