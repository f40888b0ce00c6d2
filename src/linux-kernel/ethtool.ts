import type { OffloadName, Offloads, QueueCounts, RingSizes } from '../kernel/device-report.js';
import {
  AF_INET,
  ETH_GSTRING_LEN,
  ETH_SS_FEATURES,
  ETHTOOL_GCHANNELS,
  ETHTOOL_GDRVINFO,
  ETHTOOL_GFEATURES,
  ETHTOOL_GRINGPARAM,
  ETHTOOL_GSSET_INFO,
  ETHTOOL_GSTRINGS,
  IFNAMSIZ,
  SIOCETHTOOL,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
} from './constants.js';
import { Struct } from './struct.js';
import type { SystemCalls } from './system-calls.js';

/** The kernel has some 60 features; a number beyond this is no answer. */
const MOST_FEATURES = 1024;

/** The kernel's features (net/ethtool) behind each short name: on when one of them is. */
const FEATURES: Readonly<Record<OffloadName, readonly string[]>> = {
  'rx-checksum': ['rx-checksum'],
  'tx-checksum': ['tx-checksum-ip-generic', 'tx-checksum-ipv4', 'tx-checksum-ipv6'],
  tso: ['tx-tcp-segmentation', 'tx-tcp6-segmentation'],
  gso: ['tx-generic-segmentation'],
  gro: ['rx-gro'],
  'gro-hw': ['rx-gro-hw'],
  lro: ['rx-lro'],
  'rx-vlan': ['rx-vlan-hw-parse'],
  'tx-vlan': ['tx-vlan-hw-insert'],
  ntuple: ['rx-ntuple-filter'],
};

/** A feature of a device, such as "rx-gro". */
export interface Feature {
  readonly isOn: boolean;
  /** Whether the device can switch it. */
  readonly canChange: boolean;
}

/** What ethtool commands go to: an interface's driver, or a stand-in for one. */
export interface EthtoolPort {
  /** @returns 0 or more, or minus errno */
  run(command: number, argument: Struct): number;
}

/** Calls back with what ethtool commands to an interface go to. */
export type UseEthtool = <Result>(name: string, work: (port: EthtoolPort) => Result) => Result;

/** Asks an interface's driver about itself (ethtool(8), linux/ethtool.h). What a driver does not answer is `undefined`. */
export class Ethtool implements EthtoolPort {
  readonly #calls: SystemCalls;
  readonly #descriptor: number;
  readonly #name: string;

  private constructor(calls: SystemCalls, descriptor: number, name: string) {
    this.#calls = calls;
    this.#descriptor = descriptor;
    this.#name = name;
  }

  /** Calls back with an interface's ethtool; closes what it is asked through. Where no socket can be made it answers nothing. */
  static use<Result>(calls: SystemCalls, name: string, work: (ethtool: Ethtool) => Result): Result {
    const descriptor = calls.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    try {
      return work(new Ethtool(calls, descriptor, name));
    } finally {
      if (descriptor >= 0) calls.close(descriptor);
    }
  }

  /** The driver's name, "veth"; "" where nobody tells. */
  driver(): string {
    const info = new Struct(196); // struct ethtool_drvinfo: the name at 4
    return this.#ask(ETHTOOL_GDRVINFO, info) ? info.readText(4, 32) : '';
  }

  queues(): Pick<QueueCounts, 'combined' | 'most'> {
    const channels = new Struct(36); // struct ethtool_channels: most of rx, tx, other, combined; then how many there are
    if (!this.#ask(ETHTOOL_GCHANNELS, channels)) return {};
    const most = channels.readU32(16) || Math.max(channels.readU32(4), channels.readU32(8));
    return { combined: channels.readU32(32), most };
  }

  rings(): RingSizes | undefined {
    const rings = new Struct(36); // struct ethtool_ringparam: most of rx, mini, jumbo, tx; then what is set
    if (!this.#ask(ETHTOOL_GRINGPARAM, rings)) return undefined;
    const sizes = {
      receive: rings.readU32(20),
      transmit: rings.readU32(32),
      mostReceive: rings.readU32(4),
      mostTransmit: rings.readU32(16),
    };
    return sizes.receive === 0 && sizes.transmit === 0 ? undefined : sizes; // veth answers with zeros
  }

  offloads(): Offloads | undefined {
    const features = readFeatures(this);
    if (features === undefined) return undefined;
    const offloads: Partial<Record<OffloadName, boolean>> = {};
    for (const [name, members] of Object.entries(FEATURES) as [OffloadName, readonly string[]][]) {
      const states = members.map((member) => features.get(member)?.isOn).filter((state) => state !== undefined);
      if (states.length > 0) offloads[name] = states.includes(true);
    }
    return offloads;
  }

  #ask(command: number, argument: Struct): boolean {
    return this.run(command, argument) >= 0;
  }

  /**
   * One command: a struct ifreq that points to the command's structure, which the driver reads and fills in.
   *
   * @returns 0 or more, or minus errno
   */
  run(command: number, argument: Struct): number {
    if (this.#descriptor < 0) return this.#descriptor;
    argument.u32(0, command);
    const request = new Struct(40).text(0, this.#name).pointer(IFNAMSIZ, argument, this.#calls.address(argument));
    return this.#calls.ioctl(this.#descriptor, SIOCETHTOOL, request);
  }
}

/** Whether each feature is on, by the kernel's name for it. */
export function readFeatures(port: EthtoolPort): Map<string, Feature> | undefined {
  const info = new Struct(20).u64(8, 1 << ETH_SS_FEATURES); // struct ethtool_sset_info: the sets asked for; their lengths
  if (port.run(ETHTOOL_GSSET_INFO, info) < 0 || info.readU64(8) === 0) return undefined;
  const count = info.readU32(16);
  if (count === 0 || count > MOST_FEATURES) return undefined;
  const strings = new Struct(12 + count * ETH_GSTRING_LEN).u32(4, ETH_SS_FEATURES).u32(8, count);
  // Per 32 features four words: available, requested, active, never changed.
  const words = Math.ceil(count / 32);
  const blocks = new Struct(8 + words * 16).u32(4, words);
  if (port.run(ETHTOOL_GSTRINGS, strings) < 0 || port.run(ETHTOOL_GFEATURES, blocks) < 0) return undefined;
  const features = new Map<string, Feature>();
  for (let i = 0; i < count; i++) {
    const name = strings.readText(12 + i * ETH_GSTRING_LEN, ETH_GSTRING_LEN);
    const has = (word: number): boolean => ((blocks.readU32(8 + (i >>> 5) * 16 + 4 * word) >>> (i & 31)) & 1) === 1;
    features.set(name, { isOn: has(2), canChange: has(0) && !has(3) });
  }
  return features;
}
