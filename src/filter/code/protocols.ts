import type { Span } from '../language/filter-error.js';
import { ETHER_PROTOCOLS, ISO_PROTOCOLS } from '../language/names.js';
import type { PortPrimitive, ProtocolName, ProtocolNumberPrimitive } from '../language/syntax.js';
import type { Compilation } from './compilation.js';
import { all, any, type Condition, compare, not } from './condition.js';
import { inDirection } from './direction.js';
import { ETHERTYPE_IP, ETHERTYPE_IP6, type Layers, SAP_ISO } from './layers.js';
import type { Value } from './value.js';

/** Places in the IPv4 header (RFC 791). */
const IPV4_FRAGMENT = 6;
const IPV4_PROTOCOL = 9;
const FRAGMENT_OFFSET_MASK = 0x1fff;
/** In the IPv6 header (RFC 8200), and its length. */
const IPV6_NEXT_HEADER = 6;
export const IPV6_HEADER_BYTES = 40;
const FRAGMENT_HEADER = 44;
/** Behind the three bytes of LLC in OSI packets. */
const ISO_PROTOCOL = 3;

const SOURCE_PORT = 0;
const DESTINATION_PORT = 2;

/** What the words for protocols above IP stand for: the number, and the IP that has it, in the order in which they are looked at. */
export const PROTOCOLS_OVER_IP: ReadonlyMap<
  ProtocolName,
  readonly [number: number, ...over: readonly ('ip' | 'ip6')[]]
> = new Map([
  ['icmp', [1, 'ip']],
  ['igmp', [2, 'ip']],
  ['tcp', [6, 'ip6', 'ip']],
  ['igrp', [9, 'ip']],
  ['udp', [17, 'ip6', 'ip']],
  ['esp', [50, 'ip', 'ip6']],
  ['ah', [51, 'ip', 'ip6']],
  ['icmp6', [58, 'ip6']],
  ['pim', [103, 'ip', 'ip6']],
  ['vrrp', [112, 'ip']],
  ['carp', [112, 'ip']],
  ['sctp', [132, 'ip6', 'ip']],
]);

/** A protocol by its word. */
export function protocolCondition(compilation: Compilation, name: ProtocolName, span: Span): Condition {
  const overIp = PROTOCOLS_OVER_IP.get(name);
  if (overIp !== undefined) {
    const [number, ...over] = overIp;
    return any(...over.map((version) => numberCondition(compilation, { over: version, number }, span)));
  }
  const iso = ISO_PROTOCOLS.get(name);
  if (iso !== undefined) return numberCondition(compilation, { over: 'iso', number: iso }, span);
  return compilation.carries(ETHER_PROTOCOLS.get(name)!, span);
}

/** A number in the field that says what a header carries. */
export function numberCondition(
  compilation: Compilation,
  { over, number }: Pick<ProtocolNumberPrimitive, 'over' | 'number'>,
  span: Span,
): Condition {
  const { layers } = compilation;
  switch (over) {
    case undefined:
      return any(
        numberCondition(compilation, { over: 'ip', number }, span),
        numberCondition(compilation, { over: 'ip6', number }, span),
      );
    case 'ether':
      return compilation.carries(number, span);
    case 'ip':
      return all(compilation.carries(ETHERTYPE_IP, span), layers.equal(ipv4Protocol(layers), number));
    case 'ip6':
      return all(
        compilation.carries(ETHERTYPE_IP6, span),
        any(
          layers.equal(nextHeader(layers), number),
          all(
            layers.equal(nextHeader(layers), FRAGMENT_HEADER),
            // The fragment header begins with what comes behind it.
            layers.equal(layers.load(1, layers.payloadAt + IPV6_HEADER_BYTES), number),
          ),
        ),
      );
    case 'iso':
      return all(
        compilation.carries(SAP_ISO, span),
        layers.equal(layers.load(1, layers.payloadAt + ISO_PROTOCOL), number),
      );
  }
}

function ipv4Protocol(layers: Layers): Value {
  return layers.load(1, layers.payloadAt + IPV4_PROTOCOL);
}

function nextHeader(layers: Layers): Value {
  return layers.load(1, layers.payloadAt + IPV6_NEXT_HEADER);
}

/** Whether the IPv4 packet is no fragment but the first, so that what it carries begins behind its header. */
export function isFirstFragment({ layers, values }: Compilation): Condition {
  const field = layers.load(2, layers.payloadAt + IPV4_FRAGMENT);
  return not(compare(values, 'any-bits', field, values.constant(FRAGMENT_OFFSET_MASK)));
}

/** Where what an IPv4 packet carries begins: so many bytes behind the payload's first one. */
export function ipv4HeaderLength({ layers, values }: Compilation): Value {
  return values.headerLength(layers.payloadAt);
}

/** Whether the next header of an IPv6 packet is this one. */
export function hasNextHeader({ layers }: Compilation, number: number): Condition {
  return layers.equal(nextHeader(layers), number);
}

/** Ports: behind the IPv6 header itself, or behind the IPv4 header of a first fragment. */
export function portCondition(compilation: Compilation, primitive: PortPrimitive, span: Span): Condition {
  const { layers, values } = compilation;
  const { protocols, direction } = primitive;
  const headers = ipv4HeaderLength(compilation);
  const overIp6 = (at: number): Condition =>
    portInRange(compilation, primitive, layers.load(2, layers.payloadAt + IPV6_HEADER_BYTES + at));
  const overIp = (at: number): Condition =>
    portInRange(compilation, primitive, values.packet(2, layers.payloadAt + at, headers));
  const ports = (at: (place: number) => Condition): Condition =>
    inDirection(
      direction,
      () => at(SOURCE_PORT),
      () => at(DESTINATION_PORT),
    );
  const isOneOf = (field: Value): Condition => any(...protocols.map((number) => layers.equal(field, number)));
  return any(
    all(compilation.carries(ETHERTYPE_IP6, span), isOneOf(nextHeader(layers)), ports(overIp6)),
    all(
      compilation.carries(ETHERTYPE_IP, span),
      isOneOf(ipv4Protocol(layers)),
      isFirstFragment(compilation),
      ports(overIp),
    ),
  );
}

function portInRange({ layers, values }: Compilation, { first, last, isRange }: PortPrimitive, port: Value): Condition {
  if (!isRange) return layers.equal(port, first);
  return all(
    compare(values, 'at-least', port, values.constant(first)),
    not(compare(values, 'greater', port, values.constant(last))),
  );
}
