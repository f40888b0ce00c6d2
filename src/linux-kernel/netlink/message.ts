import { Struct } from '../struct.js';
import { type Attribute, aligned } from './attributes.js';
import { NLA_HDRLEN, NLMSG_HDRLEN } from './constants.js';
import { damaged } from './damage.js';

/** One netlink message (struct nlmsghdr). */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  /** The number of the request that it answers. */
  readonly sequence: number;
  /** What follows the header: a structure that depends on the type, then attributes. */
  readonly payload: Uint8Array;
}

/**
 * Takes a datagram apart.
 *
 * @param datagram the payloads are views of it
 * @throws PacketError SYSTEM_CALL when a length leads out of it
 */
export function parseMessages(datagram: Uint8Array): NetlinkMessage[] {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  const messages: NetlinkMessage[] = [];
  for (let at = 0; at < datagram.length; ) {
    const left = datagram.length - at;
    if (left < NLMSG_HDRLEN) throw damaged(`${left} bytes where a message should begin`);
    const length = view.getUint32(at, true);
    if (length < NLMSG_HDRLEN || length > left) throw damaged(`a message of ${length} bytes, and ${left} are left`);
    messages.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      payload: datagram.subarray(at + NLMSG_HDRLEN, at + length),
    });
    at += aligned(length);
  }
  return messages;
}

/** Puts a message together. @param header the structure between the message's header and its attributes */
export function composeMessage(
  { type, flags, sequence }: { type: number; flags: number; sequence: number },
  header: Uint8Array,
  attributes: readonly Attribute[],
): Struct {
  const start = NLMSG_HDRLEN + aligned(header.length);
  const length = attributes.reduce((sum, [, value]) => sum + aligned(NLA_HDRLEN + value.length), start);
  const message = new Struct(length).u32(0, length).u16(4, type).u16(6, flags).u32(8, sequence);
  message.bytes.set(header, NLMSG_HDRLEN);
  let at = start;
  for (const [kind, value] of attributes) {
    message.u16(at, NLA_HDRLEN + value.length).u16(at + 2, kind);
    message.bytes.set(value, at + NLA_HDRLEN);
    at += aligned(NLA_HDRLEN + value.length);
  }
  return message;
}
