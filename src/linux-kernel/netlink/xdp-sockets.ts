import { PacketError } from '../../errors.js';
import { type Known, known, unknown } from '../../kernel/answer.js';
import { AF_XDP, ENOENT } from '../constants.js';
import { Struct } from '../struct.js';
import type { SystemCalls } from '../system-calls.js';
import { Attributes } from './attributes.js';
import { NetlinkConnection } from './connection.js';
import {
  NETLINK_SOCK_DIAG,
  SOCK_DIAG_BY_FAMILY,
  XDP_DIAG_INFO,
  XDP_DIAG_MSG_BYTES,
  XDP_SHOW_INFO,
} from './constants.js';
import { damaged } from './damage.js';
import type { NetlinkMessage } from './message.js';

/** An AF_XDP socket of any process in this network namespace. */
export interface BoundXdpSocket {
  /** Its number in /proc/PID/fd, "socket:[inode]". */
  readonly inode: number;
  /** Index of the interface that it is bound to. */
  readonly index: number;
  readonly queue: number;
}

/** Bytes of struct xdp_diag_req: family, protocol, padding, inode, what to show (at 8), cookie. */
const REQUEST_BYTES = 20;

/** The AF_XDP sockets that are bound (linux/xdp_diag.h), as `ss --xdp` lists them. */
export function listXdpSockets(calls: SystemCalls): Known<BoundXdpSocket[]> {
  try {
    return NetlinkConnection.use(calls, NETLINK_SOCK_DIAG, (connection) => {
      const header = new Struct(REQUEST_BYTES).u16(0, AF_XDP).u32(8, XDP_SHOW_INFO).bytes;
      const what = 'list AF_XDP sockets';
      return known(connection.request({ what, type: SOCK_DIAG_BY_FAMILY, header, dump: true }).flatMap(parseXdpSocket));
    });
  } catch (error) {
    if (!(error instanceof PacketError)) throw error;
    if (error.errno === ENOENT) return unknown('this kernel does not list AF_XDP sockets (CONFIG_XDP_SOCKETS_DIAG)');
    return unknown(error.message);
  }
}

/** Nothing for a socket that is not bound. @throws PacketError SYSTEM_CALL for a damaged answer */
export function parseXdpSocket({ payload }: NetlinkMessage): BoundXdpSocket[] {
  if (payload.length < XDP_DIAG_MSG_BYTES) throw damaged(`a socket of ${payload.length} bytes`);
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const info = new Attributes(payload.subarray(XDP_DIAG_MSG_BYTES)).bytes(XDP_DIAG_INFO);
  if (info?.length !== 8) return []; // struct xdp_diag_info: interface index, queue
  const fields = new DataView(info.buffer, info.byteOffset, 8);
  return [{ inode: view.getUint32(4, true), index: fields.getUint32(0, true), queue: fields.getUint32(4, true) }];
}
