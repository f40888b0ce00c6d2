import type { EthtoolPort } from '../../src/linux-kernel/ethtool.js';
import type { Struct } from '../../src/linux-kernel/struct.js';
import {
  createFlowKey,
  FLOW_DESTINATION,
  FLOW_ETHERTYPE_MASK,
  FLOW_HAS_PORTS,
  FLOW_LINK,
  FLOW_NETWORK,
  FLOW_PORTS,
  FLOW_PROTOCOL_MASK,
  FLOW_SOURCE,
  FLOW_TAGGED,
  FLOW_VERSION_MASK,
  FLOW_VERSION_SHIFT,
  FLOW_VLAN_MASK,
  FLOW_VLAN_SHIFT,
  type FlowKey,
  parseFlowKey,
} from '../../src/packet/flow-key.js';

// From linux/ethtool.h by hand, and not from the code that is tested.
const GSSET_INFO = 0x37;
const GSTRINGS = 0x1b;
const GFEATURES = 0x3a;
const GRXRINGS = 0x2d;
const GRXCLSRLCNT = 0x2e;
const GRXCLSRULE = 0x2f;
const GRXCLSRLALL = 0x30;
const SRXCLSRLDEL = 0x31;
const SRXCLSRLINS = 0x32;
const ENOENT = 2;
const EEXIST = 17;
const EINVAL = 22;
const ENOSPC = 28;
const EOPNOTSUPP = 95;
const ANY = 0xffffffff;

export interface StandInOptions {
  /** Of its table; default 32. */
  readonly locations?: number;
  readonly queues?: number;
  /** It picks locations itself, the highest free one, and refuses others. */
  readonly driverPicks?: boolean;
  /** It has a flow director that is switched off. */
  readonly off?: boolean;
  /** Which entries it cannot have: errno, or 0. */
  readonly refuse?: (spec: Uint8Array) => number;
  /** It tells the fields that do not count as ones. */
  readonly tellsDifferently?: boolean;
}

/** Stands in for the driver of a device with a flow director (n-tuple entries): its ioctl, and what its hardware would do with packets. */
export class StandInDirector implements EthtoolPort {
  readonly table = new Map<number, Uint8Array>();
  /** Told after each change of the table. */
  onChange: () => void = () => {};
  readonly #options: StandInOptions;

  constructor(options: StandInOptions = {}) {
    this.#options = options;
  }

  run(command: number, argument: Struct): number {
    const { locations = 32, queues = 4, driverPicks = false, off = false } = this.#options;
    if (off) return this.#runFeatures(command, argument);
    switch (command) {
      case GRXRINGS:
        argument.u64(8, queues);
        return 0;
      case GRXCLSRLCNT:
        argument.u64(8, driverPicks ? 0x80000000 : 0).u32(184, this.table.size);
        return 0;
      case GRXCLSRLALL: {
        const all = [...this.table.keys()].sort((a, b) => b - a); // drivers need not sort
        if (all.length > argument.readU32(184)) return -90;
        for (const [i, location] of all.entries()) argument.u32(188 + 4 * i, location);
        argument.u32(184, all.length).u64(8, locations);
        return 0;
      }
      case GRXCLSRULE: {
        const spec = this.table.get(argument.readU32(16 + 160));
        if (spec === undefined) return -ENOENT;
        argument.bytes.set(this.#options.tellsDifferently ? asTold(spec) : spec, 16);
        return 0;
      }
      case SRXCLSRLDEL:
        if (!this.table.delete(argument.readU32(16 + 160))) return -ENOENT;
        this.onChange();
        return 0;
      case SRXCLSRLINS:
        return this.#insert(argument);
      default:
        return -EOPNOTSUPP;
    }
  }

  #insert(argument: Struct): number {
    const { locations = 32, queues = 4, driverPicks = false, refuse } = this.#options;
    const spec = argument.bytes.slice(16, 16 + 168);
    const errno = refuse?.(spec) ?? 0;
    if (errno !== 0) return -errno;
    const cookie = argument.readU64(16 + 152);
    if (cookie < 2 ** 32 && cookie >= queues) return -EINVAL;
    let location = argument.readU32(16 + 160);
    if (driverPicks !== (location === ANY)) return -EINVAL;
    if (driverPicks) {
      location = locations - 1;
      while (this.table.has(location)) location--;
      if (location < 0) return -ENOSPC;
    } else if (location >= locations) return -EINVAL;
    for (const [other, there] of this.table) {
      if (other !== location && there.every((byte, at) => at >= 152 || byte === spec[at])) return -EEXIST;
    }
    new DataView(spec.buffer).setUint32(160, location, true);
    this.table.set(location, spec);
    argument.u32(16 + 160, location);
    this.onChange();
    return 0;
  }

  /** One feature: rx-ntuple-filter, off. */
  #runFeatures(command: number, argument: Struct): number {
    if (command === GSSET_INFO) argument.u64(8, 1 << 4).u32(16, 1);
    else if (command === GSTRINGS) argument.text(12, 'rx-ntuple-filter');
    else if (command === GFEATURES)
      argument.u32(8, 1); // available, not active
    else return -EOPNOTSUPP;
    return 0;
  }

  /** The queue that a packet goes to by an entry, "drop", or undefined when none matches: RSS says then. */
  classify(packet: Uint8Array): number | 'drop' | undefined {
    const key = createFlowKey();
    parseFlowKey(packet, 0, packet.length, key);
    for (const location of [...this.table.keys()].sort((a, b) => a - b)) {
      const spec = this.table.get(location)!;
      if (!matches(spec, key)) continue;
      const cookie = new DataView(spec.buffer).getBigUint64(152, true);
      return cookie === 0xffff_ffff_ffff_ffffn ? 'drop' : Number(cookie);
    }
    return undefined;
  }
}

function asTold(spec: Uint8Array): Uint8Array {
  const told = spec.slice();
  for (let i = 0; i < 52; i++) told[4 + i]! |= ~told[76 + i]!;
  return told;
}

/** Lays the packet's fields out as the flow type has them, and compares what counts. */
function matches(spec: Uint8Array, key: FlowKey): boolean {
  const type = new DataView(spec.buffer).getUint32(0, true);
  const image = new DataView(new ArrayBuffer(72));
  const counts = (at: number, bytes: number): boolean =>
    spec.subarray(76 + at, 76 + at + bytes).some((mask) => mask !== 0);
  const version = (key[FLOW_NETWORK]! & FLOW_VERSION_MASK) >> FLOW_VERSION_SHIFT;
  const protocol = key[FLOW_NETWORK]! & FLOW_PROTOCOL_MASK;
  const flow = type & 0xff;
  const words = (at: number, word: number, count: number): void => {
    for (let i = 0; i < count; i++) image.setUint32(at + 4 * i, key[word + i]! >>> 0);
  };
  const wanted = { 1: [4, 6], 2: [4, 17], 3: [4, 132], 5: [6, 6], 6: [6, 17], 7: [6, 132], 13: [4], 14: [6] }[flow];
  if (wanted !== undefined) {
    if (version !== wanted[0] || (wanted[1] !== undefined && protocol !== wanted[1])) return false;
    const addressWords = version === 4 ? 1 : 4;
    words(0, FLOW_SOURCE, addressWords);
    words(4 * addressWords, FLOW_DESTINATION, addressWords);
    if (wanted.length === 2) {
      words(8 * addressWords, FLOW_PORTS, 1);
      if (counts(8 * addressWords, 4) && (key[FLOW_NETWORK]! & FLOW_HAS_PORTS) === 0) return false;
    } else image.setUint8(version === 4 ? 14 : 37, protocol);
  } else if (flow === 18) image.setUint16(12, key[FLOW_LINK]! & FLOW_ETHERTYPE_MASK);
  else return false;
  if ((type & 0x80000000) !== 0) {
    if ((key[FLOW_LINK]! & FLOW_TAGGED) === 0) return false;
    image.setUint16(52 + 10, (key[FLOW_LINK]! & FLOW_VLAN_MASK) >>> FLOW_VLAN_SHIFT);
  }
  for (let i = 0; i < 72; i++) if (((image.getUint8(i) ^ spec[4 + i]!) & spec[76 + i]!) !== 0) return false;
  return true;
}
