import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createFlowKey,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  FLOW_BUCKET,
  FLOW_DESTINATION,
  FLOW_FRAGMENT,
  FLOW_HAS_PORTS,
  FLOW_KEY_WORDS,
  FLOW_LINK,
  FLOW_NETWORK,
  FLOW_PORTS,
  FLOW_SOURCE,
  FLOW_TAGGED,
  FLOW_VERSION_SHIFT,
  FLOW_VLAN_SHIFT,
  parseFlowKey,
} from './flow-key.js';

const MACS = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
const PORTS = [0x30, 0x39, 0x00, 0x35]; // 12345, 53
const PORTS_WORD = (12345 << 16) | 53;
const FIRST_ADDRESS = 0x0a000001;
const SECOND_ADDRESS = 0xc0a80102 | 0;
const FIRST_IPV6 = [0x20010db8, 1, 2, 3];
const SECOND_IPV6 = [0xfe800000 | 0, 0, 0x0200f8ff, 0xfe2167cf | 0];

const half = (value: number): number[] => [(value >> 8) & 0xff, value & 0xff];
const word = (value: number): number[] => [...half(value >> 16), ...half(value)];

interface Ipv4Fields {
  readonly protocol: number;
  /** Flags and offset. */
  readonly fragment?: number;
  /** Words of options. */
  readonly options?: number;
}

function ipv4({ protocol, fragment = 0, options = 0 }: Ipv4Fields): number[] {
  const fixed = [0x45 + options, 0, 0, 60, 0, 7, ...half(fragment), 64, protocol, 0, 0];
  return [...fixed, ...word(FIRST_ADDRESS), ...word(SECOND_ADDRESS), ...new Array<number>(4 * options).fill(1)];
}

function ipv6(nextHeader: number): number[] {
  return [0x60, 0, 0, 0, 0, 40, nextHeader, 64, ...FIRST_IPV6.flatMap(word), ...SECOND_IPV6.flatMap(word)];
}

function frame(etherType: number, ...rest: readonly (readonly number[])[]): Uint8Array {
  return Uint8Array.from([...MACS, ...half(etherType), ...rest.flat()]);
}

/** Parses with other memory on both sides. */
function parse(packet: Uint8Array, surroundings = 0): { version: number; key: Int32Array } {
  const memory = new Uint8Array(packet.length + 128).fill(surroundings);
  memory.set(packet, 64);
  const key = createFlowKey().fill(-1, 0, FLOW_BUCKET); // the bucket is not the parser's
  const version = parseFlowKey(memory, 64, packet.length, key);
  return { version, key };
}

function expected(
  link: number,
  network = 0,
  ports = 0,
  source: readonly number[] = [],
  destination: readonly number[] = [],
) {
  const key = createFlowKey();
  key[FLOW_LINK] = link;
  key[FLOW_NETWORK] = network;
  key[FLOW_PORTS] = ports;
  key.set(source, FLOW_SOURCE);
  key.set(destination, FLOW_DESTINATION);
  return key;
}

const V4 = 4 << FLOW_VERSION_SHIFT;
const V6 = 6 << FLOW_VERSION_SHIFT;
const V4_ADDRESSES = [[FIRST_ADDRESS], [SECOND_ADDRESS]] as const;
const V6_ADDRESSES = [FIRST_IPV6, SECOND_IPV6] as const;

test('plain IPv4: TCP, UDP and SCTP with ports, others without', () => {
  for (const protocol of [6, 17, 132]) {
    const { version, key } = parse(frame(ETHERTYPE_IPV4, ipv4({ protocol }), PORTS, [0, 0, 0, 0]));
    assert.equal(version, 4);
    assert.deepEqual(key, expected(ETHERTYPE_IPV4, V4 | FLOW_HAS_PORTS | protocol, PORTS_WORD, ...V4_ADDRESSES));
  }
  const { key } = parse(frame(ETHERTYPE_IPV4, ipv4({ protocol: 1 }), PORTS));
  assert.deepEqual(key, expected(ETHERTYPE_IPV4, V4 | 1, 0, ...V4_ADDRESSES));
});

test('IPv4 options are skipped', () => {
  const { key } = parse(frame(ETHERTYPE_IPV4, ipv4({ protocol: 17, options: 3 }), PORTS));
  assert.deepEqual(key, expected(ETHERTYPE_IPV4, V4 | FLOW_HAS_PORTS | 17, PORTS_WORD, ...V4_ADDRESSES));
});

test('IPv4 fragments: the first has ports, later ones have none', () => {
  const first = parse(frame(ETHERTYPE_IPV4, ipv4({ protocol: 17, fragment: 0x2000 }), PORTS)).key;
  const network = V4 | FLOW_FRAGMENT | 17;
  assert.deepEqual(first, expected(ETHERTYPE_IPV4, network | FLOW_HAS_PORTS, PORTS_WORD, ...V4_ADDRESSES));
  for (const fragment of [0x2001, 0x0001, 0x1fff]) {
    const later = parse(frame(ETHERTYPE_IPV4, ipv4({ protocol: 17, fragment }), PORTS)).key;
    assert.deepEqual(later, expected(ETHERTYPE_IPV4, network, 0, ...V4_ADDRESSES));
  }
  const whole = parse(frame(ETHERTYPE_IPV4, ipv4({ protocol: 17, fragment: 0x4000 }), PORTS)).key;
  assert.equal(whole[FLOW_NETWORK]! & FLOW_FRAGMENT, 0, '"do not fragment" makes no fragment');
});

test('IPv6, with and without extension headers', () => {
  const network = V6 | FLOW_HAS_PORTS | 6;
  const whole = expected(ETHERTYPE_IPV6, network, PORTS_WORD, ...V6_ADDRESSES);
  assert.deepEqual(parse(frame(ETHERTYPE_IPV6, ipv6(6), PORTS)).key, whole);
  const options = (next: number, units: number) => [next, units, ...new Array<number>(6 + 8 * units).fill(0)];
  const authentication = [60, 4, ...new Array<number>(22).fill(0)]; // 6 words
  const chain = [...options(43, 1), ...options(51, 0), ...authentication, ...options(6, 2)];
  assert.deepEqual(parse(frame(ETHERTYPE_IPV6, ipv6(0), chain, PORTS)).key, whole);
  const none = parse(frame(ETHERTYPE_IPV6, ipv6(59), PORTS)).key;
  assert.deepEqual(none, expected(ETHERTYPE_IPV6, V6 | 59, 0, ...V6_ADDRESSES));
});

test('IPv6 fragments: the first has ports, later ones have none, an atomic one is none', () => {
  const fragment = (offset: number) => [17, 0, ...half(offset), 0, 0, 0, 1];
  const parsed = (offset: number) => parse(frame(ETHERTYPE_IPV6, ipv6(44), fragment(offset), PORTS)).key;
  const network = V6 | 17;
  const withPorts = network | FLOW_HAS_PORTS;
  assert.deepEqual(parsed(0), expected(ETHERTYPE_IPV6, withPorts, PORTS_WORD, ...V6_ADDRESSES));
  assert.deepEqual(parsed(1), expected(ETHERTYPE_IPV6, withPorts | FLOW_FRAGMENT, PORTS_WORD, ...V6_ADDRESSES));
  assert.deepEqual(parsed(8), expected(ETHERTYPE_IPV6, network | FLOW_FRAGMENT, 0, ...V6_ADDRESSES));
});

test('a chain of extension headers has an end', () => {
  const chain: number[] = [];
  for (let i = 0; i < 100; i++) chain.push(60, 0, 0, 0, 0, 0, 0, 0);
  const { key } = parse(frame(ETHERTYPE_IPV6, ipv6(60), chain, PORTS));
  assert.deepEqual(key, expected(ETHERTYPE_IPV6, V6 | 60, 0, ...V6_ADDRESSES));
});

test('VLAN: the identifier of the outermost tag, the EtherType behind all', () => {
  const tag = (identifier: number) => FLOW_TAGGED | (identifier << FLOW_VLAN_SHIFT);
  const inner = [...half(0xa000 | 7), ...half(ETHERTYPE_IPV4), ...ipv4({ protocol: 17 }), ...PORTS];
  const network = V4 | FLOW_HAS_PORTS | 17;
  const one = parse(frame(0x8100, inner));
  assert.equal(one.version, 4);
  assert.deepEqual(one.key, expected(tag(7) | ETHERTYPE_IPV4, network, PORTS_WORD, ...V4_ADDRESSES));
  const two = parse(frame(0x88a8, half(4094), half(0x8100), inner)).key;
  assert.deepEqual(two, expected(tag(4094) | ETHERTYPE_IPV4, network, PORTS_WORD, ...V4_ADDRESSES));
  const priority = parse(frame(0x8100, half(0xe000), half(ETHERTYPE_ARP), [0, 1])).key;
  assert.deepEqual(priority, expected(tag(0) | ETHERTYPE_ARP));
  const endless = parse(frame(0x8100, ...new Array<number[]>(20).fill([0, 1, 0x81, 0x00]))).key;
  assert.deepEqual(endless, expected(tag(1) | 0x8100));
});

test('what is not IP, or says it is and is not', () => {
  assert.deepEqual(parse(frame(ETHERTYPE_ARP, [0, 1])), { version: 0, key: expected(ETHERTYPE_ARP) });
  assert.deepEqual(parse(frame(0x0026, [0x42, 0x42, 3])).key, expected(0), 'an IEEE 802.3 length is no EtherType');
  const six = ipv4({ protocol: 17 }).with(0, 0x65);
  assert.deepEqual(parse(frame(ETHERTYPE_IPV4, six, PORTS)).key, expected(ETHERTYPE_IPV4));
  const short = ipv4({ protocol: 17 }).with(0, 0x44);
  assert.deepEqual(parse(frame(ETHERTYPE_IPV4, short, PORTS)).key, expected(ETHERTYPE_IPV4));
  const four = ipv6(17).with(0, 0x40);
  assert.deepEqual(parse(frame(ETHERTYPE_IPV6, four, PORTS)).key, expected(ETHERTYPE_IPV6));
});

/** xorshift, so that a failure can be repeated. */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

test('property: nothing outside the packet is read, at any truncation, and every word is written', () => {
  const options = (next: number) => [next, 0, 0, 0, 0, 0, 0, 0];
  const packets = [
    frame(ETHERTYPE_IPV4, ipv4({ protocol: 17 }), PORTS),
    frame(ETHERTYPE_IPV4, ipv4({ protocol: 6, options: 10 }), PORTS),
    frame(0x88a8, half(9), half(0x8100), half(8), half(ETHERTYPE_IPV4), ipv4({ protocol: 132 }), PORTS),
    frame(ETHERTYPE_IPV6, ipv6(0), options(44), [17, 0, 0, 1, 0, 0, 0, 1], PORTS),
    frame(0x8100, half(1), half(ETHERTYPE_IPV6), ipv6(43), options(51), [6, 1, ...word(0), ...word(0), 0, 0], PORTS),
  ];
  const random = seeded(4);
  for (const packet of packets) {
    for (let length = 0; length <= packet.length; length++) {
      for (let round = 0; round < 20; round++) {
        const bytes = packet.slice(0, length);
        // The first round leaves the packet as it is.
        for (let flips = round === 0 ? 0 : 1 + random(3); flips > 0 && length > 0; flips--) {
          bytes[random(length)] = random(256);
        }
        const zeros = parse(bytes, 0);
        const ones = parse(bytes, 0xff);
        assert.deepEqual(zeros, ones);
        assert.equal(zeros.key.length, FLOW_KEY_WORDS);
        const network = zeros.key[FLOW_NETWORK]!;
        assert.equal((network >> FLOW_VERSION_SHIFT) & 0xf, zeros.version);
        if ((network & FLOW_HAS_PORTS) === 0) assert.equal(zeros.key[FLOW_PORTS], 0);
      }
    }
  }
});

test('property: the plain IPv4 path and the general one agree', () => {
  const random = seeded(5);
  for (let i = 0; i < 2000; i++) {
    const payload = Array.from({ length: random(12) }, () => random(256));
    const header = ipv4({ protocol: [1, 6, 17, 132][random(4)]! }).map((byte, at) => (at >= 12 ? random(256) : byte));
    const plain = parse(frame(ETHERTYPE_IPV4, header, payload)).key;
    const tagged = parse(frame(0x8100, half(5), half(ETHERTYPE_IPV4), header, payload)).key;
    tagged[FLOW_LINK] = ETHERTYPE_IPV4;
    assert.deepEqual(plain, tagged);
  }
});
