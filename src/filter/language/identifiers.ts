import type { PacketError } from '../../errors.js';
import { closest } from '../../suggestion.js';
import { type Span, spanOf } from './filter-error.js';
import {
  ETHER_PROTOCOLS,
  findService,
  IP_PROTOCOLS,
  ISO_PROTOCOLS,
  SERVICE_NAMES,
  type TransportName,
} from './names.js';
import type { AddressPrimitive, Direction, Primitive, ProtocolName } from './syntax.js';
import type { ReadNumber, TokenReader } from './token-reader.js';
import type { Token } from './tokens.js';

/** What stands before identifiers, and says what they are. */
export interface Qualifiers {
  readonly protocol: ProtocolName | 'ether' | undefined;
  readonly direction: Direction;
  readonly type: 'host' | 'net' | 'port' | 'portrange' | 'proto';
  readonly span: Span;
}

const TRANSPORTS: Readonly<Record<TransportName, number>> = { tcp: 6, udp: 17, sctp: 132 };
/** In the order in which libpcap tries them. */
const ALL_TRANSPORTS: readonly TransportName[] = ['sctp', 'tcp', 'udp'];
const MOST_PORT = 0xffff;

/** Reads one identifier: a host, network, port, range of ports or protocol, as the qualifiers say. @throws PacketError FILTER_SYNTAX */
export function primitiveOf(reader: TokenReader, qualifiers: Qualifiers): Primitive {
  switch (qualifiers.type) {
    case 'port':
      return portOf(reader, qualifiers);
    case 'portrange':
      return portRangeOf(reader, qualifiers);
    case 'proto':
      return protocolNumberOf(reader, qualifiers);
    default:
      return addressOf(reader, qualifiers);
  }
}

function addressOf(reader: TokenReader, qualifiers: Qualifiers): Primitive {
  const { protocol, direction, type } = qualifiers;
  const token = reader.next;
  if (token.kind === 'mac') {
    if (protocol !== 'ether' || type !== 'host') {
      throw reader.error(token, 'an Ethernet address belongs to the link layer', 'write "ether host" before it');
    }
    reader.advance();
    return { kind: 'mac', direction, address: token.address, span: spanOf(qualifiers.span, token) };
  }
  if (token.kind === 'word') throw unknownName(reader, qualifiers, token);
  if (protocol === 'ether') {
    const remedy = `write "ether ${type} 02:00:00:00:00:01", or "ip ${type}" before an IP address`;
    throw reader.error(token, 'the link layer has Ethernet addresses only', remedy);
  }
  if (protocol !== undefined && protocol !== 'ip' && protocol !== 'ip6' && protocol !== 'arp' && protocol !== 'rarp') {
    throw reader.error(
      qualifiers.span,
      `${protocol} has no addresses of its own`,
      `write "${protocol} and ${type} ADDRESS"`,
    );
  }
  const version = token.kind === 'ipv6' ? 6 : 4;
  if (protocol !== undefined && (protocol === 'ip6') !== (version === 6)) {
    const message = `${protocol} has no IPv${version} addresses`;
    throw reader.error(spanOf(qualifiers.span, token), message, `leave out ${protocol}, or give another address`);
  }
  const { words, mask, span } = version === 6 ? ipv6Of(reader, qualifiers) : ipv4Of(reader, qualifiers);
  const address: AddressPrimitive = { kind: 'address', protocol, direction, version, words, mask };
  return { ...address, span: spanOf(qualifiers.span, span) };
}

interface ReadAddress {
  readonly words: readonly number[];
  readonly mask: readonly number[];
  readonly span: Span;
}

function ipv6Of(reader: TokenReader, { type }: Qualifiers): ReadAddress {
  const token = reader.advance() as Token & { readonly kind: 'ipv6' };
  const words = token.words.map((word) => word >>> 0);
  const bits = takeBits(reader, 128);
  const span = spanOf(token, reader.previous);
  const mask = [0, 32, 64, 96].map((first) => prefixMask((bits ?? 128) - first));
  checkNetwork(reader, type, bits !== undefined && bits < 128, { words, mask, span });
  return { words, mask, span };
}

/** An address, a network of fewer than four numbers, or either with a length or mask. */
function ipv4Of(reader: TokenReader, { type }: Qualifiers): ReadAddress {
  const token = reader.advance();
  if (token.kind !== 'dotted' && token.kind !== 'number') {
    throw reader.error(token, 'an address should stand here', 'for example: 192.0.2.1, 192.0.2.0/24, 2001:db8::1');
  }
  if (token.kind === 'number' && type === 'host') {
    // A number alone is an address, as it lies in memory.
    return { words: [token.value], mask: [0xffffffff], span: token };
  }
  const parts = token.kind === 'dotted' ? token.parts : networkParts(token.value);
  if (parts.some((part) => part > 255)) {
    throw reader.error(token, 'numbers of an IPv4 address go up to 255', 'for example: 192.0.2.1');
  }
  const written = 8 * parts.length;
  const words = [wordOf(parts)];
  if (token.kind === 'number') {
    if (reader.at('/') || reader.at('mask')) {
      const remedy = `write ${token.value}.0${reader.at('/') ? '/LENGTH' : ' mask MASK'}`;
      throw reader.unexpected('a network of one number has neither length nor mask', remedy);
    }
    return { words, mask: [prefixMask(written)], span: token };
  }
  const bits = takeBits(reader, 32);
  const given = bits === undefined ? takeMask(reader) : prefixMask(bits);
  const mask = [given ?? prefixMask(written)];
  const span = spanOf(token, reader.previous);
  checkNetwork(reader, type, given !== undefined && given !== 0xffffffff, { words, mask, span });
  return { words, mask, span };
}

/** "/24"; undefined where there is none. */
function takeBits(reader: TokenReader, most: number): number | undefined {
  if (!reader.take('/')) return undefined;
  const token = reader.next;
  if (token.kind !== 'number') throw reader.unexpected('a prefix length should stand here', `it is from 0 to ${most}`);
  if (token.value > most) {
    throw reader.error(token, `a prefix length of ${token.value} is too long`, `it is from 0 to ${most}`);
  }
  reader.advance();
  return token.value;
}

function takeMask(reader: TokenReader): number | undefined {
  if (!reader.take('mask') && !reader.take('netmask')) return undefined;
  const token = reader.next;
  if (token.kind !== 'dotted' || token.parts.some((part) => part > 255)) {
    throw reader.unexpected('a mask should stand here', 'for example: mask 255.255.255.0');
  }
  reader.advance();
  return wordOf(token.parts);
}

function checkNetwork(reader: TokenReader, type: string, isNetwork: boolean, { words, mask, span }: ReadAddress): void {
  if (words.some((word, i) => (word & ~mask[i]!) !== 0)) {
    throw reader.error(
      span,
      'this network has bits behind its prefix',
      'make them 0, or write "host" and the address alone',
    );
  }
  if (type === 'host' && isNetwork) {
    throw reader.error(span, 'this is a network, not a host', 'write "net" before it, or leave out the length');
  }
}

/** A network as one number: its highest byte that is not 0 comes first. 0 is an address, as in libpcap. */
function networkParts(value: number): number[] {
  if (value === 0) return [0, 0, 0, 0];
  const parts = [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
  while (parts.length > 1 && parts[0] === 0) parts.shift();
  return parts;
}

/** The bytes as the first ones of a 32-bit word. */
function wordOf(parts: readonly number[]): number {
  return parts.reduce((word, part, i) => word | (part << (24 - 8 * i)), 0) >>> 0;
}

/** The mask of so many leading bits, of 32; fewer than 0 are none, more are all. */
function prefixMask(bits: number): number {
  if (bits <= 0) return 0;
  return bits >= 32 ? 0xffffffff : (0xffffffff << (32 - bits)) >>> 0;
}

function portOf(reader: TokenReader, qualifiers: Qualifiers): Primitive {
  const token = reader.next;
  const { port, protocols } = portNamed(reader, qualifiers, token);
  reader.advance();
  return portPrimitive(qualifiers, token, protocols, port, port, false);
}

/** `6000-6008`, where both ends may be names; one port is a range, too. */
function portRangeOf(reader: TokenReader, qualifiers: Qualifiers): Primitive {
  const token = reader.next;
  const dash = token.kind === 'word' ? dashesOf(token.text) : [];
  if (token.kind !== 'word' || dash.length === 0 || findService(token.text) !== undefined) {
    const { port, protocols } = portNamed(reader, qualifiers, token);
    reader.advance();
    return portPrimitive(qualifiers, token, protocols, port, port, true);
  }
  // Names of ports may have dashes: the first dash with a port on both sides counts.
  const { text, start } = token;
  const best = dash.find((at) => isPort(text.slice(0, at)) && isPort(text.slice(at + 1))) ?? dash[0]!;
  const shift = token.escaped ? 1 : 0;
  const side = (from: number, to: number): Token => {
    const span = { start: start + shift + from, end: start + shift + to };
    const part = text.slice(from, to);
    return /^[0-9]+$/.test(part)
      ? { kind: 'number', value: Number(part), named: false, ...span }
      : { kind: 'word', text: part, escaped: false, ...span };
  };
  const low = portNamed(reader, qualifiers, side(0, best));
  const high = portNamed(reader, qualifiers, side(best + 1, text.length));
  reader.advance();
  const both = low.protocols.filter((protocol) => high.protocols.includes(protocol));
  const protocols = both.length === 0 ? ALL_TRANSPORTS : both;
  const [first, last] = low.port <= high.port ? [low.port, high.port] : [high.port, low.port];
  return portPrimitive(qualifiers, token, protocols, first, last, true);
}

function dashesOf(text: string): number[] {
  return [...text.matchAll(/(?!^)-(?!$)/g)].map(({ index }) => index);
}

function isPort(text: string): boolean {
  return /^[0-9]+$/.test(text) || findService(text) !== undefined;
}

function portPrimitive(
  qualifiers: Qualifiers,
  token: Span,
  transports: readonly TransportName[],
  first: number,
  last: number,
  isRange: boolean,
): Primitive {
  const protocols = transports.map((name) => TRANSPORTS[name]);
  const { direction } = qualifiers;
  return { kind: 'port', protocols, direction, first, last, isRange, span: spanOf(qualifiers.span, token) };
}

/** A port by number or name, and the protocols that have it. */
function portNamed(
  reader: TokenReader,
  { protocol, type, span }: Qualifiers,
  token: Token,
): { readonly port: number; readonly protocols: readonly TransportName[] } {
  const asked = ALL_TRANSPORTS.find((name) => name === protocol);
  if (protocol !== undefined && asked === undefined) {
    throw reader.error(span, `${protocol} has no ports`, `write "${type}" alone, or tcp, udp or sctp before it`);
  }
  if (token.kind === 'number') {
    if (token.value > MOST_PORT) throw reader.error(token, 'ports go up to 65535', 'give a port from 0 to 65535');
    return { port: token.value, protocols: asked === undefined ? ALL_TRANSPORTS : [asked] };
  }
  if (token.kind !== 'word') throw reader.error(token, 'a port should stand here', 'for example: port 80, port http');
  const service = findService(token.text);
  if (service === undefined) throw unknownPort(reader, token, token.text);
  // A name with several protocols stands for its number alone.
  const only = service.protocols.length === 1 ? service.protocols : ALL_TRANSPORTS;
  if (asked === undefined) return { port: service.port, protocols: only };
  if (only.includes(asked)) return { port: service.port, protocols: [asked] };
  throw reader.error(
    token,
    `${token.text} is a port of ${only[0]}`,
    `write "${only[0]} port ${token.text}" or its number`,
  );
}

function unknownPort(reader: TokenReader, token: Span, text: string): PacketError {
  const meant = closest(text, SERVICE_NAMES);
  const remedy = /^[0-9]+-[0-9]+$/.test(text) ? `write "portrange ${text}"` : 'write its number';
  return reader.error(
    token,
    `there is no port named ${text}${meant === undefined ? '' : ` (did you mean ${meant}?)`}`,
    remedy,
  );
}

function unknownName(reader: TokenReader, { type }: Qualifiers, token: Token & { readonly kind: 'word' }): PacketError {
  return reader.error(
    token,
    `${token.text} is a name, and names of ${type === 'net' ? 'networks' : 'hosts'} are not looked up`,
    `write its address, as in "${type} ${type === 'net' ? '192.0.2.0/24' : '192.0.2.1'}"`,
  );
}

/** Names that the protocol number of each header may be given by. */
const PROTOCOL_TABLES = { ether: ETHER_PROTOCOLS, ip: IP_PROTOCOLS, ip6: IP_PROTOCOLS, iso: ISO_PROTOCOLS } as const;

function protocolNumberOf(reader: TokenReader, qualifiers: Qualifiers): Primitive {
  const { protocol, span } = qualifiers;
  if (protocol !== undefined && !Object.hasOwn(PROTOCOL_TABLES, protocol)) {
    throw reader.error(span, `${protocol} does not say what it carries`, 'proto goes with ether, ip, ip6 and iso');
  }
  const over = protocol as keyof typeof PROTOCOL_TABLES | undefined;
  const { value, span: last } = protocolNumber(reader, PROTOCOL_TABLES[over ?? 'ip']);
  return { kind: 'protocol-number', over, number: value, span: spanOf(span, last) };
}

function protocolNumber(reader: TokenReader, names: ReadonlyMap<string, number>): ReadNumber {
  const token = reader.advance();
  if (token.kind === 'number') return { value: token.value, span: token };
  if (token.kind !== 'word') {
    throw reader.error(token, 'a protocol should stand here', 'give its number, or its name behind a backslash');
  }
  const value = names.get(token.text);
  if (value !== undefined) return { value, span: token };
  const meant = closest(token.text, [...names.keys()]);
  throw reader.error(
    token,
    `there is no protocol ${token.text} here${meant === undefined ? '' : ` (did you mean ${meant}?)`}`,
    'write its number',
  );
}
