import { PacketError } from '../../errors.js';
import { type Known, known, unknown } from '../../kernel/answer.js';
import type { XdpFeatures } from '../../kernel/device-report.js';
import { ENOENT } from '../constants.js';
import type { SystemCalls } from '../system-calls.js';
import { Attributes, u32, zeroTerminated } from './attributes.js';
import { NetlinkConnection } from './connection.js';
import {
  CTRL_ATTR_FAMILY_ID,
  CTRL_ATTR_FAMILY_NAME,
  CTRL_CMD_GETFAMILY,
  GENL_ID_CTRL,
  NETDEV_A_DEV_IFINDEX,
  NETDEV_A_DEV_XDP_FEATURES,
  NETDEV_A_DEV_XDP_RX_METADATA_FEATURES,
  NETDEV_A_DEV_XDP_ZC_MAX_SEGS,
  NETDEV_A_DEV_XSK_FEATURES,
  NETDEV_CMD_DEV_GET,
  NETDEV_FAMILY_NAME,
  NETLINK_GENERIC,
} from './constants.js';
import { damaged } from './damage.js';
import type { NetlinkMessage } from './message.js';

/** Bytes of struct genlmsghdr: command, version, padding. */
const GENL_HDRLEN = 4;
const VERSION = 1;

/** enum netdev_xdp_act, by bit. */
const XDP_FEATURES = {
  native: 0, // NETDEV_XDP_ACT_BASIC
  redirect: 1,
  transmitRedirected: 2, // NETDEV_XDP_ACT_NDO_XMIT
  zeroCopy: 3,
  hardwareOffload: 4,
  receiveSegments: 5, // NETDEV_XDP_ACT_RX_SG
  transmitRedirectedSegments: 6,
} as const;
/** enum netdev_xdp_rx_metadata and enum netdev_xsk_flags, from bit 0 up. */
const RECEIVE_METADATA = ['timestamp', 'hash', 'vlan-tag'] as const;
const TRANSMIT_METADATA = ['timestamp', 'checksum', 'launch-time'] as const;

/**
 * What the kernel says of an interface's XDP abilities: family `netdev` of generic netlink, since Linux 6.3 (linux/netdev.h).
 * It needs no privilege.
 */
export function readXdpFeatures(calls: SystemCalls, index: number): Known<XdpFeatures> {
  try {
    return NetlinkConnection.use(calls, NETLINK_GENERIC, (connection) => {
      const family = findFamily(connection, NETDEV_FAMILY_NAME);
      if (family === undefined) return unknown('this kernel does not describe XDP features (Linux does from 6.3)');
      const [answer] = connection.request({
        what: 'netdev dev-get',
        type: family,
        header: Uint8Array.of(NETDEV_CMD_DEV_GET, VERSION, 0, 0),
        attributes: [[NETDEV_A_DEV_IFINDEX, u32(index)]],
      });
      if (answer === undefined) throw damaged('netdev dev-get without a device');
      return parseXdpFeatures(answer);
    });
  } catch (error) {
    if (!(error instanceof PacketError)) throw error;
    return unknown(error.message);
  }
}

/** @throws PacketError SYSTEM_CALL for a damaged answer */
export function parseXdpFeatures({ payload }: NetlinkMessage): Known<XdpFeatures> {
  const attributes = genericAttributes(payload);
  const flags = attributes.u64(NETDEV_A_DEV_XDP_FEATURES);
  if (flags === undefined) return unknown('the kernel does not say which XDP features the interface has');
  const segments = attributes.u32(NETDEV_A_DEV_XDP_ZC_MAX_SEGS);
  const has = (bit: number): boolean => Math.floor(flags / 2 ** bit) % 2 === 1;
  return known({
    native: has(XDP_FEATURES.native),
    redirect: has(XDP_FEATURES.redirect),
    transmitRedirected: has(XDP_FEATURES.transmitRedirected),
    zeroCopy: has(XDP_FEATURES.zeroCopy),
    ...(segments !== undefined && { zeroCopySegments: segments }),
    hardwareOffload: has(XDP_FEATURES.hardwareOffload),
    receiveSegments: has(XDP_FEATURES.receiveSegments),
    transmitRedirectedSegments: has(XDP_FEATURES.transmitRedirectedSegments),
    receiveMetadata: names(RECEIVE_METADATA, attributes.u64(NETDEV_A_DEV_XDP_RX_METADATA_FEATURES)),
    transmitMetadata: names(TRANSMIT_METADATA, attributes.u64(NETDEV_A_DEV_XSK_FEATURES)),
  });
}

function names(all: readonly string[], flags = 0): string[] {
  return all.filter((_, bit) => Math.floor(flags / 2 ** bit) % 2 === 1);
}

/** Number of a generic netlink family, or undefined when the kernel has none of that name. @throws PacketError */
function findFamily(connection: NetlinkConnection, name: string): number | undefined {
  try {
    const [answer] = connection.request({
      what: `find the netlink family ${name}`,
      type: GENL_ID_CTRL,
      header: Uint8Array.of(CTRL_CMD_GETFAMILY, VERSION, 0, 0),
      attributes: [[CTRL_ATTR_FAMILY_NAME, zeroTerminated(name)]],
    });
    const family = answer && genericAttributes(answer.payload).u16(CTRL_ATTR_FAMILY_ID);
    if (family === undefined) throw damaged(`the family ${name} has no number`);
    return family;
  } catch (error) {
    if (error instanceof PacketError && error.errno === ENOENT) return undefined;
    throw error;
  }
}

function genericAttributes(payload: Uint8Array): Attributes {
  if (payload.length < GENL_HDRLEN) throw damaged(`a generic message of ${payload.length} bytes`);
  return new Attributes(payload.subarray(GENL_HDRLEN));
}
