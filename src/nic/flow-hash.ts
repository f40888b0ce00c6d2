import { readUint16 } from '../packet/big-endian.js';
import {
  createFlowKey,
  FLOW_FRAGMENT,
  FLOW_HAS_PORTS,
  FLOW_LINK,
  FLOW_NETWORK,
  FLOW_PROTOCOL_MASK,
  FLOW_TAGGED,
  FLOW_VERSION_MASK,
  FLOW_VERSION_SHIFT,
  type FlowKey,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  parseFlowKey,
} from '../packet/flow-key.js';
import { HAS_SERVICE_TAG, HAS_TAG, TAG_SHIFT } from './descriptors.js';
import type { Rss } from './rss.js';

/** EtherTypes of VLAN tags: IEEE 802.1Q, IEEE 802.1ad. */
export const CUSTOMER_TAG = 0x8100;
export const SERVICE_TAG = 0x88a8;

// What a hash was made of: bits of enum xdp_rss_hash_type (net/xdp.h).
export const HASHED_IPV4 = 1 << 0;
export const HASHED_IPV6 = 1 << 1;
export const HASHED_PORTS = 1 << 3;
const HASHED_TCP = 1 << 4;
const HASHED_UDP = 1 << 5;
const HASHED_SCTP = 1 << 6;

/** What devices tell programs of a packet: the hash that RSS spreads by, what it was made of, and the outermost VLAN tag. */
export class FlowHash {
  /** Of the last packet; 0 for what is not IP. */
  hash = 0;
  /** HASHED_... */
  type = 0;
  /** As descriptors have it: HAS_TAG and so on, or 0. */
  tag = 0;
  readonly #u8: Uint8Array;
  readonly #rss: Rss;
  readonly #key: FlowKey = createFlowKey();

  constructor(u8: Uint8Array, rss: Rss) {
    this.#u8 = u8;
    this.#rss = rss;
  }

  /** Looks at the first bytes of a packet. Data path: no allocation. */
  look(address: number, length: number): void {
    const key = this.#key;
    parseFlowKey(this.#u8, address, length, key);
    this.hash = this.#rss.hash(key);
    this.tag = (key[FLOW_LINK]! & FLOW_TAGGED) === 0 ? 0 : tagOf(this.#u8, address);
    const network = key[FLOW_NETWORK]!;
    const version = (network & FLOW_VERSION_MASK) >> FLOW_VERSION_SHIFT;
    this.type = version === 4 ? HASHED_IPV4 : version === 6 ? HASHED_IPV6 : 0;
    if (!this.#rss.hashesPorts || (network & (FLOW_HAS_PORTS | FLOW_FRAGMENT)) !== FLOW_HAS_PORTS) return;
    const protocol = network & FLOW_PROTOCOL_MASK;
    this.type |= HASHED_PORTS;
    this.type |= protocol === PROTOCOL_TCP ? HASHED_TCP : protocol === PROTOCOL_UDP ? HASHED_UDP : HASHED_SCTP;
  }
}

/** The outermost tag of a packet that has one. Of old QinQ (0x9100) Linux knows nothing either. */
function tagOf(u8: Uint8Array, address: number): number {
  const protocol = readUint16(u8, address + 12);
  if (protocol !== CUSTOMER_TAG && protocol !== SERVICE_TAG) return 0;
  const tag = (readUint16(u8, address + 14) << TAG_SHIFT) | HAS_TAG;
  return protocol === SERVICE_TAG ? tag | HAS_SERVICE_TAG : tag;
}
