import { PacketError } from '../errors.js';
import type { Receive, RedirectedPackets, SteeredPackets } from './rules.js';

/** Whether a map of sockets is named; whether it is one has not been checked. */
export function isRedirected(receive: unknown): receive is RedirectedPackets {
  return typeof receive === 'object' && receive !== null && 'xskmap' in receive;
}

/**
 * What a socket receives that can be in no map of sockets.
 *
 * @param who what cannot, as the beginning of a sentence: "a V3 socket"
 * @throws PacketError MODE_UNSUPPORTED
 */
export function refuseRedirected(receive: Receive, who: string): SteeredPackets {
  if (!isRedirected(receive)) return receive;
  throw new PacketError('MODE_UNSUPPORTED', `receive: ${who} cannot be in a map of AF_XDP sockets (xskmap)`, {
    remedy: 'use a mode xdp-zc, xdp-copy or xdp-generic; or say what to receive with rules',
  });
}

/** Whose map it is only its kernel can tell. @throws PacketError INVALID_OPTION */
export function checkRedirected(receive: RedirectedPackets, option: string): RedirectedPackets {
  const { xskmap, ...others } = receive;
  const [other] = Object.keys(others);
  if (other !== undefined) {
    throw new PacketError('INVALID_OPTION', `${option}: beside xskmap there is no ${other}`, {
      remedy: 'the program that redirects to the map decides alone what the socket receives',
    });
  }
  const isMap = typeof xskmap?.lookup === 'function';
  if (isMap && xskmap.definition?.type === 'xskmap') return receive;
  const found = isMap ? `a map of type ${String(xskmap.definition?.type)}` : String(xskmap);
  throw new PacketError('INVALID_OPTION', `${option}.xskmap: ${found} is no map of sockets, of type xskmap`, {
    remedy: 'give the map as `loadObject` has made it, on the thread that has loaded the object',
  });
}
