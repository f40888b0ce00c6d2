import type { MacAddress } from '../../packet/mac-address.js';
import type { Span } from './filter-error.js';

/** A filter expression that has been read: names are numbers, abbreviations are written out. */
export type Syntax = Combination | Negation | Primitive;

export interface Combination {
  readonly kind: 'and' | 'or';
  readonly left: Syntax;
  readonly right: Syntax;
}

export interface Negation {
  readonly kind: 'not';
  readonly operand: Syntax;
}

/** One test; `span` is where it stands in the expression. */
export type Primitive = { readonly span: Span } & (
  | AddressPrimitive
  | MacPrimitive
  | PortPrimitive
  | ProtocolPrimitive
  | ProtocolNumberPrimitive
  | CastPrimitive
  | EncapsulationPrimitive
  | LlcPrimitive
  | RelationPrimitive
  | OriginPrimitive
);

/** Which of two fields count. */
export type Direction = 'source' | 'destination' | 'either' | 'both';

/** An IPv4 or IPv6 address, of which the bits of the mask count. Words are 32 bits, unsigned; an address has no bits beside its mask. */
export interface AddressPrimitive {
  readonly kind: 'address';
  /** Undefined for every protocol that has such addresses. */
  readonly protocol: 'ip' | 'ip6' | 'arp' | 'rarp' | undefined;
  readonly direction: Direction;
  readonly version: 4 | 6;
  readonly words: readonly number[];
  readonly mask: readonly number[];
}

/** An Ethernet address. */
export interface MacPrimitive {
  readonly kind: 'mac';
  readonly direction: Direction;
  readonly address: MacAddress;
}

/** Ports from `first` to `last`, both included. */
export interface PortPrimitive {
  readonly kind: 'port';
  /** IP protocol numbers. */
  readonly protocols: readonly number[];
  readonly direction: Direction;
  readonly first: number;
  readonly last: number;
  /** Written as a range, even if it is one port. */
  readonly isRange: boolean;
}

/** A word that stands for a protocol. */
export interface ProtocolPrimitive {
  readonly kind: 'protocol';
  readonly name: ProtocolName;
}

/** The words that stand for a protocol on their own. */
export const PROTOCOL_NAMES = [
  ...(['ip', 'ip6', 'arp', 'rarp', 'atalk', 'aarp', 'decnet', 'lat', 'sca', 'moprc', 'mopdl', 'iso', 'stp'] as const),
  ...(['ipx', 'netbeui', 'clnp', 'esis', 'isis', 'tcp', 'udp', 'sctp', 'icmp', 'icmp6', 'igmp', 'igrp'] as const),
  ...(['pim', 'vrrp', 'carp', 'ah', 'esp'] as const),
] as const;
export type ProtocolName = (typeof PROTOCOL_NAMES)[number];

/** A number in the field that says what a header carries; `over` undefined is IPv4 and IPv6. */
export interface ProtocolNumberPrimitive {
  readonly kind: 'protocol-number';
  readonly over: 'ether' | 'ip' | 'ip6' | 'iso' | undefined;
  readonly number: number;
}

export interface CastPrimitive {
  readonly kind: 'broadcast' | 'multicast';
  readonly over: 'ether' | 'ip' | 'ip6';
}

/** A tag, label or session that packets are in; what stands behind it in the expression is about what lies inside. */
export interface EncapsulationPrimitive {
  readonly kind: 'vlan' | 'mpls' | 'pppoes' | 'pppoed';
  /** Tag, label or session number. */
  readonly number: number | undefined;
}

/** A frame of LLC, whose control field has this value under the mask, where one is given. */
export interface LlcPrimitive {
  readonly kind: 'llc';
  readonly control: { readonly mask: number; readonly value: number } | undefined;
}

/** Whose packet it was: known beside the packet only, on some link types and in Linux. */
export interface OriginPrimitive {
  readonly kind: 'inbound' | 'outbound' | 'interface-index';
  readonly number: number | undefined;
}

export interface RelationPrimitive {
  readonly kind: 'relation';
  readonly comparison: Comparison;
  readonly left: Arithmetic;
  readonly right: Arithmetic;
}

/** Unsigned. */
export type Comparison = '=' | '!=' | '<' | '<=' | '>' | '>=';

/** Unsigned 32 bits, modulo 2^32. */
export type Arithmetic = { readonly span: Span } & (
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'length' }
  | { readonly kind: 'negate'; readonly operand: Arithmetic }
  | { readonly kind: 'calculate'; readonly operator: Operator; readonly left: Arithmetic; readonly right: Arithmetic }
  /** Bytes of a header, in network byte order. */
  | { readonly kind: 'bytes'; readonly header: HeaderName; readonly index: Arithmetic; readonly size: 1 | 2 | 4 }
);

export type Operator = '+' | '-' | '*' | '/' | '%' | '&' | '|' | '^' | '<<' | '>>';

/** Headers that bytes can be taken from. */
export const HEADER_NAMES = [
  ...(['ether', 'ip', 'ip6', 'arp', 'rarp', 'atalk', 'decnet', 'lat', 'sca', 'moprc', 'mopdl'] as const),
  ...(['tcp', 'udp', 'sctp', 'icmp', 'icmp6', 'igmp', 'igrp', 'pim', 'vrrp', 'carp'] as const),
] as const;
export type HeaderName = (typeof HEADER_NAMES)[number];
