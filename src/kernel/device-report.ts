import type { Answer, Known } from './answer.js';
import type { Mode } from './contract.js';

/** Everything that a kernel tells of one interface. What it does not tell is absent. */
export interface DeviceReport {
  /** Whose interface it is. */
  readonly kernel: 'linux' | 'soft';
  /** What sockets name it by. */
  readonly name: string;
  /** Index within the network namespace (Linux). */
  readonly index?: number;
  /** "veth"; "" where nobody tells. */
  readonly driver: string;
  /** Link-layer address, "02:00:00:00:00:01". */
  readonly mac: string;
  /** Largest packet in bytes, without Ethernet header. */
  readonly mtu: number;
  /** Whether it is switched on. */
  readonly up: boolean;
  /** Whether something answers at the other end of the cable. */
  readonly carrier?: boolean;
  /** Mbit/s. */
  readonly speed?: number;
  /** Whether it takes packets for other addresses, too. */
  readonly promiscuous?: boolean;
  /** How many queues are in use, and can be. */
  readonly queues: QueueCounts;
  /** Absent where the device has none, as a veth pair. */
  readonly rings?: RingSizes;
  /** Absent where nobody tells of any. */
  readonly offloads?: Offloads;
  /** Known from Linux 6.3 on (generic netlink, family `netdev`). */
  readonly xdp: Known<XdpFeatures>;
  /** XDP programs that are attached. */
  readonly programs: Known<readonly AttachedProgram[]>;
  /** The modes of the ladder, best first, and whether each would work here and now, for this process. */
  readonly modes: readonly ModeAnswer[];
  /** What one should know: a replayed capture file that is damaged, say. */
  readonly warnings?: readonly string[];
}

/** Queues in use. `combined` ones do both directions; they are contained in the other two counts. */
export interface QueueCounts {
  /** Queues on which packets arrive. */
  readonly receive: number;
  /** Queues through which packets leave. */
  readonly transmit: number;
  /** Those of them that do both; absent where the device counts the directions apart. */
  readonly combined?: number;
  /** Most that the device can be set to, of the kind that it counts in. */
  readonly most?: number;
}

/** Descriptors of the device's rings, as set, and at most. */
export interface RingSizes {
  /** Descriptors of each receive ring now: how many packets may wait for the driver. */
  readonly receive: number;
  /** Descriptors of each transmit ring now. */
  readonly transmit: number;
  /** Most that a receive ring can be set to (`ethtool -G IFACE rx N`). */
  readonly mostReceive: number;
  /** Most that a transmit ring can be set to (`ethtool -G IFACE tx N`). */
  readonly mostTransmit: number;
}

/** What the device or its driver does to packets, on or off, under the short names of ethtool's users. */
export type Offloads = Readonly<Partial<Record<OffloadName, boolean>>>;

/**
 * The offloads that are told of:
 *
 *     rx-checksum   checksums of received packets are verified
 *     tx-checksum   checksums of packets to be sent are filled in
 *     tso           TCP segments are cut by the device
 *     gso           or, just before it, by the stack
 *     gro           received segments are merged by the stack
 *     gro-hw        or by the device, reversibly
 *     lro           or by the device, irreversibly
 *     rx-vlan       VLAN tags are taken out of received packets
 *     tx-vlan       VLAN tags are put into packets to be sent
 *     ntuple        rules steer packets to queues
 */
export const OFFLOAD_NAMES = [
  'rx-checksum',
  'tx-checksum',
  'tso',
  'gso',
  'gro',
  'gro-hw',
  'lro',
  'rx-vlan',
  'tx-vlan',
  'ntuple',
] as const;
/** One of {@link OFFLOAD_NAMES}, which says what each is. */
export type OffloadName = (typeof OFFLOAD_NAMES)[number];

/** What the driver can do with XDP (linux/netdev.h). */
export interface XdpFeatures {
  /** Runs XDP programs itself. */
  readonly native: boolean;
  /** Programs may redirect packets, to an AF_XDP socket say. */
  readonly redirect: boolean;
  /** Packets that other devices redirect here are sent. */
  readonly transmitRedirected: boolean;
  /** AF_XDP sockets may have their frames filled and sent by the device itself (mode `xdp-zc`). */
  readonly zeroCopy: boolean;
  /** Most frames of one packet in zero-copy. */
  readonly zeroCopySegments?: number;
  /** Programs can run on the device itself. */
  readonly hardwareOffload: boolean;
  /** Programs may get packets of several frames. */
  readonly receiveSegments: boolean;
  /** Packets of several frames that other devices redirect here are sent. */
  readonly transmitRedirectedSegments: boolean;
  /** Of "timestamp", "hash", "vlan-tag". */
  readonly receiveMetadata: readonly string[];
  /** Of "timestamp", "checksum", "launch-time". */
  readonly transmitMetadata: readonly string[];
}

/** Where on the way of a packet a program runs. */
export type AttachedMode =
  /** In the driver, before a socket buffer is made. */
  | 'native'
  /** In the stack, on a socket buffer: any device can, at the cost of a copy. */
  | 'generic'
  /** On the device. */
  | 'offloaded';

/** An XDP program that is attached to an interface, whoever attached it. */
export interface AttachedProgram {
  /** The kernel's number of the program. */
  readonly id: number;
  /** Where it runs. */
  readonly mode: AttachedMode;
  /** Its name, or why it is not known (asking needs CAP_SYS_ADMIN). */
  readonly name: Known<string>;
}

/** Whether a socket of this process would open in a mode on this interface. */
export type ModeAnswer = Answer & {
  /** The mode that the answer is for. */
  readonly mode: Mode;
};
