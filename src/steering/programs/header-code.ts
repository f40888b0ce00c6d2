import {
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_MINIMUM,
  PROTOCOL_SCTP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
} from '../../packet/flow-key.js';
import { BUCKET_FACTOR, BUCKET_LAST_FACTOR, BUCKET_SHIFT } from '../flow-bucket.js';
import type { Label, MatchCode } from './match-code.js';

// Where the header fields of a packet lie in scratch memory. What a packet does not have is 0.

/** EtherType behind all VLAN tags. */
export const ETHERTYPE_WORD = 0;
/** {@link TAGGED} and the identifier of the outermost VLAN tag. */
export const VLAN_WORD = 1;
/** IP version in bits 8 to 10, protocol in bits 0 to 7. */
export const NETWORK_WORD = 2;
/** {@link PORT_KNOWN} and the port. */
export const SOURCE_PORT_WORD = 3;
export const DESTINATION_PORT_WORD = 4;
/** First of the four words of an address; IPv4 has one. */
export const SOURCE_WORD = 5;
export const DESTINATION_WORD = 9;
/** For the reader alone: the protocol so far, and one that comes next or a fragment's offset. Free behind it. */
const PROTOCOL_WORD = 13;
const NEXT_WORD = 14;
/** Not 0 for a part of a fragmented packet; read with the bucket. */
const FRAGMENT_WORD = 15;
/** The hash that rules divide flows by, once the headers are read. */
export const BUCKET_WORD = PROTOCOL_WORD;
/** Free for whoever comes behind the reader. */
export const FREE_WORD = NEXT_WORD;

export const TAGGED = 0x1000;
export const PORT_KNOWN = 0x10000;
export const VERSION_SHIFT = 8;

const ETHERNET_HEADER = 14;
const VLAN_TAG = 4;
const VLAN_TAGS = [0x8100, 0x88a8, 0x9100];
/** As many as the soft kernel reads (packet/flow-key.ts). */
const MOST_VLAN_TAGS = 4;
const MOST_EXTENSION_HEADERS = 8;

/** Which fields the rules ask for: what none of them asks for is not read. */
export interface FieldsRead {
  readonly addresses: boolean;
  readonly protocol: boolean;
  readonly ports: boolean;
  /** With all the others. */
  readonly bucket: boolean;
}

/**
 * Writes the code that reads a packet's headers into scratch memory, exactly as `parseFlowKey` does: the same limits, the same
 * results for whatever is cut off, wrong or unknown.
 *
 * @param fields those to read; EtherType and VLAN identifier are always read
 * @param tagBeside whether the kernel has taken the outermost VLAN tag out of the packet and tells it beside
 */
export function writeHeaderReader(code: MatchCode, fields: FieldsRead, tagBeside: boolean): void {
  const done = code.label();
  code.set(0);
  const end = fields.addresses ? DESTINATION_WORD + 4 : DESTINATION_PORT_WORD + 1;
  for (let word = 0; word < end; word++) code.store(word);
  if (fields.bucket) code.store(FRAGMENT_WORD);
  code.need(ETHERNET_HEADER, done);
  code.load(2, 12);
  code.store(ETHERTYPE_WORD);
  code.skip(ETHERNET_HEADER);
  writeVlanReader(code, tagBeside);
  writeNetworkReader(code, fields, done);
  code.place(done);
  if (fields.bucket) writeBucket(code);
}

/** What `flowBucket` computes. */
function writeBucket(code: MatchCode): void {
  const [ip, whole, hashed, end] = [code.label(), code.label(), code.label(), code.label()];
  code.recall(NETWORK_WORD);
  code.branch('equal', 0, end, ip);
  code.place(ip);
  code.calculate('and', 0xff);
  code.store(BUCKET_WORD);
  code.recall(FRAGMENT_WORD);
  code.branch('equal', 0, whole, hashed);
  code.place(whole);
  code.recall(SOURCE_PORT_WORD);
  code.combine('add', DESTINATION_PORT_WORD);
  code.calculate('and', 2 * PORT_KNOWN - 1); // the ports' sum, without what says that they are known
  code.combine('add', BUCKET_WORD);
  code.store(BUCKET_WORD);
  code.place(hashed);
  for (let i = 0; i < 4; i++) {
    code.recall(SOURCE_WORD + i);
    code.combine('add', DESTINATION_WORD + i);
    code.store(FREE_WORD);
    code.recall(BUCKET_WORD);
    code.calculate('multiply', BUCKET_FACTOR);
    code.combine('xor', FREE_WORD);
    code.store(BUCKET_WORD);
  }
  code.calculate('multiply', BUCKET_LAST_FACTOR);
  code.store(BUCKET_WORD);
  code.calculate('shift-right', BUCKET_SHIFT);
  code.combine('xor', BUCKET_WORD);
  code.place(end);
  code.store(BUCKET_WORD);
}

function writeVlanReader(code: MatchCode, tagBeside: boolean): void {
  const inPacket = code.label();
  const second = code.label();
  const behind = code.label();
  if (tagBeside) {
    const present = code.label();
    code.metadata('vlan-present');
    code.branch('equal', 0, inPacket, present);
    code.place(present);
    code.metadata('vlan-tag');
    writeIdentifier(code);
    code.jump(second);
  }
  code.place(inPacket);
  for (let tags = 0; tags < MOST_VLAN_TAGS; tags++) {
    if (tags === 1) code.place(second);
    const tagged = code.label();
    code.recall(ETHERTYPE_WORD);
    code.branchOneOf(VLAN_TAGS, tagged, behind);
    code.place(tagged);
    code.need(VLAN_TAG, behind);
    if (tags === 0) {
      code.load(2, 0);
      writeIdentifier(code);
    }
    code.load(2, 2);
    code.store(ETHERTYPE_WORD);
    code.skip(VLAN_TAG);
  }
  code.place(behind);
}

function writeIdentifier(code: MatchCode): void {
  code.calculate('and', 0xfff);
  code.calculate('or', TAGGED);
  code.store(VLAN_WORD);
}

function writeNetworkReader(code: MatchCode, fields: FieldsRead, done: Label): void {
  const type = code.label();
  const length = code.label();
  code.recall(ETHERTYPE_WORD);
  code.branch('at-least', ETHERTYPE_MINIMUM, type, length);
  code.place(length); // of an IEEE 802.3 frame
  code.set(0);
  code.store(ETHERTYPE_WORD);
  code.jump(done);
  code.place(type);
  if (!fields.addresses && !fields.protocol && !fields.ports) return;

  const ipv4 = code.label();
  const other = code.label();
  const ipv6 = code.label();
  const transport = code.label();
  code.branch('equal', ETHERTYPE_IPV4, ipv4, other);
  code.place(other);
  code.branch('equal', ETHERTYPE_IPV6, ipv6, done);
  code.place(ipv6);
  writeIpv6Reader(code, fields, transport, done);
  code.place(ipv4);
  writeIpv4Reader(code, fields, transport, done);
  code.place(transport);
  if (fields.ports) writePortReader(code, done);
}

/** RFC 791 section 3.1. */
function writeIpv4Reader(code: MatchCode, fields: FieldsRead, transport: Label, done: Label): void {
  const version = code.label();
  const headerLength = code.label();
  code.need(20, done);
  code.load(1, 0);
  code.calculate('and', 0xf0);
  code.branch('equal', 0x40, version, done);
  code.place(version);
  code.load(1, 0);
  code.calculate('and', 0x0f);
  code.branch('at-least', 5, headerLength, done);
  code.place(headerLength);
  if (fields.addresses) {
    for (const [word, at] of [
      [SOURCE_WORD, 12],
      [DESTINATION_WORD, 16],
    ] as const) {
      code.load(4, at);
      code.store(word);
    }
  }
  code.load(1, 9);
  code.calculate('or', 4 << VERSION_SHIFT);
  code.store(PROTOCOL_WORD);
  code.load(2, 6);
  if (fields.bucket) {
    code.calculate('and', 0x3fff); // "more fragments" and the offset
    code.store(FRAGMENT_WORD);
  }
  code.calculate('and', 0x1fff); // the fragment's offset
  code.store(NEXT_WORD);
  code.load(1, 0);
  code.calculate('and', 0x0f);
  code.calculate('shift-left', 2);
  code.advance(done); // cut off within its options, it is not IP; rules look at addresses only where NETWORK_WORD says IP
  code.recall(PROTOCOL_WORD);
  code.store(NETWORK_WORD);
  code.recall(NEXT_WORD);
  code.branch('equal', 0, transport, done);
}

/** RFC 8200 sections 3 and 4. */
function writeIpv6Reader(code: MatchCode, fields: FieldsRead, transport: Label, done: Label): void {
  const version = code.label();
  code.need(40, done);
  code.load(1, 0);
  code.calculate('and', 0xf0);
  code.branch('equal', 0x60, version, done);
  code.place(version);
  if (fields.addresses) {
    for (let i = 0; i < 8; i++) {
      code.load(4, 8 + 4 * i);
      code.store(SOURCE_WORD + i);
    }
  }
  code.load(1, 6);
  code.store(PROTOCOL_WORD);
  if (!fields.protocol && !fields.ports) {
    writeNetwork(code);
    code.jump(done);
    return;
  }
  const walked = code.label();
  const laterFragment = code.label();
  code.skip(40);
  for (let headers = 0; headers < MOST_EXTENSION_HEADERS; headers++) {
    writeExtensionReader(code, fields, walked, laterFragment);
  }
  code.place(walked);
  writeNetwork(code);
  code.jump(transport);
  code.place(laterFragment);
  writeNetwork(code);
  code.jump(done);
}

function writeNetwork(code: MatchCode): void {
  code.recall(PROTOCOL_WORD);
  code.calculate('or', 6 << VERSION_SHIFT);
  code.store(NETWORK_WORD);
}

const FRAGMENT_HEADER = 44;
const AUTHENTICATION_HEADER = 51;
/** Hop-by-hop options, routing, destination options, mobility, host identity, shim6. */
const COUNTED_HEADERS = [0, 43, 60, 135, 139, 140];

/** One extension header, if it is one: any other header, one that is cut off and a later fragment end the walk. */
function writeExtensionReader(code: MatchCode, fields: FieldsRead, walked: Label, laterFragment: Label): void {
  const counted = code.label();
  const notCounted = code.label();
  const fragment = code.label();
  const noFragment = code.label();
  const authentication = code.label();
  const variable = code.label();
  const next = code.label();
  code.recall(PROTOCOL_WORD);
  code.branchOneOf(COUNTED_HEADERS, counted, notCounted);
  code.place(notCounted);
  code.branch('equal', FRAGMENT_HEADER, fragment, noFragment);
  code.place(noFragment);
  code.branch('equal', AUTHENTICATION_HEADER, authentication, walked);

  code.place(counted);
  code.need(8, walked);
  code.load(1, 0);
  code.store(NEXT_WORD);
  code.load(1, 1);
  code.calculate('add', 1);
  code.calculate('shift-left', 3); // 8-byte units behind the first
  code.jump(variable);

  code.place(authentication);
  code.need(8, walked);
  code.load(1, 0);
  code.store(NEXT_WORD);
  code.load(1, 1);
  code.calculate('add', 2);
  code.calculate('shift-left', 2); // words, less two (RFC 4302 section 2.2)
  code.place(variable);
  code.advance(walked);
  code.recall(NEXT_WORD);
  code.store(PROTOCOL_WORD);
  code.jump(next);

  const first = code.label();
  const later = code.label();
  code.place(fragment);
  code.need(8, walked);
  code.load(1, 0);
  code.store(PROTOCOL_WORD);
  code.load(2, 2);
  if (fields.bucket) {
    const [part, known] = [code.label(), code.label()];
    code.calculate('and', 0xfff9); // a fragment that is the whole packet (RFC 6946) is none
    code.branch('equal', 0, known, part);
    code.place(part);
    code.store(FRAGMENT_WORD);
    code.place(known);
    code.load(2, 2);
  }
  code.calculate('and', 0xfff8); // the fragment's offset: what follows the header of a later one is anything
  code.branch('equal', 0, first, later);
  code.place(later);
  code.jump(laterFragment);
  code.place(first);
  code.skip(8);
  code.place(next);
}

function writePortReader(code: MatchCode, done: Label): void {
  const ported = code.label();
  code.recall(NETWORK_WORD);
  code.calculate('and', 0xff);
  code.branchOneOf([PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_SCTP], ported, done);
  code.place(ported);
  code.need(4, done);
  for (const [word, at] of [
    [SOURCE_PORT_WORD, 0],
    [DESTINATION_PORT_WORD, 2],
  ] as const) {
    code.load(2, at);
    code.calculate('or', PORT_KNOWN);
    code.store(word);
  }
}
