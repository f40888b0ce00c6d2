import { PacketError } from '../errors.js';
import type { InterfaceInfo } from './contract.js';

/** What to do about an interface whose packets have no Ethernet header. */
export const FOREIGN_LINK_REMEDY =
  'the interface that carries the tunnel, a TAP device instead of a TUN device, or a veth pair';

/** Rules, headers and the shortest packets of V2 and V3 all count on an Ethernet header. @throws PacketError NOT_ETHERNET */
export function checkLink({ name, foreignLink }: InterfaceInfo): void {
  if (foreignLink === undefined) return;
  throw new PacketError('NOT_ETHERNET', `packets of ${name} have no Ethernet header (${foreignLink})`, {
    remedy: FOREIGN_LINK_REMEDY,
  });
}
