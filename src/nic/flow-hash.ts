import {
  createFlowKey,
  FLOW_FRAGMENT,
  FLOW_HAS_PORTS,
  FLOW_NETWORK,
  FLOW_PROTOCOL_MASK,
  FLOW_VERSION_MASK,
  FLOW_VERSION_SHIFT,
  type FlowKey,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  parseFlowKey,
} from '../packet/flow-key.js';
import type { Rss } from './rss.js';

// What a hash was made of: bits of enum xdp_rss_hash_type (net/xdp.h).
export const HASHED_IPV4 = 1 << 0;
export const HASHED_IPV6 = 1 << 1;
export const HASHED_PORTS = 1 << 3;
const HASHED_TCP = 1 << 4;
const HASHED_UDP = 1 << 5;
const HASHED_SCTP = 1 << 6;

/** The hash of a packet as devices tell it to programs: the one that RSS spreads by, and what it was made of. */
export class FlowHash {
  /** Of the last packet; 0 for what is not IP. */
  hash = 0;
  /** HASHED_... */
  type = 0;
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
    const network = key[FLOW_NETWORK]!;
    const version = (network & FLOW_VERSION_MASK) >> FLOW_VERSION_SHIFT;
    this.type = version === 4 ? HASHED_IPV4 : version === 6 ? HASHED_IPV6 : 0;
    if (!this.#rss.hashesPorts || (network & (FLOW_HAS_PORTS | FLOW_FRAGMENT)) !== FLOW_HAS_PORTS) return;
    const protocol = network & FLOW_PROTOCOL_MASK;
    this.type |= HASHED_PORTS;
    this.type |= protocol === PROTOCOL_TCP ? HASHED_TCP : protocol === PROTOCOL_UDP ? HASHED_UDP : HASHED_SCTP;
  }
}
