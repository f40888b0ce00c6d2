import { writeUint16, writeUint32 } from '../../src/packet/big-endian.js';
import { parseIpAddress, writeIpAddress } from '../../src/packet/ip-address.js';
import type { FlowRule, Ports } from '../../src/steering/rules.js';
import type { Random } from './random.js';

/**
 * Random rules and packets that meet: few addresses, ports, tags and protocols, so that rules match often; every header there is, and
 * packets cut off or damaged anywhere.
 */

const ADDRESSES = {
  4: ['10.0.0.1', '10.0.0.2', '10.1.0.1', '192.0.2.129', '255.255.255.255'],
  6: ['2001:db8::1', '2001:db8::2', '2001:db8:0:1::1', 'fe80::ff', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
} as const;
const PORTS = [0, 53, 54, 80, 255, 256, 65535] as const;
const TAGS = [0, 1, 7, 4094] as const;
const EXTENSIONS = [0, 43, 44, 51, 60, 135, 139, 140] as const;

export function randomRule(random: Random): FlowRule {
  const rule: { -readonly [Field in keyof FlowRule]: FlowRule[Field] } = {};
  const version = random.pick([4, 6] as const);
  const prefix = (): string =>
    random.pick(ADDRESSES[version]) + random.pick(['', '', `/${random.below(version === 4 ? 33 : 129)}`]);
  const ports = (): Ports => {
    const first = random.pick(PORTS);
    return random.oneIn(2) ? first : [first, random.between(first, 65535)];
  };
  if (random.oneIn(5)) rule.etherType = random.pick(['ipv4', 'ipv6', 'arp', 0x88cc] as const);
  if (random.oneIn(5)) rule.vlan = random.pick(TAGS);
  if (random.oneIn(3)) rule.protocol = random.pick(['tcp', 'udp', 'sctp', 'icmp', 'icmp6', 0, 17, 44, 60] as const);
  if (random.oneIn(5)) rule.source = prefix();
  if (random.oneIn(5)) rule.destination = prefix();
  if (random.oneIn(5)) rule.address = prefix();
  if (random.oneIn(6)) rule.sourcePort = ports();
  if (random.oneIn(6)) rule.destinationPort = ports();
  if (random.oneIn(6)) rule.port = ports();
  if (random.oneIn(6))
    rule.bucket = random.pick([
      [0, 2],
      [1, 2],
      [3, 4],
      [5, 16],
    ] as const);
  return Object.keys(rule).length > 0 ? rule : { protocol: 'udp', port: 53 };
}

/** @param shortest bytes at least; what is cut off is cut off behind them */
export function randomPacket(random: Random, shortest = 0): Uint8Array {
  const bytes = new Uint8Array(512);
  random.fill(bytes, 0, 12);
  let at = 12;
  const put = (value: number): void => {
    writeUint16(bytes, at, value);
    at += 2;
  };
  for (let tags = random.pick([0, 0, 0, 1, 1, 2, 3, 4, 5]); tags > 0; tags--) {
    put(random.pick([0x8100, 0x8100, 0x88a8, 0x9100]));
    put(random.pick(TAGS) | (random.below(16) << 12));
  }
  const kind = random.below(10);
  if (kind === 0) put(random.pick([0x0806, 0x88cc, 0x0026, 0x05ff, 0x0600]));
  else if (kind < 5) at = writeIpv4(random, bytes, at);
  else at = writeIpv6(random, bytes, at);
  for (let i = random.pick([0, 1, 2, 4, 4, 4]); i > 0; i--) put(random.pick(PORTS));
  const length = random.oneIn(3) ? random.below(at + 1) : at;
  const packet = bytes.slice(0, Math.max(length, shortest));
  if (random.oneIn(4)) for (let i = random.between(1, 3); i > 0 && packet.length > 12; i--) damage(random, packet);
  return packet;
}

function damage(random: Random, packet: Uint8Array): void {
  packet[random.between(12, packet.length - 1)] = random.word() >>> 11;
}

function writeIpv4(random: Random, bytes: Uint8Array, etherType: number): number {
  writeUint16(bytes, etherType, 0x0800);
  const at = etherType + 2;
  const words = random.pick([5, 5, 5, 4, 6, 15]);
  bytes[at] = 0x40 | words;
  writeUint16(bytes, at + 6, random.pick([0, 0, 0x4000, 0x2000, 0x2001, 0x0001, 0x1fff]));
  bytes[at + 9] = random.pick([1, 6, 17, 17, 58, 132, 0, 44]);
  writeIpAddress(bytes, at + 12, parseIpAddress(random.pick(ADDRESSES[4]))!);
  writeIpAddress(bytes, at + 16, parseIpAddress(random.pick(ADDRESSES[4]))!);
  return at + Math.max(words, 5) * 4;
}

function writeIpv6(random: Random, bytes: Uint8Array, etherType: number): number {
  writeUint16(bytes, etherType, 0x86dd);
  let at = etherType + 2;
  writeUint32(bytes, at, 0x60000000);
  writeIpAddress(bytes, at + 8, parseIpAddress(random.pick(ADDRESSES[6]))!);
  writeIpAddress(bytes, at + 24, parseIpAddress(random.pick(ADDRESSES[6]))!);
  let next = at + 6;
  at += 40;
  for (let headers = random.pick([0, 0, 1, 1, 2, 3, 7, 8, 9]); headers > 0; headers--) {
    const type = random.pick(EXTENSIONS);
    bytes[next] = type;
    next = at;
    const units = type === 44 ? 0 : random.pick([0, 0, 1, 2]);
    bytes[at + 1] = units;
    if (type === 44) writeUint16(bytes, at + 2, random.pick([0, 0, 1, 8, 0xfff8]));
    at += type === 51 ? (units + 2) * 4 : (units + 1) * 8;
  }
  bytes[next] = random.pick([6, 17, 17, 58, 59, 132]);
  return at;
}
