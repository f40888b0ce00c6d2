import type { PacketError } from '../../errors.js';
import {
  E2BIG,
  EBUSY,
  EEXIST,
  EINVAL,
  ENOENT,
  ENOMEM,
  ENOSPC,
  ENOTSUPP,
  EOPNOTSUPP,
  ETHTOOL_GRXCLSRLALL,
  ETHTOOL_GRXCLSRLCNT,
  ETHTOOL_GRXCLSRULE,
  ETHTOOL_GRXRINGS,
  ETHTOOL_SRXCLSRLDEL,
  ETHTOOL_SRXCLSRLINS,
} from '../constants.js';
import { type EthtoolPort, readFeatures } from '../ethtool.js';
import { Struct } from '../struct.js';
import { type Meaning, systemCallError } from '../system-call-error.js';
import {
  cookieOf,
  type EntryAction,
  type NtupleEntry,
  RX_CLS_LOC_ANY,
  RX_CLS_LOC_SPECIAL,
  readEntry,
  SPEC_BYTES,
  SPEC_COOKIE,
  SPEC_LOCATION,
} from './flow-spec.js';

/** struct ethtool_rxnfc: command, flow type, data, the entry, then a count and the locations. */
const RXNFC_BYTES = 192;
const DATA = 8;
const ENTRY = 16;
const COUNT = 184;
const LOCATIONS = 188;
/** More entries than any device has: a number beyond this is no answer. */
const MOST_ENTRIES = 2 ** 20;

/** How large a device's table is. */
export interface TableSize {
  /** Locations, 0 to `locations` - 1. */
  readonly locations: number;
  /** Entries that are there. */
  readonly used: number;
  /** The driver picks locations itself, and so the order of entries that match the same packets. */
  readonly driverPicks: boolean;
}

/**
 * The n-tuple entries of a device's flow director (ethtool(8) -n and -N, ETHTOOL_SRXCLSRLINS and its kin in linux/ethtool.h): which packets go to which
 * queue before any software sees them.
 */
export class NtupleTable {
  readonly #port: EthtoolPort;
  readonly #name: string;

  /** @param name the interface, for messages */
  constructor(port: EthtoolPort, name: string) {
    this.#port = port;
    this.#name = name;
  }

  /** @throws PacketError RULES_UNSUPPORTED (the device has no flow director), NO_PRIVILEGE, SYSTEM_CALL */
  size(): TableSize {
    const { request, used, driverPicks } = this.#locations();
    return { locations: Math.min(request.readU64(DATA), MOST_ENTRIES), used, driverPicks };
  }

  /** Size and locations: drivers tell the size of their table with the list, and not all with the count (igb does not). */
  #locations(): { request: Struct; used: number; driverPicks: boolean } {
    const count = this.#run('ETHTOOL_GRXCLSRLCNT', ETHTOOL_GRXCLSRLCNT, new Struct(RXNFC_BYTES), 'ask for entries');
    const driverPicks = (count.readU32(DATA) & RX_CLS_LOC_SPECIAL) !== 0;
    const most = Math.min(count.readU32(COUNT), MOST_ENTRIES);
    const request = new Struct(Math.max(RXNFC_BYTES, LOCATIONS + 4 * most)).u32(COUNT, most);
    this.#run('ETHTOOL_GRXCLSRLALL', ETHTOOL_GRXCLSRLALL, request, 'list entries');
    return { request, used: Math.min(most, request.readU32(COUNT)), driverPicks };
  }

  /** Receive queues that entries can name; undefined where the driver does not say. */
  queues(): number | undefined {
    const request = new Struct(RXNFC_BYTES);
    return this.#port.run(ETHTOOL_GRXRINGS, request) < 0 ? undefined : request.readU64(DATA);
  }

  /** Every entry, by location. @throws PacketError as {@link size} */
  list(): NtupleEntry[] {
    const { request, used } = this.#locations();
    const locations = Array.from({ length: used }, (_, i) => request.readU32(LOCATIONS + 4 * i));
    const entries = locations.map((location) => this.entry(location)).filter((entry) => entry !== undefined);
    return entries.sort((a, b) => a.location - b.location);
  }

  /** The entry at a location; undefined where there is none. */
  entry(location: number): NtupleEntry | undefined {
    const request = new Struct(RXNFC_BYTES).u32(ENTRY + SPEC_LOCATION, location);
    if (this.#port.run(ETHTOOL_GRXCLSRULE, request) < 0) return undefined;
    return readEntry(request.bytes.subarray(ENTRY, ENTRY + SPEC_BYTES));
  }

  /**
   * Adds an entry; one that is at the location already is replaced.
   *
   * @param location undefined lets the driver pick one
   * @param what names the entry in messages: "receive[2]"
   * @returns its location
   * @throws PacketError RULES_UNSUPPORTED (the device cannot match that), FLOW_TABLE_FULL, NO_PRIVILEGE, SYSTEM_CALL
   */
  insert(match: Uint8Array, action: Exclude<EntryAction, 'other'>, location: number | undefined, what: string): number {
    const request = new Struct(RXNFC_BYTES)
      .u64(ENTRY + SPEC_COOKIE, cookieOf(action))
      .u32(ENTRY + SPEC_LOCATION, location ?? RX_CLS_LOC_ANY);
    request.bytes.set(match, ENTRY);
    this.#run('ETHTOOL_SRXCLSRLINS', ETHTOOL_SRXCLSRLINS, request, `${what} as an entry`);
    return location ?? request.readU32(ENTRY + SPEC_LOCATION);
  }

  /** @returns whether there was an entry @throws PacketError NO_PRIVILEGE, RULES_UNSUPPORTED, SYSTEM_CALL */
  remove(location: number): boolean {
    const request = new Struct(RXNFC_BYTES).u32(ENTRY + SPEC_LOCATION, location);
    const result = this.#port.run(ETHTOOL_SRXCLSRLDEL, request);
    // Drivers say either of what is not there.
    if (result === -ENOENT || (result === -EINVAL && this.entry(location) === undefined)) return false;
    if (result < 0) throw this.#error('ETHTOOL_SRXCLSRLDEL', -result, `remove entry ${location}`);
    return true;
  }

  #run(name: string, command: number, request: Struct, what: string): Struct {
    const result = this.#port.run(command, request);
    if (result < 0) throw this.#error(name, -result, what);
    return request;
  }

  #error(command: string, errno: number, what: string): PacketError {
    const isInsertion = command === 'ETHTOOL_SRXCLSRLINS';
    const none = this.#whyNone(isInsertion);
    const full: Meaning = {
      code: 'FLOW_TABLE_FULL',
      why: 'its table has no room for it',
      remedy: `fewer rules, or \`tp4 steer list ${this.#name}\` and remove what nobody needs`,
    };
    const cannot: Meaning = {
      code: 'RULES_UNSUPPORTED',
      why: 'the device cannot match that',
      remedy:
        'another combination of fields (its manual has those it knows), or leave it to the program: no flowDirector',
    };
    const there: Meaning = {
      code: 'RULES_UNSUPPORTED',
      why: 'an entry for the same packets is there already',
      remedy: `\`tp4 steer list ${this.#name}\` shows it, \`tp4 steer del\` removes it`,
    };
    const others = isInsertion
      ? { [ENOSPC]: full, [E2BIG]: full, [ENOMEM]: full, [EBUSY]: full, [EINVAL]: cannot, [EEXIST]: there }
      : {};
    const meanings = { [EOPNOTSUPP]: none, [ENOTSUPP]: none, ...others };
    return systemCallError(`ioctl ${command}`, errno, `flow director of ${this.#name}: ${what}`, meanings);
  }

  #whyNone(isInsertion: boolean): Meaning {
    const feature = readFeatures(this.#port)?.get('rx-ntuple-filter');
    if (feature?.canChange && !feature.isOn) {
      return {
        code: 'RULES_UNSUPPORTED',
        why: 'it is switched off',
        remedy: `ethtool -K ${this.#name} ntuple on`,
      };
    }
    return {
      code: 'RULES_UNSUPPORTED',
      why: isInsertion ? 'the device has none, or cannot match that' : 'the device has none',
      remedy: 'leave the choice of packets to the program (no flowDirector), on every queue',
    };
  }
}
