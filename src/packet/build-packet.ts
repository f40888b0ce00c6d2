/**
 * Whole packets, as traffic generators and tests need them: every length and checksum is right, so that any receiver takes them.
 * Packets are made beforehand; nothing here belongs on a data path.
 */

import { checkInteger, PacketError } from '../errors.js';
import { ETHERNET_HEADER_BYTES, VLAN_TAG_BYTES, type VlanTag, writeEthernetHeader } from './ethernet.js';
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, PROTOCOL_TCP, PROTOCOL_UDP } from './flow-key.js';
import { type IpAddress, parseIpAddress } from './ip-address.js';
import { IPV4_HEADER_BYTES, sumIpv4PseudoHeader, writeIpv4Header } from './ipv4.js';
import { IPV6_HEADER_BYTES, sumIpv6PseudoHeader, writeIpv6Header } from './ipv6.js';
import { type MacAddress, parseMacAddress } from './mac-address.js';
import { fillPayload, type PayloadPattern } from './payload.js';
import { TCP_HEADER_BYTES, type TcpHeader, writeTcpChecksum, writeTcpHeader } from './tcp.js';
import { UDP_HEADER_BYTES, writeUdpChecksum, writeUdpHeader } from './udp.js';

/** What UDP and TCP packets have in common. The IP version is that of the addresses. */
export interface PacketOptions {
  /** Bytes from the Ethernet header to the end of the payload, without FCS: room for the headers up to 65535. */
  readonly length: number;
  /** Ethernet address of the receiver: six bytes, or a text such as "02:00:00:00:00:01". */
  readonly destinationMac: MacAddress | string;
  /** Ethernet address of the sender, in the same forms. */
  readonly sourceMac: MacAddress | string;
  /** VLAN tags, outermost first; default none. */
  readonly vlans?: readonly VlanTag[];
  /** IPv4 or IPv6 address of the sender, parsed or as text. */
  readonly source: IpAddress | string;
  /** Address of the receiver, of the same IP version. */
  readonly destination: IpAddress | string;
  /** UDP or TCP port of the sender, 0 to 65535. */
  readonly sourcePort: number;
  /** UDP or TCP port of the receiver, 0 to 65535. */
  readonly destinationPort: number;
  /** Time to live, or IPv6's hop limit; default 64. */
  readonly hopLimit?: number;
  /** Differentiated services and congestion notification, 0 to 255; default 0. */
  readonly trafficClass?: number;
  /** IPv4's identification field, 0 to 65535, which fragments share; default 0. Without effect in IPv6. */
  readonly identification?: number;
  /** IPv6's flow label, 0 to 0xfffff; default 0. Without effect in IPv4. */
  readonly flowLabel?: number;
  /** What follows the headers; default `'zeros'`. */
  readonly payload?: PayloadPattern;
}

/** A UDP packet has nothing of its own to say: its length field and checksum follow from the rest. */
export type UdpPacketOptions = PacketOptions;

/** A TCP packet also says where it stands in its connection. */
export interface TcpPacketOptions
  extends PacketOptions,
    Pick<TcpHeader, 'sequence' | 'acknowledgement' | 'flags' | 'window'> {}

const LONGEST_PACKET = 65535;

/**
 * Writes a UDP packet with its checksums.
 *
 * @returns bytes written: `options.length`
 * @throws PacketError INVALID_OPTION that names the option; nothing outside the packet's bytes is ever written
 */
export function writeUdpPacket(bytes: Uint8Array, offset: number, options: UdpPacketOptions): number {
  const { sourcePort, destinationPort } = options;
  const packet = writeNetworkHeaders(bytes, offset, options, PROTOCOL_UDP, UDP_HEADER_BYTES);
  writeUdpHeader(bytes, packet.transport, sourcePort, destinationPort, packet.length);
  fillPacket(bytes, packet, UDP_HEADER_BYTES, options);
  writeUdpChecksum(bytes, packet.transport, packet.length, packet.pseudoHeader);
  return options.length;
}

/**
 * Writes a TCP packet without TCP options, with its checksums.
 *
 * @returns bytes written: `options.length`
 * @throws PacketError INVALID_OPTION that names the option; nothing outside the packet's bytes is ever written
 */
export function writeTcpPacket(bytes: Uint8Array, offset: number, options: TcpPacketOptions): number {
  const packet = writeNetworkHeaders(bytes, offset, options, PROTOCOL_TCP, TCP_HEADER_BYTES);
  writeTcpHeader(bytes, packet.transport, options);
  fillPacket(bytes, packet, TCP_HEADER_BYTES, options);
  writeTcpChecksum(bytes, packet.transport, packet.length, packet.pseudoHeader);
  return options.length;
}

/** Shortest packet, without FCS, that the headers of these options fit in. */
export function headerBytes(protocol: 'udp' | 'tcp', version: 4 | 6, vlanTags = 0): number {
  const network = version === 4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
  const transport = protocol === 'udp' ? UDP_HEADER_BYTES : TCP_HEADER_BYTES;
  return ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES * vlanTags + network + transport;
}

/** Where the transport header and its payload go. */
interface TransportRoom {
  readonly transport: number;
  readonly length: number;
  /** Running sum of the pseudo header. */
  readonly pseudoHeader: number;
}

function writeNetworkHeaders(
  bytes: Uint8Array,
  offset: number,
  options: PacketOptions,
  protocol: number,
  transportBytes: number,
): TransportRoom {
  const source = toIpAddress('source', options.source);
  const destination = toIpAddress('destination', options.destination);
  if (source.version !== destination.version) {
    throw invalid(
      `destination: an IPv${destination.version} address, but the source is an IPv${source.version} address`,
      'give two addresses of one version',
    );
  }
  const version = source.version;
  const destinationMac = toMacAddress('destinationMac', options.destinationMac);
  const sourceMac = toMacAddress('sourceMac', options.sourceMac);
  const tags = options.vlans ?? [];
  tags.forEach(checkTag);
  checkFields(options);
  const linkBytes = ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES * tags.length;
  const networkBytes = version === 4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
  checkInteger('length', options.length, linkBytes + networkBytes + transportBytes, LONGEST_PACKET);
  if (!Number.isInteger(offset) || offset < 0 || offset + options.length > bytes.length) {
    throw invalid(
      `offset: ${offset} leaves no room for ${options.length} bytes in ${bytes.length}`,
      'give more bytes, another place in them, or a shorter packet',
    );
  }

  const etherType = version === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6;
  const network = offset + writeEthernetHeader(bytes, offset, destinationMac, sourceMac, etherType, tags);
  const transport = network + networkBytes;
  const length = options.length - linkBytes - networkBytes;
  const trafficClass = options.trafficClass ?? 0;
  const hopLimit = options.hopLimit ?? 64;
  if (version === 4) {
    const totalLength = networkBytes + length;
    const identification = options.identification ?? 0;
    const timeToLive = hopLimit;
    const header = { source, destination, protocol, totalLength, trafficClass, timeToLive, identification };
    writeIpv4Header(bytes, network, header);
    return { transport, length, pseudoHeader: sumIpv4PseudoHeader(bytes, network, protocol, length) };
  }
  const flowLabel = options.flowLabel ?? 0;
  const header = {
    source,
    destination,
    nextHeader: protocol,
    payloadLength: length,
    trafficClass,
    hopLimit,
    flowLabel,
  };
  writeIpv6Header(bytes, network, header);
  return { transport, length, pseudoHeader: sumIpv6PseudoHeader(bytes, network, protocol, length) };
}

function fillPacket(bytes: Uint8Array, room: TransportRoom, transportBytes: number, options: PacketOptions): void {
  fillPayload(bytes, room.transport + transportBytes, room.length - transportBytes, options.payload ?? 'zeros');
}

/** Fields of another size than their place in the header would be cut silently. */
function checkFields(options: PacketOptions & Partial<TcpPacketOptions>): void {
  checkInteger('sourcePort', options.sourcePort, 0, 0xffff);
  checkInteger('destinationPort', options.destinationPort, 0, 0xffff);
  checkInteger('hopLimit', options.hopLimit ?? 0, 0, 0xff);
  checkInteger('trafficClass', options.trafficClass ?? 0, 0, 0xff);
  checkInteger('identification', options.identification ?? 0, 0, 0xffff);
  checkInteger('flowLabel', options.flowLabel ?? 0, 0, 0xfffff);
  checkInteger('sequence', options.sequence ?? 0, 0, 0xffffffff);
  checkInteger('acknowledgement', options.acknowledgement ?? 0, 0, 0xffffffff);
  checkInteger('flags', options.flags ?? 0, 0, 0xff);
  checkInteger('window', options.window ?? 0, 0, 0xffff);
}

function checkTag(tag: VlanTag, index: number): void {
  checkInteger(`vlans[${index}].id`, tag.id, 0, 4095);
  checkInteger(`vlans[${index}].priority`, tag.priority ?? 0, 0, 7);
  checkInteger(`vlans[${index}].protocol`, tag.protocol ?? 0, 0, 0xffff);
}

function toIpAddress(option: string, address: IpAddress | string): IpAddress {
  const parsed = typeof address === 'string' ? parseIpAddress(address) : address;
  if (parsed === undefined)
    throw invalid(`${option}: "${address}" is no IPv4 or IPv6 address`, 'for example "10.0.0.1" or "2001:db8::1"');
  return parsed;
}

function toMacAddress(option: string, address: MacAddress | string): MacAddress {
  const parsed = typeof address === 'string' ? parseMacAddress(address) : address;
  if (parsed === undefined)
    throw invalid(
      `${option}: "${address}" is no Ethernet address, six bytes such as 02:00:00:00:00:01`,
      'write six numbers of two hexadecimal digits, with colons between them',
    );
  return parsed;
}

function invalid(message: string, remedy: string): PacketError {
  return new PacketError('INVALID_OPTION', message, { remedy });
}
