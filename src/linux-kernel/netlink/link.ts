import { PacketError } from '../../errors.js';
import { type Known, known, unknown } from '../../kernel/answer.js';
import type { AttachedMode } from '../../kernel/device-report.js';
import { Struct } from '../struct.js';
import type { SystemCalls } from '../system-calls.js';
import { Attributes } from './attributes.js';
import { NetlinkConnection } from './connection.js';
import {
  IFINFOMSG_BYTES,
  IFLA_CARRIER,
  IFLA_INFO_KIND,
  IFLA_LINK,
  IFLA_LINK_NETNSID,
  IFLA_LINKINFO,
  IFLA_PROMISCUITY,
  IFLA_XDP,
  IFLA_XDP_DRV_PROG_ID,
  IFLA_XDP_HW_PROG_ID,
  IFLA_XDP_SKB_PROG_ID,
  NETLINK_ROUTE,
  RTM_GETLINK,
  RTM_NEWLINK,
} from './constants.js';
import { damaged } from './damage.js';
import type { NetlinkMessage } from './message.js';

/** What routing netlink tells of an interface and /sys does not, or not in one piece. */
export interface LinkFacts {
  /** How many want it promiscuous; undefined where the kernel does not tell. */
  readonly promiscuity: number | undefined;
  readonly carrier: boolean | undefined;
  /** "veth", "macvlan"; undefined for ordinary devices. */
  readonly kind: string | undefined;
  /** Interface index of a veth's other end, in its own namespace. */
  readonly peer: number | undefined;
  /** Whether the other end is in another namespace than this one. */
  readonly peerElsewhere: boolean;
  readonly programs: readonly { readonly id: number; readonly mode: AttachedMode }[];
}

const PROGRAM_ATTRIBUTES: readonly (readonly [attribute: number, mode: AttachedMode])[] = [
  [IFLA_XDP_DRV_PROG_ID, 'native'],
  [IFLA_XDP_SKB_PROG_ID, 'generic'],
  [IFLA_XDP_HW_PROG_ID, 'offloaded'],
];

/** RTM_GETLINK of one interface. It needs no privilege. */
export function readLink(calls: SystemCalls, index: number): Known<LinkFacts> {
  try {
    return NetlinkConnection.use(calls, NETLINK_ROUTE, (connection) => {
      const answers = connection.request({
        what: 'rtnetlink getlink',
        type: RTM_GETLINK,
        header: new Struct(IFINFOMSG_BYTES).i32(4, index).bytes,
      });
      const link = answers.find(({ type }) => type === RTM_NEWLINK);
      if (link === undefined) throw damaged('getlink without a link');
      return known(parseLink(link));
    });
  } catch (error) {
    if (!(error instanceof PacketError)) throw error;
    return unknown(error.message);
  }
}

/** @throws PacketError SYSTEM_CALL for a damaged answer */
export function parseLink({ payload }: NetlinkMessage): LinkFacts {
  if (payload.length < IFINFOMSG_BYTES) throw damaged(`a link of ${payload.length} bytes`);
  const attributes = new Attributes(payload.subarray(IFINFOMSG_BYTES));
  const carrier = attributes.u8(IFLA_CARRIER);
  const xdp = attributes.nested(IFLA_XDP);
  return {
    promiscuity: attributes.u32(IFLA_PROMISCUITY),
    carrier: carrier === undefined ? undefined : carrier === 1,
    kind: attributes.nested(IFLA_LINKINFO)?.text(IFLA_INFO_KIND),
    peer: attributes.u32(IFLA_LINK),
    peerElsewhere: attributes.bytes(IFLA_LINK_NETNSID) !== undefined,
    programs: PROGRAM_ATTRIBUTES.flatMap(([attribute, mode]) => {
      const id = xdp?.u32(attribute);
      return id === undefined ? [] : [{ id, mode }];
    }),
  };
}
