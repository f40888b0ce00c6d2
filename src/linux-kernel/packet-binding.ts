import { PacketError } from '../errors.js';
import type { BindRequest } from '../kernel/contract.js';
import { checkLink } from '../kernel/foreign-link.js';
import { V2_TRANSMIT } from '../ring/v2/layout.js';
import { V3_TRANSMIT } from '../ring/v3/layout.js';
import {
  AF_PACKET,
  ENETDOWN,
  ENODEV,
  ETH_HLEN,
  ETH_P_ALL,
  PACKET_IGNORE_OUTGOING,
  PACKET_QDISC_BYPASS,
  SIOCGIFNAME,
  SO_ERROR,
  SOL_PACKET,
  SOL_SOCKET,
} from './constants.js';
import type { LinuxInterface } from './interfaces.js';
import { GONE_REMEDY } from './interfaces.js';
import type { PacketRings, RingVersion } from './packet-rings.js';
import { Struct } from './struct.js';
import { systemCallError } from './system-call-error.js';
import type { SystemCalls } from './system-calls.js';
import { checkReceiveRing } from './xdp-binding.js';

/**
 * Checks what can be known before the kernel is asked, so that the user gets the reason instead of EINVAL.
 *
 * @throws PacketError NOT_ETHERNET, MODE_UNSUPPORTED, RULES_UNSUPPORTED, NO_QUEUE, INVALID_OPTION
 */
export function checkBinding(
  request: BindRequest,
  device: LinuxInterface,
  version: RingVersion,
  rings: PacketRings,
): void {
  const { mode, queue, receive, segments, fanout } = request;
  checkLink(device);
  if (mode !== version) {
    throw new PacketError('MODE_UNSUPPORTED', `mode ${String(mode)} is not one of a ${version} socket`, {
      remedy: `make the socket with the version that the mode needs; this one does ${version}`,
    });
  }
  if (segments) {
    throw new PacketError('MODE_UNSUPPORTED', `${version} has no packets of several frames`, {
      remedy: 'an AF_XDP mode, or larger frames: ringFrameSize (V2), blockSize (V3)',
    });
  }
  if (queue !== undefined) {
    throw new PacketError(
      'NO_QUEUE',
      `queue: a packet socket hears all queues of ${device.name}, not queue ${queue} alone`,
      {
        remedy: "leave queue out; sockets share an interface by queue with fanout: { group, type: 'queue' }",
      },
    );
  }
  if (request.flowDirector) {
    throw new PacketError(
      'RULES_UNSUPPORTED',
      `flowDirector: ${version} sockets hear copies, whatever queue they come by`,
      {
        remedy: 'use an AF_XDP mode, or leave it out',
      },
    );
  }
  checkReceiveRing(receive, rings.receive !== undefined);
  if (receive === 'none' && fanout !== undefined) {
    throw new PacketError('INVALID_OPTION', "fanout: with receive: 'none' there are no packets to share", {
      remedy: "leave fanout out, or receive something: 'all' or rules",
    });
  }
}

/** Sets what the kernel takes only before `bind`, or had better know before the first packet. @throws PacketError SYSTEM_CALL */
export function setTrafficOptions(calls: SystemCalls, descriptor: number, request: BindRequest): void {
  const set = (option: number, name: string, on: boolean): void => {
    const result = calls.setsockoptU32(descriptor, SOL_PACKET, option, on ? 1 : 0);
    if (result < 0) throw systemCallError(`setsockopt ${name}`, -result, `set ${name}`);
  };
  set(PACKET_QDISC_BYPASS, 'PACKET_QDISC_BYPASS', request.bypassQueueing ?? false);
  set(PACKET_IGNORE_OUTGOING, 'PACKET_IGNORE_OUTGOING', request.ignoreOutgoing ?? false);
}

/**
 * Binds to an interface, to hear its packets (protocol ETH_P_ALL) or none (0).
 *
 * @throws PacketError NO_INTERFACE (gone, or down), SYSTEM_CALL
 */
export function bindInterface(calls: SystemCalls, descriptor: number, device: LinuxInterface, hears: boolean): void {
  const { name, index } = device;
  const address = new Struct(20) // struct sockaddr_ll; the protocol is big-endian
    .u16(0, AF_PACKET)
    .u16(2, hears ? ETH_P_ALL << 8 : 0)
    .i32(4, index);
  const result = calls.bind(descriptor, address);
  if (result < 0) {
    throw systemCallError('bind AF_PACKET', -result, `bind to ${name}`, {
      [ENODEV]: { code: 'NO_INTERFACE', why: 'the interface is gone', remedy: GONE_REMEDY },
    });
  }
  // Binding to an interface that is down works, and leaves an error for later.
  const pending = new Struct(4);
  if (calls.getsockopt(descriptor, SOL_SOCKET, SO_ERROR, pending) < 0 || pending.readI32(0) === 0) return;
  throw systemCallError('bind AF_PACKET', pending.readI32(0), `bind to ${name}`, {
    [ENETDOWN]: { code: 'NO_INTERFACE', why: 'the interface is down', remedy: `ip link set dev ${name} up` },
  });
}

/** Whether an interface is still there, under whatever name. */
export function interfaceExists(calls: SystemCalls, descriptor: number, { index }: LinuxInterface): boolean {
  return calls.ioctl(descriptor, SIOCGIFNAME, new Struct(40).i32(16, index)) >= 0; // struct ifreq
}

/** Largest packet, in bytes with its Ethernet header, that interface and ring can send. */
export function largestPacket(device: LinuxInterface, version: RingVersion, { transmit }: PacketRings): number {
  const { dataOffset } = version === 'v3' ? V3_TRANSMIT : V2_TRANSMIT;
  return transmit === undefined ? 0 : Math.min(device.mtu + ETH_HLEN, transmit.entryBytes - dataOffset);
}
