import {
  FLOW_DESTINATION,
  FLOW_FRAGMENT,
  FLOW_NETWORK,
  FLOW_PORTS,
  FLOW_PROTOCOL_MASK,
  FLOW_SOURCE,
  FLOW_VERSION_MASK,
  type FlowKey,
} from '../packet/flow-key.js';

// Private names: V8 folds them into the code (see flow-key.ts).
const NETWORK = FLOW_NETWORK;
const PORTS = FLOW_PORTS;
const SOURCE = FLOW_SOURCE;
const DESTINATION = FLOW_DESTINATION;
const FRAGMENT = FLOW_FRAGMENT;
const PROTOCOL = FLOW_PROTOCOL_MASK;
const VERSION = FLOW_VERSION_MASK;

/** Odd, with bits all over: each multiplication carries every bit of a word to the bits above it. */
export const BUCKET_FACTOR = 0x9e3779b1;
export const BUCKET_LAST_FACTOR = 0x85ebca6b;
/** How far the upper bits, which know most, come down in the end. */
export const BUCKET_SHIFT = 16;

/**
 * The hash by which rules divide flows into buckets: of the addresses, the protocol and, of packets that are no fragments, the ports. It is the
 * sum of both ends that is hashed, so that both directions of a connection come out alike, unlike the Toeplitz hash by which
 * devices spread packets over queues. Programs for Linux compute the same (programs/bucket-code.ts). 0 for what is not IP.
 *
 * It is no secret: whoever chooses addresses and ports can choose the bucket. Data path: no allocation.
 */
export function flowBucket(key: FlowKey): number {
  const network = key[NETWORK]!;
  if ((network & VERSION) === 0) return 0;
  const ports = (network & FRAGMENT) !== 0 ? 0 : key[PORTS]!;
  let hash = (network & PROTOCOL) + (ports >>> 16) + (ports & 0xffff);
  for (let i = 0; i < 4; i++) {
    hash = Math.imul(hash, BUCKET_FACTOR) ^ (key[SOURCE + i]! + key[DESTINATION + i]!);
  }
  hash = Math.imul(hash, BUCKET_LAST_FACTOR);
  return hash ^ (hash >>> BUCKET_SHIFT);
}
