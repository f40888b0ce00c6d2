import * as op from '../classic/opcodes.js';
import type { Span } from '../language/filter-error.js';
import type { AddressPrimitive, CastPrimitive, MacPrimitive } from '../language/syntax.js';
import type { Compilation } from './compilation.js';
import { all, any, type Condition, compare } from './condition.js';
import { inDirection } from './direction.js';
import { ETHERTYPE_ARP, ETHERTYPE_IP, ETHERTYPE_IP6, ETHERTYPE_RARP, type Layers } from './layers.js';

/** Where headers have their addresses, in bytes from their first one. */
interface AddressPlaces {
  readonly source: number;
  readonly destination: number;
}

const IPV4_PLACES: AddressPlaces = { source: 12, destination: 16 };
const IPV6_PLACES: AddressPlaces = { source: 8, destination: 24 };
/** ARP and RARP for IPv4 over Ethernet (RFC 826): sender and target protocol address. */
const ARP_PLACES: AddressPlaces = { source: 14, destination: 24 };
const MAC_PLACES: AddressPlaces = { source: 6, destination: 0 };

const IPV4_BROADCAST = 0xffffffff;
/** First byte of the first IPv4 multicast address; what lies behind multicast counts as well. */
const IPV4_MULTICAST = 0xe0;
const IPV6_MULTICAST = 0xff;

/** An IPv4 address is looked for in ARP and RARP, too, unless a protocol is named or labels stand before the packet. */
export function addressCondition(compilation: Compilation, primitive: AddressPrimitive, span: Span): Condition {
  const { protocol, version } = primitive;
  const within = (etherType: number, places: AddressPlaces): Condition =>
    all(compilation.carries(etherType, span), addressAt(compilation.layers, primitive, places));
  if (version === 6) return within(ETHERTYPE_IP6, IPV6_PLACES);
  if (protocol === 'ip' || (protocol === undefined && compilation.layers.labels > 0)) {
    return within(ETHERTYPE_IP, IPV4_PLACES);
  }
  if (protocol === 'arp') return within(ETHERTYPE_ARP, ARP_PLACES);
  if (protocol === 'rarp') return within(ETHERTYPE_RARP, ARP_PLACES);
  return any(within(ETHERTYPE_IP, IPV4_PLACES), within(ETHERTYPE_ARP, ARP_PLACES), within(ETHERTYPE_RARP, ARP_PLACES));
}

function addressAt(layers: Layers, { direction, words, mask }: AddressPrimitive, places: AddressPlaces): Condition {
  const { values } = layers;
  const at = (place: number): Condition =>
    all(
      ...words.map((word, i) => {
        const bytes = layers.load(4, layers.payloadAt + place + 4 * i);
        return layers.equal(values.calculate(op.BPF_AND, bytes, values.constant(mask[i]!)), word);
      }),
    );
  return inDirection(
    direction,
    () => at(places.source),
    () => at(places.destination),
  );
}

/** @throws PacketError FILTER_UNSUPPORTED where the link layer has no Ethernet addresses */
export function macCondition(compilation: Compilation, { direction, address }: MacPrimitive, span: Span): Condition {
  needEthernet(compilation, span);
  const { layers } = compilation;
  return inDirection(
    direction,
    () => macAt(layers, MAC_PLACES.source, address),
    () => macAt(layers, MAC_PLACES.destination, address),
  );
}

/** The last four bytes differ more often than the first two, which name the manufacturer. */
function macAt(layers: Layers, place: number, address: Uint8Array): Condition {
  const view = new DataView(address.buffer, address.byteOffset);
  const at = layers.linkAt + place;
  return all(
    layers.equal(layers.load(4, at + 2), view.getUint32(2)),
    layers.equal(layers.load(2, at), view.getUint16(0)),
  );
}

/** Broadcast of IPv4 is to the address of all ones or of all zeros: what networks there are is not known. */
export function castCondition(compilation: Compilation, { kind, over }: CastPrimitive, span: Span): Condition {
  const { layers, values } = compilation;
  if (over === 'ether') {
    needEthernet(compilation, span);
    if (kind === 'broadcast') return macAt(layers, MAC_PLACES.destination, new Uint8Array(6).fill(0xff));
    // The first bit on the wire is the lowest of the first byte.
    return compare(values, 'any-bits', layers.load(1, layers.linkAt), values.constant(1));
  }
  const carries = compilation.carries(over === 'ip' ? ETHERTYPE_IP : ETHERTYPE_IP6, span);
  if (over === 'ip6') {
    const first = layers.load(1, layers.payloadAt + IPV6_PLACES.destination);
    return all(carries, layers.equal(first, IPV6_MULTICAST));
  }
  const at = layers.payloadAt + IPV4_PLACES.destination;
  if (kind === 'multicast') {
    return all(carries, compare(values, 'at-least', layers.load(1, at), values.constant(IPV4_MULTICAST)));
  }
  const address = layers.load(4, at);
  return all(carries, any(layers.equal(address, 0), layers.equal(address, IPV4_BROADCAST)));
}

function needEthernet(compilation: Compilation, span: Span): void {
  const { link, name } = compilation.layers;
  if (link === 'ethernet') return;
  throw compilation.refusal(span, `packets with ${name} have no Ethernet addresses`, 'leave it out');
}
