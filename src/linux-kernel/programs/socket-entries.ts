import { BPF_ANY } from '../../ebpf/maps/contract.js';
import { PacketError } from '../../errors.js';
import { Struct } from '../struct.js';
import type { LinuxMap } from './linux-map.js';

/**
 * Enters a bound AF_XDP socket into a map of sockets, under its queue. The kernel takes it out when the socket is closed.
 *
 * @param socket descriptor
 * @throws PacketError MAP_FULL (the map has no entry for the queue), SYSTEM_CALL
 */
export function enterSocket(map: LinuxMap, queue: number, socket: number): void {
  const { name, maxEntries } = map.definition;
  if (queue >= maxEntries) {
    throw new PacketError('MAP_FULL', `map ${name}: it has no entry for queue ${queue}`, {
      remedy: `its queues are 0 to ${maxEntries - 1}: make it with an entry for each queue of the interface`,
    });
  }
  map.update(new Struct(4).u32(0, queue).bytes, new Struct(4).u32(0, socket).bytes, BPF_ANY);
}

/** Takes the socket of a queue out of a map of sockets, whichever it is. @throws PacketError SYSTEM_CALL */
export function removeSocket(map: LinuxMap, queue: number): void {
  map.delete(new Struct(4).u32(0, queue).bytes);
}
