import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PacketError } from '../errors.js';
import { readUint16, readUint32 } from './big-endian.js';
import { headerBytes, type TcpPacketOptions, writeTcpPacket, writeUdpPacket } from './build-packet.js';
import {
  createFlowKey,
  FLOW_DESTINATION,
  FLOW_LINK,
  FLOW_NETWORK,
  FLOW_PORTS,
  FLOW_PROTOCOL_MASK,
  FLOW_SOURCE,
  FLOW_TAGGED,
  FLOW_VLAN_SHIFT,
  parseFlowKey,
} from './flow-key.js';
import { parseIpAddress } from './ip-address.js';
import { type Random, randomBytes, seeded } from './test-support.js';

const MACS = { destinationMac: '02:00:00:00:00:02', sourceMac: '02:00:00:00:00:01' };
const IPV4 = { ...MACS, source: '192.0.2.1', destination: '198.51.100.2', sourcePort: 5000, destinationPort: 53 };
const IPV6 = { ...IPV4, source: '2001:db8::1', destination: '2001:db8::2' };

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Ones' complement sum over pseudo header and segment: 0xffff where the checksum is right. Computed the slow way. */
function transportSum(packet: Uint8Array, network: number, protocol: number): number {
  const ipv4 = packet[network]! >> 4 === 4;
  const addresses = ipv4 ? packet.slice(network + 12, network + 20) : packet.slice(network + 8, network + 40);
  const segment = packet.slice(network + (ipv4 ? 20 : 40));
  return onesSum([
    ...addresses,
    ...(addresses.length % 2 ? [0] : []),
    0,
    protocol,
    segment.length >> 8,
    segment.length & 255,
    ...segment,
  ]);
}

function onesSum(bytes: readonly number[]): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += bytes[at]! * 256 + (bytes[at + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

test('a UDP packet, byte for byte', () => {
  const bytes = new Uint8Array(46);
  assert.equal(
    writeUdpPacket(bytes, 0, { ...IPV4, length: 46, payload: Uint8Array.of(0xca, 0xfe), identification: 7 }),
    46,
  );
  // Wireshark finds both checksums correct.
  assert.equal(
    hex(bytes),
    '020000000002' +
      '020000000001' +
      '0800' +
      '450000200007400040114e8f' +
      'c0000201' +
      'c6336402' +
      '13880035000c69e4' +
      'cafecafe',
  );
});

test('any UDP and TCP packet has its fields and correct checksums', () => {
  const random = seeded(11);
  const key = createFlowKey();
  for (let round = 0; round < 500; round++) {
    const version = random(2) === 0 ? 4 : 6;
    const protocol = random(2) === 0 ? 'udp' : 'tcp';
    const vlans = Array.from({ length: random(3) }, (_, i) => ({
      id: random(4096),
      priority: random(8),
      protocol: i === 0 ? 0x88a8 : 0x8100,
    }));
    const options: TcpPacketOptions = {
      ...MACS,
      source: randomAddress(random, version),
      destination: randomAddress(random, version),
      sourcePort: random(65536),
      destinationPort: random(65536),
      length: headerBytes(protocol, version, vlans.length) + random(300),
      vlans,
      payload: ['zeros', 'count', { seed: round }, randomBytes(random, random(5))][random(4)] as 'zeros',
      hopLimit: 1 + random(255),
      trafficClass: random(256),
      identification: random(65536),
      flowLabel: random(0x100000),
      sequence: random(2 ** 32),
      flags: random(256),
    };
    const around = new Uint8Array(options.length + 30).fill(0xee);
    const written = (protocol === 'udp' ? writeUdpPacket : writeTcpPacket)(around, 9, options);
    assert.equal(written, options.length);
    assert.ok([...around.subarray(0, 9), ...around.subarray(9 + written)].every((byte) => byte === 0xee));

    const packet = around.slice(9, 9 + written);
    assert.equal(parseFlowKey(packet, 0, packet.length, key), version);
    const number = protocol === 'udp' ? 17 : 6;
    assert.equal(key[FLOW_NETWORK]! & FLOW_PROTOCOL_MASK, number);
    assert.equal(key[FLOW_PORTS], (options.sourcePort << 16) | options.destinationPort);
    const source = parseIpAddress(options.source as string)!.words;
    const destination = parseIpAddress(options.destination as string)!.words;
    assert.deepEqual([...key.subarray(FLOW_SOURCE, FLOW_SOURCE + source.length)], source);
    assert.deepEqual([...key.subarray(FLOW_DESTINATION, FLOW_DESTINATION + source.length)], destination);
    const tag = vlans.length === 0 ? 0 : FLOW_TAGGED | (vlans[0]!.id << FLOW_VLAN_SHIFT);
    assert.equal(key[FLOW_LINK], tag | (version === 4 ? 0x0800 : 0x86dd));

    const network = 14 + 4 * vlans.length;
    if (version === 4) {
      assert.equal(readUint16(packet, network + 2), packet.length - network);
      assert.equal(onesSum([...packet.subarray(network, network + 20)]), 0xffff);
      assert.equal(packet[network + 8], options.hopLimit);
      assert.equal(packet[network + 1], options.trafficClass);
    } else {
      assert.equal(readUint16(packet, network + 4), packet.length - network - 40);
      const first = ((6 << 28) | (options.trafficClass! << 20) | options.flowLabel!) >>> 0;
      assert.equal(readUint32(packet, network), first);
    }
    assert.equal(transportSum(packet, network, number), 0xffff);
    const transport = network + (version === 4 ? 20 : 40);
    if (protocol === 'tcp') assert.equal(readUint32(packet, transport + 4), options.sequence);
    else assert.notEqual(readUint16(packet, transport + 6), 0, 'no UDP checksum is never sent');
  }
});

function randomAddress(random: Random, version: 4 | 6): string {
  if (version === 4) return Array.from({ length: 4 }, () => random(256)).join('.');
  return Array.from({ length: 8 }, () => random(65536).toString(16)).join(':');
}

test('the longest IPv4 packet', () => {
  const bytes = new Uint8Array(65535);
  writeUdpPacket(bytes, 0, { ...IPV4, length: 65535, payload: { seed: 1 } });
  assert.equal(transportSum(bytes, 14, 17), 0xffff);
});

test('a UDP checksum that comes out as 0 is sent as 0xffff', () => {
  const bytes = new Uint8Array(44);
  writeUdpPacket(bytes, 0, { ...IPV4, length: 44, payload: Uint8Array.of(0, 0) });
  const rest = readUint16(bytes, 40);
  writeUdpPacket(bytes, 0, { ...IPV4, length: 44, payload: Uint8Array.of(rest >> 8, rest & 0xff) });
  assert.equal(readUint16(bytes, 40), 0xffff);
});

test('the same seed gives the same payload, another one another', () => {
  const make = (seed: number): string => {
    const bytes = new Uint8Array(1000);
    writeUdpPacket(bytes, 0, { ...IPV4, length: 1000, payload: { seed } });
    return hex(bytes.subarray(42));
  };
  assert.equal(make(3), make(3));
  assert.equal(new Set([0, 1, 2, 3, 4, 5, 6, 7, 0x10000, -1].map(make)).size, 10);
});

test('wrong options are named', () => {
  const bytes = new Uint8Array(1500);
  const wrong: [object, string][] = [
    [{ length: 41 }, 'length: 41 is not a whole number from 42 to 65535'],
    [{ ...IPV6, length: 61 }, 'length: 61 is not a whole number from 62 to 65535'],
    [{ length: 1501 }, 'offset: 0 leaves no room for 1501 bytes in 1500'],
    [{ source: '10.0.0.300' }, 'source: "10.0.0.300" is no IPv4 or IPv6 address'],
    [{ destination: '::1' }, 'destination: an IPv6 address, but the source is an IPv4 address'],
    [{ sourceMac: '02:00' }, 'sourceMac: "02:00" is no Ethernet address, six bytes such as 02:00:00:00:00:01'],
    [{ destinationPort: 70000 }, 'destinationPort: 70000 is not a whole number from 0 to 65535'],
    [{ vlans: [{ id: 5000 }] }, 'vlans[0].id: 5000 is not a whole number from 0 to 4095'],
    [{ hopLimit: 256 }, 'hopLimit: 256 is not a whole number from 0 to 255'],
  ];
  for (const [options, message] of wrong) {
    assert.throws(
      () => writeUdpPacket(bytes, 0, { ...IPV4, length: 100, ...options }),
      (error) => error instanceof PacketError && error.code === 'INVALID_OPTION' && error.message === message,
    );
  }
});
