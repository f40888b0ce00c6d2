import { readWord, writeUint32 } from './big-endian.js';

/** An IPv4 or IPv6 address, as flow keys hold addresses. */
export interface IpAddress {
  /** IP version, which says how many words there are. */
  readonly version: 4 | 6;
  /** Signed 32-bit integers in host order: one for IPv4, four for IPv6, first bits first. */
  readonly words: readonly number[];
}

/** An address of which only the leading bits count. */
export interface IpPrefix extends IpAddress {
  /** Leading bits that count: up to 32 or 128. */
  readonly bits: number;
}

/**
 * Reads an IPv4 address (four decimal numbers) or an IPv6 address (RFC 4291 section 2.2), with or without "/bits"; without, all
 * bits count. Zones ("%eth1") are not addresses.
 *
 * @returns undefined for anything else
 */
export function parseIpPrefix(text: string): IpPrefix | undefined {
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  const version = address.includes(':') ? 6 : 4;
  const words = version === 6 ? parseIpv6(address) : parseIpv4(address);
  if (words === undefined) return undefined;
  const most = version === 6 ? 128 : 32;
  const bits = slash < 0 ? most : parseDecimal(text.slice(slash + 1), most);
  return bits === undefined ? undefined : { version, words, bits };
}

/** Reads an address without a prefix length, in the forms of {@link parseIpPrefix}; undefined for anything else. */
export function parseIpAddress(text: string): IpAddress | undefined {
  return text.includes('/') ? undefined : parseIpPrefix(text);
}

/** Bytes of an address on the wire. */
export function ipAddressBytes(version: 4 | 6): number {
  return version === 4 ? 4 : 16;
}

/** Reads the address that lies at `offset` in network byte order. It allocates: for people's eyes, not for a data path. */
export function readIpAddress(bytes: Uint8Array, offset: number, version: 4 | 6): IpAddress {
  if (version === 4) return { version, words: [readWord(bytes, offset)] };
  return { version, words: [0, 4, 8, 12].map((at) => readWord(bytes, offset + at)) };
}

/** Writes an address in network byte order: 4 or 16 bytes. */
export function writeIpAddress(bytes: Uint8Array, offset: number, address: IpAddress): void {
  const words = address.words;
  for (let i = 0; i < words.length; i++) writeUint32(bytes, offset + 4 * i, words[i]!);
}

/** "192.0.2.1", or an IPv6 address in the one form that RFC 5952 recommends: "2001:db8::1". */
export function formatIpAddress(address: IpAddress): string {
  return address.version === 4 ? formatIpv4(address.words[0]!) : formatIpv6(address.words);
}

/** "10.0.0.0/8"; bits behind the prefix are shown as they are. */
export function formatIpPrefix(prefix: IpPrefix): string {
  return `${formatIpAddress(prefix)}/${prefix.bits}`;
}

function formatIpv4(word: number): string {
  return `${word >>> 24}.${(word >>> 16) & 0xff}.${(word >>> 8) & 0xff}.${word & 0xff}`;
}

/** RFC 5952 section 4: lower case, no leading zeros, "::" for the first of the longest runs of two or more zero groups. */
function formatIpv6(words: readonly number[]): string {
  const [first, second, third, fourth] = words as [number, number, number, number];
  // Section 5: the IPv4-mapped prefix is the one known everywhere to hold an IPv4 address.
  if (first === 0 && second === 0 && third === 0xffff) return `::ffff:${formatIpv4(fourth)}`;
  const groups = words.flatMap((word) => [word >>> 16, word & 0xffff]);
  let runStart = 0;
  let runLength = 0;
  for (let start = 0; start < groups.length; start++) {
    let end = start;
    while (end < groups.length && groups[end] === 0) end++;
    if (end - start > runLength) {
      runStart = start;
      runLength = end - start;
    }
  }
  const text = groups.map((group) => group.toString(16));
  if (runLength < 2) return text.join(':');
  return `${text.slice(0, runStart).join(':')}::${text.slice(runStart + runLength).join(':')}`;
}

function parseIpv4(text: string): number[] | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let address = 0;
  for (const part of parts) {
    const value = parseDecimal(part, 255);
    if (value === undefined) return undefined;
    address = (address << 8) | value;
  }
  return [address];
}

function parseIpv6(text: string): number[] | undefined {
  const sides = text.split('::');
  if (sides.length > 2) return undefined;
  const head = parseGroups(sides[0]!, sides.length === 1);
  const tail = sides.length === 2 ? parseGroups(sides[1]!, true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (sides.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  return [0, 2, 4, 6].map((at) => (groups[at]! << 16) | groups[at + 1]!);
}

/** 16-bit groups; the last two may be written as an IPv4 address where the text ends. */
function parseGroups(text: string, atEnd: boolean): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!;
    if (/^[0-9a-f]{1,4}$/i.test(part)) {
      groups.push(Number.parseInt(part, 16));
      continue;
    }
    const address = atEnd && i === parts.length - 1 ? parseIpv4(part) : undefined;
    if (address === undefined) return undefined;
    groups.push(address[0]! >>> 16, address[0]! & 0xffff);
  }
  return groups;
}

/** A decimal number without sign or leading zeros (which some programs read as octal). */
function parseDecimal(text: string, maximum: number): number | undefined {
  if (!/^(0|[1-9][0-9]{0,2})$/.test(text)) return undefined;
  const value = Number(text);
  return value <= maximum ? value : undefined;
}
